"""What every fault spec shares."""

from __future__ import annotations

from typing import ClassVar, Literal

from executor.model.base import Contract

TargetKind = Literal["instances", "edge", "groups"]


class FaultSpec(Contract):
    """Parameters of one fault, nothing else. How it is made is in ``executor/faults/<layer>/<name>.py``."""

    target_kind: ClassVar[TargetKind]
    """Which kind of target it takes."""
    differs: ClassVar[str]
    """How it differs from the real failure it stands for."""
