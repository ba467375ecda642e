"""Reports of a real run: whole in themselves, complete, and unmoved by what hostile services answer."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
from markdown_it import MarkdownIt

from executor.errors import InputError
from executor.measure.columns import Recording
from executor.model import wording
from executor.model.criteria import BeyondCapacity, Criterion
from executor.model.evidence import Evidence, Finding, Observation
from executor.model.plan import Plan
from executor.model.vocabulary import Severity, Verdict, Weakness
from planner import words
from planner.recovery import recoveries
from planner.report import render
from planner.report.run import Run, load
from planner.report.write import write
from tests.executor.measure.records import CRITERIA
from tests.planner.turn import GOAL, Turn

HOSTILE = (
    "</title><script>alert(1)</script><img src=http://evil/x onerror=alert(2)>|\n\n# Owned\n[x](javascript:alert(3))"
)
LOADS = {"src", "href", "xlink:href", "srcset", "data", "action", "poster"}


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def run(turn: Turn) -> Run:
    return load(turn.home, turn.outcome.evidence.run, turn.outcome.findings)


@pytest.fixture(scope="module")
def hostile(run: Run) -> Run:
    """The same run, as if services, experts and the plan's author had put the worst into every free text."""
    return Run(
        Plan.model_validate(_spoilt(run.plan.model_dump(mode="json"), {"goal", "title", "rationale", "statement"})),
        Evidence.model_validate(
            _spoilt(
                run.evidence.model_dump(mode="json"),
                {"reason", "measured", "expected", "detail", "aborted", "approver"},
            )
            | {"owed": (HOSTILE,)}
        ),
        tuple(
            Finding.model_validate(_spoilt(f.model_dump(mode="json"), {"statement", "evidence", "remedy", "reproduce"}))
            for f in run.findings
        ),
        {
            name: Recording(
                Observation(**{**o._asdict(), "error": HOSTILE[:200]}, source=HOSTILE[:200], experiment="e1", trial=1)
                for source in recording.sources
                for o in recording.series(source)[:30]
            )
            for name, recording in run.observations.items()
        },
    )


def _spoilt(value: Any, fields: set[str]) -> Any:
    if isinstance(value, dict):
        return {k: HOSTILE if k in fields else _spoilt(v, fields) for k, v in value.items()}
    return [_spoilt(each, fields) for each in value] if isinstance(value, list) else value


def test_the_page_is_whole_in_itself(run: Run) -> None:
    page = Page(render.html(run))
    assert not set(page.tags) & {"script", "link", "iframe", "object", "embed", "img", "base"}
    assert not [a for a in page.attributes if a[0] in LOADS or a[0].startswith("on")]
    assert not re.search(r"@import|url\(", render.html(run))
    assert "svg" in page.tags


def test_every_verdict_and_finding_is_named(run: Run) -> None:
    page, plain = Page(render.html(run)).text, render.markdown(run)
    assert GOAL in page
    for result in run.evidence.results:
        for judged in result.hypotheses:
            for said in (judged.verdict.value, wording.named(judged.weakness.value), judged.place, judged.reason):
                assert said in page
                assert said in _read(plain)
    for validation in render.validations(run):
        named = wording.named(validation.validator)
        for said in (named, validation.of, validation.verdict.value, validation.measured, validation.expected):
            assert said in page
            assert said in _read(plain)
    assert run.findings
    for finding in run.findings:
        for said in (finding.evidence, finding.remedy, finding.reproduce, finding.severity.value):
            assert said in page
            assert said in _read(plain)


def test_hostile_text_stays_text_on_the_page(run: Run, hostile: Run) -> None:
    text = render.html(hostile)
    page = Page(text)
    assert set(page.tags) <= {*Page(render.html(run)).tags, "p", "li", "ul"}
    assert not [a for a in page.attributes if a[0] in LOADS or a[0].startswith("on")]
    assert html.escape(HOSTILE, quote=False)[:40] in text


def test_hostile_text_stays_text_in_markdown(run: Run, hostile: Run) -> None:
    """Also for readers of Markdown that let tags through, as its standard has it."""
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(render.markdown(hostile)))
    assert set(page.tags) <= {"h1", "h2", "p", "code", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.attributes == []
    assert page.tags.count("h1") == 1
    rows = sum(len(result.hypotheses) for result in run.evidence.results)
    recovered = recoveries(run.evidence)
    assert recovered
    validated = render.validations(run)
    assert validated
    assert page.tags.count("td") == 4 * rows + 6 * len(recovered) + 5 * len(validated)
    assert "<script>alert(1)</script>" in page.text


def test_reports_are_written_by_their_files_name(turn: Turn, tmp_path: Path) -> None:
    name = turn.outcome.evidence.run
    write(turn.home, name, tmp_path / "report.html")
    write(turn.home, name, tmp_path / "report.md")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "report.md").read_text(encoding="utf-8").startswith("# ")
    with pytest.raises(InputError, match="cannot be written"):
        write(turn.home, name, tmp_path / "none" / "report.html")
    with pytest.raises(InputError, match="no finished run"):
        write(turn.home, "run-none", tmp_path / "none.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md"]


def test_what_is_owed_is_the_headline(hostile: Run) -> None:
    assert render.headline(hostile) == "1 fault could not be undone"
    assert "Still owed" in render.markdown(hostile)
    assert "murphy recover" in Page(render.html(hostile)).text


def test_every_criterion_has_words() -> None:
    kinds = {kind.model_fields["kind"].default for kind in get_args(get_args(Criterion)[0])}
    wanted = [*CRITERIA.values(), BeyondCapacity(action="a1", at_least_rps=20)]
    assert {criterion.kind for criterion in wanted} == kinds
    assert all(len(words.criterion(criterion)) > 8 for criterion in wanted)


def test_every_word_of_the_vocabulary_can_be_shown() -> None:
    for vocabulary in (Weakness, Verdict, Severity):
        assert all(wording.named(word.value).replace(" ", "").isalpha() for word in vocabulary)


def _read(markdown: str) -> str:
    """As a reader sees it."""
    return Page(MarkdownIt("commonmark").enable("table").render(markdown)).text
