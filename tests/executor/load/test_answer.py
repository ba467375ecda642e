from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.load.answer import Answer, MalformedError

WHOLE = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, True),
    "empty": (b"HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", 500, True),
    "none": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, True),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok", 201, True),
    "chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n",
        200,
        True,
    ),
    "trailers": (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, Chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n",
        200,
        True,
    ),
    "closing": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200, False),
    "old": (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, False),
    "old and kept": (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 200, True),
}


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_an_answer_ends_where_it_ends_however_it_comes(name: str, data: st.DataObject) -> None:
    raw, status, reusable = WHOLE[name]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1))))
    answer = Answer()
    whole = [answer.feed(raw[a:b]) for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert whole == [False] * len(cuts) + [True]
    assert (answer.status, answer.reusable) == (status, reusable)


def test_to_head_there_is_no_body() -> None:
    assert Answer(bare=True).feed(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")


def test_one_without_a_length_ends_with_the_connection() -> None:
    answer = Answer()
    assert not answer.feed(b"HTTP/1.1 200 OK\r\n\r\nanything")
    assert answer.over()
    assert not answer.reusable


def test_one_that_breaks_off_is_not_whole() -> None:
    for raw, _, _ in WHOLE.values():
        answer = Answer()
        assert not answer.feed(raw[:-1])
        assert not answer.over()


def test_to_the_end_means_to_the_end() -> None:
    answer = Answer(to_the_end=True)
    assert not answer.feed(WHOLE["length"][0])
    assert answer.over()


@pytest.mark.parametrize(
    "raw",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 70000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
    ],
)
def test_what_is_no_answer_is_said_to_be_none(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        Answer().feed(raw)
