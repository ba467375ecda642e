"""Tests in a virtual machine, whose kernel has what this one's may lack: ``python -m tests.vm.run [pytest arguments]``.

The machine sees this machine's files, read-only below a layer of its own in memory; nothing that is done there stays.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import executor
from tests.vm.kernel import Kernel, fetched, first_steps

ROOT = Path(executor.__file__).parents[1]
MEMORY_MB = 1536
LONGEST_S = 3600.0
_DAEMON = "/usr/lib/qemu/virtiofsd"
_OVER = "murphy-vm: status "
_COMMAND = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 CI=true MURPHY_VM=true PYTHONDONTWRITEBYTECODE=1
export DM_DISABLE_UDEV=1  # there is none
mount --bind / /mnt
for at in /tmp /run; do mount -t tmpfs tmpfs $at; done
mkdir -p {root}; mount --bind /mnt{root} {root}; umount /mnt  # it may be below one of them
mkdir -p /dev/pts /dev/shm; mount -t devpts devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
echo "+cpu +io +memory +pids" >/sys/fs/cgroup/cgroup.subtree_control  # as systemd does
mkdir -p /lib/modules; ln -sfn {modules} /lib/modules/$(uname -r)
ln -sf /bin/busybox /sbin/modprobe
for module in {wanted}; do modprobe $module || echo "no module $module"; done
ip link set lo up
cd {root}; {command}
echo "{over}$?"
"""
_MODULES = "loop dm-mod dm-flakey dm-delay sch_netem sch_tbf sch_prio cls_u32 cls_flower veth dummy nf_tables ext4"
_USUAL = [
    "tests/vm/inside.py",
    "tests/executor/kernel/test_cgroup.py",
    "tests/executor/faults/resource/test_cgroups.py",
    "tests/executor/faults/test_contract.py",
    "-k",
    "inside or cgroup or storage or reorder or throttle or resource.processes or resource.oom",
]
"""What this machine's kernel may lack: netem, device-mapper, cgroups of version 2 with their controllers."""
_EXPORT = """
mount --bind / "$1"
for at in "$2" "$3"; do mount --bind "$at" "$1$at"; mount -o remount,bind,ro "$1$at"; done
mount -o remount,bind,ro "$1"
exec "$4" --socket-path="$5" -o source="$1" -o sandbox=chroot -o cache=always
"""


def main(arguments: list[str]) -> int:
    """Boot, run pytest there, and power off; returns pytest's status, or 70 if the machine did not get so far."""
    if os.geteuid() != 0:
        print("the machine is shown this one's files by a daemon that needs root", file=sys.stderr)
        return 70
    kernel = fetched(ROOT / ".murphy" / "vm")
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--color=no",
        "--timeout=600",
        "-v",  # it takes minutes
        *(arguments or _USUAL),
    ]
    command = _COMMAND.format(
        modules=kernel.modules, wanted=_MODULES, root=ROOT, command=shlex.join(pytest), over=_OVER
    )
    with tempfile.TemporaryDirectory(prefix="murphy-vm-") as scratch:
        return _booted(kernel, Path(scratch), command)


def _booted(kernel: Kernel, scratch: Path, command: str) -> int:
    (scratch / "root").mkdir()
    (scratch / "initrd").write_bytes(first_steps(kernel, command))
    socket, seen = scratch / "socket", [str(scratch / "root"), str(ROOT), sys.base_prefix, _DAEMON]
    # In a mount namespace of its own: what is mounted there goes with it.
    shell = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _EXPORT, "sh", *seen, str(socket)]
    with (scratch / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(shell, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 10
        while not socket.exists() and daemon.poll() is None and time.monotonic() < until:
            time.sleep(0.02)
        if not socket.exists():
            print((scratch / "daemon.log").read_text(), file=sys.stderr)
            return 70
        return _relayed(_machine(kernel, scratch))
    finally:
        daemon.terminate()
        daemon.wait()


def _machine(kernel: Kernel, scratch: Path) -> list[str]:
    memory = f"memory-backend-memfd,id=memory,size={MEMORY_MB}M,share=on"
    return [
        *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-smp", "2", "-m", str(MEMORY_MB)),
        *("-cpu", "max"),  # numpy needs more than QEMU's plainest processor has
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel.image), "-initrd", str(scratch / "initrd")),
        *("-append", "console=ttyS0 quiet panic=-1 no_timer_check"),  # the check fails where the host is busy
        *("-object", memory, "-numa", "node,memdev=memory"),
        *("-chardev", f"socket,id=files,path={scratch / 'socket'}"),
        *("-device", "vhost-user-fs-pci,chardev=files,tag=root"),
    ]


def _relayed(command: list[str]) -> int:
    status, until = 70, time.monotonic() + LONGEST_S
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as machine:
        assert machine.stdout is not None
        try:
            for line in machine.stdout:
                if line.startswith(_OVER):
                    status = int(line.removeprefix(_OVER))
                else:
                    print(line, end="", flush=True)
                if time.monotonic() > until:
                    break
        finally:
            machine.kill()
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
