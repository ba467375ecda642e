"""When one trial's phases began and ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrialRecord:
    """One trial's bounds. All times are seconds on the monotonic clock since the run started.

    Observations between ``inject_started_s`` and ``injected_s``, and between ``revert_started_s`` and ``reverted_s``,
    belong to no phase: the fault was neither surely there nor surely gone.
    """

    trial: int
    baseline_start_s: float
    injected_s: float | None
    """When ``inject`` of the first action had returned; ``None``: nothing was ever injected."""
    reverted_s: float | None
    """When the last action was verified as reverted; ``None``: never."""
    end_s: float
    """When observing ended."""
    aborted: str = ""
    """Why the trial was cut short; empty if it was not."""
    inject_started_s: float | None = None
    """When the first ``inject`` was called; ``None``: the same as ``injected_s``."""
    revert_started_s: float | None = None
    """When the first ``revert`` was called; ``None``: the same as ``reverted_s``."""
    lost: bool = False
    """Whether a fault had gone before its time, nobody knows when: then nothing seen here speaks against the system."""
    struck: tuple[str, ...] = ()
    """Ids of the instances on which a fault was made."""

    @property
    def fault_begins_s(self) -> float:
        """From here on the system may have felt the fault; the baseline ends here."""
        if self.inject_started_s is not None:
            return self.inject_started_s
        return self.end_s if self.injected_s is None else self.injected_s

    @property
    def help_begins_s(self) -> float:
        """From here on the system had Murphy's help in getting well again; the fault phase ends here."""
        if self.revert_started_s is not None:
            return self.revert_started_s
        return self.end_s if self.reverted_s is None else self.reverted_s
