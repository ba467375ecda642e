"""A kernel with what this machine's may lack (netem, device-mapper, cgroup v2), and the first steps after it.

Nothing is installed: Debian's kernel package is fetched and unpacked into ``.murphy/vm``.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FIRST = ("virtio_pci", "virtiofs", "overlay")
"""Modules without which the root is not reached."""
_BUSYBOX = Path("/bin/busybox")
_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t devtmpfs dev /dev; $b mount -t sysfs sys /sys
{modules}
$b mount -t virtiofs -o ro root /low || exec $b poweroff -f
$b mount -t tmpfs up /up
$b mkdir /up/upper /up/work
$b mount -t overlay -o lowerdir=/low,upperdir=/up/upper,workdir=/up/work root /root
for place in dev proc sys; do $b mount --move /$place /root/$place; done
$b cp /command /root/run/murphy-command
$b chroot /root /bin/sh /run/murphy-command </dev/console >/dev/console 2>&1
$b poweroff -f
"""


@dataclass(frozen=True)
class Kernel:
    """An unpacked kernel package."""

    root: Path

    @property
    def image(self) -> Path:
        """The kernel itself."""
        return next(self.root.glob("boot/vmlinuz-*"))

    @property
    def modules(self) -> Path:
        """``lib/modules/VERSION``."""
        return next(self.root.glob("lib/modules/*"))

    def chain(self, *names: str) -> list[Path]:
        """Files of modules and of those that they need, in the order in which they are put in."""
        needs: dict[str, list[str]] = {}
        files: dict[str, Path] = {}
        for line in (self.modules / "modules.dep").read_text(encoding="utf-8").splitlines():
            file, _, needed = line.partition(":")
            files[_name(file)] = self.modules / file
            needs[_name(file)] = [_name(each) for each in needed.split()]
        ordered: dict[str, Path] = {}

        def add(name: str) -> None:
            if name in files and name not in ordered:  # one that is not there is built in
                for other in needs[name]:
                    add(other)
                ordered[name] = files[name]

        for name in names:
            add(name)
        return list(ordered.values())


def fetched(directory: Path) -> Kernel:
    """The kernel, fetched by apt if it is not there yet. Raises ``CalledProcessError`` if apt cannot."""
    kernel = Kernel(directory / "kernel")
    if not (directory / "ready").exists():
        directory.mkdir(parents=True, exist_ok=True)
        said = subprocess.run(
            ["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True, check=True
        ).stdout
        package = re.findall(r"Depends: (linux-image-\S+-cloud-amd64)", said)[0]
        subprocess.run(
            ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", package], cwd=directory, check=True
        )
        archive = next(directory.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(archive), str(kernel.root)], check=True)
        archive.unlink()
        version = kernel.modules.name
        subprocess.run([str(_BUSYBOX), "depmod", "-b", str(kernel.root), version], check=True)
        (directory / "ready").touch()
    return kernel


def first_steps(kernel: Kernel, command: str) -> bytes:
    """An initramfs that puts a writable layer over the root it is given, runs a command there, and powers off."""
    return initramfs(kernel, _FIRST, _INIT, command)


def initramfs(kernel: Kernel, modules: tuple[str, ...], init: str, command: str = "") -> bytes:
    """Busybox, modules with those that they need, and a script that puts them in at ``{modules}``."""
    files = kernel.chain(*modules)
    steps = init.replace("{modules}", "\n".join(f"$b insmod /{file.name}" for file in files))
    parts = [
        *(_part(name, 0o040755) for name in ("bin", "dev", "proc", "sys", "low", "up", "root")),
        _part("dev/console", 0o020600, device=(5, 1)),
        _part("bin/busybox", 0o100755, _BUSYBOX.read_bytes()),
        _part("init", 0o100755, steps.encode()),
        _part("command", 0o100644, command.encode()),
        *(_part(file.name, 0o100644, file.read_bytes()) for file in files),
        _part("TRAILER!!!", 0),
    ]
    return b"".join(parts)


def _part(name: str, mode: int, content: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One file of a cpio archive. Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst."""
    path = name.encode() + b"\0"
    head = b"070701" + b"".join(b"%08X" % n for n in _numbers(mode, len(content), device, len(path)))
    return _padded(head + path) + _padded(content)


def _numbers(mode: int, size: int, device: tuple[int, int], name: int) -> Iterator[int]:
    yield from (0, mode, 0, 0, 1, 0, size, 0, 0, *device, name, 0)


def _padded(part: bytes) -> bytes:
    return part + b"\0" * (-len(part) % 4)


def _name(file: str) -> str:
    return Path(file).name.partition(".ko")[0].replace("-", "_")
