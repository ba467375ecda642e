"""Secrets that can be recognised wherever they turn up, in any spelling."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path


class Canaries:
    """Each has a name, so that what is found says where it got out."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def plant(self, name: str) -> str:
        """A new one. Letters and digits only, so that JSON, HTML and percent encodings spell it as it is."""
        return self.known.setdefault(name, f"Canary{secrets.token_hex(12)}")

    def found(self, content: bytes) -> set[str]:
        """Names of those that are in there."""
        return {name for name, canary in self.known.items() if any(form in content for form in _forms(canary))}

    def found_in(self, *roots: Path) -> dict[str, set[str]]:
        """Names of those in files, in their names, and where links lead, by path."""
        seen = {str(path): self.found(_content(path)) | self.found(bytes(path)) for path in _files(roots)}
        return {path: names for path, names in seen.items() if names}


def _forms(canary: str) -> Iterator[bytes]:
    plain = canary.encode()
    yield plain
    yield plain.lower()
    yield canary.encode("utf-16-le")
    yield plain.hex().encode()
    yield plain.hex().upper().encode()
    for shift in range(3):  # base64 spells the same bytes in three ways, by where they begin
        spelt = base64.b64encode(b"\0" * shift + plain)
        yield spelt[4 : len(spelt) - 4 - len(spelt) % 4]
        yield base64.urlsafe_b64encode(b"\0" * shift + plain)[4 : len(spelt) - 4]


def _files(roots: Iterable[Path]) -> Iterator[Path]:
    for root in roots:
        yield from (path for path in [root, *root.rglob("*")] if path.is_symlink() or path.is_file())


def _content(path: Path) -> bytes:
    return bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
