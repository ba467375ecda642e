"""Beliefs: how likely each weakness is at each place, and the grounds for it. Arithmetic only; runs nothing."""

from knowledge.beliefs.belief import SHOWN_MIN, Belief, Key
from knowledge.beliefs.prior import NEIGHBOUR_MIN
from knowledge.beliefs.update import beliefs_for, believe, tested_types

__all__ = ["NEIGHBOUR_MIN", "SHOWN_MIN", "Belief", "Key", "beliefs_for", "believe", "tested_types"]
