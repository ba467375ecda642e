"""The fault catalogue as people and experts read it: parameters with bounds, one class a fault, one file a layer.

Others add to it: see ``executor.plugins``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Union

from pydantic import Field

from executor.model.faults import data, infrastructure, kubernetes, network, resource, service
from executor.model.faults.base import FaultSpec, TargetKind
from executor.plugins import added, unfit


def _added() -> tuple[type[FaultSpec], ...]:
    """Raises ``InputError`` for what is no class of parameters of the kind that it is called."""
    found = added("fault_specs")
    for name, spec in found.items():
        if not (isinstance(spec, type) and issubclass(spec, FaultSpec) and spec.named() == name):
            raise unfit(name, "FaultSpec")
        if not getattr(spec, "scope", ()):
            raise unfit(name, "FaultSpec with a scope (how far it reaches)")
    return tuple(found.values())


SPECS: Final[tuple[type[FaultSpec], ...]] = (
    *service.SPECS,
    *network.SPECS,
    *resource.SPECS,
    *data.SPECS,
    *infrastructure.SPECS,
    *kubernetes.SPECS,
    *_added(),
)

if TYPE_CHECKING:
    Fault = FaultSpec
else:
    Fault = Annotated[Union[SPECS], Field(discriminator="kind")]  # noqa: UP007 - of as many as there are
"""Any fault, told apart by ``kind``."""

__all__ = ["SPECS", "Fault", "FaultSpec", "TargetKind"]
