"""What can become of a file: damaged bytes, wrong values, text that its format does not bear, another kind of file."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

Mutation = Callable[[bytes], bytes]

_TYPES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2**53, 2**63, 10**30, 1e308, -1e308, 0.1, "", "x", "\0", "\ud800", "9" * 5000),
    *([], {}, [[]], {"": ""}, [None], "A" * 100_000, "../../../../etc/passwd", "/dev/zero", "[b]x[/b]", "2001-99-99"),
    *("1e999", "nan", "inf", "sha256:" + "0" * 64, "env:HOME", "file:/dev/zero", "\u202e", "-", "->", "a->b->c"),
)
_RAW: tuple[bytes, ...] = (b"NaN", b"Infinity", b"-Infinity", b"1e99999", b"-0", b"9" * 10_000, b'"\\ud800"', b"0x10")
_TEXTS: tuple[bytes, ...] = (
    *(b"", b"\0", b" ", b"\n", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[{}]", b"\xef\xbb\xbf", b"\xff\xfe\0"),
    *(b"[" * 100_000, b'{"a":' * 50_000, b"[" * 400 + b"]" * 400, b'{"a":1,"a":2}', b"\xc3\x28", b"\xed\xa0\x80"),
    *(b"{" * 5_000 + b"}" * 5_000, b"a = " + b"[" * 5_000 + b"]" * 5_000, b"a." * 5_000 + b"b = 1"),
    b"a" + b"".join(b"[a" for _ in range(1000)) + b" = 1",
    *(b"!!python/object/apply:os.system ['true']", b"a: !!binary '%'", b"a: !!timestamp x", b"a: 2001-99-99"),
    *(b"a: !!int ''", b"a: !!float x", b"a: !!int 0b", b"? [a, b]\n: c", b"? {a: b}\n: c", b"&a [*a]", b"&a {b: *a}"),
    *(b"a: *nobody", b"%YAML 9.9\n---\na: b", b"a: 1\n---\nb: 2", b"<<: [1]", b"<<: {<<: {a: b}}", b"? !!set {a}\n: b"),
    *(
        b"a: " + b"9" * 10_000,
        b"a: 1:99:99",
        b"a: 0o9",
        b"a: .nan",
        b"a: .inf",
        b"- " * 5_000,
        b"a: " * 500,
        b"a: !<x> b",
    ),
    b"a: &a " + b"x" * 100_000 + b"\nb: [" + b"*a, " * 30_000 + b"*a]",
    b"l0: &l0 [lol, lol]\n" + b"".join(b"l%d: &l%d [*l%d, *l%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60)),
    b"m0: &m0 {a: b}\n" + b"".join(b"m%d: &m%d {<<: [*m%d, *m%d]}\n" % (n, n, n - 1, n - 1) for n in range(1, 40)),
)


def bytewise(draw: st.DrawFn, content: bytes) -> bytes:
    """Flip, cut, double, drop or insert a few bytes, in several places."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        span = draw(st.integers(1, 64))
        kind = draw(st.sampled_from(["flip", "cut", "double", "drop", "insert", "swap"]))
        if kind == "flip" and content:
            content = content[:at] + bytes([content[at] ^ (1 << draw(st.integers(0, 7)))]) + content[at + 1 :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "double":
            content = content[: at + span] + content[at:]
        elif kind == "drop":
            content = content[:at] + content[at + span :]
        elif kind == "insert":
            content = content[:at] + draw(st.binary(min_size=1, max_size=8) | st.sampled_from(_RAW)) + content[at:]
        else:
            other = draw(st.integers(0, max(0, len(content) - span)))
            content = content[:at] + content[other : other + span] + content[at + span :]
    return content


def valuewise(draw: st.DrawFn, content: bytes) -> bytes:
    """Put something else in one or two places of a JSON value: another type, too much, twice, an unknown key."""
    data = json.loads(content)
    marked = False
    for _ in range(draw(st.integers(1, 2))):
        places = list(_places(data))
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        kind = draw(st.sampled_from(["other", "raw", "gone", "more", "moved"]))
        if kind == "other":
            holder[key] = copy.deepcopy(draw(st.sampled_from(_TYPES)))
        elif kind == "raw":
            holder[key], marked = "@@raw@@", True
        elif kind == "gone":
            del holder[key]
        elif kind == "more":
            holder[key] = [holder[key]] * draw(st.integers(2, 50))
        else:
            other, its = draw(st.sampled_from(places))
            holder[key] = copy.deepcopy(other[its])
    text = json.dumps(data).encode("utf-8", "surrogatepass")
    return text.replace(b'"@@raw@@"', draw(st.sampled_from(_RAW))) if marked else text


def linewise(draw: st.DrawFn, content: bytes) -> bytes:
    """Put something else behind one equals sign or colon, as TOML or YAML."""
    lines = content.splitlines(keepends=True)
    at = draw(st.sampled_from([n for n, line in enumerate(lines) if b"=" in line or b":" in line] or [0]))
    sign = b"=" if b"=" in lines[at] else b":"
    value = draw(st.sampled_from(_RAW) | st.sampled_from(_TYPES).map(_spelt) | st.sampled_from(_TEXTS))
    lines[at] = lines[at].partition(sign)[0] + sign + b" " + value + b"\n"
    return b"".join(lines)


def _spelt(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


def whole(draw: st.DrawFn, _content: bytes) -> bytes:
    """Something else altogether."""
    return draw(st.sampled_from(_TEXTS) | st.binary(max_size=200))


@st.composite
def mutated(draw: st.DrawFn, content: bytes, form: str) -> bytes:
    """The content, spoilt in some way; ``form`` is ``json``, ``text`` or ``bytes``."""
    ways = [bytewise, whole, *{"json": (valuewise, valuewise), "text": (linewise,), "bytes": (bytewise,)}[form]]
    return draw(st.sampled_from(ways))(draw, content)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.mkdir()


def _link_to(goal: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(goal)


def _closed(path: Path) -> None:
    path.write_bytes(b"{}")
    path.chmod(0)


KINDS: dict[str, Callable[[Path], None]] = {
    "a pipe": _fifo,
    "a directory": _directory,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nowhere": _link_to("/nowhere/at/all"),
    "a link to an endless device": _link_to("/dev/zero"),
    "a link to the terminal": _link_to("/dev/tty"),
    "a file that nobody may read": _closed,
}
"""Other things that can be in the place of a file, and how they get there."""
