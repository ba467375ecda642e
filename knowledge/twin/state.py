"""What requests get, at every node and in every world: the unknowns that the twin solves for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knowledge.twin.arrays import Floats, Places


@dataclass
class State:
    """Shape (nodes, worlds). Of the requests to a node, those that are neither good nor silent fail at once."""

    good: Floats
    """Share that is answered well."""
    silent: Floats
    """Share that is never answered."""
    delay_ms: Floats
    """Every answer is so much later than usual."""
    slow_share: Floats
    """This share of the answers is later still …"""
    slow_ms: Floats
    """… by so much."""
    back_s: Floats
    """Seconds after the end of the fault until all is well; infinite: never."""

    @classmethod
    def well(cls, nodes: int, worlds: int) -> State:
        """Nothing is wrong anywhere."""
        zeros = [np.zeros((nodes, worlds)) for _ in range(5)]
        return cls(np.ones((nodes, worlds)), *zeros)

    def take(self, nodes: Places) -> State:
        """The rows of some nodes."""
        return State(*(each[nodes] for each in self.parts))

    def put(self, nodes: Places, rows: State) -> None:
        """Replace the rows of some nodes."""
        for mine, theirs in zip(self.parts, rows.parts, strict=True):
            mine[nodes] = theirs

    @property
    def parts(self) -> tuple[Floats, ...]:
        """The arrays, in their order."""
        return self.good, self.silent, self.delay_ms, self.slow_share, self.slow_ms, self.back_s


@dataclass
class Calls:
    """What calls come to, once the caller has done all it does about them. Shape (edges, worlds)."""

    failed: Floats
    """Share that failed, after all tries."""
    silent: Floats
    """Share that the caller waits for without end."""
    delay_ms: Floats
    slow_share: Floats
    slow_ms: Floats
    tries: Floats
    """Tries for each call, on average."""
    opened: Floats
    """Share of calls that an open breaker turned away."""
