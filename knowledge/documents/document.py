"""What a document is once it was read, and the passages that it is split into."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Kind = Literal["markdown", "text", "html", "pdf"]


@dataclass(frozen=True)
class Section:
    """Text under one heading, or one page's."""

    heading: tuple[str, ...]
    """From the document's outermost heading to this one's; empty: before the first."""
    text: str
    """Paragraphs with an empty line between them."""
    line: int | None = None
    """Of the file, from 1 on, where the text begins; ``None``: a PDF."""
    page: int | None = None
    """From 1 on; ``None``: no PDF."""


@dataclass(frozen=True)
class Document:
    """A document as it is kept: what it says, with secrets taken out, and where it is from."""

    source: str
    """Absolute path of the file."""
    digest: str
    """``sha256:…`` of the file's bytes."""
    kind: Kind
    title: str
    learned: datetime
    size: int
    """Bytes of the file."""
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Passage:
    """A piece of a document that can be found and quoted by itself."""

    id: str
    """Another one for another document, another content of it, and another way of splitting."""
    source: str
    title: str
    digest: str
    heading: tuple[str, ...]
    text: str
    line: int | None
    page: int | None

    @property
    def reference(self) -> str:
        """Where to look it up: file and line, or page."""
        at = f":{self.line}" if self.line else f", page {self.page}" if self.page else ""
        return f"{self.source}{at}"

    def document(self) -> str:
        """The text that is embedded and searched: what it stands under, then what it says."""
        return "\n".join(dict.fromkeys((self.title, *self.heading, self.text)))


def digest_of(content: bytes) -> str:
    """Of a file's bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
