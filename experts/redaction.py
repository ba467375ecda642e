"""What never leaves this machine: secrets, keys, values of our environment, addresses of people.

Systems are refused where a field holds what looks like a secret (``executor.model.system``). What people write besides
(a goal), and what runs have seen (errors of probes, quoted in past results), passes here before a model is told of it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, Final

from executor.secrets import FORMED, IN_TEXT, PRIVATE_KEY, TOKEN, named_secret

MARK: Final = "[withheld]"

_HARMLESS = re.compile(
    r"(?:PATH|HOME|PWD|OLDPWD|SHELL|TERM|LANG|LANGUAGE|LC_\w+|TZ|USER|LOGNAME|HOSTNAME|DISPLAY|EDITOR|PAGER|SHLVL|COLUMNS"
    r"|LINES|VIRTUAL_ENV|PYTHON\w*|PYTEST\w*|XDG_\w+|MURPHY_HOME|MURPHY_EXPERTS|MURPHY_MODEL\w*|_)$"
)
"""Variables whose values are no secrets by their nature, and common words or paths."""
_PLAIN = re.compile(r"[a-z]+(?:[ ._/-][a-z]+)*|[\d.:]+|true|false", re.IGNORECASE)
"""Values made of words or of numbers alone, which text may hold for its own reasons."""
_VALUE_MIN = 8
_NAMED_VALUE_MIN = 4

# Each begins only where a word does, or text without an end to its words would take the square of its length in time.
_FORMS: Final = (
    PRIVATE_KEY,
    re.compile(r"\b(?:Bearer|Basic|Token|ApiKey)\s+[\w.~+/=-]{8,}", re.IGNORECASE),
    TOKEN,
    re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+"),  # mail addresses
    re.compile(r"(?<![\w+=-])(?=[\w+=-]*\d)(?=[\w+=-]*[a-z])(?=[\w+=-]*[A-Z])[A-Za-z0-9+_=-]{32,}"),  # long and random
    FORMED,
)
_GIVEN = re.compile(
    r"""(?<![\w.-])-{0,2}(?P<name>[A-Za-z][\w.-]*)(?P<sign>\\?["']?\s*(?:=|:(?!//))\s*\\?["']?|\s+(?=\S*\d)|\s+\\?["'])"""
    r"""(?P<value>[^\s"'\\,;&|<>(){}]{1,200})"""
)
"""``password=x``, ``"api_key": "x"``, ``--token x1``: a name, something between, a value."""
_QUOTED_MAX = 400
_VALUE = re.compile(r"""[^\s"'\\,;&|<>(){}]*""")
"""The rest of a long one."""


class Redactor:
    """Takes out of text what looks like a secret by its form, its name, or because our environment holds it."""

    def __init__(self, keep: Iterable[str] = (), environment: Mapping[str, str] | None = None) -> None:
        """``keep``: names that must reach the model as they are, the system's and the vocabulary's."""
        self._keep = frozenset(keep)
        self._values = sorted(_values(os.environ if environment is None else environment, self._keep), key=len)[::-1]
        self.count = 0
        """How many things were withheld so far."""

    def text(self, text: str) -> str:
        """The text without them, each replaced by a mark."""
        if text in self._keep:
            return text
        for form, kept in IN_TEXT:
            text, found = form.subn(partial(_instead, kept), text)
            self.count += found
        return self._given(self.form(text))

    def form(self, text: str) -> str:
        """The same by form and by value alone, for text of which the rest is our own."""
        for value in self._values:
            if value in text:
                self.count += text.count(value)
                text = text.replace(value, MARK)
        for form in _FORMS:
            text, found = form.subn(MARK, text)
            self.count += found
        return text

    def value(self, value: Any) -> Any:
        """Plain data with every text in it redacted; what stands under a secret's name is withheld whole."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._entry(str(key), each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value

    def _entry(self, name: str, value: Any) -> Any:
        if named_secret(name) and isinstance(value, str) and value:
            self.count += 1
            return MARK
        return self.value(value)

    def _given(self, text: str) -> str:
        """Without values that a name betrays. What follows a harmless name is looked at as a name itself."""
        pieces: list[str] = []
        done = at = 0
        while match := _GIVEN.search(text, at):
            value = match["value"]
            if not named_secret(match["name"]) or MARK.startswith(value[: len(MARK)]) or value in self._keep:
                at = match.end("name")
                continue
            pieces += (text[done : match.start("value")], MARK)
            done = at = _end(text, match)
            self.count += 1
        return "".join((*pieces, text[done:]))


def _end(text: str, given: re.Match[str]) -> int:
    """Where a value ends: at the quote that it begins with, if there is another, and with its last character else."""
    begins, quote = given.start("value"), given["sign"][-1:]
    line = text[begins : begins + _QUOTED_MAX].partition("\n")[0]
    if quote in ("'", '"') and quote in line:
        return begins + line.index(quote) - (line[: line.index(quote)].endswith("\\"))
    rest = _VALUE.match(text, given.end())
    return rest.end() if rest else given.end()


def _instead(kept: str, found: re.Match[str]) -> str:
    return found.expand(kept) + MARK


def _values(environment: Mapping[str, str], keep: frozenset[str]) -> set[str]:
    found = set()
    for name, value in environment.items():
        secret = named_secret(name)
        if value in keep or len(value) < (_NAMED_VALUE_MIN if secret else _VALUE_MIN):
            continue
        if secret or not (_HARMLESS.match(name) or _PLAIN.fullmatch(value)):
            found.add(value)
    return found
