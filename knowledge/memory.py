"""Memory: which past results are like a hypothesis, and what runs, findings and documents say of a question.

A Chroma index over the ledger and the documents learned, built anew whenever in doubt.
"""

from __future__ import annotations

import json
import math
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from executor.errors import MurphyError, UnavailableError
from executor.state.home import Home
from knowledge.contents import Contents
from knowledge.embedding import DIMENSIONS, FACT_SHARE, NAME, VERSION, embed
from knowledge.features import Features
from knowledge.hits import KINDS, Hit, Kind
from knowledge.ledger import Ledger
from knowledge.neighbours import Neighbour, recency, similarity
from knowledge.owner import Owner
from knowledge.prose import prose
from knowledge.retrieval import ARMS, Question, Retriever
from knowledge.rows import PastRow

if TYPE_CHECKING:
    from knowledge.vectors import Index, Vectors

Answer = TypeVar("Answer")

CANDIDATES = 4
"""For each neighbour wanted so many are fetched, since vectors rank only part of the similarity."""
CROWD = 2000
"""So many are fetched where the first are all of a few places, each tried again and again."""


class Memory:
    """Open memory, a context manager. Holds the lock of the home's memory while it is open.

    On opening, the index is brought in line with the ledger and the documents: what is missing is added, what is gone
    is taken out; an index that is damaged, of another version or not there is built anew. Raises ``UnavailableError``
    if another process has it open for longer than ``wait_s``.
    """

    def __init__(self, home: Home, ledger: Ledger, *, wait_s: float = 10.0) -> None:
        self._directory = home.memory
        self._index: Index | None = None
        self._retrievers: dict[Kind, Retriever] = {}
        self._prose = prose()
        self._owner = Owner(home.path / "memory.lock", "Murphy's memory", wait_s=wait_s)
        try:
            self._contents = Contents(ledger, home.documents)
            self._open()
        except BaseException:
            self.close()
            raise

    def remember(self, run: str) -> int:
        """Take in the results and findings of a recorded run; returns how many results. Idempotent."""
        added = self._contents.take_in(run)
        self._retrievers.clear()
        for kind, texts in added.items():
            self._healed(partial(self._add, kind, texts))
        return len(added["results"])

    def similar(self, query: Features, k: int, *, now: datetime | None = None) -> tuple[Neighbour, ...]:
        """The ``k`` past results most like the query, by similarity × recency, first the best.

        The newest of each place under each type of fault come before those that it repeats, so that one place which is
        tried every night leaves room for others.
        """
        return self.similar_each([query], k, now=now)[0]

    def similar_each(
        self, queries: Sequence[Features], k: int, *, now: datetime | None = None, apart: str = ""
    ) -> list[tuple[Neighbour, ...]]:
        """The same for many queries at once, which is much faster than one by one.

        Without results of the system ``apart``: whoever asks for it knows them from the ledger, and they would crowd
        out all others, being most like it. Where there are none but these, nothing is looked for.
        """
        if all(row.system == apart for row in self._contents.rows.values()):
            return [() for _ in queries]
        moment = now or datetime.now(UTC)
        texts = [query.document() for query in queries]
        found = self._healed(lambda index: self._of(index, "results").nearest(texts, k * CANDIDATES))
        crowded = [number for number, near in enumerate(found) if self._crowded(near, k, apart)]
        if crowded:
            again = [texts[number] for number in crowded]
            wider = self._healed(lambda index: self._of(index, "results").nearest(again, CROWD))
            for number, near in zip(crowded, wider, strict=True):
                found[number] = near
        return [self._ranked(query, near, k, moment, apart) for query, near in zip(queries, found, strict=True)]

    def search(self, questions: Sequence[Question], k: int, kinds: Sequence[Kind] = KINDS) -> list[tuple[Hit, ...]]:
        """For each question up to ``k`` things of these kinds that speak of it, by hybrid retrieval, first the best."""
        hits: list[list[Hit]] = [[] for _ in questions]
        for kind in kinds:
            arms = {**ARMS, "vector": self._prose.weight} if kind == "passages" else ARMS
            for told, found in zip(hits, self._retriever(kind).find(questions, k, arms=arms), strict=True):
                told += (self._contents.hit(name, score) for name, score in found)
        return [tuple(sorted(told, key=lambda hit: (-hit.score, hit.reference)))[:k] for told in hits]

    @property
    def passages(self) -> int:
        """How many pieces of documents it holds."""
        return len(self._contents.texts("passages"))

    def rebuild(self) -> int:
        """Build the index anew from ledger and documents; returns how many things it holds. A crash loses nothing."""
        self._contents.read()
        self._retrievers.clear()
        self._build()
        return sum(len(self._contents.texts(kind)) for kind in KINDS)

    def close(self) -> None:
        """Give files and the lock back. Idempotent."""
        if self._index is not None:
            self._index.close()
            self._index = None
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        path = self._current()
        if path is None:
            self._build()
            return
        from knowledge.vectors import Index

        try:
            self._index = Index(path)
            self._bring_in_line(self._index)
        except BaseException as error:
            if not _is_damage(error):
                raise
            self._build()

    def _bring_in_line(self, index: Index) -> None:
        for kind in KINDS:
            vectors, texts = self._of(index, kind), self._contents.texts(kind)
            there = vectors.ids()
            vectors.add([(name, text) for name, text in texts.items() if name not in there])
            vectors.remove(sorted(there - texts.keys()))

    def _add(self, kind: Kind, documents: Sequence[tuple[str, str]], index: Index) -> None:
        self._of(index, kind).add(documents)

    def _retriever(self, kind: Kind) -> Retriever:
        if kind not in self._retrievers:
            near_min = self._prose.near_min if kind == "passages" else 0.0

            def nearest(texts: Sequence[str], count: int) -> list[list[tuple[str, float]]]:
                found = self._healed(lambda index: self._of(index, kind).nearest(texts, count))
                return [[(name, close) for name, close in near if close > near_min] for near in found]

            self._retrievers[kind] = Retriever(self._contents.items(kind), nearest)
        return self._retrievers[kind]

    def _of(self, index: Index, kind: Kind) -> Vectors:
        return index.of(kind, self._prose.embed if kind == "passages" else embed)

    def _build(self) -> None:
        """A new directory each time: Chroma keeps state in the process for each one that it has had open."""
        from knowledge.vectors import Index

        self._drop()
        path = self._directory / f"index-{secrets.token_hex(4)}"
        try:
            path.mkdir(mode=0o700)
            self._index = Index(path)
            for kind in KINDS:
                self._of(self._index, kind).add(list(self._contents.texts(kind).items()))
            self._say_current(path)
        except BaseException as error:
            if not _is_damage(error):
                raise
            raise UnavailableError(
                f"memory cannot be built: {error}.",
                where=str(self._directory),
                hint="Is the disk full or read-only?",
            ) from error

    def _drop(self) -> None:
        self._marker.unlink(missing_ok=True)  # first: an index half removed must not be taken for one
        if self._index is not None:
            with suppress(Exception):  # it is thrown away in any case
                self._index.close()
            self._index = None
        for old in self._directory.iterdir():
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()

    @property
    def _marker(self) -> Path:
        return self._directory / "current.json"

    def _format(self) -> dict[str, object]:
        """What an index must say of itself to be used; any other, older or newer, is built anew."""
        free = {"embedding": self._prose.name, "version": self._prose.version, "dimensions": self._prose.dimensions}
        return {"format": 2, "embedding": NAME, "version": VERSION, "dimensions": DIMENSIONS, "passages": free}

    def _current(self) -> Path | None:
        """The directory of an index that is whole and of our format; ``None`` if there is none."""
        try:
            said = json.loads(self._marker.read_text(encoding="utf-8"))
            name = str(said.pop("directory"))
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return None
        path = self._directory / Path(name).name
        return path if said == self._format() and path.is_dir() else None

    def _say_current(self, path: Path) -> None:
        temporary = self._directory / "current.new"
        temporary.write_text(json.dumps({**self._format(), "directory": path.name}), encoding="utf-8")
        temporary.replace(self._marker)

    def _healed(self, action: Callable[[Index], Answer]) -> Answer:
        """Do it; if the index turns out to be damaged, build it anew and do it once more."""
        if self._index is None:
            raise ValueError("this memory is closed")
        try:
            return action(self._index)
        except BaseException as error:
            if not _is_damage(error):
                raise
        self._build()
        return action(self._index)

    def _ranked(
        self, query: Features, near: Iterable[tuple[str, float]], k: int, now: datetime, apart: str
    ) -> tuple[Neighbour, ...]:
        # A query of facts alone has no words to be close in.
        scale = 1.0 if query.text else 1 / math.sqrt(FACT_SHARE)
        found = [
            Neighbour(row, similarity(query, row, min(1.0, closeness * scale)), recency(row.at, now))
            for key, closeness in near
            if (row := self._contents.rows.get(key)) is not None and row.system != apart
        ]
        found.sort(key=lambda n: (-n.weight, -n.row.at.timestamp(), n.row.key))
        repeated = _repeated(found)
        return tuple(sorted(found, key=lambda n: n.row.key in repeated)[:k])

    def _crowded(self, near: Sequence[tuple[str, float]], k: int, apart: str) -> bool:
        """Whether there may be more, and what was fetched is of fewer places than neighbours are wanted."""
        if len(near) < k * CANDIDATES:
            return False
        rows = (self._contents.rows.get(key) for key, _ in near)
        return (
            len({(row.system, row.weakness, row.place) for row in rows if row is not None and row.system != apart}) < k
        )


def _repeated(found: Iterable[Neighbour]) -> set[str]:
    """Keys of results that a newer one at the same place, under the same type of fault, has made old."""
    newest: dict[tuple[object, ...], PastRow] = {}
    old = set()
    for row in sorted((near.row for near in found), key=lambda row: (row.at, row.key)):
        place = row.system, row.weakness, row.place, row.fault_types
        if place in newest:
            old.add(newest[place].key)
        newest[place] = row
    return old


def _is_damage(error: BaseException) -> bool:
    """Whether the index may be to blame: any error, or a panic of Chroma's native part, which is no ``Exception``.

    An error of ours says itself who is.
    """
    if isinstance(error, MurphyError):
        return False
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
