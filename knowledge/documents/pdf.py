"""PDF into sections, one a page, by pypdf in a process of its own: a broken or hostile file costs that process only."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from typing import Any, Final

from executor.errors import InputError
from knowledge.documents.document import Section

SECONDS_MAX: Final = 60
"""Of the processor, and of waiting twice that."""
MEMORY_MAX: Final = 2 * 2**30
"""Bytes of address space."""
PAGES_MAX: Final = 2000
_HINT = "Export it once more, or save it as text."


def pdf_sections(content: bytes, where: str) -> tuple[str, tuple[Section, ...]]:
    """Title (of the metadata, else the first line) and the text of each page that has some.

    Raises ``InputError`` for one that is broken, encrypted, without text (scanned), or takes too long.
    """
    command = [sys.executable, "-m", "knowledge.documents.pdf"]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=2 * SECONDS_MAX, check=False)
        told = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        raise InputError("the PDF takes too long to read.", where=where, hint=_HINT) from None
    except ValueError:  # killed by its limits, or by a fault of the library's
        raise InputError("the PDF cannot be read: it takes too much to.", where=where, hint=_HINT) from None
    if why := told.get("why"):
        raise InputError(f"the PDF cannot be read: {why}.", where=where, hint=told.get("hint") or _HINT)
    sections = tuple(
        Section((), text.strip("\n"), page=number) for number, text in enumerate(told["pages"], start=1) if text.strip()
    )
    if not sections:
        raise InputError("the PDF holds no text.", where=where, hint="A scanned one needs OCR first, as by ocrmypdf.")
    first = next(line.strip() for line in sections[0].text.splitlines() if line.strip())
    return (told["title"] or first)[:200], sections


def _read(content: bytes) -> dict[str, Any]:
    import logging

    import pypdf
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            return {"why": "it is encrypted", "hint": "Save it without a password."}
        if len(reader.pages) > PAGES_MAX:
            return {"why": f"it has {len(reader.pages)} pages, and the limit is {PAGES_MAX}", "hint": "Split it."}
        pages = [page.extract_text() for page in reader.pages]
        title = str((reader.metadata and reader.metadata.title) or "")
    except (PyPdfError, MemoryError, RecursionError, Exception) as error:  # noqa: BLE001 -- it raises what it likes
        return {"why": f"it is broken ({type(error).__name__})"}
    return {"title": " ".join(title.split()), "pages": [_clean(text) for text in pages]}


def _clean(text: str) -> str:
    """Without half characters and control characters, of which extracted text has some."""
    text = text.encode("utf-8", "ignore").decode("utf-8")
    return "".join(c for c in text if c in "\n\t" or (c.isprintable() or c.isspace()))


def _main() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX, MEMORY_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.write(json.dumps(_read(sys.stdin.buffer.read())))


if __name__ == "__main__":
    _main()
