"""A search for the largest rate that an instance carries, as a run: planned, approved, undone, and judged again."""

from __future__ import annotations

import pytest

from executor.model.criteria import BeyondCapacity
from executor.model.evidence import Evidence
from executor.model.faults.service import CapacitySearch, Overload
from executor.model.plan import Action, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, TcpProbe
from executor.model.system import ProcessInstance, Service, System
from executor.model.vocabulary import Verdict, Weakness
from executor.run.engine import run
from executor.run.rejudge import differences
from executor.state.home import Home
from tests.executor.injections import nothing_left
from tests.executor.kit import LIMITS, approve, plan_of
from tests.executor.load.conftest import serving

PROMISE_MS = 150.0


def searched(home: Home, *words: object, up_to: float = 800, duration_s: float = 90) -> Evidence:
    """What a search of a bounded server gives: workers, service time in ms, options."""
    with serving([str(word) for word in words]) as port:
        service = Service(name="bounded", instances=(ProcessInstance(id="bounded-1", port=port),))
        system = System(name="s", services=(service,))
        search = CapacitySearch(good_within_ms=PROMISE_MS, start_rps=50)
        fault = Overload(rate_rps=up_to, concurrency=1000, search=search)
        experiment = Experiment(
            id="e1",
            title="how much it carries",
            hypotheses=(
                Hypothesis(
                    id="h1",
                    weakness=Weakness.CAPACITY_CLIFF,
                    place="bounded",
                    statement="it serves on",
                    criteria=(BeyondCapacity(action="a1"),),
                    prediction=Prediction(probability_breaks=0.5),
                ),
            ),
            checks=(Check(id="up", service="bounded", probe=TcpProbe(port=port)),),
            actions=(Action(id="a1", fault=fault, target=InstanceTarget(service="bounded"), duration_s=duration_s),),
            abort_conditions="none",
            baseline_s=0.5,
            recovery_deadline_s=1,
        )
        plan = plan_of(system, (experiment,))
        limits = type(LIMITS)(**{**dict(LIMITS), "fault_s_max": 600})
        evidence = run(plan, approve(home, plan, limits), system=system, limits=limits, home=home)
        assert differences(home, evidence) == []
        assert nothing_left(home)
        return evidence


@pytest.mark.slow
def test_one_that_sheds_what_it_cannot_carry(home: Home) -> None:
    """400 requests/s; what finds 20 waiting is refused at once, so the others are in time."""
    evidence = searched(home, 10, 25, "queue=20")
    (result,) = evidence.results
    (found,) = result.capacities
    print(found.model_dump_json(indent=1))
    print(evidence.duration_s, result.hypotheses)
    assert (found.maximum, found.instance) == ("found", "bounded-1")
    assert found.low_rps is not None
    assert 380 <= found.low_rps <= 425
    assert result.hypotheses[0].verdict is Verdict.HOLDS


@pytest.mark.slow
def test_one_that_lets_everybody_wait(home: Home) -> None:
    """400 requests/s; beyond that all wait, and in the end nobody is served in time."""
    evidence = searched(home, 10, 25)
    (result,) = evidence.results
    (found,) = result.capacities
    print(found.model_dump_json(indent=1))
    print(evidence.duration_s, result.hypotheses)
    assert (found.maximum, found.failure, found.after) == ("found", "latency collapse", "recovers")
    assert result.hypotheses[0].verdict is Verdict.BREAKS


@pytest.mark.slow
def test_one_that_stays_bad(home: Home) -> None:
    """200 requests/s, and 67 once 15 wait."""
    evidence = searched(home, 4, 20, "worn=15")
    (result,) = evidence.results
    (found,) = result.capacities
    print(found.model_dump_json(indent=1))
    print(evidence.duration_s, result.hypotheses)
    assert found.after == "metastable"
    assert result.hypotheses[0].verdict is Verdict.BREAKS
