"""Faults on the packets of a listener: two servers beside each other, and what becomes of what is sent to either."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults import FaultSpec
from executor.model.faults.network import ConnectionLimit, Loss
from executor.model.plan import InstanceTarget
from executor.model.system import System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.net_kit import PACKETS, Echo, echoes, likely, no_packet_rules, our_tables
from tests.executor.kit import until

LOST_PERCENT = 30
LIMIT = 5


class EchoSubject:
    """A server and a bystander beside it, and how one fault shows on it."""

    def __init__(
        self, struck: Echo, bystander: Echo, shows: Callable[[Echo], bool], measured: Callable[[Echo], str]
    ) -> None:
        self.struck, self.bystander, self.shows, self.measured = struck, bystander, shows, measured
        self.system = System(name="echoes", services=(struck.service, bystander.service))

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service=self.struck.name), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def normal(self) -> bool:
        return well(self.struck) and not self.struck.connections()

    def faulted(self) -> bool:
        return self.shows(self.struck)

    def unharmed(self) -> bool:
        return well(self.bystander)

    def size(self) -> str:
        return self.measured(self.struck)

    def state(self) -> Any:
        return {"tables": our_tables("contract"), "descriptors": self.struck.descriptors()}

    def die(self) -> None:
        self.struck.kill()


def well(server: Echo) -> bool:
    """No packet is lost, and more connections than any case allows are served at once."""
    return server.exchange(200) == (200, 200) and served(server, 2 * LIMIT) == 2 * LIMIT


def served(server: Echo, wanted: int) -> int:
    """How many of so many connections at once give back what they are sent."""
    with ExitStack() as ends:
        lines = []
        for _ in range(wanted):
            with suppress(ConnectionRefusedError):
                lines.append(ends.enter_context(server.connect()))
        answered = sum(_answered(line) for line in lines)
        for line in lines:  # what the server has not closed yet would count the next time
            line.shutdown(socket.SHUT_WR)
            line.recv(1)
        return answered


def _answered(line: socket.socket) -> bool:
    line.sendall(b"hello")
    return line.recv(5, socket.MSG_WAITALL) == b"hello"


def _loses(server: Echo) -> bool:
    arrived, answered = server.exchange(100)
    return 0 < answered < arrived < 100


def lost(server: Echo) -> str:
    """The share that is lost each way. Where chance has a share beyond its interval, one more throw decides."""
    for last in (False, True):
        arrived, answered = server.exchange(PACKETS)
        ways = ((PACKETS - arrived, PACKETS), (arrived - answered, arrived))
        if all(likely(gone, of, LOST_PERCENT / 100) for gone, of in ways) or last:
            break
    assert all(likely(gone, of, LOST_PERCENT / 100) for gone, of in ways), ways
    shown = ", ".join(f"{100 * gone / of:.1f} % of {of:,}" for gone, of in ways)
    return f"{LOST_PERCENT} % of the packets each way asked, {shown} lost"


def _limited(server: Echo) -> bool:
    return served(server, LIMIT + 3) == LIMIT


def admitted(server: Echo) -> str:
    """Never more than asked; fewer while the kernel has not noticed yet that earlier ones have ended."""
    got: list[int] = []
    until(lambda: got.append(served(server, 4 * LIMIT)) or got[-1] == LIMIT)
    assert max(got) == LIMIT
    return f"{LIMIT} connections asked, {got[-1]} of {4 * LIMIT} admitted"


def case(fault: FaultSpec, shows: Callable[[Echo], bool], measured: Callable[[Echo], str]) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[EchoSubject]:
        with echoes("struck", "bystander") as (struck, bystander):
            yield EchoSubject(struck, bystander, shows, measured)

    return Case(str(fault.model_dump()["kind"]), fault, opened, unavailable=no_packet_rules)


CASES = (
    case(Loss(percent=LOST_PERCENT), _loses, lost),
    case(ConnectionLimit(max=LIMIT), _limited, admitted),
)
