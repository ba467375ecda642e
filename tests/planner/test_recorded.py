"""Raw answers stay with the session: a crash repeats no call, equal questions cost nothing, plans are replayed."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from executor.errors import InputError
from executor.model.system import System
from executor.safety.limits import Limits
from executor.state.home import Home
from experts.brief import Constraints
from experts.models.openai import OpenAIClient
from experts.models.prompted import PromptedExpert
from experts.models.recordings import Asked
from experts.models.sitting import Sitting
from experts.models.spending import Budget
from planner.recorded import Kept, asked
from planner.session import Session
from planner.shelf import Shelf
from tests.experts.provider import Provider, provider
from tests.planner.standing import standing_bazaar

LIMITS = Limits()
EXPERTS = ("network-engineer", "platform-engineer", "safety-officer")
WANTED = Constraints(experiments_max=3, seconds_max=200)


def brain(schema: dict[str, Any], told: str) -> Any:
    """Agrees with half of what the playbook says, and is sure of it."""
    if "critiques" in schema["properties"]:
        return {"critiques": []}
    matches = json.loads(re.search(r'<data name="playbook">\n(.*)\n</data>', told)[1])  # type: ignore[index]
    return {
        "proposals": [
            {
                "weakness": each["weakness"],
                "place": each["place"],
                "fault": each["fault"].split(" ")[0],
                "parameters": [
                    {"name": name, "value": value}
                    for name, value in re.findall(r"(\w+)=(.*?)(?= \w+=|$)", each["fault"])
                ],
                "target": each["target"].get("service") or f"{each['target']['caller']}->{each['target']['callee']}",
                "probability": 0.77,
                "rationale": "A model says so.",
                "remedy": "",
            }
            for each in matches[::2]
            if each["target"]["kind"] != "groups"
        ]
    }


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with standing_bazaar(tmp_path_factory.mktemp("bazaar")) as found:
        yield found


def begin(home: Home, system: System, server: Provider, sitting: Sitting | None = None, **given: Any) -> Session:
    shared = sitting or Sitting(Budget(tokens=10**9))
    client = OpenAIClient("test-1", base_url=server.url("/v1"), api_key="k")
    experts = [PromptedExpert(name, client, shared, attempts=1) for name in EXPERTS]
    return Session.begin(home, system, constraints=WANTED, limits=LIMITS, experts=experts, proposer="tester", **given)


def kept(home: Home, session: Session) -> tuple[Asked, ...]:
    with closing(Shelf(home.sessions)) as shelf:
        return asked(shelf, session.name)


def but_id(session: Session) -> dict[str, Any]:
    return session.plan.model_dump(exclude={"id"})


@pytest.mark.slow
def test_a_strategy_is_replayed_without_a_call(home: Home, system: System) -> None:
    with provider(brain) as server:
        session = begin(home, system, server)
        calls = len(server.requests)
        assert calls >= 4
        records = kept(home, session)
        again = Session.replay(home, session)
        assert len(server.requests) == calls
    once_more = Session.replay(home, session)  # and nobody is there any more
    assert but_id(again) == but_id(session) == but_id(once_more)
    assert len({session.plan.id, again.plan.id, once_more.plan.id}) == 3
    assert any("A model says so." in experiment.rationale for experiment in again.plan.experiments)
    assert len(records) == calls
    assert json.loads(records[0].raw)
    assert {record.outcome for record in records} == {"answered"}
    assert all(record.recorded for record in kept(home, again))
    assert stat.S_IMODE(home.sessions.stat().st_mode) == 0o600
    assert Session.replay(home, again).plan.experiments == session.plan.experiments, "a replay can be replayed"


@pytest.mark.slow
def test_failures_are_replayed_too(home: Home, system: System) -> None:
    with provider(brain, "500", "good", "refusal", "cut", "401") as server:
        session = begin(home, system, server)
    outcomes = [record.outcome for record in kept(home, session)]
    assert "it answered with status 500" in outcomes
    assert "it declined to answer" in outcomes
    assert "invalid" in outcomes
    again = Session.replay(home, session)
    assert but_id(again) == but_id(session)
    assert any("its playbook answers instead" in note for note in again.notes)


@pytest.mark.slow
def test_an_equal_question_is_not_asked_twice(home: Home, system: System) -> None:
    with provider(brain) as server:
        first = begin(home, system, server)
        calls = len(server.requests)
        sitting = Sitting(Budget(tokens=10**9))
        second = begin(home, system, server, sitting)
        assert len(server.requests) == calls
        assert sitting.budget.spent.calls == 0
        assert but_id(second) == but_id(first)
        begin(home, system, server, Sitting(Budget(tokens=10**9), cache=False))
        assert len(server.requests) == 2 * calls


@pytest.mark.slow
def test_of_failures_none_is_taken_for_an_answer_again(home: Home, system: System) -> None:
    with provider(brain, *["500"] * 40) as server:
        begin(home, system, server)
        calls = len(server.requests)
        server.steps.clear()
        begin(home, system, server)
        assert len(server.requests) > calls


def test_what_was_spent_before_a_crash_is_spent(home: Home, system: System) -> None:
    with provider(brain) as server, closing(Shelf(home.sessions)) as shelf:
        session = begin(home, system, server)
        budget = Budget(tokens=10**9)
        Sitting(budget).open(Kept(shelf, session.name), lambda _said: None)
        calls = len(server.requests)
    assert (budget.spent.calls, budget.spent.tokens) == (calls, 1100 * calls)


def test_what_models_say_is_progress_as_it_comes(home: Home, system: System) -> None:
    told: list[tuple[str, str]] = []
    with provider(brain) as server:
        begin(home, system, server, on_progress=lambda stage, text: told.append((stage, text)))
    said = [text for stage, text in told if stage == "says"]
    assert any(text.startswith("network-engineer on ") and text.endswith("A model says so.") for text in said)


def test_only_what_experts_planned_can_be_replayed(home: Home, system: System) -> None:
    with provider(brain) as server:
        session = begin(home, system, server)
    adopted = Session.adopt(home, session.plan, system, limits=LIMITS)
    with pytest.raises(InputError, match="nothing to replay"):
        Session.replay(home, adopted)


def test_a_record_that_cannot_be_read_is_asked_anew(home: Home) -> None:
    with closing(Shelf(home.sessions)) as shelf:
        shelf.keep("s", "k", "answered", '{"from": "another version"}')
        assert Kept(shelf, "s").find("k") is None
        assert Kept(shelf, "s").begun() == ()
