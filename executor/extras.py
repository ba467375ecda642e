"""Libraries that only some faults need: whether they are here, and what to do where not. Standard library only."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

_LIBRARIES: Final = {
    "aws": ("boto3", "boto3"),
    "docker": ("docker", "Docker's SDK"),
    "kubernetes": ("kubernetes", "the Kubernetes client"),
    "nats": ("nats", "nats-py"),
}
"""By the extra of Murphy's package that brings them: the name to import, and what it is called."""


def lacking(extra: str) -> str | None:
    """That the library of an extra is not installed, in one sentence with what to do about it; ``None`` if it is.

    It is looked for and not loaded, which takes some of them a second.
    """
    return absent(extra) if find_spec(_LIBRARIES[extra][0]) is None else None


def absent(extra: str) -> str:
    """The sentence for a library that is not there."""
    return f"{_LIBRARIES[extra][1]} is not installed; pip install 'murphy-chaos[{extra}]'."
