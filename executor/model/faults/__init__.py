"""The fault catalogue as people and experts read it: parameters with bounds, one class a fault, one file a layer.

Others add to it through the entry points of ``executor.model.faults.plugins``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Union

from pydantic import Field

from executor.model.faults import data, infrastructure, network, resource, service
from executor.model.faults.base import FaultSpec, TargetKind
from executor.model.faults.plugins import specs

SPECS: Final[tuple[type[FaultSpec], ...]] = (
    *service.SPECS,
    *network.SPECS,
    *resource.SPECS,
    *data.SPECS,
    *infrastructure.SPECS,
    *specs(),
)

if TYPE_CHECKING:
    Fault = FaultSpec
else:
    Fault = Annotated[Union[SPECS], Field(discriminator="kind")]  # noqa: UP007 - of as many as there are
"""Any fault, told apart by ``kind``."""

__all__ = ["SPECS", "Fault", "FaultSpec", "TargetKind"]
