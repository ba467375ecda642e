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
_NOT_HERE: Final = "not here"
_seen: dict[str, dict[str, str]] = defaultdict(dict)


def saw(case: str, column: str, what: str = "yes") -> None:
    """Note what was seen of a case, in one column."""
    assert column in COLUMNS
    _seen[case][column] = what


def not_here(case: str, why: str) -> None:
    """Note why nothing is seen of a case on this machine."""
    _seen[case][_NOT_HERE] = why


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
    rows = [("fault", *COLUMNS)]
    absent = []
    for case, of in sorted(_seen.items()):
        if _NOT_HERE in of:
            absent.append(f"{case}  not here: {of[_NOT_HERE]}")
        else:
            rows.append((case, *(of.get(column, "-") for column in COLUMNS)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(part.ljust(width) for part, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return table + absent
