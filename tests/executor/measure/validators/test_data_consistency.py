"""Whether acknowledged writes exist afterwards: on real stores that die or hang, and on made-up samples."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from executor.measure.validators.data_consistency import validate
from executor.measure.writing import numbers_in, record_id, record_prefix
from executor.model.data_check import DataCheck, SqlQuery
from executor.model.evidence import Event, EventKind, Observation, Validation
from executor.model.faults.service import Crash, Hang
from executor.model.plan import InstanceTarget
from executor.model.probe import HttpProbe
from executor.model.system import Dependency, Service, System
from executor.model.vocabulary import Phase, Verdict
from executor.run import strike
from executor.run.engine import run
from executor.run.observations import load
from executor.run.undoing import Undoing
from executor.state.home import Home
from tests.executor.kit import LIMITS, approve, plan_of
from tests.executor.measure import records
from tests.executor.measure.records import DATA_CHECK, END_S, INJECTED_S, REVERTED_S, trial
from tests.executor.measure.validators.scenes import Part, carried_out, experiment, running, said


def data_check(name: str, to: Part, store: Part, **fields: Any) -> DataCheck:
    body = '{"id": "{id}"}'
    write = HttpProbe(url=to.url("/records"), method="POST", json_body=body, expect_status=(200, 201), timeout_ms=2000)
    read = HttpProbe(url=store.url("/records"), timeout_ms=2000)
    return DataCheck(**{"id": name, "service": to.name, "write": write, "read": read, "rate_hz": 20, **fields})


def test_a_store_that_acknowledges_before_it_keeps_loses_writes_and_one_after_does_not(
    tmp_path: Path, home: Home, quick: None
) -> None:
    hasty = Part("hasty", "store", tmp_path / "hasty", "hasty")
    careful = Part("careful", "store", tmp_path / "careful", "careful")
    with running(hasty, careful):
        agrees = HttpProbe(url=hasty.url("/agrees"), timeout_ms=2000)
        checks = {
            hasty: data_check("hasty-kept", hasty, hasty, invariants=(agrees,)),
            careful: data_check("careful-kept", careful, careful),
        }
        services = tuple(part.service(path="/records", data_checks=(check,)) for part, check in checks.items())
        system = System(name="stores", services=services)
        targets = [InstanceTarget(service=part.name) for part in checks]
        asked = experiment(system, Crash(restart="murphy"), targets)
        evidence = carried_out(home, system, asked)
        found = said(evidence, "data_consistency")
        assert found["careful-kept"].verdict is Verdict.HOLDS, found
        assert "acknowledged writes are there once" in found["careful-kept"].measured
        assert found["hasty-kept"].verdict is Verdict.BREAKS, found
        assert "acknowledged writes lost, acknowledged from" in found["hasty-kept"].measured
        assert "invariant 1 of hasty-kept does not hold after recovery" in found["hasty-kept"].measured
        sources = set(load(home.runs / evidence.run, "e1").sources)
        assert {"writes:careful-kept", "reads:careful-kept", "found:careful-kept"} <= sources


@pytest.mark.slow
def test_a_retry_writes_twice_unless_the_store_knows_what_it_has(tmp_path: Path, home: Home, quick: None) -> None:
    """The store stands still: what is handed on again after a time-out arrives, too."""
    plain = Part("plain", "store", tmp_path / "plain", "careful")
    knowing = Part("knowing", "store", tmp_path / "knowing", "once")
    above, beside = Part("above", "taker", plain.port), Part("beside", "taker", knowing.port)
    with running(plain, knowing, above, beside):
        pairs = ((above, plain), (beside, knowing))
        takers = tuple(
            Service(name=t.name, instances=(t.instance,), data_checks=(data_check(f"{t.name}-kept", t, s),))
            for t, s in pairs
        )
        stores = tuple(store.service(path="/records") for _, store in pairs)
        edges = tuple(Dependency(caller=t.name, callee=s.name, protocol="http", port=s.port) for t, s in pairs)
        system = System(name="takers", services=(*takers, *stores), dependencies=edges)
        targets = [InstanceTarget(service=store.name) for _, store in pairs]
        found = said(carried_out(home, system, experiment(system, Hang(), targets)), "data_consistency")
        assert found["beside-kept"].verdict is Verdict.HOLDS, found
        assert found["above-kept"].verdict is Verdict.BREAKS, found
        assert "there more than once" in found["above-kept"].measured


WRITES_HZ = 10


def observed(source: str, at_s: float, **fields: Any) -> Observation:
    given = {"experiment": "e1", "trial": 1, "ok": True, "latency_ms": 1.0}
    return Observation(source=source, at_s=at_s, **{**given, **fields})


def writes(refused: Iterable[int] = ()) -> list[Observation]:
    """One every 0.1 s of the trial, numbered from 0; all acknowledged but these."""
    return [
        observed("writes:kept", n / WRITES_HZ, ok=n not in refused, value=float(n))
        for n in range(int(END_S * WRITES_HZ))
    ]


def reading(at_s: float, found: Sequence[int], **fields: Any) -> list[Observation]:
    seen = [observed("found:kept", at_s, value=float(n)) for n in found]
    return [*seen, observed("reads:kept", at_s, **{"value": float(len(found)), **fields})]


EVERY = list(range(int(END_S * WRITES_HZ)))
BEFORE_S, SETTLED_S = INJECTED_S - 0.05, END_S + DATA_CHECK.settle_s
BEFORE = reading(BEFORE_S, [n for n in EVERY if n / WRITES_HZ < BEFORE_S])
UNDER = [n for n in EVERY if INJECTED_S <= n / WRITES_HZ < REVERTED_S]


def judged(*series: Sequence[Observation], check: DataCheck = DATA_CHECK, **fields: Any) -> Validation:
    asked = records.experiment(records.STEADY, data_checks=(check,))
    (found,) = validate(asked, [trial(*series, **fields)])
    return found


def test_everything_acknowledged_is_there_once() -> None:
    found = judged(writes(), BEFORE, reading(END_S + 1, EVERY))
    assert found.verdict is Verdict.HOLDS
    assert found.measured == "all 120 acknowledged writes are there once, 50 of them from under the fault"


def test_what_still_settles_before_the_fault_may_be_missing_but_not_all() -> None:
    slow = DataCheck(**{**dict(DATA_CHECK), "settle_s": 10})
    first, after = reading(BEFORE_S, [0, 1]), reading(END_S + 1, EVERY)
    assert judged(writes(), first, after, check=slow).verdict is Verdict.HOLDS
    elsewhere = judged(writes(), reading(BEFORE_S, []), reading(END_S + 1, []), check=slow)
    assert (elsewhere.verdict, elsewhere.measured) == (
        Verdict.INCONCLUSIVE,
        "kept lacked 30 acknowledged writes before the fault already",
    )
    none = judged(writes(refused=range(30)), first, after)
    assert none.measured == "no write of kept was acknowledged before the fault"


def test_a_hypothesis_that_all_is_kept_breaks_with_what_is_lost() -> None:
    asked = records.experiment(records.KEPT)
    lost = trial(writes(), BEFORE, reading(SETTLED_S, [n for n in EVERY if n not in (28, 35)]))
    (found,) = records.judged(asked, lost).hypotheses
    assert found.verdict is Verdict.BREAKS
    assert found.reason.startswith("2 of 120 acknowledged writes lost, acknowledged from 0.20 s before")
    with pytest.raises(ValidationError, match="names data check kept, which the experiment lacks"):
        records.experiment(records.KEPT, data_checks=())
    with pytest.raises(ValidationError, match="data check ids must differ"):
        records.experiment(records.STEADY, data_checks=(DATA_CHECK, DATA_CHECK))


def test_one_lost_write_is_enough() -> None:
    found = judged(writes(), BEFORE, reading(SETTLED_S, [n for n in EVERY if n != 28]))
    assert found.verdict is Verdict.BREAKS
    assert found.measured == "1 of 120 acknowledged writes lost, acknowledged 0.20 s before the injection"


def test_a_write_that_nobody_acknowledged_may_be_there_or_not() -> None:
    """Its answer may have been lost, or the write."""
    found = judged(writes(refused=UNDER), BEFORE, reading(SETTLED_S, [n for n in EVERY if n not in UNDER[1:]]))
    assert found.verdict is Verdict.HOLDS
    assert found.measured.endswith("and 1 of 50 that nobody acknowledged")


def test_but_not_twice() -> None:
    found = judged(writes(refused=UNDER), BEFORE, reading(SETTLED_S, sorted([*EVERY, UNDER[3]])))
    assert found.verdict is Verdict.BREAKS
    assert found.measured == "1 write is there more than once, of 120"


def test_the_last_reading_counts() -> None:
    """A replica that lags has its time to settle."""
    early = reading(END_S + 0.1, EVERY[:-5])
    assert judged(writes(), BEFORE, early, reading(END_S + 0.6, EVERY)).verdict is Verdict.HOLDS
    assert judged(writes(), BEFORE, reading(END_S + 0.1, EVERY), reading(SETTLED_S, [])).verdict is Verdict.BREAKS
    late = reading(END_S + 0.6, [], ok=False, value=None, error="status 503")
    assert judged(writes(), BEFORE, reading(END_S + 0.1, EVERY), late).verdict is Verdict.HOLDS


@pytest.mark.parametrize("last", [[], reading(SETTLED_S, [], ok=False, value=None, error="status 503")])
def test_what_had_no_time_to_settle_is_not_lost(last: list[Observation]) -> None:
    """The run may have been halted meanwhile, or nobody answered any more."""
    for found in (EVERY[:-5], [*EVERY, 3]):
        said = judged(writes(), BEFORE, reading(END_S + 0.1, found), last)
        assert said.verdict is Verdict.INCONCLUSIVE
        assert said.measured.endswith("but kept has 2 s to settle and was last read after 0.10 s")
    check = DataCheck(id="kept", service="base", invariants=(SqlQuery(dsn="env:X", query="SELECT true"),))
    asked = [observed("invariant:kept.1", at_s, value=v) for at_s, v in ((BEFORE_S, 1.0), (END_S + 0.1, 0.0))]
    assert judged(asked, check=check).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("series", "why"),
    [
        ([writes(), reading(SETTLED_S, EVERY)], "could not be read back before the fault"),
        (
            [writes(), reading(BEFORE_S, [], ok=False, error="status 500"), reading(SETTLED_S, EVERY)],
            "before the fault",
        ),
        (
            [writes(), reading(BEFORE_S, []), reading(SETTLED_S, [])],
            "kept lacked 30 acknowledged writes before the fault already",
        ),
        (
            [writes(), reading(BEFORE_S, [0, 0, *range(1, 30)]), reading(SETTLED_S, [0, *EVERY])],
            "kept had 1 write more than once before the fault",
        ),
        ([writes(), BEFORE], "could not be read back after recovery: nobody read"),
        ([writes(), BEFORE, reading(SETTLED_S, [], ok=False, error="status 503")], "after recovery: status 503"),
        ([writes(refused=EVERY[5:]), BEFORE, reading(SETTLED_S, EVERY)], "only 5 writes of kept were acknowledged"),
    ],
)
def test_what_cannot_be_known_is_not_told(series: list[list[Observation]], why: str) -> None:
    found = judged(*series)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert why in found.measured


def test_without_a_fault_nothing_is_told() -> None:
    found = judged(writes(), BEFORE, reading(SETTLED_S, EVERY), injected_s=None, reverted_s=None)
    assert (found.verdict, found.measured) == (Verdict.INCONCLUSIVE, "the fault was not injected")


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (1.0, 1.0, Verdict.HOLDS),
        (1.0, 0.0, Verdict.BREAKS),
        (1.0, None, Verdict.INCONCLUSIVE),
        (0.0, 0.0, Verdict.INCONCLUSIVE),
        (None, 1.0, Verdict.INCONCLUSIVE),
    ],
)
def test_invariants_hold_after_recovery_as_before(before: float | None, after: float | None, verdict: Verdict) -> None:
    check = DataCheck(id="kept", service="base", invariants=(SqlQuery(dsn="env:X", query="SELECT true"),))
    asked = [observed("invariant:kept.1", at_s, value=v) for at_s, v in ((BEFORE_S, before), (SETTLED_S, after))]
    assert judged(asked, check=check).verdict is verdict


def test_a_record_knows_its_trial() -> None:
    first, second = "run-1 e1 1 kept", "run-1 e1 2 kept"
    ids = [record_id(first, n) for n in (0, 17, 2**24 - 1)]
    text = f"[{ids[0]}, {ids[1].upper()}, {ids[1]}, {ids[2]}, {record_id(second, 3)}, {ids[0]}f]"
    assert numbers_in(text, first) == [0, 17, 17, 2**24 - 1]
    assert numbers_in(text, second) == [3]
    assert all(each.startswith("6d757270-6879-8") and each.startswith(record_prefix(first)) for each in ids)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"write": None}, "write and read, or neither"),
        ({"write": None, "read": None}, "or invariants"),
        ({"write": SqlQuery(dsn="env:X", query="INSERT INTO t DEFAULT VALUES")}, "must hold {id}"),
    ],
)
def test_a_data_check_that_could_show_nothing_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        DataCheck(**{**dict(DATA_CHECK), **fields})


def test_nothing_is_written_once_a_trial_is_aborted(
    tmp_path: Path, home: Home, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Undoing may take its time."""
    store, base = Part("store", "store", tmp_path / "store", "careful"), Part("base", "registry")
    undo, written = Undoing.undo, tmp_path / "store"
    sizes: list[tuple[int, int]] = []

    def slowly(*args: Any, **options: Any) -> Any:
        time.sleep(0.3)  # what was under way at the halt may yet arrive
        before = written.stat().st_size
        time.sleep(0.3)
        sizes.append((before, written.stat().st_size))
        return undo(*args, **options)

    monkeypatch.setattr(Undoing, "undo", slowly)
    monkeypatch.setattr(strike, "shown", lambda *_: False)
    with running(store, base):
        kept = data_check("kept", store, store)
        services = (base.service(path="/members"), Service(name="store", data_checks=(kept,)))
        system = System(name="stores", services=services)
        plan = plan_of(system, (experiment(system, Hang(), [InstanceTarget(service="base")], baseline_s=1),))
        evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
    assert evidence.owed == ()
    assert any("does not show the fault" in event.detail for event in evidence.timeline)
    assert sizes
    assert all(before == after > 0 for before, after in sizes)


