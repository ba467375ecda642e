"""A name server on an address of the tests' own, and processes that ask it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dnslib import AAAA, QTYPE, RR, TXT, A, DNSRecord
from dnslib.server import BaseResolver, DNSServer

from executor.clock import start_ticks
from executor.drivers.targets import ProcessTarget
from executor.model.system import ProcessInstance, Service
from tests.executor.faults.net_kit import Net

ASKER = Path(__file__).with_name("asker.py")
RIGHT, RIGHT6 = "203.0.113.7", "2001:db8::7"
SERVER = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
"""Of this machine, and used by this test process alone."""


class _Knows(BaseResolver):
    def resolve(self, request: DNSRecord, _: Any) -> DNSRecord:
        answer = request.reply()
        data = {QTYPE.A: A(RIGHT), QTYPE.AAAA: AAAA(RIGHT6), QTYPE.TXT: TXT("a text")}[request.q.qtype]
        answer.add_answer(RR(request.q.qname, request.q.qtype, rdata=data, ttl=60))
        return answer


@contextmanager
def naming(address: str = SERVER) -> Iterator[None]:
    """A name server that knows every name."""
    server = DNSServer(_Knows(), address=address, port=53, logger=_Silent())
    server.start_thread()
    try:
        yield
    finally:
        server.stop()
        server.server.server_close()


class _Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


class Asker:
    """A process that looks names up when told to."""

    def __init__(self, name: str, net: Net | None = None, user: int | None = None) -> None:
        self.name = name
        before = ["nsenter", f"--net=/run/netns/{net.name}"] if net else []
        self.process = subprocess.Popen(
            [*before, sys.executable, str(ASKER), f"--name={name}-{os.getpid()}", *([str(user)] if user else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ask("warm.up.test", "127.0.0.1", timeout_s=0.01)  # it runs what it is to run from here on

    @property
    def service(self) -> Service:
        instance = ProcessInstance(id=f"{self.name}-1", command=f"--name={self.name}-{os.getpid()}")
        return Service(name=self.name, instances=(instance,), restarts="by_hand")

    @property
    def target(self) -> ProcessTarget:
        ticks = start_ticks(self.process.pid)
        assert ticks is not None
        return ProcessTarget(
            self.service, f"{self.name}-1", self.process.pid, ticks, None, self.service.instances[0].command
        )  # type: ignore[union-attr]

    def ask(self, name: str, server: str, **how: Any) -> dict[str, Any]:
        self.begin(name, server, **how)
        return self.outcome()

    def begin(self, name: str, server: str, **how: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"name": name, "server": server, **how}) + "\n")
        self.process.stdin.flush()

    def outcome(self) -> dict[str, Any]:
        assert self.process.stdout
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


@contextmanager
def asking(name: str, **how: Any) -> Iterator[Asker]:
    asker = Asker(name, **how)
    try:
        yield asker
    finally:
        asker.end()


def right(answer: dict[str, Any]) -> bool:
    return bool(answer["code"] == "NOERROR" and answer["data"] == [RIGHT])
