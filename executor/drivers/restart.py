"""Starting a process again the way it ran, when its supervisor does not. Standard library only."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from executor.clock import boot_id
from executor.drivers import confinement, launch
from executor.errors import UnavailableError
from executor.kernel import child, locate, process, program

if TYPE_CHECKING:
    from executor.drivers.targets import ProcessTarget
    from executor.faults.behaviour import Context

log = logging.getLogger(__name__)

PATIENCE_S = {"supervised": 10.0, "unknown": 2.0, "by_hand": 0.0}
"""How long somebody else may take to start the process, before Murphy does. Two of it would be worse than a wait."""
BACK_S = 10.0
"""How long what was started may take to be there."""
_COLLECTED_S = 0.5
_COLLECTS_S = {None: 0.0, 1: 3.0}
"""How long it may take until somebody has asked how a process ended: if it has no parent, being gone; or the system's
first process."""
_LAUNCH_S = 10.0
_SCRIPTS = (".py", ".pyz", ".js", ".mjs", ".cjs", ".ts", ".rb", ".pl", ".php", ".jar")
"""Ends of names that interpreters look for nowhere but where they say; shells search their path as well."""

_begun: dict[str, str] = {}
"""What this process has started, by the file that says so: on a full or read-only disk it says nothing."""


def impossible(target: ProcessTarget) -> str | None:
    """Why the process could not be started again by us, in one sentence; ``None`` if it could, or need not be."""
    if target.service.restarts == "supervised":
        return None
    try:
        argv = process.command_line(target.pid)
        if gone := _gone(target, argv):
            return gone
        if target.service.restart_command:
            return None
        if what := confinement.found(target.pid):
            return _lost(target.instance, what)
        if _program(target.pid, argv) is None:
            return f"{target.instance} does not show how it was started; say it in restart_command."
    except OSError as error:
        return f"{target.instance} cannot be looked at ({error.strerror}); run Murphy as its user, or as root."
    return None


def _lost(instance: str, what: str) -> str:
    return (
        f"{instance} runs with {what}, as it would not if Murphy started it; say how that is done in restart_command."
    )


def _gone(target: ProcessTarget, argv: Sequence[str]) -> str | None:
    """What a start would not find any more, in one sentence; ``None``: nothing. Raises ``OSError``.

    The directory is gone where a release was taken away under it; the script too, or it was named from the directory
    that the process began in and has left since.
    """
    here = Path(f"/proc/{target.pid}/cwd")
    cwd = os.readlink(here)  # noqa: PTH115 - the kernel's text, not a path of ours
    if not Path(cwd).is_dir():
        return f"{target.instance} runs in a directory that is gone ({cwd}), and could not be started there again."
    run = None if target.service.restart_command else program.ran(argv)
    if run is not None and run.how == "file" and Path(run.what).suffix in _SCRIPTS and not (here / run.what).exists():
        return (
            f"{target.instance} runs {run.what}, which is not there, seen from its directory ({cwd}); "
            "say how it is started in restart_command."
        )
    return None


def record(target: ProcessTarget, context: Context, *, by: str) -> dict[str, Any]:
    """All that is needed to see whether the instance runs, and to start it again; ``by`` as in the fault's ``restart``.

    Raises ``UnavailableError`` if the process may not be looked at.
    """
    kept, environment, arguments = image(target, by=by)
    files = keep(context, environment, arguments)
    started = str(Path(context.scratch) / f"{context.mark}.started")
    return kept | {"started": started, "how": kept["how"] | files}


def keep(context: Context, environment: bytes, arguments: bytes) -> dict[str, str]:
    """Put them into files of mode 0600 in the run's scratch, never into the journal: they may hold secrets.

    Returns their paths. They stay as long as the scratch: an executor that hung may strike after the fault was undone
    already.
    """
    scratch = Path(context.scratch)
    files = {"environ": scratch / f"{context.mark}.environ", "arguments": scratch / f"{context.mark}.arguments"}
    _write(files["environ"], environment)
    _write(files["arguments"], arguments)
    return {name: str(file) for name, file in files.items()}


def image(target: ProcessTarget, *, by: str) -> tuple[dict[str, Any], bytes, bytes]:
    """How the process runs as JSON, its environment, and its arguments: both as the kernel shows them.

    Raises ``UnavailableError`` if it may not be looked at, or if Murphy is to start it and could not as it runs.
    """
    by_hand = target.service.restart_command
    try:
        argv = process.command_line(target.pid)
        file = by_hand[0] if by_hand else _program(target.pid, argv)
        gone = _gone(target, argv) if by == "murphy" else None
        how = launch.recipe(target.pid)
        lost = None if by_hand else confinement.found(target.pid)
        variables = Path(f"/proc/{target.pid}/environ").read_bytes()
    except OSError as error:
        raise UnavailableError(
            f"process {target.pid} cannot be looked at: {error.strerror}.",
            where=target.instance,
            hint="Run Murphy as the user who runs the process, or as root.",
        ) from None
    if gone:
        raise UnavailableError(gone)
    if lost and by == "murphy":
        raise UnavailableError(_lost(target.instance, lost))
    kept = {
        "instance": target.instance,
        "members": process.members(target.pid, target.start_ticks),  # what was read until here is of this very process
        "port": target.port,
        "command": target.command,
        "same": "" if target.command or target.port else _fingerprint(argv),
        "runs": _runs(argv) if _interprets(target.pid) and not (by_hand or target.port) else [],
        "patience_s": 0.0 if by == "murphy" else PATIENCE_S[target.service.restarts],
        "how": how | {"program": file},
        "lost": lost,
    }
    return kept | {"count": max(1, len(heads(kept)))}, variables, b"\0".join(map(os.fsencode, by_hand or argv))


def back(kept: Mapping[str, Any]) -> bool:
    """Whether the instance runs: the process of then, or as many as there were that fit it."""
    return process.alive(*kept["members"][0]) or len(heads(kept)) >= kept["count"]


def ensure(kept: Mapping[str, Any]) -> None:
    """See that the instance runs again: give its supervisor time, then start the recorded command line.

    Idempotent; what it has started is noted on disk, so that no second one is started while that one is still coming
    up. Raises ``UnavailableError`` if it cannot be started or does not come back yet.
    """
    see_back(kept, coming=lambda: _coming(kept), start=lambda: _start(kept))


def see_back(kept: Mapping[str, Any], *, coming: Callable[[], bool], start: Callable[[], object]) -> None:
    """The same where ``coming`` tells whether one that was started before lives, and ``start`` starts it."""
    if not _back_within(kept, 0.0 if coming() else kept["patience_s"]):
        if not coming():
            if what := kept.get("lost"):
                hint = "Start it by hand, or through its supervisor."
                raise UnavailableError(f"is not back, and ran with {what}.", where=kept["instance"], hint=hint)
            _see_collected(kept["members"])
            if not (back(kept) or coming()):  # meanwhile its supervisor, or another revert, may have been at it
                start()
        if not _back_within(kept, BACK_S):
            raise UnavailableError("was started again and is not back yet.", where=kept["instance"])


def _see_collected(members: Sequence[Sequence[int]]) -> None:
    """Wait a moment until nobody has the pids of those that ended: a lock file with one is still valid to its reader.

    The system's first process asks how those ended that are left to it, be it late; another parent may never do.
    """
    begun = time.monotonic()
    while any(time.monotonic() - begun < _COLLECTS_S.get(process.parent(pid), _COLLECTED_S) for pid, _ in members):
        time.sleep(0.01)


def heads(kept: Mapping[str, Any]) -> list[int]:
    """Pids of the processes that fit the instance; of one that nothing tells apart, those with its command line."""
    if not kept.get("same"):
        found = locate.heads_of(SimpleNamespace(id=kept["instance"], port=kept["port"], command=kept["command"]))  # type: ignore[arg-type]
        return [pid for pid in found if not _runs_another(pid, kept.get("runs"))]  # an earlier Murphy's record has none
    same = {pid for pid in process.pids() if _fingerprint(process.command_line(pid)) == kept["same"]}
    return sorted(pid for pid in same if process.parent(pid) not in same)


def _runs(argv: Sequence[str]) -> list[str]:
    """How an interpreter is told what it runs, and the name of that; empty for other programs."""
    run = program.ran(argv)
    return [run.how, PurePath(run.what).name] if run is not None and run.how != "code" else []


def _runs_another(pid: int, runs: Sequence[str] | None) -> bool:
    """Whether one that fits is only told what the process of then ran: an editor, or whatever looks at that file.

    Where it cannot be told it is not said, since two of it would be worse: a process may write over its arguments.
    """
    if not runs:
        return False
    if now := _runs(process.command_line(pid)):
        return now[0] == runs[0] and now[1] != runs[1]
    return not _interprets(pid)


def _interprets(pid: int) -> bool:
    """Whether its executable runs others' code, or cannot be told."""
    try:
        return program.interpreter(Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)"))
    except OSError:
        return True


