"""Each validator on a real system that has the property and on one that has not, by real runs with real faults."""

from __future__ import annotations

import pytest

from executor.model.faults.service import Crash, DependencyFailure
from executor.model.vocabulary import Verdict
from executor.run.rejudge import differences
from tests.executor.injections import nothing_left
from tests.executor.measure.validators.mesh import Mesh, Shown, shown

HOLDS, BREAKS = Verdict.HOLDS, Verdict.BREAKS
AWAY = DependencyFailure(mode="blackhole")

STURDY = Mesh(
    "sturdy",
    AWAY,
    ["--retries=1", "--breaker-s=0.3", "--workers=4", "--separate", "--fallback", "--honest", "--sulks-s=1.8"],
    recovery_s=4,
)
"""Breaker, one retry, places of their own for calls, a fallback, and a health endpoint that tells, and for a while."""
CRAMPED = Mesh("cramped", AWAY, ["--timeout-s=0.6", "--workers=2"])
"""One small pool for all, long time-outs, nothing to fall back to, and a health endpoint that is always well."""
PATIENT = Mesh("patient", AWAY, ["--timeout-s=1.5", "--retries=3"])
"""Three retries each, the first of which comes when the fault is nearly over."""
LATE = Mesh("late", AWAY, ["--honest", "--sulks-s=60", "--notices-s=2.5"])
"""Its health endpoint tells of the fault once that is over, and for good."""
STORMY = Mesh("stormy", AWAY, ["--retries=6", "--timeout-s=0.15"], ["--workers=1", "--work-s=0.015"])
"""Six retries at once: once all callers do that, they keep overloaded what could serve three times the usual load."""
RISING = Mesh("rising", Crash(), supervised=True)
FALLEN = Mesh("fallen", Crash())

PAIRS = [
    ("failure_detection", "sturdy-health", "cramped-health"),
    ("containment", "sturdy-front", "cramped-front"),
    ("graceful_degradation", "sturdy-soft", "cramped-soft"),
    ("circuit_breaker", STURDY.edge, CRAMPED.edge),
    ("bulkhead", "sturdy-plain", "cramped-plain"),
]
WHOLE = [("full_recovery", "sturdy-front"), ("metastability", "sturdy-via"), ("retry_discipline", STURDY.edge)]


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Both lose their dependency for a while."""
    told = {(validator, of): said for validator, *both in PAIRS for of, said in zip(both, (HOLDS, BREAKS), strict=True)}
    return shown(tmp_path_factory.mktemp("cut"), STURDY, CRAMPED, told=told | dict.fromkeys(WHOLE, HOLDS))


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """What there is to see comes when the fault is nearly over, or after it."""
    return shown(tmp_path_factory.mktemp("late"), PATIENT, LATE)


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    return shown(tmp_path_factory.mktemp("storm"), STORMY)


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The dependency of both dies."""
    return shown(tmp_path_factory.mktemp("died"), RISING, FALLEN)


def test_the_run_was_whole_and_leaves_nothing(cut: Shown) -> None:
    assert cut.evidence.outcome == "completed", cut.evidence.timeline
    assert nothing_left(cut.home)
    assert differences(cut.home, cut.evidence) == []


@pytest.mark.parametrize(("validator", "has", "lacks"), PAIRS)
def test_one_that_has_it_and_one_that_has_not(cut: Shown, validator: str, has: str, lacks: str) -> None:
    assert (cut.verdict(validator, has), cut.verdict(validator, lacks)) == (HOLDS, BREAKS), cut.table()


def test_what_comes_back_whole(cut: Shown) -> None:
    """Its breaker closes, and its signal is watched until it says well: by then all checks have long been."""
    said = cut.said("full_recovery", "sturdy-front")
    assert said is not None
    assert [cut.verdict(*each) for each in WHOLE] == [HOLDS] * len(WHOLE), cut.table()
    assert float(said.measured.partition(" as before after ")[2].partition(" s")[0]) > 1.6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("validator", "of"),
    [
        ("full_recovery", "stormy-front"),
        ("circuit_breaker", STORMY.edge),
        ("retry_discipline", STORMY.edge),
        ("metastability", "stormy-via"),
    ],
)
def test_a_storm_of_retries_that_does_not_end(storm: Shown, validator: str, of: str) -> None:
    assert storm.verdict(validator, of) is BREAKS, storm.table()


@pytest.mark.slow
def test_one_that_is_started_again_and_one_that_is_not(died: Shown) -> None:
    said = [died.verdict("unaided_recovery", of) for of in ("rising-base", "fallen-base")]
    assert said == [HOLDS, BREAKS], died.table()


@pytest.mark.slow
def test_a_signal_that_is_unwell_since_the_revert_is_no_full_recovery(late: Shown) -> None:
    said = late.said("full_recovery", "late-front")
    assert said is not None
    assert said.verdict is BREAKS, late.table()
    assert "late-health does not say well again" in said.measured


@pytest.mark.slow
def test_four_calls_each_are_not_said_to_be_few_before_all_were_made(late: Shown) -> None:
    said = late.said("retry_discipline", PATIENT.edge)
    assert said is not None
    assert said.verdict is Verdict.INCONCLUSIVE, late.table()
    assert "when the fault ended, retries perhaps to come" in said.measured
