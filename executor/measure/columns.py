"""Observations by column, a source at a time: some thirty bytes an answer, where an object takes a thousand."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from executor.model.evidence import Observation

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int32]
NO_STATUS = -(2**31)
_CHUNK = 1 << 14


class Answer(NamedTuple):
    """One observation of a series; the fields mean what they mean in ``Observation``."""

    at_s: float
    ok: bool
    latency_ms: float
    status: int | None
    value: float | None
    error: str
    by: str

    @property
    def answered_s(self) -> float:
        """When it had come, seconds since the run started."""
        return self.at_s + self.latency_ms / 1000


class Columns(NamedTuple):
    """The same fields of many observations, as arrays of equal length."""

    at_s: Floats
    ok: Flags
    latency_ms: Floats
    status: Codes
    """``NO_STATUS`` where there is none."""
    value: Floats
    """Not a number where there is none."""
    error: Codes
    """Places in a list of texts beside it."""
    by: Codes
    """The same."""


class Series(Sequence[Answer]):
    """Answers of one source by intended start."""

    def __init__(self, columns: Columns, texts: Sequence[str]) -> None:
        self._columns, self._texts = columns, texts
        self.at_s, self.ok, self.latency_ms = columns.at_s, columns.ok, columns.latency_ms

    @property
    def answered_s(self) -> Floats:
        """When each answer had come."""
        return self.at_s + self.latency_ms / 1000

    def fails_with(self, beginnings: tuple[str, ...]) -> Flags:
        """Which answers' error begins with one of these."""
        begins = np.array([text.startswith(beginnings) for text in self._texts], dtype=bool)
        return begins[self._columns.error]

    @property
    def by(self) -> list[str]:
        """Who gave the good ones of these answers, each name once, in order; without what does not tell."""
        codes = np.unique(self._columns.by[self.ok])
        return sorted(filter(None, (self._texts[code] for code in codes.tolist())))

    def given_by(self, name: str) -> Series:
        """The good ones of these answers that this one gave."""
        codes = [code for code, text in enumerate(self._texts) if text == name]
        return self.where(self.ok & np.isin(self._columns.by, codes))

    @property
    def values(self) -> Floats:
        """Not a number where there is none."""
        return self._columns.value

    def where(self, chosen: Flags | Codes | slice) -> Series:
        """Some of them, by flags or places, in that order."""
        return Series(Columns._make(column[chosen] for column in self._columns), self._texts)

    def sorted(self) -> Series:
        """In one order, whatever the order in which they were recorded."""
        at_s, ok, latency_ms, status, value, error, by = self._columns
        if bool(np.all(np.diff(at_s) > 0)):
            return self
        rank = np.argsort(np.argsort(np.array(self._texts)))
        keys = (
            rank[by],
            rank[error],
            np.nan_to_num(value),
            np.where(status == NO_STATUS, 0, status),
            latency_ms,
            ok,
            at_s,
        )
        return self.where(np.lexsort(keys).astype(np.int32))

    def __len__(self) -> int:
        return len(self.at_s)

    def __iter__(self) -> Iterator[Answer]:
        for begin in range(0, len(self), _CHUNK):
            yield from map(self._answer, *(column[begin : begin + _CHUNK].tolist() for column in self._columns))

    @overload
    def __getitem__(self, place: int) -> Answer: ...
    @overload
    def __getitem__(self, place: slice) -> Series: ...
    def __getitem__(self, place: int | slice) -> Answer | Series:
        if isinstance(place, slice):
            return self.where(place)
        return self._answer(*(column[place].item() for column in self._columns))

    def _answer(self, at_s: float, ok: bool, latency_ms: float, status: int, value: float, *said: int) -> Answer:
        error, by = (self._texts[code] for code in said)
        code = None if status == NO_STATUS else status
        return Answer(at_s, ok, latency_ms, code, None if math.isnan(value) else value, error, by)


class _Source:
    """The columns of one source while it is being recorded: those that came as such, and one by one."""

    def __init__(self) -> None:
        self.pieces: list[Columns] = []
        self._clear()

    def _clear(self) -> None:
        self.at_s, self.ok, self.latency_ms = array("d"), array("b"), array("d")
        self.status, self.value = array("i"), array("d")
        self.error, self.by = array("i"), array("i")

    def columns(self) -> Columns:
        """All of them so far. They are kept as one piece, so that whoever asks again gets the very same."""
        if len(self.at_s) or not self.pieces:
            singles = Columns(
                np.array(self.at_s, dtype=np.float64),
                np.array(self.ok, dtype=bool),
                np.array(self.latency_ms, dtype=np.float64),
                np.array(self.status, dtype=np.int32),
                np.array(self.value, dtype=np.float64),
                np.array(self.error, dtype=np.int32),
                np.array(self.by, dtype=np.int32),
            )
            self.pieces.append(singles)
            self._clear()
        if len(self.pieces) > 1:
            self.pieces = [Columns._make(np.concatenate(parts) for parts in zip(*self.pieces, strict=True))]
        return self.pieces[0]

    def __len__(self) -> int:
        return len(self.at_s) + sum(len(piece.at_s) for piece in self.pieces)


class Recording:
    """Observations of one trial, or of one experiment, by source. For one thread."""

    def __init__(self, observations: Iterable[Observation] = ()) -> None:
        self._sources: dict[str, _Source] = {}
        self._codes: dict[str, int] = {}
        for observation in observations:
            self.add(observation)

    def add(self, o: Observation) -> None:
        """Record one more."""
        into = self._sources.setdefault(o.source, _Source())
        into.at_s.append(o.at_s)
        into.ok.append(o.ok)
        into.latency_ms.append(o.latency_ms)
        into.status.append(NO_STATUS if o.status is None else o.status)
        into.value.append(math.nan if o.value is None else o.value)
        into.error.append(self._code(o.error))
        into.by.append(self._code(o.by))

    def extend(self, source: str, columns: Columns, texts: Sequence[str]) -> None:
        """Record many of one source."""
        codes = np.array([self._code(text) for text in texts], dtype=np.int32)
        pieces = self._sources.setdefault(source, _Source()).pieces
        pieces.append(columns._replace(error=codes[columns.error], by=codes[columns.by]))

    @property
    def sources(self) -> list[str]:
        """Who was asked, in the order in which they were first recorded."""
        return list(self._sources)

    def series(self, source: str) -> Series:
        """The answers of one source so far; none if it was never asked."""
        return Series(self._sources.get(source, _Source()).columns(), list(self._codes) or [""]).sorted()

    def __len__(self) -> int:
        return sum(map(len, self._sources.values()))

    def _code(self, text: str) -> int:
        return self._codes.setdefault(text, len(self._codes))
