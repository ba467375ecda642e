"""infrastructure.load_balancer: a balancer sends its requests elsewhere than it should, or nowhere."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.targets import ProcessTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.infrastructure import balancer_caddy, balancer_haproxy, balancer_nginx
from executor.kernel import process
from executor.servers.served import NobodyError

if TYPE_CHECKING:
    from executor.model.faults.infrastructure import LoadBalancer as Spec

_KNOWN: Final[dict[str, ModuleType]] = {
    "haproxy": balancer_haproxy,
    "caddy": balancer_caddy,
    "nginx": balancer_nginx,
}


class LoadBalancer:
    """The balancer is told so itself, where system.yaml says that it takes orders; how: ``balancer_*.py``.

    What is put back is only what still is as it was set: a balancer that was started anew without the fault, or that
    its operator has set since, is left as it is.
    """

    kind = "infrastructure.load_balancer"
    lease: LeaseKind = "watchdog"

    def unsupported(self, fault: Spec, target: Resolved) -> str | None:
        """A balancer of a known make that takes orders where its service says, with such members."""
        assert isinstance(target, ProcessTarget)
        try:
            self._look(fault, target)
        except UnavailableError as error:
            return str(error)
        return None

    def prepare(self, fault: Spec, target: Resolved, context: Context) -> dict[str, Any]:
        """Record how what is to be changed is now. Raises ``UnavailableError`` as ``unsupported`` says."""
        assert isinstance(target, ProcessTarget)
        process.require(target.pid, target.start_ticks)
        record = self._look(fault, target)
        return record | dict(_make(record).prepare(record, target, context))

    def _look(self, fault: Spec, target: ProcessTarget) -> dict[str, Any]:
        service = target.service
        if service.control is None:
            raise UnavailableError("takes orders nowhere; say where (control) in system.yaml.", where=service.name)
        server = {"technology": service.technology, "pid": target.pid, "ticks": target.start_ticks}
        record = {**server, "control": service.control}
        return record | dict(_make(record).look(fault, target, service.control))

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Tell the balancer. Raises ``UnavailableError`` if it is gone, changed meanwhile, or does not do it."""
        process.require(record["pid"], record["ticks"])
        _make(record).put(record)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether the balancer says, or its file does, that it is as it was told to be."""
        try:
            shown: bool | None = _make(record).shows(record)
        except NobodyError:
            return None if _may_come_back(record) else False
        except UnavailableError:
            return None
        return shown

    def revert(self, record: Record) -> None:
        """Tell it how it was. Raises ``UnavailableError`` if it cannot be told and may still have the fault."""
        try:
            _make(record).put_back(record)
        except NobodyError:
            if _may_come_back(record):
                raise


def _may_come_back(record: Record) -> bool:
    """Whether a balancer that does not answer has the fault, or will have it when it is started again."""
    outlives = _make(record).OUTLIVES_THE_PROCESS and record.get("resumes", True)
    return outlives or process.alive(record["pid"], record["ticks"])


def _make(record: Record) -> ModuleType:
    """The module that knows this balancer. Raises ``UnavailableError`` if none does."""
    technology = record["technology"]
    if technology not in _KNOWN:
        raise UnavailableError(f"{technology or 'its technology'} is not known here; {', '.join(_KNOWN)} are.")
    return _KNOWN[technology]
