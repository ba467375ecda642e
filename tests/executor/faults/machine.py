"""A real virtual machine of QEMU, up in a fifth of a second: its guest is 512 bytes that tell what they see."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from pathlib import Path
from signal import SIGKILL
from typing import Any

import psutil

from executor.errors import UnavailableError
from executor.kernel import locate, process
from executor.model.system import ProcessInstance, Service, System, VmInstance
from tests.executor.kit import until

PROGRAM = "qemu-system-x86_64"
BEAT = bytes.fromhex(
    "fa31c08ed88ec08ed0bc007cfbb802b1b93981baec1031f6cd1ab809b1bf1000"
    "cd1a83e1fc89cdb042e82f00f4b32e8d5658eca8047402b36cb80102b90100ba"
    "810053bb0080cd135b730980fb6cb3647502b37888d8e80200ebd1baf803eec3"
)
"""``beat.s``, assembled: ``as --32 beat.s && ld -m elf_i386 -Ttext 0x7c00 --oformat binary a.out``."""


def unavailable() -> str | None:
    """Why there is no machine here."""
    return None if shutil.which(PROGRAM) else f"{PROGRAM} is not installed (Debian: qemu-system-x86)"


class Guest:
    """It says ``B`` at first, then 18 times a second ``.``; ``d`` without its disk, ``l`` without link."""

    patience_s = 1.0
    """What two beats take at most, while it beats."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path / name, name
        self.path.mkdir()
        for disk, boot in (("boot", BEAT.ljust(510, b"\0") + b"\x55\xaa"), ("data", b"")):
            (self.path / disk).write_bytes(boot.ljust(2**20, b"\0"))
        self.heard = self.path / "heard"

    def said(self) -> str:
        """All that the guest has said since QEMU was started."""
        return self.heard.read_text(encoding="ascii") if self.heard.exists() else ""

    def beats(self) -> int:
        return len(self.said())

    def sees(self) -> str:
        """What the guest says from now on, twice; empty if it says nothing for as long as it has patience."""
        before = self.beats()
        try:
            until(lambda: self.beats() >= before + 2, within_s=self.patience_s)
        except AssertionError:
            return ""
        return self.said()[-1]


class Machine(Guest):
    """One that the tests start themselves."""

    begins_s = 30.0
    """What it takes at most until it beats."""

    def __init__(self, path: Path, name: str) -> None:
        super().__init__(path, name)
        self.qmp = str(self.path / "qmp")
        self.log = (self.path / "log").open("wb")
        self.start()

    def start(self) -> None:
        self.started = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            until(lambda: self.beats() > 1, within_s=self.begins_s, what="it does not begin")
        except AssertionError:
            self.end()
            raise AssertionError(f"{self.name} does not begin: {(self.path / 'log').read_text()}") from None

    def _command(self) -> list[str]:
        drive = f"driver=file,filename={self.path}/"
        options = {
            "M": "q35", "accel": "tcg", "m": "16", "display": "none", "name": self.name,
            "chardev": f"file,id=heard,path={self.heard}", "serial": "chardev:heard",
            "qmp": f"unix:{self.qmp},server=on,wait=off",
        }  # fmt: skip
        devices = [
            "-blockdev", f"{drive}boot,node-name=boot", "-device", "ide-hd,drive=boot,bootindex=1",
            "-device", "virtio-scsi-pci,id=scsi0",
            "-blockdev", f"{drive}data,node-name=data", "-device", "scsi-hd,id=data0,bus=scsi0.0,drive=data,serial=D1",
            "-netdev", "user,id=net0,restrict=on", "-device", "rtl8139,id=nic0,netdev=net0",
        ]  # fmt: skip
        flat = [part for name, value in options.items() for part in (f"-{name}", value)]
        return [PROGRAM, "-nodefaults", "-no-user-config", *flat, *devices]

    def instance(self) -> VmInstance:
        return VmInstance(id=self.name, qmp=self.qmp)

    def system(self) -> System:
        service = Service(name="machines", instances=(self.instance(),), restarts="by_hand")
        return System(name="cellar", services=(service,))

    def found(self) -> process.Found | None:
        """QEMU's process that serves now."""
        try:
            return locate.find(ProcessInstance(id=self.name, command=f"unix:{self.qmp},server=on,wait=off"))
        except UnavailableError:
            return None

    def ask(self, *commands: dict[str, Any]) -> list[Any]:
        """What QEMU answers to commands."""
        with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rw") as lines:
            connection.settimeout(10)
            connection.connect(self.qmp)
            lines.readline()
            answers = []
            for command in ({"execute": "qmp_capabilities"}, *commands):
                lines.write(json.dumps(command) + "\n")
                lines.flush()
                while "event" in (answer := json.loads(lines.readline())):
                    pass
                answers.append(answer.get("return", answer))
            return answers[1:]

    def state(self) -> dict[str, Any]:
        """All of it that a fault could change."""
        found = self.found()
        assert found is not None
        about = psutil.Process(found.pid)
        devices = "/machine/peripheral"
        (status, *lists) = self.ask(
            {"execute": "query-status"},
            {"execute": "qom-list", "arguments": {"path": devices}},
            {"execute": "qom-list", "arguments": {"path": "/objects"}},
            {"execute": "qom-list", "arguments": {"path": f"{devices}/data0"}},
        )
        names = [
            {"execute": "qom-get", "arguments": {"path": f"{devices}/data0", "property": p["name"]}} for p in lists[2]
        ]
        disk = dict(zip((p["name"] for p in lists[2]), self.ask(*names), strict=True))
        return {
            "status": status,
            "devices": sorted(each["name"] for each in lists[0]),
            "objects": sorted(each["name"] for each in lists[1]),
            "disk": disk | {"hotplugged": None},  # QEMU's own note that it was plugged in again
            "process": (about.cmdline(), about.cwd(), about.environ(), about.nice(), about.uids()),
        }

    def die(self) -> None:
        while (found := self.found()) is not None:
            process.send(found.pid, found.start_ticks, SIGKILL)
            assert process.wait_gone(found.pid, found.start_ticks, 10)
            if found.pid == self.started.pid:
                self.started.wait()

    def end(self) -> None:
        """End it, and whatever was started in its place."""
        self.die()
        self.started.kill()
        self.started.wait()
        self.log.close()