def _fingerprint(argv: Sequence[str]) -> str:
    """Tells a command line apart without keeping it: it may hold secrets."""
    return hashlib.sha256(b"\0".join(map(os.fsencode, argv))).hexdigest()


def _back_within(kept: Mapping[str, Any], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not back(kept):
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def _coming(kept: Mapping[str, Any]) -> bool:
    """Whether a process that we have started lives."""
    said = _begun.get(kept["started"], "")
    with suppress(OSError, ValueError):
        said = Path(kept["started"]).read_text(encoding="ascii") or said
    try:
        pid, ticks, boot = said.split()
        return boot == boot_id() and process.alive(int(pid), int(ticks))
    except ValueError:
        return False


def _start(kept: Mapping[str, Any]) -> None:
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "executor.drivers.launch"],
            input=json.dumps({**kept["how"], "started": kept["started"]}).encode(),
            capture_output=True,
            env=child.environment(),
            timeout=_LAUNCH_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"cannot be started again: {error}.", where=kept["instance"]) from None
    if done.returncode:
        last = child.last_words(done.stderr)
        raise UnavailableError(f"cannot be started again: {last}.", where=kept["instance"])
    if gone := [place for place in kept["how"].get("cgroups", ()) if not Path(place).is_dir()]:
        log.warning("%s: started again outside of %s, which went with it.", kept["instance"], ", ".join(gone))
    _begun[kept["started"]] = done.stdout.decode("ascii", "replace")


def _program(pid: int, argv: tuple[str, ...]) -> str | None:
    """The file to start: as its command line names it, or else as the kernel does.

    ``None`` if the process has changed its command line, so that its arguments are lost.
    """
    if not argv:
        return None
    if launch.found(argv[0], pid):
        return argv[0]
    exe = os.readlink(f"/proc/{pid}/exe")  # noqa: PTH115 - the kernel's text, not a path of ours
    plain = Path(argv[0].removeprefix("-")).name == Path(exe).name  # a login shell's has a dash in front
    return exe if plain and shutil.which(exe) else None


def _write(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
