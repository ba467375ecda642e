"""Faults on look-ups: a process that asks a real name server, and a bystander of the same user that asks it too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults.network import Dns
from executor.model.plan import InstanceTarget
from executor.model.system import System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.dns_kit import SERVER, Asker, asking, naming, right
from tests.executor.faults.net_kit import no_packet_rules, our_tables

LOOK_UPS = 30


class DnsSubject:
    """Names below ``shop.test`` do not exist for one of the two."""

    def __init__(self, struck: Asker, bystander: Asker) -> None:
        self.struck, self.bystander = struck, bystander
        self.system = System(name="askers", services=(struck.service, bystander.service))

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service=self.struck.name), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def normal(self) -> bool:
        return right(self.struck.ask("a.shop.test", SERVER))

    def faulted(self) -> bool:
        return bool(self.struck.ask("a.shop.test", SERVER)["code"] == "NXDOMAIN")

    def unharmed(self) -> bool:
        return all(right(self.bystander.ask(f"n{n}.shop.test", SERVER)) for n in range(LOOK_UPS))

    def size(self) -> str:
        meant = [self.struck.ask(f"n{n}.Shop.test", SERVER)["code"] for n in range(LOOK_UPS)]
        others = [right(self.struck.ask(f"n{n}.other.test", SERVER)) for n in range(LOOK_UPS)]
        assert meant == ["NXDOMAIN"] * LOOK_UPS
        assert all(others)
        return (
            f"every look-up of *.shop.test asked, {len(meant)} of {LOOK_UPS} not found;"
            f" of other names {sum(others)} of {LOOK_UPS} answered well"
        )

    def state(self) -> Any:
        return {"tables": our_tables("contract")}

    def die(self) -> None:
        self.struck.process.kill()
        self.struck.process.wait()


@contextmanager
def opened(bench: Bench) -> Iterator[DnsSubject]:
    with naming(), asking("struck") as struck, asking("bystander") as bystander:
        yield DnsSubject(struck, bystander)


FAULT = Dns(mode="nxdomain", names=("*.shop.test",), resolvers=(SERVER,))
CASES = (Case("network.dns", FAULT, opened, unavailable=no_packet_rules),)