@pytest.mark.slow
def test_a_reading_that_hangs_keeps_nobody_who_wants_to_stop(tmp_path: Path, home: Home, quick: None) -> None:
    store, shelf = Part("store", "store", tmp_path / "store", "careful"), Part("base", "registry")
    stop = threading.Event()
    with running(store, shelf):
        slow = HttpProbe(url=store.url("/records"), timeout_ms=60_000)
        kept = DataCheck(**{**dict(data_check("kept", store, store)), "read": slow})
        services = (shelf.service(path="/members"), Service(name="store", data_checks=(kept,)))
        system = System(name="stores", services=services)

        def hang(event: Event) -> None:
            if event.phase is Phase.RECOVERY and event.kind is EventKind.PHASE_STARTED:
                store.started.send_signal(signal.SIGSTOP)
                threading.Timer(5, stop.set).start()

        plan = plan_of(system, (experiment(system, Hang(), [InstanceTarget(service="base")], duration_s=1.0),))
        begun = time.monotonic()
        evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home, stop=stop, report=hang)
        assert (evidence.outcome, evidence.owed) == ("interrupted", ())
        assert time.monotonic() - begun < 40
        found = said(evidence, "data_consistency")["kept"]
        assert (found.verdict, "could not be read back after recovery" in found.measured) == (
            Verdict.INCONCLUSIVE,
            True,
        )
