"""Embeddings of free text: wide hashing anywhere, a small language model where installed; changing is a rebuild."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from executor.errors import UnavailableError
from executor.state.home import Home
from knowledge import minilm, prose
from knowledge.documents.store import DocumentStore
from knowledge.embedding import embed_words
from knowledge.ledger import Ledger
from knowledge.memory import Memory
from knowledge.retrieval import Question
from tests.knowledge.documents.papers import document

needs_model = pytest.mark.skipif(not minilm.installed(), reason="the extra semantic is not installed")
ASKED = "the server never answers"
NEAR, FAR = "a request hangs and gets no response", "tickets are printed on blue paper"


@pytest.mark.parametrize(
    "used", [prose.HASHED, pytest.param(prose.MODEL, marks=needs_model)], ids=["wide hashing", "model"]
)
def test_every_text_gives_one_vector_of_length_one_the_same_each_time(used: prose.Prose):
    texts = ["", "x", ASKED, NEAR, "word " * 3000, "Ünïcödé 🦆", *(f"text {n}" for n in range(9))]
    rows = used.embed(texts)
    assert rows.shape == (len(texts), used.dimensions)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(len(texts)), abs=1e-4)
    assert used.embed(texts[:3])[2] == pytest.approx(rows[2], abs=0.02)  # a batch of other lengths is rounded otherwise
    assert used.embed([]).shape == (0, used.dimensions)


@needs_model
def test_the_model_hears_what_words_do_not_say():
    asked, near, far = minilm.embed([ASKED, NEAR, FAR])
    assert asked @ near > asked @ far + 0.2


def test_more_dimensions_keep_long_texts_apart():
    long = [" ".join(f"word{n * k}" for n in range(200)) for k in (1, 3)]
    narrow, wide = embed_words(long, 256), embed_words(long, prose.WIDE)
    assert abs(wide[0] @ wide[1]) < abs(narrow[0] @ narrow[1]) + 0.05
    assert embed_words([FAR], 256)[0] @ embed_words([FAR], 256)[0] == pytest.approx(1)


def test_another_embedding_of_passages_builds_the_index_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    home = Home.open(tmp_path / "home")
    with DocumentStore(home.documents) as store:
        store.learn(document("When payment hangs, front waits forever."))

    def found(used: prose.Prose) -> tuple[Path, list[str]]:
        monkeypatch.setattr("knowledge.memory.prose", lambda: used)
        with Ledger.open(home) as ledger, Memory(home, ledger) as memory:
            (hits,) = memory.search([Question.of("payment hangs")], 5)
        (index,) = home.memory.glob("index-*")
        return index, [hit.reference for hit in hits]

    first = found(prose.HASHED)
    assert first[1] == ["/docs/runbook.md:1"]
    assert found(prose.HASHED) == first
    fewer = replace(prose.HASHED, name="another", dimensions=64, embed=lambda texts: embed_words(texts, 64))
    second = found(fewer)
    assert second[0] != first[0]
    assert second[1] == first[1]
    assert found(replace(prose.HASHED, version=99))[0] not in (first[0], second[0])


def test_other_weights_than_those_known_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "model.onnx").write_bytes(b"something else")
    monkeypatch.setattr(minilm, "_weights", lambda: tmp_path / "model.onnx")
    minilm._model.cache_clear()
    with pytest.raises(UnavailableError, match=r"not those that Murphy knows\. Install murphy-chaos\[semantic\] again"):
        minilm.embed(["text"])
