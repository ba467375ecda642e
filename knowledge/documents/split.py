"""Documents split into passages: by headings first, then by size, each with the end of the one before it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from knowledge.documents.document import Document, Passage, Section

VERSION = 1
"""Raise it whenever the same document would be split otherwise: its passages are then indexed anew."""
LONGEST = 1200
"""Characters of a passage at most, its overlap included: some 200 words, a screenful."""
OVERLAP = 200
"""So many characters of the passage before are said again at most, in whole sentences or lines."""
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|\n+")


def split(document: Document) -> tuple[Passage, ...]:
    """The passages, in the document's order. Equal documents give equal passages."""
    mark = f"{document.source}\n{document.digest}\n{VERSION}"
    name = hashlib.sha256(mark.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    counted = document.kind != "html"  # whose lines are not those of its text
    pieces = ((section, *piece) for section in document.sections for piece in _pieces(section, counted=counted))
    return tuple(
        Passage(
            id=f"{name}/{number}",
            source=document.source,
            title=document.title,
            digest=document.digest,
            heading=section.heading,
            text=text,
            line=line,
            page=section.page,
        )
        for number, (section, text, line) in enumerate(pieces)
    )


def _pieces(section: Section, *, counted: bool) -> Iterator[tuple[str, int | None]]:
    """(text, line that it begins at) of each passage of a section."""
    held, begins, again = "", 0, ""
    for unit, at in _units(section.text):
        if held and len(again) + len(held) + len(unit) > LONGEST:
            yield f"{again}{held}".strip(), _line(section, held, begins if counted else None)
            again, held = _end(held), ""
        if not held:
            begins = at
        held += unit
    if held.strip():
        yield f"{again}{held}".strip(), _line(section, held, begins if counted else None)


def _line(section: Section, held: str, begins: int | None) -> int | None:
    if section.line is None or begins is None:
        return section.line
    return section.line + section.text.count("\n", 0, begins + len(held) - len(held.lstrip()))


def _units(text: str) -> Iterator[tuple[str, int]]:
    """Whole paragraphs, sentences, words, or, of what has none of them, as much as fits; each with its place."""
    at = 0
    for paragraph in _cut(text, re.compile(r"\n[ \t]*\n\s*")):
        for unit in [paragraph] if len(paragraph) <= LONGEST // 2 else _sentences(paragraph):
            yield unit, at
            at += len(unit)


def _sentences(paragraph: str) -> Iterator[str]:
    for sentence in _cut(paragraph, _SENTENCE):
        if len(sentence) <= LONGEST // 2:
            yield sentence
            continue
        for word in _cut(sentence, re.compile(r"\s+")):
            for start in range(0, len(word), LONGEST // 2):
                yield word[start : start + LONGEST // 2]


def _cut(text: str, between: re.Pattern[str]) -> Iterator[str]:
    """Text in pieces that together are the text: what is between two stays at the end of the first."""
    start = 0
    for found in between.finditer(text):
        yield text[start : found.end()]
        start = found.end()
    if start < len(text):
        yield text[start:]


def _end(text: str) -> str:
    """The last whole sentences of a passage, as far as they are short enough; a space for what joins them."""
    kept = ""
    for sentence in reversed(list(_cut(text, _SENTENCE))):
        if len(sentence) + len(kept) > OVERLAP:
            break
        kept = sentence + kept
    return kept
