"""infrastructure.fis: Amazon's own service strikes an instance, and ends that by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from executor import extras
from executor.drivers.aws import ec2, fis
from executor.drivers.targets import Ec2Target, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import Fis as Spec


class Fis:
    """One template and one experiment for each injection; both bear its mark, and the template goes with it."""

    kind = "infrastructure.fis"
    lease: LeaseKind = "server"
    needs = Ec2Target

    def lacking(self) -> str | None:
        """Amazon's client."""
        return extras.lacking("aws")

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """A role must be named, FIS must be there, and an instance that is to be stopped must come back as it was."""
        assert isinstance(target, Ec2Target)
        if not target.fis_role:
            return f"no role is named for FIS; name one as fis_role of {target.instance} in system.yaml."
        if fault.does == "stop" and (reason := ec2.DRIVER.unendable(target)):
            return reason
        try:
            return fis.impossible(ec2.place(target), self._template(fault, target, "murphy"))
        except UnavailableError as error:
            return str(error)

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what FIS will be asked for. Raises ``UnavailableError`` if the instance is gone."""
        assert isinstance(target, Ec2Target)
        wanted = self._template(fault, target, context.mark)
        return {**ec2.place(target), "mark": context.mark, "does": fault.does, "template": wanted}

    def _template(self, fault: Spec, target: Ec2Target, mark: str) -> dict[str, Any]:
        arn = ec2.arn(ec2.place(target))
        return fis.template(fault.model_dump(), arn, target.fis_role, mark)

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the template says how long
        """Start the experiment. Raises ``UnavailableError`` with FIS's reason if it fails."""
        return fis.start(record)

    def active(self, record: Record) -> bool | None:
        """Whether the experiment is under way, or an instance that it has stopped is not running yet."""
        try:
            if fis.running(record):
                return True
        except UnavailableError:
            return None
        return ec2.DRIVER.down(record) if record["does"] == "stop" else False

    def revert(self, record: Record) -> None:
        """Stop it; FIS starts what it has stopped, and else we do."""
        fis.end(record)
        if record["does"] == "stop":
            ec2.DRIVER.start(record)
