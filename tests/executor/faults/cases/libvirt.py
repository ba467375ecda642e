"""Faults on virtual machines that libvirt keeps: two of a real libvirtd's, whose guests tell what they see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Vm
from executor.model.faults.service import Hang
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.vm import VmSubject
from tests.executor.faults.libvirt_machine import Libvirtd, LibvirtMachine, unavailable


def case(name: str, fault: FaultSpec, shows: Callable[[VmSubject], str], *, defined: bool = True) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[VmSubject]:
        libvirtd: Libvirtd = bench.fixture("libvirtd")
        machines: list[LibvirtMachine] = []
        try:
            machines.extend(LibvirtMachine(libvirtd, name, defined=defined) for name in ("one", "other"))
            yield VmSubject(*machines, shows)
        finally:
            for machine in machines:
                machine.end()

    return Case(name, fault, opened, unavailable=unavailable, slow=True)


CASES = (
    case("service.hang-libvirt", Hang(), VmSubject.still),
    case("infrastructure.vm-libvirt-isolate", Vm(how="isolate"), VmSubject.unplugged),
    case("infrastructure.vm-libvirt-detach_disk", Vm(how="detach_disk", device="sdb"), VmSubject.bare),
    case("infrastructure.vm-libvirt-stop", Vm(how="stop"), VmSubject.off, defined=False),
)
