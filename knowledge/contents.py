"""All that memory indexes, from where it is kept: results and findings of the ledger, passages of the documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from executor.model.evidence import Finding
from executor.model.wording import named
from knowledge.documents.document import Passage
from knowledge.documents.split import split
from knowledge.documents.store import DocumentStore
from knowledge.hits import Hit, Kind
from knowledge.ledger import Ledger
from knowledge.mentions import Mentions, described, mentions
from knowledge.retrieval import Item
from knowledge.rows import PastRow


class Contents:
    """Read when made, and again by ``read``. Ids differ between kinds, and change with what they stand for."""

    rows: dict[str, PastRow]
    findings: dict[str, Finding]
    passages: dict[str, Passage]

    def __init__(self, ledger: Ledger, documents: Path) -> None:
        self._ledger = ledger
        self._documents = documents
        self.read()

    def read(self) -> None:
        """Take in what is there now."""
        self.rows = {row.key: row for row in self._ledger.past()}
        self.findings = {found.id: found for found in self._ledger.findings()}
        self.passages = {}
        if self._documents.exists():  # who has learned none needs no store
            with DocumentStore(self._documents) as store:
                self.passages = {each.id: each for document in store.documents() for each in split(document)}

    def take_in(self, run: str) -> Mapping[Kind, list[tuple[str, str]]]:
        """What a recorded run adds, by kind: ids and texts."""
        rows = {row.key: row for row in self._ledger.past_of(run)}
        found = {each.id: each for each in self._ledger.findings() if each.run == run}
        self.rows.update(rows)
        self.findings.update(found)
        return {
            "results": [(key, row.features.document()) for key, row in rows.items()],
            "findings": [(name, _told(each)) for name, each in found.items()],
        }

    def texts(self, kind: Kind) -> dict[str, str]:
        """What is embedded, by id."""
        if kind == "results":
            return {key: row.features.document() for key, row in self.rows.items()}
        if kind == "findings":
            return {name: _told(found) for name, found in self.findings.items()}
        return {name: passage.document() for name, passage in self.passages.items()}

    def items(self, kind: Kind) -> Iterator[Item]:
        """What can be found, each with what it speaks of."""
        for name, text in self.texts(kind).items():
            yield Item(name, text, self._mentions(kind, name, text))

    def hit(self, name: str, score: float) -> Hit:
        """What an id stands for, as a hit."""
        if name in self.rows:
            return Hit("results", score, self.rows[name])
        if name in self.findings:
            return Hit("findings", score, self.findings[name])
        return Hit("passages", score, self.passages[name])

    def _mentions(self, kind: Kind, name: str, text: str) -> Mentions:
        if kind == "results":
            return described(self.rows[name].features)
        said = mentions(text)
        if kind == "findings":
            found = self.findings[name]
            facts = frozenset({f"weakness={found.weakness.value}", *(f for f in said.facts if f[:8] != "weakness")})
            return Mentions(facts, said.names | frozenset(found.place.split("->")))
        return said


def _told(found: Finding) -> str:
    return f"{named(found.weakness)} at {found.place}\n{found.statement}\n{found.evidence}\n{found.remedy}"
