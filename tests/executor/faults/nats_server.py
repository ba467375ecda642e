"""A real NATS server with JetStream, on a port and in a directory of its own, and its application."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, StreamConfig

from tests.executor.faults.servers import Server
from tests.executor.kit import until

Result = TypeVar("Result")
APPLICATION = 5


class Nats(Server):
    """A queue ``ORDERS`` with five messages of the application and one worker, and another queue beside it."""

    password = "canary-nats-password"
    login = f"authorization {{ user: app, password: {password} }}"

    def __init__(self, directory: Path, *, config: str = "", **settings: Any) -> None:
        super().__init__()
        self.directory, self.config = directory, directory.with_suffix(".conf")
        self.config.write_text(config or self.login)
        self.start()
        self.do(lambda js: _prepare(js, settings))

    def start(self) -> None:
        program = str(Path(sys.executable).with_name("nats-server"))
        argv = [
            program,
            "-c",
            str(self.config),
            "-a",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-js",
            "-sd",
            str(self.directory),
        ]
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(argv, stdin=null, stdout=null, stderr=null)
        until(self.answers, what="NATS does not answer")

    @property
    def url(self) -> str:
        return f"nats://app:{self.password}@127.0.0.1:{self.port}"

    def do(self, what: Callable[[JetStreamContext], Awaitable[Result]]) -> Result:
        """Something in a session of the application's."""

        async def alone() -> Result:
            async def ignored(_: Exception) -> None: ...

            once: dict[str, Any] = {"allow_reconnect": False, "max_reconnect_attempts": 1, "reconnect_time_wait": 0}
            line = Client()
            try:
                await line.connect(self.url, error_cb=ignored, connect_timeout=5, **once)
                return await what(line.jetstream())
            finally:
                await line.close()

        return asyncio.run(alone())

    def answers(self) -> bool:
        try:
            self.do(lambda js: js.account_info())
        except (Error, OSError):
            return False
        return True

    def count(self, queue: str = "ORDERS") -> int:
        """How many messages are in a queue."""
        return int(self.do(lambda js: js.stream_info(queue)).state.messages)

    def pending(self) -> int:
        """How many messages the worker has still to get."""
        return int(self.do(lambda js: js.consumer_info("ORDERS", "worker")).num_pending or 0)


async def _prepare(js: JetStreamContext, settings: dict[str, Any]) -> None:
    await js.add_stream(StreamConfig(name="ORDERS", subjects=["orders"], **settings))
    await js.add_stream(StreamConfig(name="OTHERS", subjects=["others.>"]))
    await js.add_consumer("ORDERS", ConsumerConfig(durable_name="worker"))
    for number in range(APPLICATION):
        await js.publish("orders", f"order {number}".encode())
        await js.publish("others.x", b"other")
