"""What is particular to faults on caches; the rest is in the contract suite."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from executor.errors import UnavailableError
from executor.faults.data import cache_stampede, shelf
from executor.faults.registry import behaviour
from executor.kernel import child, process
from executor.model.faults.data import CacheFlush, CachePause, CacheStampede
from executor.model.system import Backup
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.caches import PauseSubject, Shop, StampedeSubject, asked, count_queries
from tests.executor.faults.cases.data import RedisSubject
from tests.executor.faults.data.test_data_faults import altered, context, injected, why_not
from tests.executor.kit import until

CALLERS = 8


@pytest.fixture
def cache(bench: Bench) -> Iterator[RedisSubject]:
    subject = RedisSubject(bench.redis(), StampedeSubject.empty)
    yield subject
    subject.pooled.close()


@pytest.fixture
def paused(bench: Bench) -> Iterator[PauseSubject]:
    subject = PauseSubject(bench.redis(), CachePause())
    yield subject
    subject.bystander.end()
    subject.pooled.close()


def test_the_database_behind_the_cache_gets_the_stampede(cache: RedisSubject, bench: Bench, tmp_path: Path) -> None:
    """Eight callers ask for ten products each: the cache answers all, and then the database is asked up to 80 times."""
    database = bench.postgres()
    count_queries(database)
    shops = [Shop(cache.server, database) for _ in range(CALLERS)]
    start = Barrier(CALLERS)

    def ask(shop: Shop) -> None:
        start.wait()
        for number in range(10):
            shop.look(number, keep=True)

    def queries() -> int:
        before = asked(database)
        with ThreadPoolExecutor(CALLERS) as threads:
            list(threads.map(ask, shops))
        return asked(database) - before

    assert queries() == 0
    with injected(CacheStampede(pattern="product:?"), cache.resolved(), tmp_path) as record:
        assert record["taken"] == 10
        assert 10 <= queries() <= 10 * CALLERS
        assert queries() == 0, "the application filled its cache again"
        assert behaviour("data.cache_stampede").active(record) is False
    for shop in shops:
        shop.close()


def test_all_expire_at_one_moment_and_none_is_out_before(cache: RedisSubject, tmp_path: Path) -> None:
    """One command that counts all of them never sees but a part of them."""
    how, target = behaviour("data.cache_stampede"), cache.resolved()
    record = how.prepare(CacheStampede(pattern="product:??"), target, context(target, tmp_path))
    names = [f"product:{number}" for number in range(10, 100)]
    with cache.server.client() as client, ThreadPoolExecutor(1) as thread:
        made = thread.submit(how.inject, record, 60)
        seen = {client.exists(*names)}
        while not made.done():
            seen.add(client.exists(*names))
        assert made.result() == {"taken": 90}
        assert seen | {client.exists(*names)} == {90, 0}
    how.revert(record)
    until(cache.normal)


def test_the_keys_used_most_go(cache: RedisSubject, tmp_path: Path) -> None:
    with cache.server.client() as client:
        for number in range(1, 10):
            client.restore(f"product:{number}", 0, client.dump(f"product:{number}"), replace=True, idletime=number * 60)
        with injected(CacheStampede(pattern="product:?", keys=4), cache.resolved(), tmp_path):
            assert sorted(client.keys("product:?")) == [b"product:%d" % number for number in range(4, 10)]
        client.config_set("maxmemory-policy", "allkeys-lfu")
        try:
            for number in range(1, 10):
                client.restore(f"product:{number}", 0, client.dump(f"product:{number}"), replace=True, frequency=number)
            with injected(CacheStampede(pattern="product:[1-9]", keys=2), cache.resolved(), tmp_path):
                assert sorted(client.keys("product:?")) == [b"product:%d" % number for number in range(8)]
        finally:
            client.config_set("maxmemory-policy", "noeviction")


def test_undone_before_the_moment_the_keys_live_as_before(
    cache: RedisSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor is gone before they expire; what was written anew meanwhile has lost that moment already."""
    how, target, before = behaviour("data.cache_stampede"), cache.resolved(), cache.state()
    record = how.prepare(CacheStampede(pattern="product:*"), target, context(target, tmp_path))
    monkeypatch.setattr(cache_stampede, "_LEAD_MS", 60_000)
    monkeypatch.setattr(cache_stampede.time, "sleep", lambda _: None)
    how.inject(record, 60)
    assert how.active(record) is True
    with cache.server.client() as client:
        assert 0 < client.ttl("product:1") <= 61
        client.set("product:2", "anew", ex=1000)
        how.revert(record)
        assert how.active(record) is False
        assert 900 < client.ttl("product:2") <= 1000
        client.set("product:2", "product 2")
    assert cache.state() == before


