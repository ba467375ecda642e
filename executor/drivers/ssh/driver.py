"""The driver of processes of other machines, by OpenSSH's ``ssh``: they are stopped and let go on by signals.

What signals them there is our own code (``executor.drivers.ssh.remote``), sent over each time and run from memory, so
that nothing is installed or written there and a signal goes by pidfd as it does here. A keeper there lets them go on by
itself when we do not renew. Standard library only: the watchdog uses it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import stat
import subprocess
import tempfile
import uuid
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import executor
from executor.clock import boot_id
from executor.drivers.beside import Beside
from executor.drivers.driver import Record
from executor.drivers.ssh import remote
from executor.drivers.targets import ProcessTarget, ResolvedInstance, SshTarget
from executor.errors import FaultGoneError, UnavailableError
from executor.kernel import process
from executor.kernel.child import last_words
from executor.model.vocabulary import Scope

if TYPE_CHECKING:
    from executor.model.system import Service, SshInstance

_ANSWERS_WITHIN_S: Final = 10.0
_RENEWS_WITHIN_S: Final = 4.0
"""Less than a lease usually is: others wait for theirs."""
_FIRST_LEASE_S: Final = 5.0
"""Until the first renewal, which follows at once. If we die before it, the process goes on after this."""
_SENT: Final = (
    *("__init__", "clock", "errors"),
    *("kernel/__init__", "kernel/process", "kernel/sockets"),
    *("drivers/__init__", "drivers/ssh/__init__", "drivers/ssh/keeper", "drivers/ssh/remote"),
)
_OPTIONS: Final = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "ConnectTimeout": "5",
    "ServerAliveInterval": "2",
    "ServerAliveCountMax": "2",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RemoteCommand": "none",
    "LogLevel": "ERROR",
}
_SHARED_S: Final = 10
"""Seconds that a connection stays for the next question; then its process ends by itself."""
_SOCKET_LONGEST: Final = 80
"""Characters of a control socket's path: the system takes 107, and ``ssh`` adds some while it makes one."""
_PROGRAM: Final = """\
import sys
if sys.version_info < (3, 11):
    sys.exit("Python %d.%d is there, and 3.11 is needed" % sys.version_info[:2])
import base64, json, os
held = os.memfd_create("murphy")
os.write(held, base64.b64decode({modules!r}))
sys.path.insert(0, "/proc/self/fd/%d" % held)
from executor.drivers.ssh import remote
remote.answer(json.loads({question!r}))
"""


class Ssh:
    """A process of another machine and its workers are one instance. Each question is one call of ``ssh``."""

    name = "ssh"
    noun = "a process of another machine"

    def find(self, service: Service, instance: SshInstance) -> SshTarget:
        """The process it means right now. Raises ``UnavailableError`` as ``ask`` does, or if there is not just one."""
        machine = {
            "host": instance.host,
            "user": instance.user,
            "port": str(instance.ssh_port or ""),
            "identity": instance.identity,
            "known_hosts": instance.known_hosts,
        }
        wanted = {"id": instance.id, "port": instance.port, "command": instance.command}
        return SshTarget(service, instance.id, machine=machine, **ask(machine, "find", instance=wanted))

    def beside(
        self,
        target: SshTarget,
        scope: Scope,
        fault: Any,  # noqa: ARG002 - the protocol's
        others: Sequence[ResolvedInstance],
    ) -> Beside:
        """Whose process is on the same machine, this one too."""
        if scope is not Scope.MACHINE:
            return Beside()
        there = (other for other in others if isinstance(other, SshTarget) and other.boot == target.boot)
        here = (other for other in others if isinstance(other, ProcessTarget) and target.boot == boot_id())
        return Beside(frozenset(other.instance for other in (*there, *here)))

    def unfreezable(self, target: SshTarget) -> str | None:
        """It must be ours to signal there, not stand still already, and not be Murphy on this machine after all."""
        try:
            reason = ask(target.machine, "unfreezable", **_head(target))
        except UnavailableError as error:
            return str(error)
        here = target.boot == boot_id() and process.alive(target.pid, target.start_ticks)
        return reason or (process.forbidden(target.pid, target.start_ticks) if here else None)

    def freezing(self, target: SshTarget) -> dict[str, Any]:
        """Which processes of which machine. Raises ``UnavailableError`` for one that stands still already."""
        return {
            "instance": target.instance,
            "machine": dict(target.machine),
            "boot": target.boot,
            "processes": ask(target.machine, "freezing", **_head(target)),
            "keeper": f"murphy-keeper-{uuid.uuid4().hex}",
        }

    def freeze(self, record: Record) -> None:
        """Have a keeper there stop them, for a few seconds until ``renew``. Raises ``UnavailableError``."""
        _again(record, "freeze", lease_s=_FIRST_LEASE_S)

    def renew(self, record: Record, lease_s: float) -> None:
        """Have the keeper hold on. Raises as ``Leased`` does."""
        _again(record, "renew", lease_s=lease_s, within_s=_RENEWS_WITHIN_S)

    def frozen(self, record: Record) -> bool | None:
        """Whether one of them stands still; ``None`` if the machine does not answer."""
        try:
            return bool(_again(record, "frozen"))
        except UnavailableError:
            return None

    def thaw(self, record: Record) -> None:
        """End the keeper and let them go on. Raises ``UnavailableError`` if the machine does not answer.

        Then its keeper does so by itself, once its lease has lapsed.
        """
        _again(record, "thaw")


