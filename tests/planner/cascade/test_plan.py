"""What is planned for which service, what is foreseen, and what is refused; nothing runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from executor.model.plan import Experiment
from executor.model.probe import Check, TcpProbe
from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.safety.limits import Limits
from planner.cascade.build import experiment
from planner.cascade.scenario import Scenario
from planner.cascade.scenarios import choose
from planner.rehearsal import rehearse
from tests.executor.kit import LIMITS
from tests.planner.cascade.kit import Part, described, settle
from tests.planner.cli.commands import murphy, refused, told

CHAIN = (Part("a", ("b",)), Part("b", ("c",)), Part("c"))
PAIR = (Part("gate", ("app",)), Part("app", instances=2, asked=False))


def settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *parts: Part, limits: Limits = LIMITS) -> None:
    settle(tmp_path, monkeypatch, described(*parts), limits)


def experiments(planned: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for stage in planned["plan"]["stages"] for each in stage["experiments"]]


def test_checks_of_all_callers_are_asked_and_what_is_foreseen_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(tmp_path, monkeypatch, *CHAIN)
    planned = told(capsys, "cascade", "c")

    assert planned["scenario"] == "linear"
    silent, gone = experiments(planned)
    assert [each["actions"][0]["fault"]["kind"] for each in (silent, gone)] == ["service.hang", "service.crash"]
    assert "cannot be delayed here" in planned["notes"][0], "the calls cannot be reached, and that is said"
    for each in (silent, gone):
        assert {check["id"] for check in each["checks"]} == {"a", "b", "c"}
        assert [told["service"] for told in planned["foreseen"][each["id"]]] == ["b", "a"]
        assert each["trials"] == 3
        (single,) = [h for h in each["hypotheses"] if h["weakness"] == "single_point_of_failure"]
        assert (single["place"], single["criteria"][0]["checks"]) == ("c", ["a"])

    assert murphy("cascade", "c", "-o", "other.json") == 0
    shown = capsys.readouterr().out
    assert shown.index("c struck") < shown.index("b falls") < shown.index("a falls")
    assert "not tried" in shown
    assert murphy("show", "other.json") == 0


def test_the_scenario_follows_from_the_service_and_is_refused_where_it_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(tmp_path, monkeypatch, *PAIR, Part("shop", ("till", "app")), Part("till", ("gate",)))
    assert told(capsys, "cascade", "app")["scenario"] == "redistribution"
    assert told(capsys, "cascade", "till")["scenario"] == "linear"

    assert "the callers of app branch. Take --scenario tree." in refused("cascade", "app", "--scenario", "linear")
    assert "nobody would be left" in refused("cascade", "gate", "--scenario", "redistribution")
    assert "nobody would be left" in refused("cascade", "app", "--kill", "2")
    assert "app has 2 instances." in refused("cascade", "app", "--kill", "3")
    assert "the system has no service nobody. It has app, gate, shop, till." in refused("cascade", "nobody")
    assert "nothing says which service" in refused("cascade")
    assert "there is no run yet" in refused("cascade", "--of", "run-1")


def test_limits_hold_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(tmp_path, monkeypatch, *PAIR, limits=Limits())
    assert told(capsys, "cascade", "app")["plan"]["stages"], "one instance is always allowed"
    said = refused("cascade", "app", "--scenario", "dependency")
    assert "refused by blast radius: stage 1 touches 2 instances at once" in said
    assert not Path("other.json").exists()


def test_what_is_protected_is_neither_struck_nor_brought_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(tmp_path, monkeypatch, *CHAIN[:-1], Part("c", said={"protected": True}))
    assert "refused by protected services" in refused("cascade", "c")
    settled(tmp_path, monkeypatch, Part("a", ("b",), said={"protected": True}), *CHAIN[1:])
    assert "a, which is protected" in refused("cascade", "c")


def test_a_service_that_nobody_uses_has_no_cascade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(tmp_path, monkeypatch, *CHAIN, Part("idle", asked=False))
    assert "no operation that can tell uses it" in refused("cascade", "idle")


def test_of_two_instances_one_serves_half_and_what_goes_to_the_other_is_the_balancers_doing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(tmp_path, monkeypatch, *PAIR)
    (only,) = experiments(told(capsys, "cascade", "app"))
    (cliff,) = [h for h in only["hypotheses"] if h["weakness"] == "capacity_cliff"]
    assert cliff["criteria"][0]["availability_min"] == 0.4
    assert "serve their share, 50 % of all, of gate" in cliff["statement"]


def test_many_instances_that_are_all_gone_are_no_single_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settled(tmp_path, monkeypatch, *PAIR)
    for each in experiments(told(capsys, "cascade", "app", "--scenario", "dependency")):
        assert "single_point_of_failure" not in {h["weakness"] for h in each["hypotheses"]}
        assert ("hard_dependency", "gate->app") in {(h["weakness"], h["place"]) for h in each["hypotheses"]}


def test_in_a_tree_it_is_slow_for_each_caller_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    system = described(Part("a", ("b", "c")), Part("b", ("d",)), Part("c", ("d",)), Part("d"))
    way = {"kind": "managed_proxy", "control": "/run/none.sock"}
    edges = [{**e.model_dump(), "interception": {**way, "edge": e.place}} for e in system.dependencies]
    monkeypatch.setattr("planner.cascade.scenarios.possible", lambda *_: {"network.latency": ""})
    settle(tmp_path, monkeypatch, System.model_validate({**system.model_dump(), "dependencies": edges}))
    planned = told(capsys, "cascade", "d", "--trials", "1")

    struck = [each["actions"][0]["target"] for each in experiments(planned)]
    assert [each.get("caller") for each in struck] == ["b", "c", None]
    foreseen = [[each["service"] for each in planned["foreseen"][e["id"]]] for e in experiments(planned)]
    assert foreseen == [["b", "a"], ["c", "a"], ["b", "c", "a"]]


def test_long_names_are_planned_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = "base." + "x" * 50
    settled(tmp_path, monkeypatch, Part("a", (longest,)), Part(longest))
    for each in experiments(told(capsys, "cascade", longest)):
        assert each["actions"][0]["target"]["service"] == longest


def test_what_is_asked_too_rarely_to_tell_is_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(tmp_path, monkeypatch, Part("a", ("b",), rate_hz=0.004), Part("b"))
    assert "so rarely (0.004 times a second) tells nothing in an hour" in refused("cascade", "b")


def test_many_services_are_planned_for_in_seconds() -> None:
    """Each may reach all below it, as far as anybody knows: once that was looked up for each of them, edge by edge."""
    names = [f"s{n}" for n in range(600)]
    system = System(
        name="many",
        services=tuple(
            Service(
                name=name,
                instances=(ProcessInstance(id=f"{name}-1", command="x"),),
                operations=(Check(id=f"use-{name}", service=name, probe=TcpProbe(port=1)),),
            )
            for name in names
        ),
        dependencies=tuple(
            Dependency(caller=names[n], callee=names[n + step])
            for n in range(600)
            for step in (1, 7, 50)
            if n + step < 600
        ),
    )
    began = time.monotonic()
    (gone, _) = choose(Scenario.DEPENDENCY, "s300", system).blows
    made = experiment(gone, "s300", system, trials=1)
    assert isinstance(made, Experiment)
    assert rehearse(made, system, LIMITS) == ()
    assert time.monotonic() - began < 15


def test_that_the_guard_will_end_it_is_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of operations that nobody has seen at work no hypothesis says that they may fall."""
    rest = (Part("c", ("d",)), Part("d", ("e",)), Part("e"))
    seen = described(Part("a", ("b",)), Part("b", ("c",)), *rest)
    settle(tmp_path, monkeypatch, seen)
    assert not any("ended by the guard" in note for note in told(capsys, "cascade", "e")["notes"])
    told_of = seen.model_dump()
    for service in told_of["services"]:
        service["operations"] = [{**each, "exercises": None} for each in service["operations"]]
    Path("system.yaml").write_text(System.model_validate(told_of).model_dump_json(), encoding="utf-8")
    notes = told(capsys, "cascade", "e")["notes"]
    (said,) = [note for note in notes if "which is gone" in note and "ended by the guard" in note]
    assert "once more than 2 of b, c, d fall" in said
