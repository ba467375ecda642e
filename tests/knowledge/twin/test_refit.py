"""Parameters that the ledger's results move, as far as there are results."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from executor.model.evidence import Evidence, Figure
from executor.model.faults import Fault
from executor.model.faults.network import Latency
from executor.model.faults.service import Crash, Error, Timeout
from executor.model.vocabulary import Phase, Verdict, Weakness
from knowledge.ledger import Ledger
from knowledge.sensitivity import sensitivity
from knowledge.twin.calibration import NAME, foretold
from knowledge.twin.parameters import Parameters
from knowledge.twin.refit import STRENGTH, learned
from tests.knowledge.runs import MORNING, Case, evidence_of, plan_of, small_system

STORE = small_system()


def figure(name: str, value: float, phase: Phase | None = None, of: str = "home") -> Figure:
    unit = {"latency": "ms", "mttr": "s"}.get(name.partition("_")[0], "ratio")
    return Figure(name=name, of=of, phase=phase, value=value, unit=unit, n=40)  # type: ignore[arg-type]


def recorded(ledger: Ledger, runs: Sequence[tuple[Case, Sequence[Figure]]]) -> None:
    """A run for each case, a day apart."""
    for number, (case, figures) in enumerate(runs):
        plan = plan_of((case,), STORE, f"plan-{number}")
        evidence = evidence_of((case,), plan, f"run-{number}", MORNING + timedelta(days=number))
        raw = evidence.model_dump(mode="json")
        raw["results"][0]["figures"] = [each.model_dump(mode="json") for each in figures]
        ledger.record(plan, Evidence.model_validate(raw), (), STORE)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.db")


def test_an_empty_ledger_leaves_every_judgement_as_it_is(ledger: Ledger) -> None:
    assert learned(ledger, STORE) == Parameters()


def crash(restarted_s: float) -> tuple[Case, list[Figure]]:
    case = Case(Verdict.HOLDS, Weakness.SLOW_OR_MISSING_RECOVERY, "back", Crash())
    return case, [figure("mttr", restarted_s), figure("recovered", 1.0)]


def test_times_to_restart_move_with_the_number_of_runs(ledger: Ledger) -> None:
    before = Parameters().restart_s.median
    recorded(ledger, [crash(10.0)] * 1)
    one = learned(ledger, STORE).restart_s
    recorded(ledger, [crash(10.0)] * 20)
    many = learned(ledger, STORE).restart_s
    assert before < one.median < many.median < 10
    assert one.median == pytest.approx(before * (10 / before) ** (1 / (STRENGTH + 1)))
    assert many.median > 6
    assert many.sigma < one.sigma
    assert (one.n, many.n) == (1, 20), "a run that is there already is not recorded twice"


def test_what_never_came_back_is_no_time(ledger: Ledger) -> None:
    case, _ = crash(1.0)
    recorded(ledger, [(case, [figure("mttr", 1.0), figure("recovered", 0.5)])])
    assert learned(ledger, STORE).restart_s == Parameters().restart_s


def waited(longest_ms: float, fault: Fault, verdict: Verdict = Verdict.HOLDS) -> tuple[Case, list[Figure]]:
    case = Case(verdict, Weakness.MISSING_TIMEOUT, "front->side", fault)
    figures = [figure("latency_p95", 20, Phase.BASELINE), figure("latency_p95", 20 + longest_ms, Phase.FAULT)]
    return case, figures


def test_a_timeout_that_was_seen_is_taken_for_its_place_and_moves_the_others(ledger: Ledger) -> None:
    recorded(ledger, [waited(1500, Timeout())] * 3)
    found = learned(ledger, STORE)
    assert found.timeouts_ms == {"front->side": pytest.approx(1500)}
    assert found.timeout_ms.median > Parameters().timeout_ms.median
    assert learned(ledger, small_system("other")).timeouts_ms == {}, "another system's place is another place"


@pytest.mark.parametrize(
    "seen",
    [waited(20, Timeout()), waited(1900, Latency(delay_ms=2000)), waited(1500, Timeout(), Verdict.BREAKS)],
    ids=["no rise", "no earlier than the answer", "no time-out"],
)
def test_what_is_no_timeout_is_not_taken_for_one(ledger: Ledger, seen: tuple[Case, list[Figure]]) -> None:
    recorded(ledger, [seen])
    assert learned(ledger, STORE).timeouts_ms == {}


def test_usual_times_and_errors_are_measured(ledger: Ledger) -> None:
    figures = [
        figure("latency_p50", 80, Phase.BASELINE),
        figure("latency_p95", 120, Phase.BASELINE),
        figure("availability", 0.99, Phase.BASELINE),
    ]
    recorded(ledger, [(Case(Verdict.HOLDS), figures)])
    found = learned(ledger, STORE)
    assert found.base_ms == {"front": 80}
    assert found.errors == {"home": pytest.approx(0.01)}


def test_a_baseline_that_was_not_well_is_not_what_is_usual(ledger: Ledger) -> None:
    busy = [
        figure("latency_p50", 700, Phase.BASELINE),
        figure("latency_p95", 900, Phase.BASELINE),
        figure("availability", 1.0, Phase.BASELINE),
    ]
    failing = [figure("latency_p50", 80, Phase.BASELINE), figure("availability", 0.7, Phase.BASELINE)]
    recorded(ledger, [(Case(Verdict.INCONCLUSIVE), busy), (Case(Verdict.INCONCLUSIVE), failing)])
    found = learned(ledger, STORE)
    assert (found.base_ms, found.errors) == ({}, {})


def test_rates_of_detection_follow_places_where_the_weakness_was_shown_otherwise(ledger: Ledger) -> None:
    def tried(verdict: Verdict, fault: Fault) -> tuple[Case, list[Figure]]:
        return Case(verdict, Weakness.HARD_DEPENDENCY, "front->back", fault), []

    blind = [tried(Verdict.HOLDS, Error(status=404))] * 12
    recorded(ledger, [tried(Verdict.BREAKS, Timeout()), *blind])
    key = (Weakness.HARD_DEPENDENCY, "client_error")
    found = learned(ledger, STORE)
    usual = sensitivity(*key[:1], (key[1],))
    assert found.shown == {key: pytest.approx(STRENGTH * usual / (STRENGTH + 12))}
    assert found.shows(key[0], ("client_error",)) < 0.5 * usual
    assert found.shows(key[0], ("silent",)) == sensitivity(key[0], ("silent",)), (
        "its only proof proves nothing of itself"
    )
    assert found.detects(key[0], ("client_error",)) < Parameters().detects(key[0], ("client_error",))


def test_a_hold_after_a_break_under_the_same_fault_may_be_a_repair(ledger: Ledger) -> None:
    def tried(verdict: Verdict) -> tuple[Case, list[Figure]]:
        return Case(verdict, Weakness.HARD_DEPENDENCY, "front->back", Timeout()), []

    recorded(ledger, [tried(Verdict.BREAKS), tried(Verdict.BREAKS), tried(Verdict.HOLDS)])
    usual = sensitivity(Weakness.HARD_DEPENDENCY, ("silent",))
    found = learned(ledger, STORE).shown[Weakness.HARD_DEPENDENCY, "silent"]
    assert found == pytest.approx((STRENGTH * usual + 2) / (STRENGTH + 2.5))


def test_its_predictions_are_held_against_their_verdicts(ledger: Ledger) -> None:
    def said(verdict: Verdict, probability: float) -> tuple[Case, list[Figure]]:
        return Case(verdict, by=(("historian", 0.5), (NAME, probability))), []

    assert foretold(ledger).twin is None
    recorded(
        ledger,
        [said(Verdict.BREAKS, 0.9), said(Verdict.HOLDS, 0.2), said(Verdict.INCONCLUSIVE, 0.99)],
    )
    found = foretold(ledger, "store")
    assert found.twin is not None
    assert found.twin.n == 2
    assert found.twin.brier == pytest.approx((0.01 + 0.04) / 2)
    assert [(b.said, b.came_true, b.n) for b in found.twin.bins] == [(0.2, 0.0, 1), (0.9, 1.0, 1)]
    assert found.plans is not None
    assert found.plans.brier == 0.25, "each plan said 50 %"
    assert foretold(ledger, "other").twin is None
