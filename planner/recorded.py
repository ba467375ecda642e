"""Models' raw answers on the shelf, as experts look for them: of any session to spare a call, of one to replay it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from experts.expert import Expert
from experts.models.recordings import ANSWERED, Asked
from experts.models.saying import Listen, Said
from experts.models.sitting import Attending
from planner.shelf import Shelf
from planner.tools import Progress


class Kept:
    """Answers of one session; those of others are found where they were good."""

    replaying = False

    def __init__(self, shelf: Shelf, session: str) -> None:
        self._shelf = shelf
        self._session = session

    def find(self, key: str) -> Asked | None:
        """The last good answer to the very question, by the same model."""
        found = self._shelf.latest(key, ANSWERED)
        return None if found is None else _read(found)

    def keep(self, asked: Asked) -> None:
        """Keep it before anything else happens."""
        self._shelf.keep(self._session, asked.key, asked.outcome, asked.model_dump_json())

    def begun(self) -> Sequence[Asked]:
        """What this session had asked before it was cut short."""
        return asked(self._shelf, self._session)


class Replayed(Kept):
    """Answers of an earlier session, good or not, for another one that asks nobody."""

    replaying = True

    def __init__(self, shelf: Shelf, session: str, earlier: str) -> None:
        super().__init__(shelf, session)
        self._found: dict[str, Asked] = {}
        for one in asked(shelf, earlier):
            if one.raw or one.key not in self._found:  # an answer that came after a failed try is the one that counted
                self._found[one.key] = one

    def find(self, key: str) -> Asked | None:
        """The answer that counted then."""
        return self._found.get(key)


def seat(experts: Iterable[Expert], kept: Kept, listen: Listen) -> None:
    """Tell the experts that models answer for which session they sit in, and who listens."""
    for expert in experts:
        if isinstance(expert, Attending):
            expert.attend(kept, listen)


def aloud(progress: Progress) -> Listen:
    """What models say as progress."""
    return lambda said: progress("says", in_words(said))


def in_words(said: Said) -> str:
    """One line: who, on what, and what."""
    return f"{said.expert} on {said.about}: {said.text}"


def asked(shelf: Shelf, session: str) -> tuple[Asked, ...]:
    """Every question of a session with its raw answer, in the order of the answers."""
    return tuple(one for record in shelf.asked(session) if (one := _read(record)) is not None)


def _read(record: str) -> Asked | None:
    """What an earlier version of Murphy kept may no longer be readable; then it is asked anew."""
    try:
        return Asked.model_validate_json(record)
    except ValidationError:
        return None
