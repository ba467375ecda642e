"""What this machine can and cannot do, why, and what would change that. Looks; changes nothing."""

from __future__ import annotations

from planner.doctor import leases, machine, means, providers
from planner.doctor.diagnosis import Diagnosis


def examine() -> list[Diagnosis]:
    """Look at everything, in the order in which a person would mend it."""
    return [look() for look in (*machine.LOOKS, *means.LOOKS, *leases.LOOKS, *providers.LOOKS)]
