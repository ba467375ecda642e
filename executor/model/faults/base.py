"""What every fault spec shares."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from executor.model.base import Contract

TargetKind = Literal["instances", "edge", "groups"]


class FaultSpec(Contract):
    """Parameters of one fault, nothing else. How it is made is in ``executor/faults/<layer>/<name>.py``."""

    target_kind: ClassVar[TargetKind]
    """Which kind of target it takes."""
    differs: ClassVar[str]
    """How it differs from the real failure it stands for."""
    strength: ClassVar[tuple[str, ...]] = ()
    """Parameters that say how strong it is, and that a ramp raises together; none: it is there or it is not."""

    def at(self, share: float) -> Self | None:
        """The same fault at a share of its strength, above 0 and at most 1; ``None`` if it has no strength to raise."""
        if not self.strength:
            return None
        return self._with(**{name: self._part(name, share) for name in self.strength})

    def _with(self, **fields: Any) -> Self:
        return type(self)(**{**dict(self), **fields})

    def _part(self, name: str, share: float) -> float:
        """A share of one parameter, of its own type, and no less than is allowed at all."""
        whole: float = getattr(self, name)
        bounds = [least for each in type(self).model_fields[name].metadata if (least := getattr(each, "ge", None))]
        return max(*bounds, type(whole)(whole * share)) if bounds else type(whole)(whole * share)
