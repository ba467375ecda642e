"""What texts speak of, in the terms that hypotheses have."""

from __future__ import annotations

import pytest

from executor.model.vocabulary import FaultType, ServiceKind, Weakness
from knowledge.features import describe
from knowledge.mentions import described, mentions, names
from knowledge.phrases import FAULTS, KINDS, WEAKNESSES
from knowledge.retrieval import Question, fuse
from tests.knowledge.runs import small_system


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("The call has no timeout and waits forever.", {"weakness=missing_timeout"}),
        ("Redis-cli says the cache is empty", {"technology=redis", "kind=cache", "weakness=cold_cache_overload"}),
        ("FATAL: sorry, too many clients", {"fault=connections_taken", "weakness=pool_exhaustion"}),
        ("the disk is full, 503 everywhere", {"fault=starved_disk", "fault=server_error"}),
        ("a load balancer keeps dead members", {"kind=load_balancer", "weakness=load_balancer_keeps_dead_member"}),
        ("Coffee at half past nine.", set()),
    ],
)
def test_what_a_text_speaks_of(text: str, facts: set[str]):
    assert mentions(text).facts == facts


def test_every_word_of_the_tables_is_of_the_vocabulary():
    assert set(WEAKNESSES) == {each.value for each in Weakness}
    assert set(KINDS) <= {each.value for each in ServiceKind}
    assert set(FAULTS) <= {each.value for each in FaultType}


@pytest.mark.parametrize("weakness", Weakness)
def test_every_weakness_is_heard_in_its_own_name(weakness: Weakness):
    assert weakness.value in mentions(f"It has {weakness.value.replace('_', ' ')}.").of("weakness")


def test_names_are_found_however_they_are_written():
    assert {"order-service", "db.main", "api"} <= names("The order service, `order-service`, db.main and API.")


def test_a_hypothesis_speaks_of_its_place_and_is_asked_in_words():
    features = describe(small_system(), Weakness.POOL_EXHAUSTION, "back->db")
    assert described(features).facts == {
        "weakness=pool_exhaustion",
        "technology=postgresql",
        "technology=flask",
        "kind=database",
    }
    question = Question.about(features)
    assert question.text.splitlines()[:2] == ["pool exhaustion", "back calls db"]
    assert question.services == {"back", "db"}


def test_ranks_are_fused_and_ties_share_the_middle():
    arms = {"lexical": 1.0, "vector": 1.0}
    both = fuse({"lexical": {"a": 3, "b": 2}, "vector": {"a": 0.9, "c": 0.1}}, arms)
    assert both[0] == ("a", pytest.approx(1.0))
    assert [name for name, _ in both] == ["a", "b", "c"]
    tied = dict(fuse({"lexical": {"a": 1, "b": 1, "c": 1}}, {"lexical": 1.0}))
    assert tied["a"] == tied["b"] == tied["c"] == pytest.approx(61 / 62)
    heavier = fuse({"lexical": {"a": 1}, "vector": {"b": 1}}, {"lexical": 1.0, "vector": 4.0})
    assert heavier[0][0] == "b"
