"""When runs may be under way: the whole of a run must fit into what the operator's change windows leave open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from executor.errors import SafetyRefusalError
from executor.model.base import Contract, Line
from executor.model.vocabulary import Environment

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MIDNIGHT = "24:00"
_RULE = "change window"


class ChangeWindow(Contract):
    """A time of the week at which runs may be under way."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = _DAYS
    """Days on which it opens."""
    begins: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    """Local time, HH:MM."""
    ends: Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
    """Local time, HH:MM; at or before ``begins`` it is that of the next day."""
    time_zone: Line = "UTC"
    """Name in the IANA database, for instance Europe/Berlin."""
    environments: Annotated[tuple[Environment, ...], Field(min_length=1)] = (Environment.PRODUCTION,)
    """Where it holds."""

    @model_validator(mode="after")
    def _zone_is_known(self) -> Self:
        try:
            self.zone()
        except (KeyError, OSError) as error:  # a directory of zones is an OSError, a name of none a KeyError
            raise ValueError(f"{self.time_zone} is no time zone that this machine knows") from error
        return self

    def zone(self) -> tzinfo:
        """Its time zone. UTC needs no database on the machine."""
        return UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone)

    def __str__(self) -> str:
        days = "every day" if set(self.days) == set(_DAYS) else ", ".join(day for day in _DAYS if day in self.days)
        return f"{days} {self.begins}-{self.ends} {self.time_zone}"

    def openings(self, now: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Begin and end of each opening from the day before ``now`` on, for nine days, in UTC."""
        today = now.astimezone(self.zone()).date()
        for day in (today + timedelta(days=number) for number in range(-1, 9)):
            if _DAYS[day.weekday()] in self.days:
                later = day + timedelta(days=1) if self.ends <= self.begins else day
                yield self._moment(day, self.begins), self._moment(later, self.ends)

    def _moment(self, day: date, text: str) -> datetime:
        if text == _MIDNIGHT:
            day, text = day + timedelta(days=1), "00:00"
        return datetime.combine(day, time.fromisoformat(text), self.zone()).astimezone(UTC)


def refuse_outside_windows(
    windows: Sequence[ChangeWindow], environment: Environment, now: datetime, longest_s: float
) -> None:
    """Raise ``SafetyRefusalError`` unless a run of ``longest_s`` seconds from ``now`` lies within open windows.

    Windows that meet or overlap are one. Production needs a window; elsewhere only those hold that name the
    environment, and without any, nothing is refused.
    """
    mine = [window for window in windows if environment in window.environments]
    if not mine:
        if environment is Environment.PRODUCTION:
            hint = "The operator defines change_windows in limits.toml."
            raise _no("no change window is defined for production", "at least one in production", hint)
        return
    end = now + timedelta(seconds=longest_s)
    spans = _joined(sorted(span for window in mine for span in window.openings(now)))
    if any(begin <= now and end <= until for begin, until in spans):
        return
    fits = [begin for begin, until in spans if begin > now and until - begin >= end - now]
    hint = f"Run it from {_time(fits[0])} on." if fits else "No window is that long: make the run shorter."
    limit = f"within {'; '.join(map(str, mine))}"
    raise _no(f"it would be under way from {_time(now)} to {_time(end)} at the latest", limit, hint)


def _joined(spans: list[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    joined: list[tuple[datetime, datetime]] = []
    for begin, until in spans:
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(until, joined[-1][1]))
        else:
            joined.append((begin, until))
    return joined


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%a %Y-%m-%d %H:%M:%S UTC}"


def _no(measured: str, limit: str, hint: str) -> SafetyRefusalError:
    return SafetyRefusalError(_RULE, measured=measured, limit=limit, hint=hint)
