"""One stream of typed events for whoever looks on: planning with a model that speaks, a refusal, leaving early."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from executor.errors import InputError
from executor.model.evidence import Event, EventKind
from executor.model.system import System
from executor.state.home import Home
from experts.models.saying import Said
from planner.history import sessions
from planner.session import Session
from planner.stream import Stepped, Stream, Telling, as_json
from tests.experts.provider import provider
from tests.planner.standing import standing_bazaar
from tests.planner.test_recorded import begin, brain


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with standing_bazaar(tmp_path_factory.mktemp("bazaar")) as found:
        yield found


def test_planning_is_a_stream_of_steps_and_sayings(home: Home, system: System) -> None:
    with (
        provider(brain) as server,
        Stream(lambda tell: begin(home, system, server, on_progress=tell.progress, on_said=tell.said)) as stream,
    ):
        with pytest.raises(LookupError):
            _ = stream.result
        told = list(stream)
    stages = [event.stage for event in told if isinstance(event, Stepped)]
    assert list(dict.fromkeys(stages))[:3] == ["recall", "brief", "propose"]
    assert stages[-1] == "approve"
    assert any(isinstance(event, Said) and event.text.endswith("A model says so.") for event in told)
    assert Session.find(home, stream.result.plan) is not None
    assert {as_json(event)["event"] for event in told} == {"step", "says"}
    json.dumps([as_json(event) for event in told])


def test_moments_of_a_run_are_events_of_the_same_stream() -> None:
    moment = Event(at_s=1.5, wall=datetime.now(UTC), kind=EventKind.INJECTED, experiment="e", detail="d")
    with Stream(lambda tell: tell.report(moment)) as stream:
        assert list(stream) == [moment]
    assert as_json(moment)["event"] == "run"
    assert as_json(moment)["kind"] == "injected"


def test_what_the_work_raises_is_raised_at_the_end_of_the_stream(home: Home) -> None:
    def work(tell: Telling) -> None:
        tell.step("one", "first")
        raise InputError("no.")

    with Stream(work) as stream:
        events = iter(stream)
        assert next(events) == Stepped("one", "first")
        with pytest.raises(InputError, match="no"):
            next(events)


def test_who_leaves_ends_planning_before_its_next_step_and_it_can_be_taken_up(home: Home, system: System) -> None:
    with provider(brain) as server:
        with Stream(lambda tell: begin(home, system, server, on_progress=tell.progress, on_said=tell.said)) as stream:
            next(event for event in stream if isinstance(event, Stepped) and event.stage == "gather")
        assert not any(thread.name == "murphy-session" for thread in threading.enumerate())
        with pytest.raises(LookupError):
            _ = stream.result
        (past,) = sessions(home)
        assert past.stands.startswith("cut short before ")
        calls = len(server.requests)
        session = begin(home, system, server)
        assert session.name == past.session
        assert len(server.requests) - calls <= 3, "no proposal is asked for again"