def ask(machine: Record, do: str, *, within_s: float = _ANSWERS_WITHIN_S, **more: Any) -> Any:
    """What our half on a machine answers.

    Raises ``UnavailableError`` if the machine does not let us in, does not answer within ``within_s`` seconds, or
    cannot do it, and ``FaultGoneError`` if what carried the fault is gone.
    """
    where = machine["host"]
    question = json.dumps({"do": do, **more})
    program = _PROGRAM.format(modules=_modules(), question=question)
    try:
        done = subprocess.run(
            _command(machine),
            input=program.encode(),
            capture_output=True,
            timeout=within_s,
            check=False,
            start_new_session=True,  # an interrupt at our terminal is for us to answer, and this may be the undoing
        )
    except FileNotFoundError:
        raise UnavailableError("ssh is not installed here; install openssh-client.", where=where) from None
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"the machine does not answer within {within_s:g} s.", where=where) from None
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    said = next((line.removeprefix(remote.MARK) for line in reversed(lines) if line.startswith(remote.MARK)), None)
    if said is None:
        raise UnavailableError(
            f"the machine does not let us work there: {last_words(done.stderr)}.",
            where=where,
            hint="See that ssh to it asks nothing, and that it has Linux and Python 3.11.",
        )
    told: dict[str, Any] = json.loads(said)
    if "gone" in told:
        raise FaultGoneError(told["gone"], where=where)
    if "error" in told:
        raise UnavailableError(told["error"], where=where)
    return told["answer"]


def _again(record: Record, do: str, **more: Any) -> Any:
    kept = {part: record[part] for part in ("instance", "boot", "processes", "keeper")}
    return ask(record["machine"], do, **kept, **more)


def _head(target: SshTarget) -> dict[str, Any]:
    return {"boot": target.boot, "processes": [[target.pid, target.start_ticks]]}


def _command(machine: Record) -> list[str]:
    options = _OPTIONS | _sharing(machine)
    if machine["identity"]:
        options |= {"IdentityFile": machine["identity"], "IdentitiesOnly": "yes"}
    if machine["known_hosts"]:
        options |= {"UserKnownHostsFile": machine["known_hosts"], "GlobalKnownHostsFile": os.devnull}
    if machine["user"]:
        options["User"] = machine["user"]
    if machine["port"]:
        options["Port"] = machine["port"]
    told = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return ["ssh", "-T", *told, "--", machine["host"], "exec python3 -I - murphy"]


def _sharing(machine: Record) -> dict[str, str]:
    """Settings by which questions share a connection, with the same machine asked in the same way only."""
    directory = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"murphy-ssh-{os.getuid()}"
    name = hashlib.sha256(json.dumps(dict(machine), sort_keys=True).encode()).hexdigest()[:16]
    if len(str(directory / name)) > _SOCKET_LONGEST or "%" in str(directory) or not _private(directory):
        return {"ControlMaster": "no", "ControlPath": "none"}
    return {"ControlMaster": "auto", "ControlPath": f'"{directory / name}"', "ControlPersist": str(_SHARED_S)}


def _private(directory: Path) -> bool:
    """Whether the directory is ours, and closed to others; made if it is not there."""
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        seen = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & 0o077


@cache
def _modules() -> str:
    """Our half's modules, as a zip file in base64. Read once: later no file may be had for it."""
    root, made = Path(executor.__file__).parent, io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for module in _SENT:
            archive.writestr(f"executor/{module}.py", (root / f"{module}.py").read_bytes())
    return base64.b64encode(made.getvalue()).decode()


DRIVER = Ssh()
