"""Plans that look for the largest load, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import InputError
from executor.model.criteria import BeyondCapacity
from executor.model.faults.network import Latency
from executor.model.faults.service import Overload
from executor.model.plan import EdgeTarget
from executor.model.probe import Check, HttpProbe, Slo
from executor.model.system import Dependency, ProcessInstance, Service, System
from planner import breaking_point, words
from planner.breaking_point import Wanted
from planner.files import load_plan
from tests.planner.cli.commands import murphy

FRONT = Check(
    id="home",
    service="front",
    probe=HttpProbe(url="http://127.0.0.1:8001/home?lang=en"),
    slo=Slo(availability_min=0.9, latency_ms_max=120),
)
ASIDE = Check(id="aside", service="aside", probe=HttpProbe(url="http://127.0.0.1:8003/"), critical=True)
SYSTEM = System(
    name="s",
    services=(
        Service(name="front", instances=(ProcessInstance(id="front-1", port=8001),), operations=(FRONT,)),
        Service(name="base", instances=(ProcessInstance(id="base-1", port=8002),)),
        Service(name="aside", instances=(ProcessInstance(id="aside-1", port=8003),), operations=(ASIDE,)),
    ),
    dependencies=(Dependency(caller="front", callee="base", protocol="http", port=8002),),
)


def planned(**wanted: object) -> breaking_point.Plan:
    return breaking_point.plan(Wanted("front", **wanted), SYSTEM, proposer="me")  # type: ignore[arg-type]


def test_the_services_own_operation_says_what_is_asked_and_what_is_good() -> None:
    (experiment,) = planned(at_least_rps=50).experiments
    (action,) = experiment.actions
    load = action.fault
    assert isinstance(load, Overload)
    assert load.search is not None
    assert (load.path, load.search.good_within_ms, load.search.good_share) == ("/home?lang=en", 120, 0.9)
    assert load.concurrency >= 4 * load.rate_rps * 0.12
    (criterion,) = experiment.hypotheses[0].criteria
    assert isinstance(criterion, BeyondCapacity)
    assert (criterion.action, criterion.at_least_rps) == (action.id, 50)
    assert "50 requests a second" in words.criterion(criterion)
    assert "90 % of them within 120 ms" in load.words()


@pytest.mark.parametrize("port", [8001, 443])
def test_an_instance_that_speaks_tls_is_not_asked_in_plain_http(port: int) -> None:
    """All would be turned away, and that be told as its capacity; before a plain one, TLS may end elsewhere."""
    secure = Check(**{**dict(FRONT), "probe": HttpProbe(url=f"https://127.0.0.1:{port}/home")})
    front = Service(**{**dict(SYSTEM.services[0]), "operations": (secure,)})
    system = System(**{**dict(SYSTEM), "services": (front, *SYSTEM.services[1:])})
    if port == 443:
        assert breaking_point.plan(Wanted("front"), system, proposer="me").experiments
        return
    with pytest.raises(InputError, match="speak TLS, and the load is plain HTTP"):
        breaking_point.plan(Wanted("front"), system, proposer="me")


def test_others_end_it_and_the_service_itself_does_not() -> None:
    (experiment,) = planned().experiments
    assert {check.id for check in experiment.checks} == {"home", "aside"}
    assert experiment.abort_conditions != "none"
    assert [condition.check for condition in experiment.abort_conditions] == ["aside"]


def test_what_a_person_says_goes_before() -> None:
    load = planned(path="/x", within_ms=30.0, share=0.99, up_to_rps=5.0, start_rps=20.0).actions[0].fault
    assert isinstance(load, Overload)
    assert load.search is not None
    said = (load.path, load.search.good_within_ms, load.search.good_share, load.rate_rps, load.search.start_rps)
    assert said == ("/x", 30, 0.99, 5, 5)


def test_a_fault_meanwhile_is_raised_in_steps() -> None:
    plan = planned(under="network.latency", steps=2)
    assert len(plan.stages) == 3
    without, *under = plan.experiments
    assert [len(each.actions) for each in plan.experiments] == [1, 2, 2]
    delays = [each.actions[0].fault for each in under]
    assert all(isinstance(each, Latency) for each in delays)
    assert [each.delay_ms for each in delays] == sorted({each.delay_ms for each in delays})  # type: ignore[attr-defined]
    assert under[0].actions[0].target == EdgeTarget(caller="front", callee="base")
    mild = planned(under="network.latency:delay_ms=120", steps=1).experiments[1].actions[0].fault
    assert isinstance(mild, Latency)
    assert mild.delay_ms == 120
    assert "while calls" in under[0].title or "while" in under[0].title
    assert "while" not in without.title


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"under": "network.sneeze"}, "there is no fault network.sneeze"),
        ({"under": "network.latency", "at": "aside"}, "aside takes no fault network.latency"),
        ({"under": "network.latency", "at": "front"}, "which place has the fault"),
        ({"under": "service.crash", "at": "base"}, "no strength to raise"),
        ({"under": "network.latency:delay=1"}, "no fault can be made of that: .*delay"),
        ({"under": "network.latency", "at": "front->aside"}, "the system has no calls front->aside"),
        ({"at_least_rps": 501}, "501 requests a second cannot be seen: no more than 500 are sent"),
        ({"path": "no slash"}, "no search can be made of that"),
    ],
)
def test_what_cannot_be_is_said(wanted: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        planned(**wanted)


def test_the_command_writes_the_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    system, output = tmp_path / "system.yaml", tmp_path / "plan.json"
    system.write_text(SYSTEM.model_dump_json(), encoding="utf-8")
    assert murphy("breaking-point", "front", "--system", str(system), "-o", str(output), "--up-to", "90") == 0
    assert "murphy approve" in capsys.readouterr().out
    load = load_plan(output).actions[0].fault
    assert isinstance(load, Overload)
    assert load.rate_rps == 90
    with pytest.raises(InputError, match="the system has no service none"):
        murphy("breaking-point", "none", "--system", str(system))
