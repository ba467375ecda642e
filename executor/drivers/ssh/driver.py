"""The driver of processes of other machines, by OpenSSH's ``ssh``: signals stop and end them, as they do here.

What signals them there is our own code (``executor.drivers.ssh.remote``), sent over each time and run from memory, so
that nothing is installed or written there and a signal goes by pidfd as it does here. A keeper there lets them go on,
or starts them again as they ran, by itself when we do not renew. Standard library only: the watchdog uses it.
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
from executor.drivers import ending, restart
from executor.drivers.beside import Beside
from executor.drivers.driver import Record, RestartBy
from executor.drivers.ssh import remote
from executor.drivers.targets import ProcessTarget, ResolvedInstance, SshTarget
from executor.errors import FaultGoneError, UnavailableError
from executor.kernel import process
from executor.kernel.child import last_words
from executor.model.vocabulary import Scope
from executor.state.reading import read

if TYPE_CHECKING:
    from executor.faults.behaviour import Context
    from executor.model.system import Service, SshInstance

_ANSWERS_WITHIN_S: Final = 10.0
_RENEWS_WITHIN_S: Final = 4.0
"""Less than a lease usually is: others wait for theirs."""
_FIRST_LEASE_S: Final = 10.0
"""Until the first renewal, which follows at once. If we die before it, the process goes on after this."""
_SENT: Final = (
    *("__init__", "clock", "errors"),
    *(
        "kernel/__init__",
        "kernel/cgroup",
        "kernel/child",
        "kernel/holding",
        "kernel/io_priority",
        "kernel/locate",
        "kernel/naming",
        "kernel/process",
        "kernel/program",
        "kernel/sockdiag",
        "kernel/sockets",
    ),
    *("state/__init__", "state/reading"),
    *("drivers/__init__", "drivers/confinement", "drivers/ending", "drivers/launch", "drivers/restart"),
    *("drivers/ssh/__init__", "drivers/ssh/jobs", "drivers/ssh/keeper", "drivers/ssh/remote"),
)
_PARTS: Final = ("environ", "arguments")
_SAID: Final = ("instance", "boot", "processes", "keeper", "kept", "grace_s")
"""What of a record our half is told."""
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
    only = "by ssh it can only be stopped, slowed, ended and started again: run Murphy on its machine"

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
        found = ask(machine, "find", instance=wanted)
        around: dict[str, Any] = {name: tuple(found.pop(name)) for name in ("above", "workers")}
        port, command = instance.port, instance.command
        return SshTarget(service, instance.id, machine=machine, port=port, command=command, **around, **found)

    def beside(
        self,
        target: SshTarget,
        scope: Scope,
        fault: Any,  # noqa: ARG002 - the protocol's
        others: Sequence[ResolvedInstance],
    ) -> Beside:
        """Whose process is on the same machine, this one too; or was started by the target and lives under it."""
        there = [other for other in others if isinstance(other, SshTarget) and other.boot == target.boot]
        if scope is Scope.TARGET:
            return Beside(frozenset(o.instance for o in there if target.pid in (o.pid, *o.above)))
        if scope is not Scope.MACHINE:
            return Beside()
        here = (other for other in others if isinstance(other, ProcessTarget) and target.boot == boot_id())
        return Beside(frozenset(other.instance for other in (*there, *here)))

    def unfreezable(self, target: SshTarget) -> str | None:
        """It must be ours to signal there, not stand still already, and not be Murphy on this machine after all."""
        return _reason(target, "unfreezable")

    def freezing(self, target: SshTarget) -> dict[str, Any]:
        """Which processes of which machine. Raises ``UnavailableError`` for one that stands still already."""
        return _record(target, ask(target.machine, "freezing", **_head(target)))

    def freeze(self, record: Record) -> None:
        """Have a keeper there stop them, for a few seconds until ``renew``. Raises ``UnavailableError``."""
        _again(record, "freeze", lease_s=_FIRST_LEASE_S)

    def renew(self, record: Record, lease_s: float) -> None:
        """Have the keeper hold on. Raises as ``Leased`` does."""
        _again(record, "renew", lease_s=lease_s, within_s=_RENEWS_WITHIN_S)

    def frozen(self, record: Record) -> bool | None:
        """Whether one of them stands still; ``None`` if the machine does not answer."""
        return _told(record, "frozen")

    def thaw(self, record: Record) -> None:
        """End the keeper and let them go on. Raises ``UnavailableError`` if the machine does not answer.

        Then its keeper does so by itself, once its lease has lapsed.
        """
        _again(record, "thaw")

    def slow(self, record: Record, still_s: float, run_s: float) -> None:
        """Have a keeper there do it, for a few seconds until ``renew``. Raises ``UnavailableError``."""
        _again(record, "slow", still_s=still_s, run_s=run_s, lease_s=_FIRST_LEASE_S)

    def slowed(self, record: Record) -> bool | None:
        """Whether the keeper is at work, or one of them stands still; ``None`` if the machine does not answer."""
        return _told(record, "slowed")

    def unendable(self, target: SshTarget) -> str | None:
        """As ``unfreezable``, and there must be a way to start it again there."""
        return _reason(target, "unendable", **_about(target))

    def ending(self, target: SshTarget, context: Context, *, by: RestartBy, grace_s: float = 0.0) -> dict[str, Any]:
        """How it was started there. Environment and arguments are kept here, as those of local processes are."""
        told = ask(target.machine, "ending", by=by, **_head(target), **_about(target))
        kept = told["kept"]
        files = restart.keep(context, *(base64.b64decode(told[part]) for part in _PARTS))
        return {**_record(target, kept.pop("members")), "kept": kept, "files": files, "grace_s": grace_s}

    def kill(self, record: Record, signal: str) -> None:
        """Have a keeper there do it, to start it again after a few seconds if nobody renews, nor starts it."""
        _strike(record, "end", how=signal, within_s=ending.DUMPS_WITHIN_S)

    def stop(self, record: Record) -> None:
        """The same, asking it first."""
        _strike(record, "end", how="stop", within_s=record["grace_s"] + ending.ENDS_WITHIN_S)

    def loop(self, record: Record, every_s: float, times: int) -> None:
        """The same, and the keeper goes on."""
        _strike(record, "loop", every_s=every_s, times=times, within_s=ending.DUMPS_WITHIN_S)

    def looping(self, record: Record) -> bool | None:
        """Whether the keeper is there; ``None`` if the machine does not answer."""
        return _told(record, "looping")

    def ended(self, record: Record) -> bool | None:
        """Whether the process of then is gone; ``None`` if the machine does not answer."""
        return _told(record, "ended")

    def down(self, record: Record) -> bool | None:
        """Whether no instance that fits runs there; ``None`` if the machine does not answer."""
        return _told(record, "down")

    def start(self, record: Record) -> None:
        """End the keeper, which lets the supervisor start it, or starts it; or do so in its place.

        Raises ``UnavailableError`` if the machine does not answer: then its keeper does so once its lease has lapsed.
        """
        try:
            image = _image(record)
        except UnavailableError:  # the keeper has its own
            image = dict.fromkeys(_PARTS, "")
        _again(record, "start", within_s=2 * remote.longest_s(record), **image)


def ask(machine: Record, do: str, *, within_s: float | None = None, **more: Any) -> Any:
    """What our half on a machine answers.

    Raises ``UnavailableError`` if the machine does not let us in, does not answer within ``within_s`` seconds (10), or
    cannot do it, and ``FaultGoneError`` if what carried the fault is gone.
    """
    where, within_s = machine["host"], within_s or _ANSWERS_WITHIN_S
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


def _record(target: SshTarget, processes: list[list[int]]) -> dict[str, Any]:
    return {
        "instance": target.instance,
        "machine": dict(target.machine),
        "boot": target.boot,
        "processes": processes,
        "keeper": f"murphy-keeper-{uuid.uuid4().hex}",
    }


def _again(record: Record, do: str, **more: Any) -> Any:
    kept = {part: record[part] for part in _SAID if part in record}
    return ask(record["machine"], do, **kept, **more)


def _told(record: Record, do: str) -> bool | None:
    try:
        return bool(_again(record, do))
    except UnavailableError:
        return None


def _strike(record: Record, do: str, *, within_s: float, **how: Any) -> None:
    within_s += _ANSWERS_WITHIN_S
    _again(record, do, lease_s=_FIRST_LEASE_S, within_s=within_s, **how, **_image(record))


def _image(record: Record) -> dict[str, str]:
    """Environment and arguments, from the files that hold them here. Raises ``UnavailableError`` if they are lost."""
    try:
        return {part: base64.b64encode(read(Path(record["files"][part]))).decode("ascii") for part in _PARTS}
    except OSError as error:
        raise UnavailableError(f"how it was started is lost: {error.strerror}.", where=record["instance"]) from None


def _reason(target: SshTarget, do: str, **more: Any) -> str | None:
    try:
        reason = ask(target.machine, do, **_head(target), **more)
    except UnavailableError as error:
        return str(error)
    here = target.boot == boot_id() and process.alive(target.pid, target.start_ticks)
    return reason or (process.forbidden(target.pid, target.start_ticks) if here else None)


def _head(target: SshTarget) -> dict[str, Any]:
    return {"boot": target.boot, "processes": [[target.pid, target.start_ticks]]}


def _about(target: SshTarget) -> dict[str, Any]:
    """What starting it again asks of a target and of its service."""
    of_service = {"restarts": target.service.restarts, "restart_command": target.service.restart_command}
    return {
        "as_found": {"instance": target.instance, "port": target.port, "command": target.command},
        "service": of_service,
    }


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
    return ["ssh", "-T", *told, "--", machine["host"], f"exec python3 -I - murphy{process.LEASE_SUFFIX}"]


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
