"""The resilience score of a real run, from its recording in the ledger."""

from __future__ import annotations

import pytest

from knowledge.resilience.measures import Dimension
from knowledge.resilience.scoring import Scoring
from planner.recovery import recoveries
from planner.resilience import over_time, scored
from tests.planner.turn import Turn

pytestmark = pytest.mark.slow


def test_a_real_run_has_a_score_with_its_coverage(turn: Turn) -> None:
    found = scored(turn.home, None, Scoring())
    assert found.run.run == turn.outcome.evidence.run
    assert found.system is not None
    assert 0 < found.system.low <= found.system.value <= found.system.high < 1  # a weakness was shown
    assert Dimension.AVAILABILITY in found.system.parts or Dimension.DEGRADATION in found.system.parts
    assert (Dimension.RECOVERY in found.system.parts) == bool(recoveries(turn.outcome.evidence))
    assert found.coverage is not None
    assert 0 < found.coverage.tested < found.coverage.applicable
    assert {service.of for service in found.services} <= {service.name for service in turn.system.services}
    assert found.litmus is not None and found.litmus < 100


def test_a_run_or_two_make_no_trend(turn: Turn) -> None:
    name, found = over_time(turn.home, None, Scoring())
    assert name == turn.system.name
    assert found.points[-1].comparable
    assert found.changes == ()
