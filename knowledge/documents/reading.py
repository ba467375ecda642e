"""A file into a document: what kind it is, what it says, without what looks like a secret."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from executor.errors import InputError, plain
from executor.secrets import open_key, redacted
from executor.state.reading import read
from knowledge.documents.document import Document, Kind, Section, digest_of
from knowledge.documents.markup import html_sections
from knowledge.documents.pdf import pdf_sections
from knowledge.documents.plain import markdown_sections, text_sections

BYTES_MAX: Final = 32 * 2**20
"""Of a PDF, whose text is a small part of it."""
CHARACTERS_MAX: Final = 2_000_000
"""Of text: a thousand pages. More is an archive or a log, and would drown everything else."""
_MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_HTML = frozenset({".html", ".htm", ".xhtml"})
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_READERS: dict[Kind, Callable[[str], tuple[str, tuple[Section, ...]]]] = {
    "markdown": markdown_sections,
    "html": html_sections,
    "text": text_sections,
}


def read_document(path: Path, *, now: datetime | None = None) -> Document:
    """The file as a document. Raises ``InputError`` for what is no document, and says why; nothing is changed."""
    where = plain(str(path))
    if path.is_dir():
        raise InputError(
            "is a directory.", where=where, hint=f"Name its files: {where.rstrip('/')}/*.md, for instance."
        )
    try:
        content = read(path, most=BYTES_MAX)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}.", where=where) from None
    kind, (title, sections) = _read(content, path.suffix.lower(), where)
    sections = _without_secrets(sections)
    if not sections:
        raise InputError("holds no text.", where=where)
    return Document(
        source=plain(str(path.resolve())),
        digest=digest_of(content),
        kind=kind,
        title=redacted(title) or path.name,
        learned=now or datetime.now(UTC),
        size=len(content),
        sections=sections,
    )


def _read(content: bytes, suffix: str, where: str) -> tuple[Kind, tuple[str, tuple[Section, ...]]]:
    if not content.strip():
        raise InputError("is empty.", where=where)
    if content[:1024].lstrip().startswith(b"%PDF-") or suffix == ".pdf":
        return "pdf", _bounded(pdf_sections(content, where), where)
    text = _decoded(content, where)
    begin = text[:200].lstrip().lower()
    if suffix in _MARKDOWN:
        kind: Kind = "markdown"
    elif suffix in _HTML or begin.startswith(("<!doctype html", "<html")):
        kind = "html"
    else:
        kind = "text"
    _bounded(("", (Section((), text),)), where)
    return kind, _READERS[kind](text)


def _decoded(content: bytes, where: str) -> str:
    encoding = next((name for mark, name in _BOMS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        text = "\0"
    if any(c < " " and c not in "\t\n\r\f\x1b" for c in text):
        raise InputError(
            "is no text in UTF-8, and no PDF.",
            where=where,
            hint="Murphy learns Markdown, text, HTML and PDF; another encoding must be converted, as by iconv.",
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _bounded(read: tuple[str, tuple[Section, ...]], where: str) -> tuple[str, tuple[Section, ...]]:
    count = sum(len(section.text) for section in read[1])
    if count > CHARACTERS_MAX:
        raise InputError(
            f"has {count:,} characters of text, and the limit is {CHARACTERS_MAX:,}.", where=where, hint="Split it."
        )
    return read


def _without_secrets(sections: tuple[Section, ...]) -> tuple[Section, ...]:
    cleared, begun = [], ""
    for each in sections:
        text = f"{begun}{each.text}"  # a key that began a page before goes on here
        cleared.append(Section(tuple(map(redacted, each.heading)), redacted(text), each.line, each.page))
        begun = open_key(text)
    return tuple(section for section in cleared if section.text.strip())
