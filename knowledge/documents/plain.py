"""Plain text and Markdown into sections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from knowledge.documents.document import Section

_FRONT = re.compile(r"\A---\n(.*?)\n(?:---|\.\.\.)\n", re.DOTALL)
_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
HEADING_MAX = 200
"""Characters; a longer one is cut."""


def text_sections(text: str) -> tuple[str, tuple[Section, ...]]:
    """Title (the first line that says something) and one section."""
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return first[:HEADING_MAX], (Section((), text, line=1),)


def markdown_sections(text: str) -> tuple[str, tuple[Section, ...]]:
    """Title (of the front matter, else the first heading) and a section for each heading, with those it is under.

    Comments, which no reader of the page sees, are left out.
    """
    from markdown_it import MarkdownIt

    text = _HIDDEN.sub(lambda found: "\n" * found[0].count("\n"), text)
    title = ""
    if front := _FRONT.match(text):
        named = re.search(r"^title:\s*[\"']?(.*?)[\"']?\s*$", front[1], re.MULTILINE)
        title = named[1] if named else ""
        text = "\n" * front[0].count("\n") + text[front.end() :]
    tokens = MarkdownIt("commonmark").parse(text)
    headings = [
        (int(token.tag[1:]), tokens[n + 1].content, token.map[0], token.map[1])
        for n, token in enumerate(tokens)
        if token.type == "heading_open" and token.map
    ]
    title = title or next((told for _, told, _, _ in headings), "")
    return title[:HEADING_MAX], tuple(_between(headings, text.splitlines()))


def _between(headings: Sequence[tuple[int, str, int, int]], lines: Sequence[str]) -> Iterator[Section]:
    """Sections of (level, heading, first line, line after it) among the lines."""
    under: list[tuple[int, str]] = []
    begins, ends = 0, [begin for _, _, begin, _ in headings] + [len(lines)]
    for number, end in enumerate(ends):
        told = lines[begins:end]
        skipped = next((n for n, line in enumerate(told) if line.strip()), len(told))
        text = "\n".join(told[skipped:]).rstrip()
        if text:
            yield Section(tuple(heading for _, heading in under), text, line=begins + skipped + 1)
        if number < len(headings):
            level, heading, _, begins = headings[number]
            under = [*(above for above in under if above[0] < level), (level, heading[:HEADING_MAX])]
