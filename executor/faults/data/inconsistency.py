"""data.inconsistency: a replica of PostgreSQL stands still, stays behind, or says something else than its primary."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.data import apply_delay, divergence, replay_pause
from executor.faults.looking import Looking
from executor.kernel import process

if TYPE_CHECKING:
    from executor.model.faults.data import Inconsistency as Spec

_WAYS: Final[dict[str, ModuleType]] = {"pause": replay_pause, "lag": apply_delay, "divergence": divergence}


class Inconsistency(Looking):
    """Each way is a module of its own; what it has made may outlive the server, or end with it."""

    kind = "data.inconsistency"
    lease: LeaseKind = "watchdog"

    def look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        """A replica on which this can be done, and undone."""
        way = "lag" if fault.lag_s is not None else "pause" if fault.divergence is None else "divergence"
        return {"way": way, "pid": target.pid, "ticks": target.start_ticks, **_WAYS[way].look(fault, target)}

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which replica, and how it is. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        record = self.look(fault, target)
        if record["way"] == "divergence":
            divergence.refuse(target)
        return {**record, "name": context.mark}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Do it. Raises ``UnavailableError`` if it is not as it was any more."""
        return dict(_WAYS[record["way"]].make(record))

    def tells(self, record: Record) -> str:
        """How far behind, or how different, the replica is by now."""
        return str(_WAYS[record["way"]].tells(record))

    def active(self, record: Record) -> bool | None:
        """Whether the replica is so now."""
        way = _WAYS[record["way"]]
        try:
            return bool(way.shows(record))
        except UnavailableError:
            return None if way.OUTLIVES_THE_SERVER or process.alive(record["pid"], record["ticks"]) else False

    def revert(self, record: Record) -> None:
        """Let it be as it was. Raises ``UnavailableError`` if it cannot be asked and would not forget by itself."""
        way = _WAYS[record["way"]]
        if way.OUTLIVES_THE_SERVER or process.alive(record["pid"], record["ticks"]):
            way.undo(record)
