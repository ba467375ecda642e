"""A run is under way only while a window is open, for all of its time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from executor.errors import SafetyRefusalError
from executor.model.vocabulary import Environment
from executor.safety.windows import ChangeWindow, refuse_outside_windows

PRODUCTION, STAGING = Environment.PRODUCTION, Environment.STAGING
OFFICE = ChangeWindow(days=("mon", "tue", "wed", "thu", "fri"), begins="09:00", ends="17:00", time_zone="Europe/Berlin")
NIGHT = ChangeWindow(days=("fri",), begins="22:00", ends="05:00")
DAY = ChangeWindow(begins="00:00", ends="24:00")


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


def fits(windows: list[ChangeWindow], now: datetime, longest_s: float, environment: Environment = PRODUCTION) -> bool:
    try:
        refuse_outside_windows(windows, environment, now, longest_s)
    except SafetyRefusalError as refusal:
        assert refusal.rule == "change window"
        return False
    return True


@pytest.mark.parametrize(
    ("window", "now", "longest_s", "open_"),
    [
        (OFFICE, "2026-05-01T07:00", 3600, True),  # a Friday, 09:00 in Berlin's summer
        (OFFICE, "2026-05-01T06:59", 3600, False),
        (OFFICE, "2026-05-01T14:00", 3600, True),
        (OFFICE, "2026-05-01T14:00", 3601, False),  # its end would be outside
        (OFFICE, "2026-05-02T10:00", 60, False),  # Saturday
        (OFFICE, "2026-01-02T07:00", 60, False),  # 08:00 in Berlin's winter
        (OFFICE, "2026-01-02T08:00", 60, True),
        (NIGHT, "2026-05-02T04:00", 3600, True),  # Saturday morning still belongs to Friday's window
        (NIGHT, "2026-05-02T04:00", 3601, False),
        (NIGHT, "2026-05-03T04:00", 60, False),
        (DAY, "2026-05-01T23:59", 7200, True),  # windows that meet are one
    ],
)
def test_the_whole_run_must_fit(window: ChangeWindow, now: str, longest_s: float, open_: bool) -> None:
    assert fits([window], at(now), longest_s) is open_


def test_clocks_that_are_set_back_do_not_lengthen_a_window() -> None:
    zone = ChangeWindow(begins="01:00", ends="04:00", time_zone="Europe/Berlin")
    begin, until = next(span for span in zone.openings(at("2026-10-24T22:00")) if span[0] > at("2026-10-24T22:00"))
    assert (begin, until) == (at("2026-10-24T23:00"), at("2026-10-25T03:00"))  # four hours by the sun
    assert not fits([zone], begin, 4 * 3600 + 1)


def test_production_needs_a_window_and_others_only_what_is_defined_for_them() -> None:
    now = at("2026-05-02T10:00")
    with pytest.raises(SafetyRefusalError, match="no change window is defined for production") as caught:
        refuse_outside_windows([], PRODUCTION, now, 60)
    assert "The operator defines change_windows in limits.toml." in str(caught.value)
    assert fits([], now, 60, STAGING)
    assert fits([OFFICE], now, 60, STAGING)
    for_staging = ChangeWindow(**{**dict(OFFICE), "environments": (STAGING,)})
    assert not fits([for_staging], now, 60, STAGING)
    assert not fits([for_staging], at("2026-05-01T10:00"), 60)  # production has none then


def test_a_refusal_says_when_it_would_pass() -> None:
    with pytest.raises(SafetyRefusalError) as caught:
        refuse_outside_windows([OFFICE], PRODUCTION, at("2026-05-01T14:59:30"), 60)
    assert str(caught.value) == (
        "refused by change window: it would be under way from Fri 2026-05-01 14:59:30 UTC to Fri 2026-05-01 15:00:30 "
        "UTC at the latest, and the limit is within mon, tue, wed, thu, fri 09:00-17:00 Europe/Berlin. "
        "Run it from Mon 2026-05-04 07:00:00 UTC on."
    )
    with pytest.raises(SafetyRefusalError, match="No window is that long: make the run shorter"):
        refuse_outside_windows([OFFICE], PRODUCTION, at("2026-05-01T10:00"), 9 * 3600)


@given(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)), st.integers(1, 200_000))
def test_no_moment_of_a_run_that_fits_is_outside(moment: datetime, longest_s: int) -> None:
    now = moment.replace(tzinfo=UTC, microsecond=0)
    windows = [NIGHT, ChangeWindow(days=("sat", "sun"), begins="03:00", ends="11:00")]
    minutes = [now + timedelta(seconds=second) for second in (*range(0, longest_s, 600), longest_s)]
    assert fits(windows, now, longest_s) is all(_open(minute) for minute in minutes)


def _open(moment: datetime) -> bool:
    """By the clock of the wall, not by spans: Friday 22:00 to Saturday 11:00, and Sunday 03:00 to 11:00."""
    clock = moment.time().isoformat()
    return {
        4: clock >= "22:00:00",
        5: clock <= "11:00:00",
        6: "03:00:00" <= clock <= "11:00:00",
    }.get(moment.weekday(), False)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "../etc/passwd", "/etc/localtime", ""])
def test_a_zone_that_nobody_knows_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError):
        ChangeWindow(begins="00:00", ends="24:00", time_zone=zone)
