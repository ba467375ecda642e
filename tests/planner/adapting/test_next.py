"""What past results ask for: thresholds, wider blows, another try, and what tells two explanations apart."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from executor.model.faults import Fault
from executor.model.faults.network import Latency
from executor.model.faults.service import DependencyFailure, Error, Hang
from executor.model.plan import Action, EdgeTarget, InstanceTarget, Target
from executor.model.system import System
from executor.model.vocabulary import Verdict, Weakness
from experts.playbook import base_rates
from knowledge.beliefs.update import weighed
from knowledge.exposure import exposure
from knowledge.fault_types import fault_text
from knowledge.features import describe
from knowledge.rows import PastRow
from planner.adapting.explain import Rivals, rivals
from planner.adapting.follow_up import FollowUp
from planner.adapting.line import WIDTH
from planner.adapting.next import GAIN_MIN, Next, next_of, separates, worth_of
from planner.alternatives import tries
from planner.naming import experiment_id, hypothesis_id
from tests.planner.systems import bazaar, compiled, proposal

Key = tuple[Weakness, str]
NOW = datetime(2026, 11, 30, tzinfo=UTC)
BULKHEAD: Key = (Weakness.MISSING_BULKHEAD, "web->tips")
TIPS = EdgeTarget(caller="web", callee="tips")


class History:
    """Results of runs on a system, one experiment each."""

    def __init__(self, system: System | None = None) -> None:
        self.system = system or bazaar()
        self.rows: list[PastRow] = []
        self.actions: dict[tuple[str, str], tuple[Action, ...]] = {}

    def add(self, key: Key, fault: Fault, target: Target, verdict: Verdict) -> None:
        """One more run, later than all before."""
        made = compiled(proposal(*key, fault, target)).experiments
        assert made, f"{key} cannot be judged under {fault}"
        (experiment,) = made
        (hypothesis,) = (h for h in experiment.hypotheses if (h.weakness, h.place) == key)
        run = f"run-{len(self.rows) + 1}"
        self.actions[run, experiment.id] = experiment.actions
        types = (fault.looks().value,)
        self.rows.append(
            PastRow(
                run=run,
                system=self.system.name,
                experiment=experiment.id,
                hypothesis=hypothesis_id(*key, fault, target),
                weakness=key[0],
                place=key[1],
                statement=hypothesis.statement,
                fault=fault_text(fault),
                verdict=verdict,
                reason="as measured",
                predicted=0.5,
                at=NOW - timedelta(days=1) + timedelta(minutes=len(self.rows)),
                features=describe(self.system, *key, fault_types=types),
                exposure=exposure(experiment, hypothesis, self.system),
            )
        )

    def next(self) -> Next:
        made = weighed(self.system, base_rates(self.system), self.rows, None, now=NOW)
        return next_of(made, self.actions, self.system)

    def of(self, why: str, key: Key | None = None) -> list[FollowUp]:
        told = [each for each in self.next().follow_ups if each.why == why]
        return [each for each in told if key is None or key in {(p.weakness, p.place) for p in each.proposals}]


@pytest.mark.parametrize("planted_ms", [40, 700, 1900, 2990])
def test_a_planted_threshold_is_found_over_sessions(planted_ms: float) -> None:
    """Each step is planned from what the ledger holds, runs, and is the next step's past."""
    history, strongest = History(), Latency(delay_ms=3000)
    history.add(BULKHEAD, strongest, TIPS, Verdict.BREAKS)
    steps = 0
    worths = []
    while found := history.of("bisect", BULKHEAD):
        (asked,) = found[0].proposals
        worths.append(found[0].value)
        assert isinstance(asked.fault, Latency)
        broke = asked.fault.delay_ms > planted_ms
        history.add(BULKHEAD, asked.fault, TIPS, Verdict.BREAKS if broke else Verdict.HOLDS)
        steps += 1
        assert steps <= math.log2(1 / WIDTH)
    assert steps == math.log2(1 / WIDTH)
    assert worths == sorted(worths, reverse=True)
    delays = {
        verdict: [a.fault.delay_ms for row in history.rows if row.verdict is verdict
                  for a in history.actions[row.run, row.experiment] if isinstance(a.fault, Latency)]
        for verdict in (Verdict.HOLDS, Verdict.BREAKS)
    }  # fmt: skip
    low, high = max(delays[Verdict.HOLDS], default=0), min(delays[Verdict.BREAKS])
    assert low <= planted_ms < high
    assert high - low <= (WIDTH + 0.005) * strongest.delay_ms
    (said,) = history.next().thresholds
    assert "Threshold found" in said


def test_a_limit_that_the_criterion_states_is_no_threshold_to_search_for() -> None:
    history = History()
    history.add((Weakness.MISSING_TIMEOUT, "web->tips"), Latency(delay_ms=3000), TIPS, Verdict.BREAKS)
    assert not history.of("bisect")


def wide() -> System:
    told = bazaar().model_dump()
    for service in told["services"]:
        if service["name"] == "app":
            first = service["instances"][0]
            service["instances"] = [{**first, "id": f"app-{n}", "port": 9000 + n} for n in range(1, 6)]
    return System.model_validate(told)


