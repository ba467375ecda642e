"""A real libvirtd of our own, and machines that it runs under QEMU: the guest is that of ``machine``.

It is a session's, so it keeps to its own directories and touches no cgroup, network or device; where the tests are
root's, nobody runs it.
"""

from __future__ import annotations

import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

from executor.kernel import process
from executor.model.system import LibvirtInstance, Service, System
from tests.executor.faults import machine
from tests.executor.faults.machine import Guest
from tests.executor.kit import until

_DAEMON: Final = "/usr/sbin/libvirtd"
_CARD: Final = "52:54:00:00:00:01"
_DESCRIBED: Final = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>{program}</emulator>
    <controller type='usb' model='none'/>
    <controller type='scsi' model='virtio-scsi'/>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{path}/boot'/><target dev='hda' bus='ide'/><boot order='1'/>
    </disk>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/><source file='{path}/data'/><target dev='sdb' bus='scsi'/><serial>D1</serial>
      <boot order='2'/>
    </disk>
    <interface type='user'><mac address='{card}'/><model type='rtl8139'/></interface>
    <serial type='file'><source path='{path}/heard'/></serial>
    <memballoon model='none'/>{more}
  </devices>
</domain>
"""
_numbers = itertools.count(1)


def unavailable() -> str | None:
    """Why there is no libvirt here."""
    if not Path(_DAEMON).exists() or shutil.which("virsh") is None:
        return "not installed: libvirt-daemon, libvirt-daemon-driver-qemu or libvirt-clients"
    return machine.unavailable()


class Libvirtd:
    """One daemon, in a directory of its own."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="murphy-libvirt-"))
        config = self.path / "config" / "libvirt"
        config.mkdir(parents=True)
        (config / "qemu.conf").write_text('stdio_handler = "file"\n', encoding="ascii")
        (self.path / "run").mkdir(mode=0o700)
        self.uri = f"qemu+unix:///session?socket={self.path}/run/libvirt/libvirt-sock"
        self.start()

    def start(self) -> None:
        directories = {"RUNTIME_DIR": "run", "CONFIG_HOME": "config", "CACHE_HOME": "cache", "DATA_HOME": "data"}
        environment = {f"XDG_{name}": str(self.path / place) for name, place in directories.items()}
        who: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for place in (self.path, *self.path.rglob("*")):
                os.chown(place, nobody.pw_uid, nobody.pw_gid)
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}
        with (self.path / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", _DAEMON],
                env={"PATH": os.environ["PATH"], "HOME": str(self.path), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.path,
                start_new_session=True,
                **who,
            )
        until(lambda: self.virsh("version") != "", what=f"libvirtd does not begin: {(self.path / 'log').read_text()}")

    def virsh(self, *words: str, given: str = "") -> str:
        """What virsh says; empty if it fails."""
        command = ["virsh", "--quiet", "--connect", self.uri, *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    def end(self) -> None:
        """Without its machines, which go on."""
        process.end_child(self.process, signal.SIGTERM)
        self.process.wait()


@contextmanager
def libvirtd() -> Iterator[Libvirtd]:
    """One of our own, gone with its machines at the end."""
    made = Libvirtd()
    try:
        yield made
    finally:
        for uuid in made.virsh("list", "--uuid").split():
            made.virsh("destroy", uuid)
        made.end()
        shutil.rmtree(made.path)


class LibvirtMachine(Guest):
    """One that libvirt knows when it is off too, or, not ``defined``, only while it runs."""

    patience_s = 2.0

    def __init__(self, libvirtd: Libvirtd, name: str, *, defined: bool = True, more: str = "") -> None:
        self.libvirtd = libvirtd
        super().__init__(libvirtd.path, f"{name}-{next(_numbers)}")
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            for place in (self.path, *self.path.iterdir()):
                os.chown(place, nobody.pw_uid, nobody.pw_gid)
        self.text = _DESCRIBED.format(
            name=self.name, program=shutil.which(machine.PROGRAM), path=self.path, card=_CARD, more=more
        )
        self.defined = defined
        if defined:
            self.virsh("define", "/dev/stdin", given=self.text)
        self.start()

    def virsh(self, command: str, *words: str, given: str = "") -> str:
        """What virsh says of this machine."""
        about = words if given else (self.name, *words)
        return self.libvirtd.virsh(command, *about, given=given)

    def start(self) -> None:
        if self.defined:
            self.virsh("start")
        else:
            self.virsh("create", "/dev/stdin", given=self.text)
        until(lambda: self.beats() > 1, what=f"{self.name} does not begin: {(self.libvirtd.path / 'log').read_text()}")

    def instance(self) -> LibvirtInstance:
        return LibvirtInstance(id=self.name, domain=self.name, uri=self.libvirtd.uri)

    def system(self) -> System:
        service = Service(name="machines", instances=(self.instance(),), restarts="by_hand")
        return System(name="cellar", services=(service,))

    def found(self) -> str | None:
        """The number under which it runs."""
        number = self.virsh("domid").strip()
        return number if number not in ("", "-") else None

    def state(self) -> dict[str, Any]:
        """All of it that a fault could change; what libvirt counts up at each start or plug-in does not matter."""
        described = ElementTree.fromstring(self.virsh("dumpxml"))
        described.attrib.pop("id", None)
        for source in described.iterfind("devices/disk/source"):
            source.attrib.pop("index", None)
        live = ElementTree.tostring(described, encoding="unicode")
        return {
            "state": self.virsh("domstate", "--reason").split()[0],
            "live": re.sub(rf"domain-\d+-{self.name}", "domain", live),
            "defined": self.virsh("dumpxml", "--inactive"),
            "persistent": [line for line in self.virsh("dominfo").splitlines() if line.startswith("Persistent")],
        }

    def die(self) -> None:
        self.virsh("destroy")
        assert self.found() is None

    def end(self) -> None:
        self.die()
        with suppress(FileNotFoundError):
            shutil.rmtree(self.path)
        if self.defined:
            self.virsh("undefine")
