"""What is particular to faults on queues; the rest is in the contract suite."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nats.js import JetStreamContext
from nats.js.api import RePublish, StorageType, StreamConfig, StreamSource, SubjectTransform
from pydantic import ValidationError

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.registry import behaviour
from executor.model.faults.data import QueueBacklog
from executor.servers import jetstream
from tests.executor.faults.cases.queues import QueueSubject, lacking
from tests.executor.faults.data.test_data_faults import altered, context, injected, why_not
from tests.executor.faults.nats_server import APPLICATION, Nats
from tests.executor.kit import until
from tests.missing import missing

HOW = behaviour("data.queue_backlog")
FEW = QueueBacklog(queue="ORDERS", messages=30, rate_per_s=2000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    if reason := lacking():
        missing(reason)
    running = Nats(tmp_path_factory.mktemp("nats") / "data")
    yield running
    running.end()


@pytest.fixture
def subject(server: Nats, monkeypatch: pytest.MonkeyPatch) -> QueueSubject:
    monkeypatch.setenv("TEST_NATS", "")
    return QueueSubject(server)


def with_queue(subject: QueueSubject, name: str, **settings: Any) -> ProcessTarget:
    """The target, with one more queue that may be filled."""

    async def make(js: JetStreamContext) -> None:
        await js.add_stream(StreamConfig(**{"name": name, "subjects": [name.lower()], **settings}))

    subject.server.do(make)
    return altered(subject.resolved(), queues=("ORDERS", name))


def test_it_fills_at_the_rate_that_was_asked(subject: QueueSubject, tmp_path: Path) -> None:
    """200 a second for as long as it is looked at; a busy machine may be slower, and none is faster."""
    fault = QueueBacklog(queue="ORDERS", messages=20_000, rate_per_s=200, message_bytes=100)
    began = time.monotonic()
    with injected(fault, subject.resolved(), tmp_path):
        until(lambda: subject.server.count() >= APPLICATION + 100)
        put, took_s = subject.server.count() - APPLICATION, time.monotonic() - began
        assert put <= 200 * (took_s + 0.2)


def test_what_the_application_puts_in_meanwhile_stays(subject: QueueSubject, tmp_path: Path) -> None:
    async def order(js: JetStreamContext) -> int:
        return (await js.publish("orders", b"new", headers={"Murphy-Mark": "murphy-of-somebody-else"})).seq

    with injected(FEW, subject.resolved(), tmp_path):
        sequence = subject.server.do(order)
        until(lambda: subject.server.count() == APPLICATION + 31)
    assert subject.server.count() == APPLICATION + 1
    assert subject.server.do(lambda js: js.get_msg("ORDERS", sequence)).data == b"new"
    subject.server.do(lambda js: js.delete_msg("ORDERS", sequence))


def test_a_queue_that_was_made_anew_has_nothing_of_ours(subject: QueueSubject, tmp_path: Path) -> None:
    target = with_queue(subject, "ANEW")
    with injected(QueueBacklog(queue="ANEW", messages=5), target, tmp_path) as record:
        subject.server.do(lambda js: js.delete_stream("ANEW"))
        with_queue(subject, "ANEW")

        async def mine(js: JetStreamContext) -> None:
            for _ in range(10):  # as a copy of ours would be, which is not for us to take
                await js.publish("anew", b"x", headers={jetstream.HEADER: record["mark"]})

        subject.server.do(mine)
    assert subject.server.count("ANEW") == 10
    subject.server.do(lambda js: js.delete_stream("ANEW"))


def test_a_queue_in_memory_goes_with_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_NATS", "")
    subject = QueueSubject(Nats(tmp_path / "nats", storage=StorageType.MEMORY))
    target = subject.resolved()
    record = HOW.prepare(FEW, target, context(target, tmp_path))
    HOW.inject(record, 60)
    subject.server.end()
    HOW.revert(record)
    assert HOW.active(record) is False


def test_what_is_not_supported_is_said(subject: QueueSubject, monkeypatch: pytest.MonkeyPatch) -> None:
    target = subject.resolved()
    assert "system.yaml names ORDERS (queues)" in why_not(QueueBacklog(queue="OTHERS"), target)
    assert "not known to be NATS" in why_not(FEW, altered(target, technology="rabbitmq"))
    assert "has no dsn" in why_not(FEW, altered(target, dsn=None))
    gone = altered(target, queues=("GONE",))
    assert "stream not found" in why_not(QueueBacklog(queue="GONE"), gone)
    both = altered(target, queues=("OTHERS",))
    assert "choose one (subject)" in why_not(QueueBacklog(queue="OTHERS"), both)
    assert "is not what orders leads to" in why_not(QueueBacklog(queue="OTHERS", subject="orders"), both)
    assert HOW.unsupported(QueueBacklog(queue="OTHERS", subject="others.y"), both) is None
    elsewhere = ProcessTarget(target.service, target.instance, os.getpid(), own_ticks(), target.port)
    assert "does not lead to process" in why_not(FEW, elsewhere)
    monkeypatch.setenv("TEST_NATS", subject.server.url.replace(subject.server.password, "canary-wrong"))
    assert "no NATS server lets us in" in why_not(FEW, target)
    assert "canary" not in why_not(FEW, target)


def own_ticks() -> int:
    return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])


def test_a_queue_that_would_lose_or_keep_messages_is_left_alone(subject: QueueSubject) -> None:
    for name, settings, why in (
        ("SMALL", {"max_msgs": 50}, "has room for 50 messages, of which Murphy takes half at most; 30 are asked for"),
        ("LIGHT", {"max_bytes": 50_000}, "has room for 50,000 bytes"),
        ("LATEST", {"max_msgs_per_subject": 1}, "has room for 1 messages of a subject"),
        ("STRICT", {"deny_delete": True}, "lets nobody take a message out"),
        ("SHORT", {"max_msg_size": 500}, "takes messages of 500 bytes at most"),
        ("TURNED", {"subject_transform": SubjectTransform(src="turned", dest="other")}, "(subject_transform)"),
        ("TOLD", {"republish": RePublish(src="told", dest="copy.told")}, "(republish)"),
    ):
        target = with_queue(subject, name, **settings)
        assert why in why_not(QueueBacklog(queue=name, messages=30), target)
        subject.server.do(lambda js, name=name: js.delete_stream(name))  # type: ignore[misc]
    with_queue(subject, "COPY", sources=[StreamSource(name="ORDERS")])
    assert "is copied by COPY, where ours would stay" in why_not(FEW, subject.resolved())
    subject.server.do(lambda js: js.delete_stream("COPY"))


def test_so_much_is_no_backlog_but_a_full_disk() -> None:
    with pytest.raises(ValidationError, match="more than 64 MiB"):
        QueueBacklog(queue="ORDERS", messages=20_000, message_bytes=65_536)


def test_what_cannot_be_reached_is_owed(subject: QueueSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with injected(FEW, subject.resolved(), tmp_path) as record:
        with monkeypatch.context() as forgotten:
            forgotten.delenv("TEST_NATS")
            with pytest.raises(UnavailableError, match="env:TEST_NATS"):
                HOW.revert(record)
            assert HOW.active(record) is None
        # The helper may have seen its lease taken away before it was told to end, and taken them out itself.
        assert HOW.active(record) is (subject.server.count() > APPLICATION)


_USERS = f"users [{{ user: app, password: {Nats.password} }}]"
LITTLE = {
    "server": f"{Nats.login}, jetstream {{ max_file_store: 1MB }}",
    "account": f"accounts {{ A {{ jetstream {{ max_file: 1MB }}, {_USERS} }} }}",
}


@pytest.fixture
def little(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[QueueSubject]:
    """A server, or an account, that has room for a megabyte in all its queues."""
    if reason := lacking():
        missing(reason)
    running = Nats(tmp_path / "little", config=LITTLE[request.param])
    monkeypatch.setenv("TEST_NATS", "")
    yield QueueSubject(running)
    running.end()


@pytest.mark.parametrize("little", ["account"], indirect=True)
def test_the_room_that_queues_share_is_left_to_them(little: QueueSubject) -> None:
    fault = QueueBacklog(queue="ORDERS", messages=1000, message_bytes=1000)
    assert "shares with all its account's queues" in why_not(fault, little.resolved())


@pytest.mark.parametrize("little", ["server"], indirect=True)
def test_a_server_without_room_gets_rid_of_ours_at_once(little: QueueSubject, tmp_path: Path) -> None:
    """What a server has left nobody is told who may not see all of it: the other queues would be full as well."""
    fault = QueueBacklog(queue="ORDERS", messages=2000, rate_per_s=2000, message_bytes=1000)
    with injected(fault, little.resolved(), tmp_path) as record:
        until(lambda: HOW.active(record) is False, what="messages of ours stay")
        little.server.do(lambda js: js.publish("others.x", b"other"))
        assert little.server.count() == APPLICATION


def test_somebody_else_who_answers_is_no_queue(subject: QueueSubject) -> None:
    """A responder of the application's, who gets what comes by a subject as the queue does."""

    async def asked(js: JetStreamContext) -> None:
        async def hello(message: Any) -> None:
            await message.respond(b"hello")

        await js._nc.subscribe("greetings", cb=hello)
        await js._nc.flush()
        async with jetstream.session("env:TEST_NATS") as streams:
            await streams.publish("greetings", {}, b"")

    with pytest.raises(UnavailableError, match="somebody else than the queue answers"):
        subject.server.do(asked)
