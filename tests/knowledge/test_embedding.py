"""The embedding: deterministic, normalised, and near for what is alike."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge.embedding import DIMENSIONS, embed


@given(st.lists(st.text(max_size=200), max_size=4))
def test_every_text_gives_one_vector_of_length_one(texts):
    rows = embed(texts)
    assert rows.shape == (len(texts), DIMENSIONS)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-5)


def test_another_process_gives_the_same_vector():
    text = "weakness=missing_timeout\nkind=http\ncheckout waits for payment without end"
    code = f"from knowledge.embedding import embed; print(embed([{text!r}])[0].tobytes().hex())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == embed([text])[0].tobytes().hex()


QUESTIONS = [
    (
        "The shop hangs when the payment service does not answer",
        "checkout waits without end while payment is silent",
        "the cache forgets its keys and the database is overloaded",
    ),
    (
        "clients retry too often when the inventory is failing",
        "retries multiply the calls to inventory under failure",
        "the balancer keeps sending requests to a dead member",
    ),
    (
        "connection pool is exhausted",
        "all connections of the pools are taken and requests queue",
        "credentials have expired",
    ),
    (
        "time-out is missing on the call to catalog",
        "catalog call has no timeout",
        "inventory crash loses data",
    ),
]


@pytest.mark.parametrize(("asked", "near", "far"), QUESTIONS)
def test_words_that_are_alike_are_nearer(asked, near, far):
    question, close, distant = embed([asked, near, far])
    assert question @ close > question @ distant + 0.1


def test_the_weakness_weighs_more_than_the_technology_and_that_more_than_the_caller():
    facts = {"weakness": "missing_timeout", "technology": "flask", "caller_kind": "http", "kind": "http"}

    def text(**other: str) -> str:
        return "\n".join(f"{key}={value}" for key, value in {**facts, **other}.items()) + "\nhome keeps answering"

    base, caller, technology, weakness = embed(
        [text(), text(caller_kind="worker"), text(technology="django"), text(weakness="retry_storm")]
    )
    assert 1 > base @ caller > base @ technology > base @ weakness > 0
