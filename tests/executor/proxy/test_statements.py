"""Statements of PostgreSQL's clients are found however the bytes are cut."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.proxy.statements import Statements


def first(code: int, body: bytes = b"") -> bytes:
    return struct.pack("!II", 8 + len(body), code) + body


def message(kind: bytes, body: bytes) -> bytes:
    return struct.pack("!cI", kind, 4 + len(body)) + body


LOG_IN = first(3 << 16, b"user\0shop\0\0") + message(b"p", b"secret\0")
SSL = first(80877103)
KINDS = st.sampled_from([b"Q", b"E", b"F", b"P", b"B", b"D", b"S", b"d", b"X"])


def fed(data: bytes, cuts: list[int]) -> int | None:
    reader, found = Statements(), 0
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        more = reader.begun_in(data[begin:end])
        if more is None:
            return None
        found += more
    return found


@given(st.lists(st.tuples(KINDS, st.binary(max_size=40)), max_size=12), st.lists(st.integers(0, 10_000)), st.booleans())
def test_statements_are_counted_once_each(sent: list[tuple[bytes, bytes]], cuts: list[int], refused: bool) -> None:
    """Also where the client asked for encryption first and was refused it."""
    data = SSL * refused + LOG_IN + b"".join(message(*each) for each in sent)
    assert fed(data, cuts) == sum(kind in (b"Q", b"E", b"F") for kind, _ in sent)


@given(st.binary(min_size=8), st.lists(st.integers(0, 10_000)))
def test_whatever_comes_it_is_never_counted_for_a_log_in(data: bytes, cuts: list[int]) -> None:
    assert fed(data, cuts) in (None, 0) or data[4:6] == b"\0\3"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"*1\r\n$4\r\nPING\r\n", SSL + b"\x16\x03\x01" + bytes(200)]
)
def test_what_is_not_plain_postgresql_cannot_be_told(data: bytes) -> None:
    reader = Statements()
    assert reader.begun_in(data) is None
    assert reader.begun_in(LOG_IN + message(b"Q", b"SELECT 1\0")) is None
