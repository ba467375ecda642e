"""The driver of containers: paused, ended and started again by their engine. Standard library only at import."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any, Final

from executor.clock import start_ticks
from executor.drivers import restart
from executor.drivers.beside import Beside, here
from executor.drivers.container import notes
from executor.drivers.container.engine import engine, inspected
from executor.drivers.container.state import (
    LOOK_S,
    SETTLES_S,
    Seen,
    asked,
    asking,
    changing,
    named,
    of_then,
    require,
    settle,
    up,
    within,
)
from executor.drivers.driver import Record, RestartBy
from executor.drivers.targets import Contained, ContainerTarget, ResolvedInstance
from executor.errors import UnavailableError
from executor.kernel import netns, process, sockets
from executor.model.vocabulary import Scope

if TYPE_CHECKING:
    from executor.faults.behaviour import Context
    from executor.model.system import ContainerInstance, Service

_LATE_S: Final = 0.2
_ENDS_WITHIN_S: Final = 10.0
_BACK_S: Final = 10.0
_JOINED: Final = {"NetworkMode": "network", "PidMode": "pid namespace"}


class Containers:
    """A container is one instance, with all the processes in it."""

    name = "container"
    noun = "a container"

    def find(self, service: Service, instance: ContainerInstance) -> Contained:
        """The container it means right now, with its first process if that is one of this machine.

        Raises ``UnavailableError`` if it does not run, or its engine does not answer.
        """
        seen = inspected(instance.engine, instance.container)
        if seen is None or not up(seen):
            status = seen["State"]["Status"] if seen else "not there"
            raise UnavailableError(f"container {instance.container} is {status}.", where=instance.id, hint="Start it.")
        address, inside = _called(seen, instance.port)
        about: dict[str, Any] = {
            "engine": instance.engine,
            "container": seen["Id"],
            "since": seen["State"]["StartedAt"],
            "address": address,
            "inside": inside,
        }
        pid = int(seen["State"]["Pid"])
        ticks = start_ticks(pid)
        if ticks is None or seen["Id"] not in _groups(pid):  # its engine is another machine's
            return Contained(service, instance.id, **about)
        return ContainerTarget(service, instance.id, pid=pid, start_ticks=ticks, port=instance.port, **about)

    def beside(self, target: Contained, scope: Scope, fault: Any, others: Sequence[ResolvedInstance]) -> Beside:
        """Whoever has joined its network goes with it; the rest as this machine shows it, if it runs here.

        Raises ``UnavailableError`` if its engine does not answer.
        """
        if scope is Scope.TARGET:
            joined = _joined(target, others)
            return joined | here(target, scope, fault, others) if isinstance(target, ContainerTarget) else joined
        if isinstance(target, ContainerTarget):
            return here(target, scope, fault, others)
        same = (other for other in others if isinstance(other, Contained) and other.engine == target.engine)
        return Beside(frozenset(other.instance for other in same) if scope is Scope.MACHINE else frozenset())

    def listening(self, target: Contained) -> dict[str, Any]:
        """In its own network, at the port that is published. Raises ``UnavailableError`` if none listens there."""
        if not isinstance(target, ContainerTarget):
            raise UnavailableError("it runs on another machine, whose network is not seen here.", where=target.instance)
        members = process.members(target.pid, target.start_ticks)
        pid, ticks = next((one for one in members if _listens(one[0], target.inside)), members[0])
        return netns.listening(pid, ticks, target.inside, [pid for pid, _ in members])

    def unfreezable(self, target: Contained) -> str | None:
        """It must not stand still already, nor hold Murphy itself."""
        try:
            if of_then(target)["State"]["Paused"]:
                return f"{target.instance} has been paused by somebody already; let it go on first."
        except UnavailableError as error:
            return str(error)
        return _ours(target)

    def freezing(self, target: Contained) -> dict[str, Any]:
        """Which container. Raises ``UnavailableError`` if it is gone, or paused already."""
        if reason := self.unfreezable(target):
            raise UnavailableError(reason, where=target.instance)
        return named(target)

    def freeze(self, record: Record) -> None:
        """Pause it. Raises ``UnavailableError`` if it is gone."""
        require(record)
        notes.put(record, "pause")
        with engine(record["engine"]) as client:
            client.pause(record["container"])

    def frozen(self, record: Record) -> bool | None:
        """Whether it is paused."""
        try:
            return _paused(record)
        except UnavailableError:
            return None

    def thaw(self, record: Record) -> None:
        """Let it go on; looked at twice, since the engine may not have paused it yet when whoever asked was killed."""
        if within(_LATE_S, lambda: _paused(record)):
            with engine(record["engine"]) as client:
                client.unpause(record["container"])
        notes.drop(record, "pause")

    def unendable(self, target: Contained) -> str | None:
        """It must not be one that is gone for good when it ends, nor hold Murphy itself."""
        try:
            seen = of_then(target)
            if seen["HostConfig"]["AutoRemove"]:
                return f"the engine removes {target.instance} for good when it ends (--rm); run it without."
            if reason := changing(target.instance, seen):
                return reason
            if name := next((name for _, name, what in _inside(target) if what != "network"), None):
                return f"{target.instance} would take container {name} along, which is in its pid namespace, for good."
        except UnavailableError as error:
            return str(error)
        return _ours(target)

    def ending(self, target: Contained, context: Context, *, by: RestartBy, grace_s: float = 0.0) -> dict[str, Any]:
        """Which container. If its engine is to start it again, its first process is killed from ``outside``.

        To a restart policy, a container that the engine was asked to end has ended for good.
        """
        if reason := self.unendable(target):
            raise UnavailableError(reason, where=target.instance)
        patience_s = 0.0 if by == "murphy" else restart.PATIENCE_S[target.service.restarts]
        return {
            **named(target),
            "members": _first(target),
            "outside": by == "supervisor" and _may_signal(target),
            "grace_s": grace_s,
            "patience_s": patience_s,
            **asked(context),
        }

    def kill(self, record: Record, signal: str) -> None:
        """By a signal from outside, or by its engine; and see it end."""
        if record["outside"]:
            require(record)
            notes.put(record, "end")
            _refuse_deaf(record, Signals[f"SIG{signal}"])
            process.end_all(record["members"], Signals[f"SIG{signal}"], _ENDS_WITHIN_S, where=record["instance"])
        else:
            with asking(record) as client:
                notes.put(record, "end")
                client.kill(record["container"], f"SIG{signal}")
        if not within(_ENDS_WITHIN_S, lambda: self.ended(record)):
            raise UnavailableError(f"it did not end on SIG{signal}; it may catch it.", where=record["instance"])

    def stop(self, record: Record) -> None:
        """By its engine, which asks it to end as it is configured, and ends it after the grace time."""
        with asking(record) as client:
            notes.put(record, "end")
            client.stop(record["container"], timeout=math.ceil(record["grace_s"]))

    def ended(self, record: Record) -> bool | None:
        """Whether it does not run any more as it was started then."""
        try:
            seen = inspected(record["engine"], record["container"])
        except UnavailableError:
            return None
        return seen is None or not up(seen) or seen["State"]["StartedAt"] != record["since"]

    def down(self, record: Record) -> bool | None:
        """Whether none of its name runs, or one that the engine was asked to end."""
        try:
            seen = inspected(record["engine"], record["name"])
        except UnavailableError:
            return None
        return seen is None or not up(seen) or (Path(record["asked"]).exists() and not self.ended(record))

    def successors(self, record: Record) -> list[list[int]]:
        """The first process of the container that has its name now."""
        seen = inspected(record["engine"], record["name"])
        pid = int(seen["State"]["Pid"]) if seen and up(seen) else 0
        ticks = start_ticks(pid) if seen and seen["Id"] in _groups(pid) else None
        return [] if ticks is None else [[pid, ticks]]

    def start(self, record: Record) -> None:
        """Let whoever should start it, or have its engine start it.

        One that the engine was asked to end comes to its end first.
        """
        settle(record, lambda: self.ended(record), SETTLES_S + record["grace_s"])
        if not _comes_back(record):
            with engine(record["engine"]) as client:
                client.start(record["container"])
            if self.down(record) is not False:
                raise UnavailableError("was started again and does not run.", where=record["instance"])
        notes.drop(record, "end")


def _ours(target: Contained) -> str | None:
    """That Murphy itself runs in it, in one sentence; ``None`` if not."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    # Its engine puts such a file into every container: Docker the first, Podman the second.
    if any(f"/{target.container}/{file}" in mounts for file in ("hostname", "userdata/hostname")):
        return f"Murphy runs in {target.instance}; choose another target."
    return None


