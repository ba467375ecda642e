"""What the twin foresees, as the planner takes it: refusals, and one more voice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from executor.model.faults.network import Latency
from executor.model.faults.service import DependencyFailure, Timeout
from executor.model.plan import EdgeTarget, Experiment
from executor.model.system import System
from executor.model.vocabulary import Weakness
from executor.safety.limits import Limits
from executor.state.home import Home
from experts.track_record import pool
from knowledge.twin.calibration import NAME
from knowledge.twin.rehearsal import HypothesisOutlook, Recovery, Rehearsal
from knowledge.twin.twin import Twin
from planner.rehearsal import rehearse, too_far
from planner.twin import informed, kept, twin_of
from tests.knowledge.twin.scene import nothing_but
from tests.planner.systems import bazaar, compiled, proposal

TIPS = EdgeTarget(caller="web", callee="tips")


def candidate() -> Experiment:
    """Calls to tips stand still: web should do without."""
    (found,) = compiled(proposal(Weakness.MISSING_TIMEOUT, "web->tips", Timeout())).experiments
    return found


FORESEEN = Rehearsal(
    experiment="try",
    worlds=200,
    effective=200,
    seed=1,
    breaks=0.4,
    checks=(),
    hypotheses=(),
    touched=(("web", 0.4),),
    recovery=Recovery(1.0, 0.5, float("inf"), 0.1),
    cascade=0.4,
    containment=0.9,
    containment_low=0.5,
    unplanned=(0.9, 0.8, 0.6),
    loss=(("web", 0.3),),
    gain_bits=0.5,
)


def test_a_protected_service_may_lose_no_more_than_the_limit_says() -> None:
    protected = Limits(protected_services=("web",))
    (reason,) = too_far(replace(FORESEEN, unplanned=()), bazaar(), protected)
    assert reason == (
        "the twin foresees that web, which is protected, loses 30 % of its work, and the limit is 10 % "
        "(protected_impact_percent)"
    )
    assert not too_far(replace(FORESEEN, unplanned=(), loss=(("web", 0.05),)), bazaar(), protected)
    assert not too_far(replace(FORESEEN, unplanned=()), bazaar(), Limits()), "nobody protects it"


def test_a_cascade_that_the_guard_would_end_is_not_begun() -> None:
    (reason,) = too_far(FORESEEN, bazaar(), Limits())
    assert "with 60%, that more than 2 services leave their steady state" in reason
    assert not too_far(replace(FORESEEN, unplanned=(0.9, 0.8, 0.4)), bazaar(), Limits())
    assert not too_far(FORESEEN, bazaar(), Limits.model_validate({"guard": {"unplanned_services_max": 3}}))


def test_what_the_rules_let_pass_because_of_a_fallback_the_twin_may_know_to_wait() -> None:
    """The known fallback of a caller that has no time-out: rules count a tenth of the loss, and it stands still."""
    raw = bazaar().model_dump(mode="json")
    for edge in raw["dependencies"]:
        if edge["callee"] == "tips":
            edge |= {"fallback": True, "timeout_ms": 100, "retries": 0}
    shielded = System.model_validate(raw)
    limits = Limits(protected_services=("web",))
    experiment = candidate()
    assert not [no for no in rehearse(experiment, shielded, limits) if "protected impact" in no]

    def foreseen(missing: float) -> tuple[str, ...]:
        beliefs = nothing_but(shielded, {(Weakness.MISSING_TIMEOUT, "web->tips"): missing})
        return too_far(Twin(shielded, beliefs).rehearse(experiment), shielded, limits)

    assert not foreseen(0.0)
    assert "web, which is protected, loses" in foreseen(1.0)[0]


def test_the_twin_is_one_more_voice_where_it_has_played_it_through(tmp_path: Path) -> None:
    experiment = candidate()
    (before,) = experiment.hypotheses
    rehearsal = twin_of(Home.open(tmp_path), bazaar(), ()).rehearse(experiment)
    (after,) = informed(experiment, rehearsal, {NAME: 2.0}).hypotheses
    outlook = rehearsal.hypothesis(before.id)
    assert outlook.simulated
    assert dict(after.prediction.by) == {**dict(before.prediction.by), NAME: round(outlook.breaks, 4)}
    expected = pool({"all": before.prediction.probability_breaks, NAME: outlook.breaks}, {"all": 1.0, NAME: 2.0})
    assert after.prediction.probability_breaks == pytest.approx(expected, abs=1e-4)
    assert after.model_dump(exclude={"prediction"}) == before.model_dump(exclude={"prediction"})


def test_it_keeps_silent_where_it_could_only_repeat_what_is_believed() -> None:
    experiment = candidate()
    told = HypothesisOutlook(
        hypothesis=experiment.hypotheses[0].id,
        weakness=Weakness.MISSING_TIMEOUT,
        place="web->tips",
        present=0.3,
        breaks=0.3,
        if_present=0.9,
        if_absent=0.0,
        gain_bits=0.4,
        simulated=False,
    )
    assert informed(experiment, replace(FORESEEN, hypotheses=(told,)), {}) == experiment


def test_a_session_keeps_plain_values() -> None:
    assert kept(FORESEEN) == {
        "breaks": 0.4,
        "cascade": 0.4,
        "containment": 0.9,
        "gain_bits": 0.5,
        "touched": {"web": 0.4},
        "recovery_s": [0.5, 1.0, None],
        "hypotheses": {},
    }


@pytest.mark.parametrize("fault", [Timeout(), DependencyFailure(), Latency(delay_ms=3000)])
def test_a_rehearsal_is_made_from_what_a_plan_has(fault: Timeout | DependencyFailure | Latency, tmp_path: Path) -> None:
    weakness = Weakness.HARD_DEPENDENCY if isinstance(fault, DependencyFailure) else Weakness.MISSING_TIMEOUT
    (experiment,) = compiled(proposal(weakness, "web->tips", fault)).experiments
    foreseen = twin_of(Home.open(tmp_path), bazaar(), ()).rehearse(experiment)
    assert {each.check for each in foreseen.checks} == {check.id for check in experiment.checks}
    assert {name for name, _ in foreseen.touched} <= {"web"}, "nobody calls web, and nobody else calls tips"
    assert foreseen.unplanned == tuple(0.0 for _ in foreseen.unplanned)
