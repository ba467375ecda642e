"""Open transactions of PostgreSQL are seen however the bytes of the server are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.proxy.statements import Statements
from executor.proxy.transactions import Transactions
from tests.executor.proxy.test_statements import LOG_IN, SSL, message

BEGUN = message(b"R", bytes(4)) + message(b"S", b"TimeZone\0UTC\0") + message(b"Z", b"I")
OTHERS = st.tuples(st.sampled_from([b"N", b"T", b"D", b"C", b"E", b"A"]), st.binary(max_size=20))


def logged_in(wish: bytes = b"", answer: bytes = b"") -> Transactions:
    statements = Statements()
    reader = Transactions(statements)
    statements.begun_in(wish)
    reader.answered(answer)
    statements.begun_in(LOG_IN)
    return reader


@given(st.lists(OTHERS, max_size=8), st.sampled_from("ITE"), st.lists(st.integers(0, 10_000)), st.booleans())
def test_the_servers_word_is_heard(sent: list[tuple[bytes, bytes]], says: str, cuts: list[int], refused: bool) -> None:
    reader = logged_in(SSL, b"N") if refused else logged_in()
    assert reader.under_way
    data = BEGUN + b"".join(message(*each) for each in sent) + message(b"Z", says.encode())
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for begin, end in pairwise(edges):
        reader.answered(data[begin:end])
    assert reader.under_way is (says != "I")
    reader.asked()
    assert reader.under_way


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (message(b"Q", b"select 1\0"), message(b"Q", b"select pg_sleep(9)\0")),
        (message(b"P", bytes(4)) + message(b"S", b""), message(b"E", bytes(5)) + message(b"S", b"")),
    ],
)
def test_of_commands_sent_one_upon_the_other_the_last_is_waited_for(first: bytes, second: bytes) -> None:
    """What the server says of the first makes no session idle: it would be closed in the middle of the second."""
    statements = Statements()
    reader = Transactions(statements)
    statements.begun_in(LOG_IN)
    reader.answered(BEGUN)
    assert reader.under_way is False
    reader.asked()
    statements.begun_in(first + second)
    for under_way in (True, False):
        reader.answered(message(b"C", b"SELECT 1\0") + message(b"Z", b"I"))
        assert reader.under_way is under_way


@pytest.mark.parametrize("answer", [b"S", b"S\x16\x03\x03", b"Z"])
def test_what_is_encrypted_cannot_be_told(answer: bytes) -> None:
    assert logged_in(SSL, answer).under_way is None


def test_what_is_not_postgresql_cannot_be_told() -> None:
    statements = Statements()
    reader = Transactions(statements)
    assert reader.under_way is None
    statements.begun_in(b"*1\r\n$4\r\nPING\r\n")
    reader.answered(b"+PONG\r\n")
    assert reader.under_way is None
