"""What the documents learned say of a system, as the brief quotes it."""

from __future__ import annotations

from executor.errors import UnavailableError
from executor.model.system import System
from executor.model.wording import many
from executor.state.home import Home
from experts.brief import Quotation
from knowledge.documents.citing import Cited, cite
from knowledge.ledger import Ledger

TEXT_MAX = 1000
"""Characters that are quoted of one passage."""


def quoted(home: Home, system: System, goal: str) -> tuple[tuple[Quotation, ...], str]:
    """The passages that fit the system's places, and a note for people, empty if there are none.

    Memory is opened only where documents were learned. Where that cannot be, the note says why: planning goes on.
    """
    if not home.documents.exists():
        return (), ""
    from knowledge.memory import Memory

    try:
        with Ledger.open(home) as ledger, Memory(home, ledger) as memory:
            found = cite(memory, system, goal) if memory.passages else ()
    except UnavailableError as error:
        return (), f"documents are left aside: {error}"
    sources = sorted({each.passage.source.rpartition("/")[2] for each in found})
    note = f"{many(len(found), 'passage')} of {', '.join(sources)} told the experts of these places" if found else ""
    return tuple(map(_quotation, found)), note


def _quotation(cited: Cited) -> Quotation:
    passage = cited.passage
    text = passage.text if len(passage.text) <= TEXT_MAX else f"{passage.text[: TEXT_MAX - 1]}…"
    return Quotation(
        source=_cut(passage.reference),
        heading=_cut(" > ".join(dict.fromkeys((passage.title, *passage.heading)))),
        places=cited.places,
        weaknesses=cited.weaknesses,
        text=text,
    )


def _cut(text: str) -> str:
    return text if len(text) <= 400 else f"…{text[-399:]}"
