"""Which program a process runs, behind the interpreter that may be all that its executable tells.

Standard library only: the watchdog uses it, and so does our half on another machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

from executor.clock import stat_fields

_FORKED_ONLY: Final = 0x00000040
"""``PF_FORKNOEXEC`` of ``linux/sched.h``, among the flags in ``/proc/PID/stat``: forked, and nothing executed since."""
_FLAGS: Final = 6
"""Which field after the name the flags are."""


@dataclass(frozen=True)
class _Interpreter:
    """How one reads its arguments: the letters of options that are followed by code, by a module, or by a value."""

    name: re.Pattern[str]
    code: str
    module: str = ""
    values: str = ""
    words: tuple[str, ...] = ()
    """Long options that are followed by code."""


_JAVA: Final = _Interpreter(re.compile(r"java"), "")
_INTERPRETERS: Final = (
    _Interpreter(re.compile(r"(python|pypy)[\d.]*t?"), "c", module="m", values="WX"),
    _Interpreter(re.compile(r"(ba|da|a|z|k|mk|fi)?sh|busybox"), "c", values="oO"),
    _Interpreter(re.compile(r"node|nodejs|bun|deno"), "ep", values="rC", words=("--eval", "--print")),
    _Interpreter(re.compile(r"ruby[\d.]*"), "e", values="Ir"),
    _Interpreter(re.compile(r"perl[\d.]*"), "eE", values="I"),
    _Interpreter(re.compile(r"php[\d.]*"), "r", values="dcSt"),
    _JAVA,
)
_VALUE_WORDS: Final = (
    *("--require", "--import", "--loader", "--experimental-loader", "--init-file", "--rcfile"),
    *("-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-opens", "--add-exports"),
)
_POOL_CODE: Final = re.compile(r"from (multiprocessing|billiard|([\w.]+\.)?loky)\.")
_POOL_MODULE: Final = re.compile(r"(multiprocessing|billiard|([\w.]+\.)?loky)\.")


@dataclass(frozen=True)
class Ran:
    """What an interpreter was told to run, and which of its arguments says so."""

    how: Literal["file", "module", "code"]
    what: str
    at: int


def interpreter(name: str) -> bool:
    """Whether a program of that name runs others' code."""
    return _family(name) is not None


def ran(words: Sequence[str]) -> Ran | None:
    """What an interpreter's command line tells it to run; ``None`` for another program, or if it says nothing.

    Whoever writes a title over its arguments says nothing either.
    """
    return _told(_family(words[0]), words) if words else None


def forked_only(pid: int) -> bool:
    """Whether a process was forked and has executed nothing since: it runs what its parent ran then."""
    try:
        fields = stat_fields(pid)
    except OSError:
        return False
    return fields is not None and bool(int(fields[_FLAGS]) & _FORKED_ONLY)


def same(above: int, below: int, lines: Sequence[Sequence[str]]) -> bool:
    """Whether a process runs the same program as one that it descends from, where both run the same file.

    ``lines`` are their arguments. That file may be an interpreter: then it is the same if it was only forked, if it
    runs the same script, module or code, or if it is one of the processes that Python's ``multiprocessing`` starts.
    """
    if not interpreter(_executable(below)):
        return True
    family = _family(_executable(below))
    own, theirs = (_told(_family(words[0]) or family, words) if words else None for words in lines)
    if theirs is not None and _of_a_pool(theirs):
        return True
    if own is None or theirs is None:
        return forked_only(below)
    return (own.how, _place(above, own)) == (theirs.how, _place(below, theirs))


def _of_a_pool(theirs: Ran) -> bool:
    pattern = _POOL_CODE if theirs.how == "code" else _POOL_MODULE
    return theirs.how != "file" and pattern.match(theirs.what) is not None


def _place(pid: int, run: Ran) -> str:
    """What it runs, a file with its directory."""
    if run.how != "file":
        return run.what
    try:
        return os.path.normpath(Path(f"/proc/{pid}/cwd").readlink() / run.what)
    except OSError:
        return run.what


def _executable(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)")
    except OSError:
        return ""


def _family(name: str) -> _Interpreter | None:
    called = PurePath(name).name.removeprefix("-")
    return next((each for each in _INTERPRETERS if each.name.fullmatch(called)), None)


def _told(family: _Interpreter | None, words: Sequence[str]) -> Ran | None:
    if family is None:
        return None
    ahead = iter(enumerate(words[1:], start=1))
    for at, word in ahead:
        if word in ("-", ""):
            return None
        if word == "--" or (family is _JAVA and word == "-jar"):
            return _next("file", ahead)
        if not word.startswith("-"):
            return Ran("file", word, at)
        if family is _JAVA or word.startswith("--"):
            if word in family.words:
                return _next("code", ahead)
            if word in _VALUE_WORDS:
                next(ahead, None)
        elif (found := _letters(family, word, at, ahead)) is not None:
            return found
    return None


def _letters(family: _Interpreter, word: str, at: int, ahead: Iterator[tuple[int, str]]) -> Ran | None:
    """What a group of one-letter options says is run; the value of the last one is passed over."""
    for index, letter in enumerate(word[1:], start=2):
        rest = word[index:]
        if letter in family.code + family.module:
            how: Literal["module", "code"] = "code" if letter in family.code else "module"
            return Ran(how, rest, at) if rest and family.module else _next(how, ahead)
        if letter in family.values:
            if not rest:
                next(ahead, None)
            return None
    return None


def _next(how: Literal["file", "module", "code"], ahead: Iterator[tuple[int, str]]) -> Ran | None:
    at, word = next(ahead, (0, ""))
    while how == "code" and at and word.startswith("-") and not word.startswith("--"):  # sh -c -e 'code'
        at, word = next(ahead, (0, ""))
    return Ran(how, word, at) if at else None
