"""Numbers and words as people write them. Standard library only."""

from __future__ import annotations


def number(value: float) -> str:
    """A number as people write it: at most two decimals, none where they say nothing."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """A share, 0–1, in whole per cent: ``12 %``."""
    return f"{share * 100:.0f} %"


def duration(seconds: float) -> str:
    """``350 ms``, ``3.5 s`` or ``2 min 5 s``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{number(round(seconds, 1))} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def named(value: str) -> str:
    """A vocabulary word for people: ``hard_dependency`` becomes ``hard dependency``."""
    return value.replace("_", " ")


def unit(of: str) -> str:
    """A figure's unit as it stands behind the number: nothing for a ratio or a count."""
    return {"ratio": "", "count": "", "per_s": "/s", "s_per_trial": "s a trial"}.get(of, of)


def many(count: int, what: str) -> str:
    """``1 fault``, ``2 faults``."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def many_are(count: int, what: str) -> str:
    """``1 fault is``, ``2 faults are``."""
    return f"{many(count, what)} {'is' if count == 1 else 'are'}"


def share(probability: float, what: str) -> str:
    """``every request`` or ``15 % of the requests``."""
    return f"every {what}" if probability >= 1 else f"{number(probability * 100)} % of the {what}s"
