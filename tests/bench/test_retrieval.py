"""The benchmark of retrieval: its labels, its measures, and that memory on the real index is as good as it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.retrieval import past
from bench.retrieval.labelled import corpus, labelled, passages, section
from bench.retrieval.metrics import interval, ndcg_at, recall_at
from executor.state.home import Home
from knowledge import prose
from knowledge.documents.document import Passage
from knowledge.documents.store import DocumentStore
from knowledge.ledger import Ledger
from knowledge.lexical import Lexical
from knowledge.memory import Memory


def test_measures_of_rankings_that_can_be_reckoned_by_hand() -> None:
    grades = {"a": 2, "b": 2, "c": 1}
    assert recall_at(["x", "a", "y", "b"], grades) == 1
    assert recall_at(["x", "a", "y", "z", "w", "b"], grades) == 0.5
    assert ndcg_at(["a", "b", "c"], grades) == pytest.approx(1)
    assert ndcg_at(["c", "x"], {"c": 1}) == pytest.approx(1)
    assert ndcg_at(["x", "c"], {"c": 1}) == pytest.approx(1 / 1.584962500721156)
    assert ndcg_at([], grades) == 0
    low, high = interval([0.0, 1.0] * 50)
    assert 0.35 < low < 0.5 < high < 0.65


def test_every_label_names_a_section_and_there_are_questions_of_many_kinds() -> None:
    questions = labelled()
    assert len(questions) >= 60
    assert {each.kind for each in questions} == {"symptom", "words", "howto", "why", "place"}
    assert all(2 in each.grades.values() for each in questions)
    assert len({each.question.text for each in questions}) == len(questions)


def test_questions_other_than_pasted_ones_are_not_made_of_the_words_of_their_answer() -> None:
    texts = {section(each): each.document().lower() for each in passages()}
    for each in labelled():
        if each.kind in ("symptom", "howto", "why"):
            for name, grade in each.grades.items():
                assert grade < 2 or each.question.text.lower() not in texts[name]


def test_memory_on_the_real_index_is_better_than_words_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.memory.prose", lambda: prose.HASHED)  # what everybody has
    home, questions = Home.open(tmp_path / "home"), labelled()
    with DocumentStore(home.documents) as store:
        for document in corpus():
            store.learn(document)
    with Ledger.open(home) as ledger, Memory(home, ledger) as memory:
        found = memory.search([each.question for each in questions], 20, ["passages"])
    ranked = [[section(hit.what) for hit in hits if isinstance(hit.what, Passage)] for hits in found]
    hybrid = [ndcg_at(list(dict.fromkeys(r)), q.grades) for r, q in zip(ranked, questions, strict=True)]
    lexical = Lexical((each.id, each.document()) for each in passages())
    names = {each.id: section(each) for each in passages()}
    words = []
    for each in questions:
        scores = lexical.scores(each.question.text)
        best = sorted(scores, key=lambda name: (-scores[name], name))
        words.append(ndcg_at(list(dict.fromkeys(names[name] for name in best)), each.grades))
    assert sum(hybrid) / len(hybrid) > max(0.6, sum(words) / len(words))


def test_past_results_are_made_the_same_each_time_and_every_hypothesis_has_an_answer() -> None:
    rows, asked = past.made()
    assert (rows, asked) == past.made()
    assert len(asked) == past.QUERIES
    keys = {row.key for row in rows}
    assert all(2 in each.grades.values() and each.grades.keys() <= keys for each in asked)
