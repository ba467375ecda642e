"""HTML into sections: what a reader of the page would see, under its headings."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from knowledge.documents.document import Section
from knowledge.documents.plain import HEADING_MAX

_UNSEEN = frozenset({"script", "style", "noscript", "template", "svg", "math", "head", "nav", "iframe", "object"})
_VOID = frozenset(
    {"br", "hr", "img", "input", "meta", "link", "wbr", "source", "col", "area", "base", "embed", "track"}
)
_LISTS = frozenset({"ul", "ol", "dl", "li", "dt", "dd"})
_PARTS = frozenset({"div", "section", "article", "main", "header", "footer", "aside", "figure", "details", "form"})
_BLOCKS = _LISTS | _PARTS | {"p", "table", "tr", "pre", "blockquote", "figcaption", "summary", "br", "hr"}
_CELLS = frozenset({"td", "th"})
_HEADING = re.compile(r"h[1-6]")


def html_sections(text: str) -> tuple[str, tuple[Section, ...]]:
    """Title (the page's, else the first heading) and a section for each heading, with those it is under."""
    page = _Page()
    page.feed(text)
    page.close()
    page.end_section()
    return (page.title or page.first)[:HEADING_MAX], tuple(page.sections)


class _Page(HTMLParser):
    """Takes the page in, piece by piece. Never raises, whatever the markup."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.first = ""
        self.sections: list[Section] = []
        self._under: list[tuple[int, str]] = []
        self._unseen: list[str] = []
        self._heading: list[str] | None = None
        self._in_title = False
        self._as_is = 0
        self._lines = [""]
        self._begins = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = not self.title
        if tag in _VOID and tag not in _BLOCKS:
            return
        told = dict(attrs)
        hidden = "hidden" in told or told.get("aria-hidden") == "true" or "display:none" in _tight(told.get("style"))
        if tag not in _VOID and (self._unseen or tag in _UNSEEN or hidden):
            self._unseen.append(tag)
        elif _HEADING.fullmatch(tag):
            self.end_section()
            self._heading = []
        elif tag in _BLOCKS:
            self._new_line(paragraph=tag in ("p", "pre", "table"))
            self._as_is += tag == "pre"
        elif tag in _CELLS and self._lines[-1]:
            self._lines[-1] += " | "

    def handle_endtag(self, tag: str) -> None:
        self._in_title = self._in_title and tag != "title"
        if self._unseen:
            if tag in self._unseen:  # what was left open within it ends with it
                while self._unseen.pop() != tag:
                    pass
        elif _HEADING.fullmatch(tag) and self._heading is not None:
            heading = " ".join("".join(self._heading).split())[:HEADING_MAX]
            self._heading = None
            if heading:
                self.first = self.first or heading
                level = int(tag[1:])
                self._under = [*(above for above in self._under if above[0] < level), (level, heading)]
        elif tag in _BLOCKS:
            self._new_line(paragraph=tag in ("p", "pre", "table", "ul", "ol"))
            self._as_is = max(0, self._as_is - (tag == "pre"))

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title = " ".join(f"{self.title} {data}".split())
        elif self._unseen:
            return
        elif self._heading is not None:
            self._heading.append(data)
        else:
            if not self._begins and data.strip():
                lead = data[: len(data) - len(data.lstrip())]
                self._begins = self.getpos()[0] + lead.count("\n")
            if self._as_is:
                first, *more = data.split("\n")
                self._lines[-1] += first
                self._lines += more
            else:
                self._lines[-1] += re.sub(r"\s+", " ", data if self._lines[-1] else data.lstrip())

    def end_section(self) -> None:
        """What was said since the last heading becomes a section, if anything was."""
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in self._lines)).strip("\n")
        if text.strip():
            self.sections.append(Section(tuple(told for _, told in self._under), text, line=self._begins or None))
        self._lines, self._begins = [""], 0

    def _new_line(self, *, paragraph: bool) -> None:
        if self._lines[-1]:
            self._lines.append("")
        if paragraph and len(self._lines) > 1 and self._lines[-2]:
            self._lines.append("")


def _tight(style: str | None) -> str:
    return re.sub(r"\s+", "", style or "").lower()