def _first(target: Contained) -> list[list[int]]:
    """Its first process, if that is one of this machine."""
    return [[target.pid, target.start_ticks]] if isinstance(target, ContainerTarget) else []


def _may_signal(target: Contained) -> bool:
    return isinstance(target, ContainerTarget) and process.forbidden(target.pid, target.start_ticks) is None


def _comes_back(record: Record) -> bool:
    """Whether it runs, or does so before the patience is at its end: its engine's restart policy is waited for."""
    begun = time.monotonic()
    while not ((seen := inspected(record["engine"], record["name"])) and up(seen)):
        patience_s = _BACK_S if seen and seen["State"]["Restarting"] else record["patience_s"]
        if time.monotonic() - begun >= patience_s:
            return False
        time.sleep(LOOK_S)
    return True


def _paused(record: Record) -> bool:
    seen = inspected(record["engine"], record["container"])
    return bool(seen and seen["State"]["Paused"])


def _groups(pid: int) -> str:
    """The cgroups of a process, in which engines put a container's id."""
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _called(seen: Seen, port: int | None) -> tuple[str, int | None]:
    """The address at which a port is called from this machine, and the port behind it in the container's network."""
    if port is None:
        return "", None
    published = seen["NetworkSettings"]["Ports"] or {}
    found = [
        (sockets.reachable(way["HostIp"] or "0.0.0.0"), int(inside.partition("/")[0]))  # noqa: S104 - not bound here
        for inside, ways in published.items()
        for way in ways or ()
        if inside.endswith("/tcp") and way["HostPort"] == str(port)
    ]
    if found:
        return min(found, key=lambda one: ":" in one[0])
    networks = seen["NetworkSettings"]["Networks"] or {}
    return next(filter(None, (one["IPAddress"] for one in networks.values())), "127.0.0.1"), port


