"""Faults on the bytes of an edge: a stream through a managed proxy, and one beside it that goes straight."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import Resolved
from executor.model.faults import FaultSpec
from executor.model.faults.network import Bandwidth, Corruption
from executor.model.plan import EdgeTarget
from executor.model.system import Dependency, ManagedProxy, Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.net_kit import Echo, echoes, likely
from tests.executor.proxy.conftest import Managed

RATE_KBPS = 400
BURST = 4096
FLIPPED_PERCENT = 20
MESSAGES = 500


class LineSubject:
    """The edge ``a->c``, whose caller is this process, and how one fault shows on it."""

    def __init__(self, callee: Echo, managed: Managed, shows: Callable[[int], bool], measured: Callable[[int], str]):
        self.callee, self.managed, self.shows, self.measured = callee, managed, shows, measured
        edge = Dependency(
            caller="a",
            callee="c",
            port=callee.port,
            interception=ManagedProxy(control=managed.control, edge="a->c"),
        )
        self.system = System(name="s", services=(Service(name="a"), callee.service), dependencies=(edge,))

    def resolved(self) -> Resolved:
        (target,) = resolve(EdgeTarget(caller="a", callee="c"), self.system)
        return target

    def normal(self) -> bool:
        return _clear(self.managed.tcp)

    def faulted(self) -> bool:
        return self.shows(self.managed.tcp)

    def unharmed(self) -> bool:
        return _clear(self.callee.port)

    def size(self) -> str:
        return self.measured(self.managed.tcp)

    def state(self) -> dict[str, Any]:
        return {"edges": self.managed.ask({"do": "edges"}), "proxy": self.managed.process.pid}

    def die(self) -> None:
        self.managed.process.kill()
        self.managed.process.wait()


def _clear(port: int) -> bool:
    """Whether all comes back as it was sent, and far faster than the narrow line would let it."""
    return damaged(port, 20) == 0 and kbps(port, 100_000) > 4 * RATE_KBPS


def damaged(port: int, messages: int) -> int:
    """How many of some messages, each sent when the one before was answered, come back other than they were."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as line:
        other = 0
        for number in range(messages):
            message = b"%0100d" % number
            line.sendall(message)
            other += line.recv(len(message), socket.MSG_WAITALL) != message
        return other


def kbps(port: int, size: int) -> float:
    """Thousand bits a second at which so many bytes are answered, once more than may pass at a stroke has."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        sending = threading.Thread(target=line.sendall, args=(b"x" * size,))
        sending.start()
        first = len(line.recv(2 * BURST, socket.MSG_WAITALL))
        began, got = time.monotonic(), first
        while got < size:
            got += len(line.recv(65536))
        took_s = time.monotonic() - began
        sending.join()
        return (size - first) / 125 / took_s


def flipped(port: int) -> str:
    """Each way there is one segment a message; where chance is beyond its interval, one more throw decides."""
    share = 1 - (1 - FLIPPED_PERCENT / 100) ** 2
    got = damaged(port, MESSAGES)
    got = got if likely(got, MESSAGES, share) else damaged(port, MESSAGES)
    assert likely(got, MESSAGES, share), got
    return (
        f"{FLIPPED_PERCENT} % of the segments each way asked ({100 * share:.0f} % of the exchanges),"
        f" {100 * got / MESSAGES:.1f} % of {MESSAGES} exchanges damaged"
    )


def passed(port: int) -> str:
    got = kbps(port, 40_000)
    assert 0.25 * RATE_KBPS < got < 1.1 * RATE_KBPS, got  # a busy machine may be slower, and nothing may be faster
    return f"{RATE_KBPS} kbit/s asked, {got:.0f} kbit/s measured"


def case(fault: FaultSpec, shows: Callable[[int], bool], measured: Callable[[int], str]) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[LineSubject]:
        with echoes("c") as (callee,):
            managed = Managed(bench.path, callee.port)
            try:
                yield LineSubject(callee, managed, shows, measured)
            finally:
                managed.stop()

    return Case(fault.kind, fault, opened)


CASES = (
    case(Bandwidth(rate_kbps=RATE_KBPS, burst_bytes=BURST), lambda port: kbps(port, 15_000) < 1.1 * RATE_KBPS, passed),
    case(Corruption(percent=FLIPPED_PERCENT), lambda port: 0 < damaged(port, 40) < 40, flipped),
)
