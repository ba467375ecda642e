"""Who sits on the council, and who answers for each of them."""

from __future__ import annotations

from collections.abc import Callable

from experts.expert import Expert
from experts.models.offline import OfflineExpert
from experts.playbook import COUNCIL


def council(answerer: Callable[[str], Expert] = OfflineExpert) -> tuple[Expert, ...]:
    """Every expert of the council, in the order in which they are heard; ``answerer`` makes one from its name."""
    return tuple(answerer(name) for name in COUNCIL)


def from_environment(experts: str | None = None) -> tuple[Expert, ...]:
    """The council as configured."""
    del experts
    return council()
