"""What every fault spec shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from executor.model.base import Contract
from executor.model.vocabulary import FaultType, Scope

if TYPE_CHECKING:
    from executor.model.system import Service

TargetKind = Literal["instances", "edge", "groups"]
SLOW_MS = 1000.0
"""A delay from here on is ``slow``: longer than most time-outs that are set with care; below it is ``sluggish``."""

BY_REDIRECT = (
    " By redirect, the connections that the caller has open are reset once at the start, and closed at the end, "
    "whatever the fault: a pool that does not connect anew is seen to fail by that alone."
)
"""What all faults on edges share, where no managed proxy is on the edge."""


class FaultSpec(Contract):
    """Parameters of one fault, nothing else. How it is made is in ``executor/faults/<layer>/<name>.py``."""

    target_kind: ClassVar[TargetKind]
    """Which kind of target it takes."""
    scope: ClassVar[tuple[Scope, ...]]
    """How far it reaches at most; ``reaches`` says so where the parameters decide."""
    differs: ClassVar[str]
    """How it differs from the real failure it stands for."""
    strength: ClassVar[tuple[str, ...]] = ()
    """Parameters that say how strong it is, and that a ramp raises together; none: it is there or it is not."""
    look: ClassVar[FaultType]
    """What it looks like to those who meet it; ``looks`` says so where the parameters decide."""
    usual: ClassVar[dict[str, Any]] = {}
    """Values that one would choose for the parameters without a default."""

    lacks: ClassVar[str] = ""
    """What a service lacks to which ``typical`` has nothing to offer, and what to do about it."""

    if TYPE_CHECKING:
        kind: str
        """``layer.name``; each class gives its own as a literal."""

    @classmethod
    def named(cls) -> str:
        """The kind that the class stands for."""
        return str(cls.model_fields["kind"].default)

    @classmethod
    def typical(cls, service: Service) -> Self | None:  # noqa: ARG003 - for those who look at it
        """The fault with parameters as one would choose them there; ``None`` if the service lacks what it needs."""
        return cls(**cls.usual)

    def looks(self) -> FaultType:
        """What it looks like to those who meet it."""
        return self.look

    def reaches(self) -> tuple[Scope, ...]:
        """How far it reaches: whatever shares that with its target counts as struck."""
        return self.scope

    def leaves(self) -> str:
        """What it may leave behind that nobody undoes, in words; empty: nothing. Only a person chooses such a fault."""
        return ""

    def words(self) -> str:
        """What is done, in plain words and without its target: ``delay each request by 2.5 s``."""
        raise NotImplementedError

    def at(self, share: float) -> Self | None:
        """The same fault at a share of its strength, above 0 and at most 1; ``None`` if it has no strength to raise."""
        if not self.strength:
            return None
        return self._with(**{name: self._part(name, share) for name in self.strength})

    def _with(self, **fields: Any) -> Self:
        return type(self)(**{name: getattr(self, name) for name in type(self).model_fields} | fields)

    def _part(self, name: str, share: float) -> float:
        """A share of one parameter, of its own type, and no less than is allowed at all."""
        whole: float = getattr(self, name)
        bounds = [least for each in type(self).model_fields[name].metadata if (least := getattr(each, "ge", None))]
        return max(*bounds, type(whole)(whole * share)) if bounds else type(whole)(whole * share)


def delayed(delay_ms: float) -> FaultType:
    """What a delay looks like."""
    return FaultType.SLOW if delay_ms >= SLOW_MS else FaultType.SLUGGISH