def _listens(pid: int, port: int | None) -> bool:
    return port is not None and not sockets.held(pid).isdisjoint(sockets.listeners(port, pid))


def _refuse_deaf(record: Record, number: Signals) -> None:
    """Raise ``UnavailableError`` for a signal that the first process of a container does not get."""
    pid, _ = record["members"][0]
    if not process.catches(pid, number) and number != Signals.SIGKILL and process.is_called(pid, 1):
        why = f"the first process of a container does not get {number.name} unless it has a handler for it; use KILL."
        raise UnavailableError(why, where=record["instance"])


def _joined(target: Contained, others: Sequence[ResolvedInstance]) -> Beside:
    """Containers in its network or among its processes, which its end takes from them."""
    known = {other.container: other.instance for other in others if isinstance(other, Contained)}
    inside = _inside(target)
    return Beside(
        frozenset(known[one] for one, _, _ in inside if one in known),
        tuple(f"container {name}, which is in its {what}" for one, name, what in inside if one not in known),
    )


def _inside(target: Contained) -> list[tuple[str, str, str]]:
    """Id and name of each container that runs in its network, or in its pid namespace, and which of the two."""
    with engine(target.engine) as client:
        names = {each["Id"]: each["Names"][0].lstrip("/") for each in client.containers()}

    def joins(mode: str) -> bool:
        kind, _, whose = mode.partition(":")
        return (
            kind == "container"
            and bool(whose)
            and (target.container.startswith(whose) or names.get(target.container) == whose)
        )

    inside = []
    for one, name in names.items():
        how = seen["HostConfig"] if (seen := inspected(target.engine, one)) else {}  # Podman's list tells nothing of it
        joined = (what for mode, what in _JOINED.items() if joins(how.get(mode) or ""))
        inside += [(one, name, what) for what in islice(joined, 1)]
    return inside


DRIVER = Containers()
