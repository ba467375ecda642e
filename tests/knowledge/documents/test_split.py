"""Passages: all of the text, none too long, each with its place."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from knowledge.documents.document import Section
from knowledge.documents.split import LONGEST, OVERLAP, split
from tests.knowledge.documents.papers import document

WORDS = st.text(alphabet="ab .\n", max_size=6000)


@given(WORDS)
def test_every_word_is_in_some_passage_and_none_is_too_long(text: str):
    passages = split(document(text))
    assert all(0 < len(passage.text) <= LONGEST for passage in passages)
    assert "".join(text.split()) in "".join("".join(p.text.split()) for p in passages) or len(passages) > 1
    left = text
    for passage in passages:  # what each adds to the one before is the text that comes next
        added = "".join(passage.text.split())
        rest = "".join(left.split())
        overlap = next(n for n in range(len(added) + 1) if rest.startswith(added[n:]))
        assert overlap <= OVERLAP
        taken = len(added) - overlap
        left = rest[taken:]
    assert not left.strip()


@given(WORDS)
def test_the_line_of_a_passage_is_where_what_is_new_in_it_begins(text: str):
    lines = text.split("\n")
    for first in split(document(text))[:1]:
        assert first.line is not None
        assert lines[first.line - 1].strip() == first.text.split("\n")[0].strip()


def test_lines_are_counted_on_through_a_long_section():
    text = "\n\n".join(f"Paragraph {n} says something of no great length, but says it." * 3 for n in range(40))
    passages = split(document(text))
    assert len(passages) > 4
    lines = text.split("\n")
    for passage in passages:
        assert passage.line is not None
        assert lines[passage.line - 1] in passage.text


def test_passages_overlap_by_whole_sentences_and_bear_their_heading():
    text = " ".join(f"Sentence number {n} is about the service." for n in range(100))
    first, second, *_ = split(document(text, heading=("Runbook", "Payment")))
    last = "Sentence number" + first.text.rpartition("Sentence number")[2]
    assert second.text.count(last) == 1
    assert second.text.startswith("Sentence number")
    assert second.document().startswith("runbook.md\nRunbook\nPayment\nSentence")


def test_ids_tell_documents_and_contents_apart_and_nothing_else():
    base = document("One passage.")
    assert split(base) == split(base)
    ids = {split(each)[0].id for each in (base, replace(base, source="/x"), document("Another passage."))}
    assert len(ids) == 3


def test_html_tells_the_line_of_its_section_only():
    long = "\n\n".join("word " * 100 for _ in range(10))
    page = replace(document(long), kind="html", sections=(Section((), long, line=7),))
    assert {passage.line for passage in split(page)} == {7}
