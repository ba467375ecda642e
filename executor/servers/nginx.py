"""nginx's file of settings: the servers of an upstream, found and changed in their place. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_TOKEN = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};#"']+""")


@dataclass(frozen=True)
class Word:
    """A word of the file, and where it is."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Member:
    """A ``server`` of an upstream: its address, what follows it, and where the line ends."""

    address: Word
    options: tuple[Word, ...]
    end: int


def upstreams(text: str) -> dict[str, list[Member]]:
    """The upstreams of a file, by name, with their servers in the file's order."""
    found: dict[str, list[Member]] = {}
    members: list[Member] | None = None
    for words, ending in _directives(text):
        names = [word.text for word in words]
        if ending.text == "{" and names[:1] == ["upstream"] and len(names) > 1:
            members = found.setdefault(names[1], [])
        elif ending.text == "}":
            members = None
        elif members is not None and names[:1] == ["server"] and len(names) > 1:
            members.append(Member(words[1], tuple(words[2:]), ending.start))
    return found


def without_traffic(text: str, members: Sequence[Member]) -> str:
    """The text with these servers marked as down."""
    fresh = [member for member in members if "down" not in {word.text for word in member.options}]
    return _edited(text, [(member.end, member.end, " down") for member in fresh])


def weighted(text: str, member: Member, weight: int) -> str:
    """The text with another weight of a server."""
    old = next((word for word in member.options if word.text.startswith("weight=")), None)
    where = (old.start, old.end) if old else (member.end, member.end)
    return _edited(text, [(*where, f"{'' if old else ' '}weight={weight}")])


def led(text: str, member: Member, address: str) -> str:
    """The text with another address of a server."""
    return _edited(text, [(member.address.start, member.address.end, address)])


def _edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _directives(text: str) -> Iterator[tuple[list[Word], Word]]:
    """The words before each ``;``, ``{`` or ``}``, with that; comments are left out."""
    words: list[Word] = []
    for found in _TOKEN.finditer(text):
        word = Word(found.group(), *found.span())
        if word.text in (";", "{", "}"):
            yield words, word
            words = []
        elif not word.text.startswith("#"):
            words.append(word)
