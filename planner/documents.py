"""Learning documents and forgetting them: the store has them at once, memory as soon as nobody else has it open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from executor.errors import InputError, UnavailableError, plain
from executor.state.home import Home
from knowledge.documents.document import Document
from knowledge.documents.reading import read_document
from knowledge.documents.split import split
from knowledge.documents.store import DocumentStore

if TYPE_CHECKING:
    from knowledge.hits import Hit

Became = Literal["new", "changed", "unchanged", "refused"]
FOUND_MAX = 8


@dataclass(frozen=True)
class Learned:
    """What became of one file."""

    file: str
    became: Became
    passages: int = 0
    title: str = ""
    why: str = ""
    """Of one that was refused, in a sentence."""


def learn(home: Home, files: Sequence[Path]) -> tuple[tuple[Learned, ...], str]:
    """Learn each file; one that is refused keeps no other from being learned, and what was known of it stays.

    Returns what became of each, and a note, empty if all is indexed. Raises ``UnavailableError`` if nothing can be
    kept.
    """
    told = []
    with DocumentStore(home.documents) as store:
        for path in files:
            try:
                document = read_document(path)
            except InputError as error:
                told.append(Learned(plain(str(path)), "refused", why=str(error)))
                continue
            became = store.learn(document)
            told.append(Learned(document.source, became, len(split(document)), document.title))
    changed = any(each.became in ("new", "changed") for each in told)
    return tuple(told), _index(home) if changed else ""


def forget(home: Home, names: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Forget documents by file, or by what their path ends with; returns their sources, and a note as ``learn`` does.

    Raises ``InputError``, with nothing forgotten, for a name that none has, or several.
    """
    with DocumentStore(home.documents) as store:
        known = [document.source for document in store.documents()]
        sources = [_meant(name, known) for name in names]
        for source in sources:
            store.forget(source)
    return tuple(sources), _index(home)


def documents(home: Home) -> tuple[tuple[Document, int], ...]:
    """Every document learned, with the number of its passages."""
    if not home.documents.exists():
        return ()
    with DocumentStore(home.documents) as store:
        return tuple((document, len(split(document))) for document in store.documents())


def find(home: Home, question: str) -> tuple[Hit, ...]:
    """What runs, findings and documents say of a question in plain words, the best first."""
    from knowledge.ledger import Ledger
    from knowledge.memory import Memory
    from knowledge.retrieval import Question

    with Ledger.open(home) as ledger:
        names = {name for row in ledger.past() for name in row.place.split("->")}
        with Memory(home, ledger) as memory:
            (found,) = memory.search([Question.of(question, names)], 2 * FOUND_MAX)
    shown = {(hit.what.run, hit.what.weakness, hit.what.place) for hit in found if hit.kind == "findings"}  # type: ignore[union-attr]
    kept = (
        hit
        for hit in found
        if hit.kind != "results" or (hit.what.run, hit.what.weakness, hit.what.place) not in shown  # type: ignore[union-attr]
    )
    return tuple(kept)[:FOUND_MAX]


def rebuild(home: Home) -> int:
    """Build memory anew from the ledger and the documents' texts; returns how many things it holds."""
    from knowledge.ledger import Ledger
    from knowledge.memory import Memory

    with Ledger.open(home) as ledger, Memory(home, ledger) as memory:
        return memory.rebuild()


def _index(home: Home) -> str:
    """Memory brings itself in line as it is opened."""
    from knowledge.ledger import Ledger
    from knowledge.memory import Memory

    try:
        with Ledger.open(home) as ledger, Memory(home, ledger):
            return ""
    except UnavailableError as error:
        return f"{error} What changed is kept, and memory takes it in as soon as it can be opened."


def _meant(name: str, known: Sequence[str]) -> str:
    wanted = plain(name)
    exact = {plain(str(Path(name).absolute())), plain(str(Path(name).resolve())), wanted}
    found = [source for source in known if source in exact] or [s for s in known if s.endswith(f"/{wanted}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError("several documents are called that.", where=wanted, hint=f"They are {', '.join(found)}.")
    raise InputError("no such document was learned.", where=wanted, hint="murphy learn --list shows those that were.")
