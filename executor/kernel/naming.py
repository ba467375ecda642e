"""Whether a text of a command line means that very program, or only what it was given. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Final

from executor.kernel.program import ran

_OTHERS: Final = frozenset(
    (
        *("tail", "head", "cat", "less", "more", "most", "view", "vi", "vim", "nvim", "nano", "emacs", "emacsclient"),
        *("grep", "egrep", "fgrep", "rg", "ag", "awk", "gawk", "mawk", "sed", "tee", "diff", "cp", "mv", "man", "find"),
        *("xargs", "pgrep", "pkill", "inotifywait", "entr", "watch", "script", "screen", "tmux", "ssh", "scp", "rsync"),
        *("sudo", "su", "doas", "runuser", "setpriv", "timeout", "time", "flock", "nohup", "nice", "setsid", "env"),
        *("docker", "podman", "nerdctl", "kubectl", "systemd-run", "parallel", "nodemon", "uv", "poetry", "make"),
        *("git", "wc", "sort", "cut", "tr", "tar", "file", "stat", "ls", "du", "rm", "ln", "touch", "chmod", "chown"),
        *("strace", "ltrace", "gdb", "perf", "tini", "dumb-init", "catatonit", "unshare", "nsenter", "bwrap"),
    )
)
"""Programs that look at what their arguments name, or start it: what they are told is about others."""


def fits(text: str, words: Sequence[str]) -> bool:
    """Whether a text means the process with these arguments; an empty one means any.

    It is whole arguments one after another; the first may be the end of a path or of an ``--option=…``. Code that a
    shell or another interpreter was given as an argument is one word, and says nothing by itself; nor do the arguments
    of a program that looks at others or starts them (``tail``, ``vim``, ``sudo``). A title that a process has written
    over its arguments is taken word for word.
    """
    wanted, line = text.strip(), " ".join(words)
    if not wanted or wanted not in line:  # of most processes; the rest takes a hundred times as long
        return not wanted
    run = ran(words)
    code = run.at if run is not None and run.how == "code" else None
    begins, ends, offset = set(), set(), 0
    told = range(0)
    for at, word in enumerate(words):
        for begin, end in _parts(word, title=at == 0, whole=at == code):
            begins.add(offset + begin)
            ends.add(offset + end)
        if at == code:
            told = range(offset, offset + len(word))
        offset += len(word) + 1
    others = bool(words) and PurePath(words[0]).name in _OTHERS
    return any(
        begin in begins
        and begin + len(wanted) in ends
        and not (begin in told and begin + len(wanted) - 1 in told)
        and not (others and begin > len(words[0]))
        for begin in _occurrences(wanted, line)
    )


def _occurrences(wanted: str, line: str) -> Iterator[int]:
    begin = line.find(wanted)
    while begin >= 0:
        yield begin
        begin = line.find(wanted, begin + 1)


def _parts(word: str, *, title: bool, whole: bool) -> Iterator[tuple[int, int]]:
    """Where a text may begin and end in an argument."""
    yield 0, len(word)
    for part in re.finditer(r"\S+", word) if title else ():
        yield part.start(), part.end()
        yield part.start(), part.end() - part.group().endswith(":")
    if title or not (whole or re.search(r"\s", word)):
        for after in re.finditer(r"[/=]", word):
            yield after.end(), len(word)


def called(words: Sequence[str]) -> str:
    """A process in a few words: its program, and the file or module that it runs if it is an interpreter."""
    if not words:
        return "out of sight"
    run = ran(words)
    runs = f" {PurePath(run.what).name}" if run is not None and run.how != "code" else ""
    return f"{PurePath(words[0].split(' ')[0]).name}{runs}"
