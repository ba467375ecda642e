"""Starting a process again the way it ran, when its supervisor does not. Standard library only."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from executor.drivers import process
from executor.errors import UnavailableError

if TYPE_CHECKING:
    from executor.faults.behaviour import Context, ProcessTarget

SUPERVISOR_S = 2.0
"""How long the supervisor may take before Murphy starts the process itself."""
_BACK_S = 5.0


def record(target: ProcessTarget, context: Context) -> dict[str, Any]:
    """All that is needed to start the process again.

    Its environment may hold secrets, so it goes to a file of mode 0600 that the restart deletes, never to the journal.
    Raises ``UnavailableError`` if the process may not be looked at.
    """
    try:
        cwd = os.readlink(f"/proc/{target.pid}/cwd")  # noqa: PTH115 - the kernel's text, not a path of ours
        environment = Path(f"/proc/{target.pid}/environ").read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"process {target.pid} cannot be looked at: {error.strerror}.",
            where=target.instance,
            hint="Run Murphy as the user who runs the process, or as root.",
        ) from None
    file = Path(context.scratch) / f"{context.mark}.environ"
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(environment)
        stream.flush()
        os.fsync(stream.fileno())
    instance = next(i for i in target.service.instances if i.id == target.instance)
    argv = target.service.restart_command or process.command_line(target.pid)
    return {
        "instance": target.instance,
        "pid": target.pid,
        "ticks": target.start_ticks,
        "port": instance.port,
        "command": instance.command or " ".join(argv),
        "argv": list(argv),
        "cwd": cwd,
        "environ": str(file),
    }


def back(kept: Mapping[str, Any]) -> bool:
    """Whether a process that fits the instance runs: the one of then, or one started since."""
    if process.alive(kept["pid"], kept["ticks"]):
        return True
    try:
        process.find(_instance(kept))
    except UnavailableError:
        return False
    return True


def ensure(kept: Mapping[str, Any], *, wait_s: float) -> None:
    """See that the instance runs again: give its supervisor ``wait_s`` seconds, then start the recorded command line.

    Idempotent. Raises ``UnavailableError`` if it cannot be started or does not come back; it stays down then.
    """
    if not _back_within(kept, wait_s):
        _start(kept)
        if not _back_within(kept, _BACK_S):
            raise UnavailableError("was started again and did not come back.", where=kept["instance"])
    Path(kept["environ"]).unlink(missing_ok=True)


def _instance(kept: Mapping[str, Any]) -> Any:
    return SimpleNamespace(id=kept["instance"], port=kept["port"], command=kept["command"], pid=None, start_ticks=None)


def _back_within(kept: Mapping[str, Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not back(kept):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def _start(kept: Mapping[str, Any]) -> None:
    try:
        raw = Path(kept["environ"]).read_bytes()
        pairs = (item.partition(b"=") for item in raw.split(b"\0") if b"=" in item)
        environment = {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
        # No handle is kept: it outlives us, in a session of its own, as it did before.
        subprocess.Popen(
            kept["argv"],
            cwd=kept["cwd"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise UnavailableError(f"cannot be started again: {error}.", where=kept["instance"]) from None
