"""What memory finds for a question: a result of a run, a finding, or a passage of a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from executor.model.evidence import Finding
from executor.model.wording import named
from knowledge.documents.document import Passage
from knowledge.rows import PastRow

Kind = Literal["results", "findings", "passages"]
KINDS: Final[tuple[Kind, ...]] = ("results", "findings", "passages")


@dataclass(frozen=True)
class Hit:
    """One thing found. ``score`` orders the hits of one question and means nothing beyond it."""

    kind: Kind
    score: float
    what: PastRow | Finding | Passage

    @property
    def reference(self) -> str:
        """Where to look it up."""
        if isinstance(self.what, Passage):
            return self.what.reference
        return f"{self.what.run}/{self.what.experiment}"

    @property
    def text(self) -> str:
        """What it says."""
        if isinstance(self.what, Passage):
            return self.what.text
        about = f"{named(self.what.weakness)} at {self.what.place}"
        if isinstance(self.what, Finding):
            return f"{about}: {self.what.statement}. {self.what.evidence}"
        return f"{about}: {self.what.verdict} under {self.what.fault}: {self.what.reason}"
