"""What faults share that live in helper processes of ours: start one, look whether any lives, renew, end them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from executor.errors import FaultGoneError
from executor.faults.behaviour import Context, Record
from executor.kernel import child, process


def record(context: Context) -> dict[str, Any]:
    """The part of a record that names the helpers' deadline file, by which they are found too."""
    return {"deadline": str(Path(context.scratch) / f"{context.mark}{child.SUFFIX}")}


def start(module: str, arguments: list[str], kept: Record, lease_s: float, *, ready_s: float = 10.0) -> dict[str, Any]:
    """Start a helper running ``module``, and return what is to be recorded of it: which process it is.

    Raises ``UnavailableError`` if it is not ready within ``ready_s`` seconds.
    """
    helper = child.spawn(module, arguments, Path(kept["deadline"]), lease_s, ready_s=ready_s)
    return {"helpers": [*kept.get("helpers", ()), [helper.pid, helper.start_ticks]]}


def alive(kept: Record) -> bool:
    """Whether a helper lives."""
    return bool(child.living(Path(kept["deadline"])))


def whole(kept: Record) -> bool:
    """Whether every helper that was recorded lives.

    Only they are asked, not all processes of the machine: with many faults that is done several times a second.
    """
    return all(process.alive(pid, ticks) for pid, ticks in kept["helpers"]) if "helpers" in kept else alive(kept)


def lost(kept: Record) -> bool:
    """Whether a helper that was recorded is gone."""
    return "helpers" in kept and not whole(kept)


def renew(kept: Record, lease_s: float) -> None:
    """Push the helpers' deadline on."""
    child.extend(Path(kept["deadline"]), lease_s)


def end(kept: Record, *, grace_s: float = child.GRACE_S) -> None:
    """End the helpers, those too that were started and never recorded. Idempotent."""
    child.end(Path(kept["deadline"]), grace_s=grace_s)


class Held:
    """The half of a behaviour that is the same for every fault that is a helper at work, and gone with it."""

    unclaimed = True

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the helpers' deadline on.

        Raises ``FaultGoneError`` where one is gone that its target outlives; the others are renewed.
        """
        renew(record, lease_s)
        if not whole(record) and not self.ended(record):
            raise FaultGoneError("a helper that carried the fault is gone.")

    def ended(self, record: Record) -> bool:  # noqa: ARG002 - for helpers that end with their target
        """Whether a helper may be gone because its target is, which the run's last look at the fault judges."""
        return False

    def active(self, record: Record) -> bool | None:
        """Whether a helper is at work."""
        return alive(record)

    def revert(self, record: Record) -> None:
        """End the helpers; what they hold goes with them."""
        end(record)
