"""Which passages experts are given: those that fit a place, few, each once."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.model.vocabulary import Weakness
from executor.state.home import Home
from knowledge.documents.citing import A_DOCUMENT_MAX, CITED_MAX, cite
from knowledge.documents.document import Document
from knowledge.documents.store import DocumentStore
from knowledge.ledger import Ledger
from knowledge.memory import Memory
from tests.knowledge.documents.papers import document
from tests.knowledge.runs import small_system


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


def cited(home: Home, *papers: Document, goal: str = ""):
    with DocumentStore(home.documents) as store:
        for paper in papers:
            store.learn(paper)
    with Ledger.open(home) as ledger, Memory(home, ledger) as memory:
        return cite(memory, small_system(), goal)


def test_a_passage_is_cited_for_the_places_it_names_with_the_weaknesses_it_speaks_of(home: Home):
    (found,) = cited(
        home,
        document("Front calls back without a timeout: when back hangs, front waits forever.", "/a.md"),
        document("Stand-up is at half past nine. The coffee machine waits forever.", "/b.md"),
    )
    assert found.passage.source == "/a.md"
    assert found.places == ("front->back", "front", "back")
    assert Weakness.MISSING_TIMEOUT in found.weaknesses


def test_what_names_no_service_is_cited_for_its_technology(home: Home):
    general = document("PostgreSQL fails over within 30 seconds; clients must reconnect.", "/pg.md")
    foreign = document("The postgres of orders is old.", "/foreign.md")
    found = cited(home, general, foreign, document("Redis evicts keys.", "/redis.md"))
    assert {each.passage.source: each.places for each in found} == {"/pg.md": ("db",), "/foreign.md": ("db",)}
    named = cited(home, document("The PostgreSQL behind side is slow.", "/side.md"))
    assert next(each.places for each in named if each.passage.source == "/side.md") == ("side",)


@pytest.mark.slow
def test_few_are_cited_however_many_there_are(home: Home):
    long = "\n\n".join(f"Paragraph {n}: front is slow when back is slow. " * 12 for n in range(40))
    papers = [document(f"{n} {long}", f"/{n}.md") for n in range(5)]
    found = cited(home, *papers, document(f"0 {long}", "/copy-of-0.md"))
    assert len(found) <= CITED_MAX
    assert max(sum(e.passage.source == f"/{n}.md" for e in found) for n in range(5)) <= A_DOCUMENT_MAX
    assert len({each.passage.text for each in found}) == len(found)


@pytest.mark.parametrize("goal", ["", "does front survive a slow back?"])
def test_nothing_learned_nothing_cited(home: Home, goal: str):
    assert cited(home, goal=goal) == ()