def test_a_cache_too_slow_for_one_moment_is_no_stampede(
    cache: RedisSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    how, target = behaviour("data.cache_stampede"), cache.resolved()
    record = how.prepare(CacheStampede(pattern="product:*"), target, context(target, tmp_path))
    monkeypatch.setattr(cache_stampede, "_LEAD_MS", -1000)
    with pytest.raises(UnavailableError, match="ms too long to have 301 keys expire at one moment; mean fewer"):
        how.inject(record, 60)
    how.revert(record)
    until(cache.normal)


def test_keys_go_only_where_they_can_be_thrown_away_or_got_back(cache: RedisSubject) -> None:
    target = cache.resolved()
    backup = Backup(path="/var/backups/cache", verify_command=("true",))
    for fault in (CacheFlush(), CacheStampede()):
        assert "neither disposable nor backed up" in why_not(fault, altered(target, disposable=False))
        backed_up = altered(target, disposable=False, backup=backup)
        assert behaviour(fault.kind).unsupported(fault, backed_up) is None


def test_a_key_that_cannot_be_put_back_keeps_no_other_out(cache: RedisSubject, tmp_path: Path) -> None:
    """As one of a module that was not loaded again."""
    how, target = behaviour("data.cache_flush"), cache.resolved()
    record = how.prepare(CacheFlush(pattern="product:*"), target, context(target, tmp_path))
    shelf.add(Path(record["shelf"]), {b"product:odd": shelf.Kept(b"nothing that Redis has dumped", 0)})
    record |= how.inject(record, 60)
    with pytest.raises(UnavailableError, match="does not take 1 key back: DUMP payload"):
        how.revert(record)
    assert cache.normal()
    assert how.active(record) is True, "the odd one is owed"


@pytest.mark.parametrize("lacking", ["restore", "eval", "unlink", "pexpireat"])
def test_keys_that_could_not_be_put_back_stay(
    cache: RedisSubject, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's rights are asked for without a key being touched."""
    with cache.server.client() as client:
        client.acl_setuser("app", True, passwords=["+canary"], keys=["*"], commands=["+@all", f"-{lacking}"])
        before = cache.state()
        monkeypatch.setenv("TEST_REDIS", cache.server.url.replace(f":{cache.server.password}", "app:canary"))
        for fault in (CacheFlush(pattern="product:*"), CacheStampede(pattern="product:*")):
            why = why_not(fault, cache.resolved())
            assert "would not let this user take keys and put them back" in why
            assert f"'{lacking}'" in why
        assert cache.state() == before
        client.acl_deluser("app")


def test_what_is_no_redis_is_said_first(cache: RedisSubject) -> None:
    assert "not known to be Redis" in why_not(
        CacheFlush(), altered(cache.resolved(), technology="memcached", disposable=False)
    )


def test_those_who_only_read_go_on_while_writes_are_held(bench: Bench, tmp_path: Path) -> None:
    subject = PauseSubject(bench.redis(), CachePause(what="writes"))
    before = subject.state()
    with injected(subject.fault, subject.resolved(), tmp_path) as record:
        assert behaviour("data.cache_pause").active(record) is True
        assert (subject.reads(), subject.writes()) == (True, False)
        assert subject.held()
        assert subject.unharmed()
    until(subject.writes)
    assert subject.state() == before
    subject.bystander.end()
    subject.pooled.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_pause_whose_helper_is_killed_or_hangs_is_ended_by_the_server(
    paused: PauseSubject, tmp_path: Path, number: signal.Signals
) -> None:
    with injected(CachePause(), paused.resolved(), tmp_path) as record:
        assert not paused.reads()
        (helper,) = child.living(Path(record["deadline"]))
        process.send(helper.pid, helper.start_ticks, number)
        until(paused.normal, what="the server does not end the pause")


def test_a_pause_has_no_gap(paused: PauseSubject, tmp_path: Path) -> None:
    """A command that waits from the first pause on is not let through between two of them."""
    with paused.server.client() as client, ThreadPoolExecutor(1) as thread:
        client.ping()
        with injected(CachePause(), paused.resolved(), tmp_path):
            waiting = thread.submit(client.get, "session:bob")
            with pytest.raises(TimeoutError):
                waiting.result(timeout=2.5)  # five pauses
        assert waiting.result(timeout=10) == b"kept"