def test_a_radius_is_widened_only_after_it_held(monkeypatch: pytest.MonkeyPatch) -> None:
    system = wide()
    monkeypatch.setattr("tests.planner.systems.bazaar", lambda: system)
    key = (Weakness.SINGLE_POINT_OF_FAILURE, "app")
    seen = []
    history = History(system)
    history.add(key, Hang(), InstanceTarget(service="app"), Verdict.HOLDS)
    while found := history.of("widen", key):
        (asked,) = found[0].proposals
        assert isinstance(asked.target, InstanceTarget)
        seen.append(asked.target.count)
        history.add(key, asked.fault, asked.target, Verdict.HOLDS)
    assert seen == [2, 4, 5]
    for verdict in (Verdict.BREAKS, Verdict.INCONCLUSIVE):
        other = History(system)
        other.add(key, Hang(), InstanceTarget(service="app"), verdict)
        assert not other.of("widen")


def test_what_decided_nothing_is_tried_again_and_each_time_is_worth_less_until_the_line_ends() -> None:
    history, key = History(), (Weakness.HARD_DEPENDENCY, "web->tips")
    values = []
    history.add(key, DependencyFailure(), TIPS, Verdict.INCONCLUSIVE)
    while found := history.of("repeat", key):
        values.append(found[0].value)
        history.add(key, DependencyFailure(), TIPS, Verdict.INCONCLUSIVE)
        assert len(values) < 5
    assert values
    assert values == sorted(values, reverse=True)
    assert all(value >= GAIN_MIN for value in values)
    history.add(key, DependencyFailure(), TIPS, Verdict.HOLDS)
    assert not history.of("repeat", key)


def test_what_one_run_has_shown_is_confirmed_once() -> None:
    history, key = History(), (Weakness.HARD_DEPENDENCY, "web->tips")
    history.add(key, DependencyFailure(), TIPS, Verdict.BREAKS)
    asked = [*history.of("confirm", key), *history.of("discriminate", key)]
    assert asked
    history.add(key, DependencyFailure(), TIPS, Verdict.BREAKS)
    assert not history.of("confirm", key)


def test_the_experiment_that_separates_tells_a_bit_and_the_one_that_cannot_tells_nothing() -> None:
    even = {"both": 0.0, "only_one": 0.5, "only_other": 0.5}
    pair = Rivals(None, ("a", "x"), ("b", "y"), **even)  # type: ignore[arg-type]
    assert pair.gain(1.0, 0.0) > 0.85
    assert pair.gain(0.9, 0.9) == pytest.approx(0, abs=1e-9)
    assert pair.gain(0.9, 0.1) > pair.gain(0.9, 0.5) > 0
    assert pair.gain(0.9, 0.1) == pytest.approx(pair.gain(0.1, 0.9))
    settled = Rivals(None, ("a", "x"), ("b", "y"), both=0.0, only_one=1.0, only_other=0.0)  # type: ignore[arg-type]
    assert settled.gain(1.0, 0.0) == pytest.approx(0, abs=1e-9)


HARD: Key = (Weakness.HARD_DEPENDENCY, "web->tips")
BARE: Key = (Weakness.NO_GRACEFUL_DEGRADATION, "web->tips")


def test_two_explanations_are_told_apart_by_what_only_one_of_them_breaks_under() -> None:
    """A 503 breaks for both; a refused connection breaks for one that depends on the callee, whatever it answers."""
    history = History()
    history.add(BARE, Error(), TIPS, Verdict.BREAKS)
    made = weighed(history.system, base_rates(history.system), history.rows, None, now=NOW)
    (pair,) = rivals(made, 1)
    assert {pair.one, pair.other} == {HARD, BARE}
    assert pair.both + pair.only_one + pair.only_other + pair.neither == pytest.approx(1)
    assert pair.only_one + pair.only_other > 0.6
    (found,) = history.of("discriminate")
    (asked,) = found.proposals
    assert asked.fault == DependencyFailure()
    every = [(key, fault, target) for key in (HARD, BARE) for fault, target in tries(*key, history.system)]
    gains = {
        (fault, target): separates(pair, (proposal(*key, fault, target),), history.system)
        for key, fault, target in every
    }
    assert found.value == pytest.approx(max(gains.values()))
    assert gains[Error(status=404), TIPS] < 0.5 * found.value  # which breaks for both, too
    for verdict, is_there in ((Verdict.BREAKS, HARD), (Verdict.HOLDS, BARE)):
        later = History()
        later.add(BARE, Error(), TIPS, Verdict.BREAKS)
        later.add(HARD, asked.fault, asked.target, verdict)
        believed = {
            (b.weakness, b.place): b.probability
            for b in weighed(later.system, base_rates(later.system), later.rows, None, now=NOW).beliefs
        }
        assert believed[is_there] > 0.8 > believed[HARD if is_there is BARE else BARE]
        assert not [each for each in later.of("discriminate") if each.proposals[0].fault == asked.fault]


def test_a_follow_up_is_worth_what_it_says_to_the_candidate_that_it_becomes() -> None:
    history = History()
    history.add(BULKHEAD, Latency(delay_ms=3000), TIPS, Verdict.BREAKS)
    (found,) = history.of("bisect", BULKHEAD)
    (asked,) = found.proposals
    told = worth_of([found])
    assert told[experiment_id(asked.fault, asked.target)][BULKHEAD] == found.value
    (experiment,) = compiled(*found.proposals).experiments
    assert experiment.id in told
