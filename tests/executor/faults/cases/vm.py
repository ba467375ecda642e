"""Faults on virtual machines: two of QEMU's, whose guests tell what they see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import LibvirtTarget, ResolvedInstance, VmTarget
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Vm
from executor.model.faults.service import Hang
from executor.model.plan import InstanceTarget
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.libvirt_machine import LibvirtMachine
from tests.executor.faults.machine import Machine, unavailable
from tests.executor.kit import until

BEATS = 6


class VmSubject:
    """A machine, and another that is left alone."""

    def __init__(
        self, machine: Machine | LibvirtMachine, other: Machine | LibvirtMachine, shows: Callable[[VmSubject], str]
    ) -> None:
        self.machine, self.other, self.shows = machine, other, shows
        self.system = machine.system()

    def resolved(self) -> ResolvedInstance:
        (target,) = resolve(InstanceTarget(service="machines"), self.system)
        assert isinstance(target, VmTarget | LibvirtTarget)
        return target

    def normal(self) -> bool:
        return self.machine.found() is not None and self.machine.sees() == "."

    def faulted(self) -> bool:
        return bool(self.shows(self))

    def size(self) -> str:
        return self.shows(self)

    def state(self) -> Any:
        return self.machine.state()

    def die(self) -> None:
        self.machine.die()

    def unharmed(self) -> bool:
        return self.other.sees() == "."

    def still(self) -> str:
        """It does not beat while the other does."""
        ours, theirs = self.machine.beats(), self.other.beats()
        until(lambda: self.other.beats() >= theirs + BEATS)
        said = self.machine.beats() - ours
        return "" if said else f"no beat asked, 0 heard in {BEATS} of the other's"

    def off(self) -> str:
        return "one machine asked, one off" if self.machine.found() is None else ""

    def unplugged(self) -> str:
        return "all cables asked, the guest has no link" if self.machine.sees() == "l" else ""

    def bare(self) -> str:
        return "one disk asked, the guest cannot read it" if self.machine.sees() == "d" else ""


def case(name: str, fault: FaultSpec, shows: Callable[[VmSubject], str], **fields: Any) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[VmSubject]:
        machines: list[Machine] = []
        try:
            machines.extend(Machine(bench.path, name) for name in ("one", "other"))
            yield VmSubject(*machines, shows)
        finally:
            for machine in machines:
                machine.end()

    return Case(name, fault, opened, unavailable=unavailable, **fields)


CASES = (
    case("service.hang-vm", Hang(), VmSubject.still),
    case("infrastructure.vm-isolate", Vm(how="isolate"), VmSubject.unplugged),
    case("infrastructure.vm-detach_disk", Vm(how="detach_disk", device="data0"), VmSubject.bare),
)
