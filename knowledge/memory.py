"""Memory: which past results are like a hypothesis. A Chroma index over the ledger, built anew whenever in doubt."""

from __future__ import annotations

import json
import math
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from executor.errors import UnavailableError
from executor.state.home import Home
from knowledge.embedding import DIMENSIONS, FACT_SHARE, NAME, VERSION
from knowledge.features import Features
from knowledge.ledger import Ledger
from knowledge.neighbours import Neighbour, recency, similarity
from knowledge.owner import Owner
from knowledge.rows import PastRow

if TYPE_CHECKING:
    from knowledge.vectors import Vectors

Answer = TypeVar("Answer")

FORMAT = {"format": 1, "embedding": NAME, "version": VERSION, "dimensions": DIMENSIONS}
"""What an index must say of itself to be used; any other, older or newer, is built anew from the ledger."""
CANDIDATES = 4
"""For each neighbour wanted so many are fetched, since vectors rank only part of the similarity."""


class Memory:
    """Open memory, a context manager. Holds the lock of the home's memory while it is open.

    On opening, the index is brought in line with the ledger: what is missing is added; an index that is damaged, of
    another version or not there is built anew. Raises ``UnavailableError`` if another process has it open for longer
    than ``wait_s``.
    """

    def __init__(self, home: Home, ledger: Ledger, *, wait_s: float = 10.0) -> None:
        self._directory = home.memory
        self._ledger = ledger
        self._vectors: Vectors | None = None
        self._rows: dict[str, PastRow] = {}
        self._owner = Owner(home.path / "memory.lock", "Murphy's memory", wait_s=wait_s)
        try:
            self._rows = {row.key: row for row in ledger.past()}
            self._open()
        except BaseException:
            self.close()
            raise

    def remember(self, run: str) -> int:
        """Take in the results of a recorded run; returns how many. Idempotent."""
        rows = self._ledger.past_of(run)
        self._rows.update((row.key, row) for row in rows)
        self._healed(lambda vectors: vectors.add(_documents(rows)))
        return len(rows)

    def similar(self, query: Features, k: int, *, now: datetime | None = None) -> tuple[Neighbour, ...]:
        """The ``k`` past results most like the query, by similarity × recency, first the best."""
        return self.similar_each([query], k, now=now)[0]

    def similar_each(
        self, queries: Sequence[Features], k: int, *, now: datetime | None = None
    ) -> list[tuple[Neighbour, ...]]:
        """The same for many queries at once, which is much faster than one by one."""
        moment = now or datetime.now(UTC)
        texts = [query.document() for query in queries]
        found = self._healed(lambda vectors: vectors.nearest(texts, k * CANDIDATES))
        return [self._ranked(query, near, k, moment) for query, near in zip(queries, found, strict=True)]

    def rebuild(self) -> int:
        """Build the index anew from the ledger; returns how many results it holds. A crash meanwhile loses nothing."""
        self._rows = {row.key: row for row in self._ledger.past()}
        self._build()
        return len(self._rows)

    def close(self) -> None:
        """Give files and the lock back. Idempotent."""
        if self._vectors is not None:
            self._vectors.close()
            self._vectors = None
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
        from knowledge.vectors import Vectors

        try:
            self._vectors = Vectors(path)
            self._bring_in_line(self._vectors)
        except BaseException as error:
            if not _is_damage(error):
                raise
            self._build()

    def _bring_in_line(self, vectors: Vectors) -> None:
        there = vectors.ids()
        vectors.add(_documents(row for key, row in self._rows.items() if key not in there))
        vectors.remove(sorted(there - self._rows.keys()))

    def _build(self) -> None:
        """A new directory each time: Chroma keeps state in the process for each one that it has had open."""
        from knowledge.vectors import Vectors

        self._drop()
        path = self._directory / f"index-{secrets.token_hex(4)}"
        try:
            path.mkdir(mode=0o700)
            self._vectors = Vectors(path)
            self._vectors.add(_documents(self._rows.values()))
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
        if self._vectors is not None:
            with suppress(Exception):  # it is thrown away in any case
                self._vectors.close()
            self._vectors = None
        for old in self._directory.iterdir():
            shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink()

    @property
    def _marker(self) -> Path:
        return self._directory / "current.json"

    def _current(self) -> Path | None:
        """The directory of an index that is whole and of our format; ``None`` if there is none."""
        try:
            said = json.loads(self._marker.read_text(encoding="utf-8"))
            name = str(said.pop("directory"))
        except (OSError, ValueError, AttributeError, KeyError, TypeError):
            return None
        path = self._directory / Path(name).name
        return path if said == FORMAT and path.is_dir() else None

    def _say_current(self, path: Path) -> None:
        temporary = self._directory / "current.new"
        temporary.write_text(json.dumps({**FORMAT, "directory": path.name}), encoding="utf-8")
        temporary.replace(self._marker)

    def _healed(self, action: Callable[[Vectors], Answer]) -> Answer:
        """Do it; if the index turns out to be damaged, build it anew and do it once more."""
        if self._vectors is None:
            raise ValueError("this memory is closed")
        try:
            return action(self._vectors)
        except BaseException as error:
            if not _is_damage(error):
                raise
        self._build()
        return action(self._vectors)

    def _ranked(
        self, query: Features, near: Iterable[tuple[str, float]], k: int, now: datetime
    ) -> tuple[Neighbour, ...]:
        # A query of facts alone has no words to be close in.
        scale = 1.0 if query.text else 1 / math.sqrt(FACT_SHARE)
        found = [
            Neighbour(row, similarity(query, row, min(1.0, closeness * scale)), recency(row.at, now))
            for key, closeness in near
            if (row := self._rows.get(key)) is not None
        ]
        return tuple(sorted(found, key=lambda n: (-n.weight, -n.row.at.timestamp(), n.row.key))[:k])


def _documents(rows: Iterable[PastRow]) -> list[tuple[str, str]]:
    return [(row.key, row.features.document()) for row in rows]


def _is_damage(error: BaseException) -> bool:
    """Whether the index may be to blame: any error, or a panic of Chroma's native part, which is no ``Exception``."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
