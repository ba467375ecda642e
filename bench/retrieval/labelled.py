"""The corpus as passages, and the questions with the grades of its sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from bench.retrieval.ferry import ferry
from executor.model.vocabulary import Weakness
from knowledge.documents.document import Document, Passage
from knowledge.documents.reading import read_document
from knowledge.documents.split import split
from knowledge.features import describe
from knowledge.retrieval import Question

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Labelled:
    """A question, its kind, and grades by section: 2 answers it, 1 helps."""

    kind: str
    question: Question
    grades: dict[str, int]


def corpus() -> list[Document]:
    """Every document, by name."""
    now = datetime(2026, 11, 1, tzinfo=UTC)
    return [read_document(path, now=now) for path in sorted((HERE / "corpus").glob("*.md"))]


def section(passage: Passage) -> str:
    """``runbook-redis#Memory limit reached``: what grades are given to."""
    return f"{Path(passage.source).stem}#{passage.heading[-1] if passage.heading else ''}"


def passages() -> list[Passage]:
    """Of the whole corpus."""
    return [passage for document in corpus() for passage in split(document)]


def labelled() -> list[Labelled]:
    """Every question. Raises ``ValueError`` for a label that names no section, or several."""
    known = sorted({section(passage) for passage in passages()})
    told = yaml.safe_load((HERE / "queries.yaml").read_text(encoding="utf-8"))
    return [Labelled(kind, _question(each), _grades(each, known)) for kind, group in told.items() for each in group]


def _question(told: dict[str, Any]) -> Question:
    system = ferry()
    if "ask" in told:
        return Question.of(told["ask"], (service.name for service in system.services))
    return Question.about(describe(system, Weakness(told["weakness"]), told["place"]))


def _grades(told: dict[str, Any], known: Sequence[str]) -> dict[str, int]:
    grades = {}
    for field, grade in (("helps", 1), ("answers", 2)):
        for label in told.get(field, ()):
            found = [name for name in known if name.startswith(label)]
            if len(found) != 1:
                raise ValueError(f"{label} names {len(found)} sections")
            grades[found[0]] = grade
    return grades
