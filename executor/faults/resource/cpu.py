"""resource.cpu: helpers burn processor time on the cores that the process may use, in its cgroup if that is its own."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.kernel import cgroup, child, consumed, process
from executor.model.vocabulary import Scope
from executor.model.wording import many

if TYPE_CHECKING:
    from executor.model.faults.resource import Cpu as Spec

PERIOD_S = 0.1


class Cpu(held.Held):
    """One helper a core; each works for its share of every period and sleeps for the rest."""

    kind = "resource.cpu"
    lease: LeaseKind = "parent_death"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """More cores than the process may use cannot be burnt beside it."""
        assert isinstance(target, ProcessTarget)
        allowed = len(_cores(target))
        if fault.cores > allowed:
            return f"{target.instance} may use {allowed} cores, and {fault.cores} are to be burnt; ask for fewer."
        return None

    def reaches(self, fault: Spec, target: Resolved) -> tuple[Scope, ...]:  # noqa: ARG002 - the protocol's
        """The machine, unless the helper goes into a cgroup of the process's own, which has a limit."""
        assert isinstance(target, ProcessTarget)
        bounded = cgroup.own_and_limited("cpu", target.pid, target.start_ticks)
        return (Scope.TARGET,) if bounded else (Scope.MACHINE,)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record which cores, and how much of each. Raises ``UnavailableError`` if the process is gone."""
        assert isinstance(target, ProcessTarget)
        cores = _cores(target)[: fault.cores]
        if not cores:
            raise UnavailableError(f"process {target.pid} is gone.", where=target.instance)
        place = cgroup.own_place("cpu", target.pid, target.start_ticks)
        return {"cores": cores, "share": fault.load_percent / 100, "cgroup": place, **held.record(context)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helpers. Raises ``UnavailableError`` if one cannot begin; the others run then until ``revert``."""
        learned: dict[str, Any] = {}
        for core in record["cores"]:
            given = [str(core), str(record["share"]), record.get("cgroup", "")]
            learned = held.start("executor.faults.resource.cpu", given, {**record, **learned}, lease_s)
        return learned

    def tells(self, record: Record) -> str:
        """How busy the helpers have been, which a busy machine or a quota may keep below what was asked."""
        asked = f"{100 * record['share']:g} % of {many(len(record['cores']), 'core')} asked"
        used = [100 * consumed.cores(pid, ticks) for pid, ticks in record.get("helpers", ())]
        return f"{asked}, {' and '.join(f'{each:.0f} %' for each in used)} used" if used else ""


def _cores(target: ProcessTarget) -> list[int]:
    """The cores that the very process may use; none if it is gone."""
    try:
        cores = sorted(os.sched_getaffinity(target.pid))
    except ProcessLookupError:
        return []
    return cores if process.alive(target.pid, target.start_ticks) else []


def main() -> None:
    """The helper: burn a share of one core."""
    lease, (core, share, *places) = child.lease(sys.argv[1:])
    for place in filter(None, places):
        cgroup.enter(Path(place), os.getpid())
    with suppress(OSError):  # the core may have been taken away since; then any other is burnt
        os.sched_setaffinity(0, {int(core)})
    busy_s = PERIOD_S * float(share)
    child.ready()
    while True:
        until = time.monotonic() + busy_s
        while time.monotonic() < until:
            pass
        if not lease.wait(max(0.001, PERIOD_S - busy_s)):
            return


if __name__ == "__main__":
    main()
