"""A Linux of Debian's in a virtual machine, struck from outside through QEMU: run by ``make test-vm``.

The guest says what that of the everyday tests says, so the same words mean the same: see ``tests/.../machine.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.faults.behaviour import Context, Momentary, why_not
from executor.faults.registry import behaviour
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Vm
from executor.model.faults.service import Hang, Stop
from tests.executor.faults.infrastructure.test_vm import struck, target
from tests.executor.faults.machine import PROGRAM, Machine
from tests.executor.kit import until
from tests.vm.kernel import Kernel, fetched, initramfs
from tests.vm.run import ROOT

_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t devtmpfs dev /dev; $b mount -t sysfs sys /sys
{modules}
$b ip link set eth0 up
while ! [ -e /dev/sda ]; do $b usleep 20000; done
say() { $b printf "$1" >/dev/ttyS1; }
say B
while true; do
    seen=.
    [ "$($b cat /sys/class/net/eth0/carrier 2>/dev/null)" = 1 ] || seen=l
    echo 3 >/proc/sys/vm/drop_caches
    if ! $b dd if=/dev/sda of=/dev/null bs=512 count=1 2>/dev/null; then
        [ $seen = l ] && seen=x || seen=d
    fi
    say $seen
    $b usleep 20000
done
"""
_MODULES = ("virtio_pci", "virtio_net", "virtio_scsi", "sd_mod")


class Linux(Machine):
    """It takes some seconds to begin, and beats some ten times a second."""

    patience_s = 4.0
    begins_s = 90.0

    def __init__(self, path: Path, kernel: Kernel) -> None:
        self.kernel, self.initrd = kernel, path / "initrd"
        self.initrd.write_bytes(initramfs(kernel, _MODULES, _INIT))
        super().__init__(path, "linux")

    def _command(self) -> list[str]:
        drive = f"driver=file,filename={self.path}/data,node-name=data"
        return [
            *(PROGRAM, "-nodefaults", "-no-user-config", "-M", "q35", "-accel", "tcg", "-m", "256", "-display", "none"),
            *("-kernel", str(self.kernel.image), "-initrd", str(self.initrd)),
            *("-append", "console=ttyS0 quiet panic=-1"),
            *("-chardev", f"file,id=heard,path={self.heard}", "-serial", f"file:{self.path}/console"),
            *("-serial", "chardev:heard", "-qmp", f"unix:{self.qmp},server=on,wait=off"),
            *("-device", "virtio-scsi-pci,id=scsi0", "-blockdev", drive),
            *("-device", "scsi-hd,id=data0,bus=scsi0.0,drive=data,serial=D1"),
            *("-netdev", "user,id=net0,restrict=on", "-device", "virtio-net-pci,id=nic0,netdev=net0"),
        ]


@pytest.fixture(scope="module")
def kernel() -> Kernel:
    return fetched(ROOT / ".murphy" / "vm")


@pytest.fixture
def linux(tmp_path: Path, kernel: Kernel) -> Iterator[Linux]:
    made = Linux(tmp_path, kernel)
    until(lambda: made.sees() == ".", what=(made.path / "console").read_text())
    yield made
    made.end()


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Hang(), ""),
        (Vm(how="pause"), ""),
        (Vm(how="isolate"), "l"),
        (Vm(how="detach_nic"), "l"),
        (Vm(how="stop"), None),
        (Stop(grace_s=2, restart="murphy"), None),
    ],
    ids=lambda each: each.words() if isinstance(each, FaultSpec) else "",
)
def test_seen_by_the_guest_and_over_afterwards(
    linux: Linux, fault: FaultSpec, seen: str | None, tmp_path: Path
) -> None:
    how, record = struck(linux, fault, tmp_path)
    if seen is None:
        assert linux.found() is None
    else:
        until(lambda: linux.sees() == seen)
    assert how.active(record) is True
    how.revert(record)
    until(lambda: linux.found() is not None and linux.sees() == ".", within_s=60)
    assert how.active(record) is False


def test_a_reset(linux: Linux, tmp_path: Path) -> None:
    how, record = struck(linux, Vm(how="reset"), tmp_path)
    assert isinstance(how, Momentary)
    assert how.struck(record)
    until(lambda: linux.said().count("B") == 2, within_s=60)


def test_a_disk_comes_back_under_whatever_name_the_guest_gives_it(linux: Linux, tmp_path: Path) -> None:
    """Linux sees it go at once; QEMU has it back as it was, and the guest finds it anew."""
    fault = Vm(how="detach_disk", device="data0")
    how = behaviour(fault.kind)
    assert why_not(how, fault, target(linux)) is None
    before = linux.state()["disk"]
    record = how.prepare(fault, target(linux), Context(linux.system(), "murphy-own-1", str(tmp_path)))
    record |= how.inject(record, 30)
    until(lambda: linux.sees() == "d")
    how.revert(record)
    assert linux.state()["disk"] == before
    until(lambda: linux.sees() == ".")
