"""infrastructure.fis: Amazon's own service strikes an instance, and ends that by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from executor import extras
from executor.drivers.aws import ec2, fis
from executor.drivers.targets import Ec2Target, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import Fis as Spec


_FIT: Final = {"stop": ec2.DRIVER.unendable, "terminate": ec2.DRIVER.irreplaceable}
"""What has to be fit for that."""


class Fis:
    """One template and one experiment for each injection; both bear its mark, and the template goes with it."""

    kind = "infrastructure.fis"
    lease: LeaseKind = "server"
    needs = Ec2Target

    def lacking(self) -> str | None:
        """Amazon's client."""
        return extras.lacking("aws")

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """A role must be named, FIS must be there, and what is to be stopped come back as it was, or be replaced."""
        assert isinstance(target, Ec2Target)
        if not target.fis_role:
            return f"no role is named for FIS; name one as fis_role of {target.instance} in system.yaml."
        if fault.does in _FIT and (reason := _FIT[fault.does](target)):
            return reason
        try:
            return fis.impossible(ec2.place(target), self._template(fault, target, "murphy"))
        except UnavailableError as error:
            return str(error)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what FIS will be asked for. Raises ``UnavailableError`` if the instance is gone."""
        assert isinstance(target, Ec2Target)
        wanted = self._template(fault, target, context.mark)
        kept = ec2.DRIVER.terminating(target) if fault.does == "terminate" else ec2.place(target)
        return {**kept, "mark": context.mark, "does": fault.does, "template": wanted}

    def _template(self, fault: Spec, target: Ec2Target, mark: str) -> dict[str, Any]:
        arn = ec2.arn(ec2.place(target))
        return fis.template(fault.model_dump(), arn, target.fis_role, mark)

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the template says how long
        """Start the experiment. Raises ``UnavailableError`` with FIS's reason if it fails."""
        return fis.start(record)

    def active(self, record: Record) -> bool | None:
        """Whether the experiment is under way, or what it has stopped is not running, or not replaced, yet."""
        try:
            if fis.running(record):
                return True
        except UnavailableError:
            return None
        if record["does"] == "terminate":
            return ec2.DRIVER.unreplaced(record)
        return ec2.DRIVER.down(record) if record["does"] == "stop" else False

    def struck(self, record: Record) -> bool:
        """Whether it was done: an instance that was terminated may be replaced already."""
        ended = ec2.DRIVER.ended(record) if record["does"] == "terminate" else self.active(record)
        return ended is not False

    def lasts(self, record: Record) -> bool:
        """All the rest stays until FIS or we end it."""
        return bool(record["does"] != "terminate")

    def revert(self, record: Record) -> None:
        """Stop it; FIS starts what it has stopped, and else we do. What it has terminated its group replaces."""
        fis.end(record)
        if record["does"] == "stop":
            ec2.DRIVER.start(record)
        elif record["does"] == "terminate":
            ec2.DRIVER.await_replaced(record)
