"""A fault on a queue: a real NATS JetStream, with messages of an application in it and a worker that is behind."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nats.errors import Error
from nats.js import JetStreamContext

from executor.model.faults.data import QueueBacklog
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.data import DataSubject, service
from tests.executor.faults.nats_server import APPLICATION, Nats

MESSAGES = 120


class QueueSubject(DataSubject):
    server: Nats

    def __init__(self, server: Nats) -> None:
        self.server = server
        os.environ["TEST_NATS"] = server.url
        self.system = service(server, "nats", "nats", disposable=True, queues=("ORDERS",))

    def normal(self) -> bool:
        try:
            return self.server.count() == APPLICATION
        except (Error, OSError):
            return False

    def faulted(self) -> bool:
        return self.server.count() == APPLICATION + MESSAGES

    def state(self) -> Any:
        return self.server.do(_state)

    def unharmed(self) -> bool:
        """Whether the application's messages are there, and another queue has what it had and takes more."""
        kept = self.server.do(_texts)
        mine = [f"order {number}".encode() for number in range(APPLICATION)]
        others = self.server.count("OTHERS")
        self.server.do(lambda js: js.publish("others.y", b"more"))
        return kept[:APPLICATION] == mine and self.server.count("OTHERS") == others + 1

    def size(self) -> str:
        put, pending = self.server.count() - APPLICATION, self.server.pending()
        assert put == MESSAGES
        return f"{MESSAGES} messages asked, {put} put; the worker has {pending} to get, {APPLICATION} before"


async def _state(js: JetStreamContext) -> dict[str, Any]:
    about = await js.stream_info("ORDERS")
    worker = await js.consumer_info("ORDERS", "worker")
    consumers = [consumer.name for consumer in await js.consumers_info("ORDERS")]
    streams = sorted((stream.config.name or "") for stream in await js.streams_info())
    return {
        "messages": await _texts(js),
        "bytes": about.state.bytes,
        "settings": about.config.as_dict(),
        "pending": worker.num_pending,
        "consumers": consumers,
        "streams": streams,
    }


async def _texts(js: JetStreamContext) -> list[bytes]:
    about = await js.stream_info("ORDERS")
    found = []
    for number in range(about.state.first_seq, min(about.state.first_seq + APPLICATION, about.state.last_seq + 1)):
        message = await js.get_msg("ORDERS", number)
        found.append(message.data or b"")
    return found


def lacking() -> str | None:
    program = Path(sys.executable).with_name("nats-server")
    return None if program.exists() else f"nats-server is not installed ({program})"


@contextmanager
def opened(bench: Bench) -> Iterator[QueueSubject]:
    subject = QueueSubject(Nats(bench.path / "nats"))
    try:
        yield subject
    finally:
        subject.server.end()


CASES = (
    Case(
        "data.queue_backlog",
        QueueBacklog(queue="ORDERS", messages=MESSAGES, rate_per_s=400),
        opened,
        owed_while_dead=True,
        unavailable=lacking,
    ),
)
