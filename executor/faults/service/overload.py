"""service.overload: a helper sends the instance requests, at a rate and a number under way that are capped.

With a search, it looks for the largest rate that the instance carries, and writes down what it sees.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers import local
from executor.drivers.targets import ProcessTarget, Resolved
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record

if TYPE_CHECKING:
    from executor.model.faults.service import Overload as Spec


class Overload(held.Held):
    """The same request at a steady rate, whatever the answers; no more under way at once than asked."""

    kind = "service.overload"
    lease: LeaseKind = "parent_death"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:  # noqa: ARG002 - the protocol's
        """A port is needed."""
        assert isinstance(target, ProcessTarget)
        if target.port is None:
            return f"{target.instance} listens on no known port; name it in system.yaml."
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record where and how much. Raises ``UnavailableError`` if the very process does not listen there."""
        assert isinstance(target, ProcessTarget)
        load = fault.model_dump(mode="json", exclude={"kind"})
        record = {"address": local.address(target), "port": target.port, "load": load, **held.record(context)}
        if fault.search is None:
            return record
        out = Path(context.scratch) / f"{context.mark}.jsonl"
        return {**record, "pid": target.pid, "ticks": target.start_ticks, "steps": str(out)}

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Start the helper."""
        if steps := self.keeps(record):
            arguments = [
                steps,
                json.dumps({name: record[name] for name in ("address", "port", "load", "pid", "ticks")}),
            ]
            return held.start("executor.faults.service.search", arguments, record, lease_s)
        arguments = [record["address"], str(record["port"]), json.dumps(record["load"])]
        return held.start("executor.faults.service.traffic", arguments, record, lease_s)

    def keeps(self, record: Record) -> str | None:
        """The file in which a search writes down what it sees."""
        return record.get("steps")

    def done(self, record: Record) -> bool | None:
        """Whether a search has come to its end."""
        steps = self.keeps(record)
        if steps is None:
            return None
        try:
            with Path(steps).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
                return b'{"ended"' in file.read()
        except OSError:
            return False
