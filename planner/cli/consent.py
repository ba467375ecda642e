"""A person's yes, without which nothing is signed."""

from __future__ import annotations

import sys

from executor.errors import SafetyRefusalError


def refuse_unattended(*, instead: str, given: bool, hint: str = "") -> None:
    """Raise ``SafetyRefusalError`` where nobody can be asked, unless the options that stand for a yes were given."""
    if not given and not sys.stdin.isatty():
        raise SafetyRefusalError(
            "person at the terminal",
            measured="there is no terminal to ask a person on",
            limit=f"a person's yes, or {instead}",
            hint=hint or f"Run it in a terminal, or give {instead}.",
        )
