"""What the contract suite saw of each fault, printed at the end of the test run."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

COLUMNS: Final = (
    "injected",
    "observed",
    "measured size",
    "reverted",
    "host equal",
    "bystander unharmed",
    "lease",
    "crash-reverted",
)
_seen: dict[str, dict[str, str]] = defaultdict(dict)


def saw(case: str, column: str, what: str = "yes") -> None:
    """Note what was seen of a case, in one column."""
    assert column in COLUMNS
    _seen[case][column] = what


def seen() -> dict[str, dict[str, str]]:
    """All that was noted in this process, by case and column."""
    return dict(_seen)


def merge(others: dict[str, dict[str, str]]) -> None:
    """Add what was noted in another process."""
    for case, columns in others.items():
        _seen[case] |= columns


def lines() -> list[str]:
    """The table, if anything was seen."""
    if not _seen:
        return []
    rows = [("fault", *COLUMNS), *((case, *(of.get(c, "-") for c in COLUMNS)) for case, of in sorted(_seen.items()))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip() for row in rows]
