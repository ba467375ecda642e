"""The real planner goes round its loop on a simulated system, and what it found stays in its home."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.gym.loop import train
from bench.gym.orders import ORDERS
from bench.gym.outcomes import Outcomes
from bench.gym.score import score
from bench.gym.seed import council
from bench.gym.systems import ground
from executor.run.engine import load_evidence
from executor.state.home import Home
from knowledge.ledger import Ledger


@pytest.mark.slow
def test_it_plans_runs_learns_and_never_asks_the_same_twice(tmp_path: Path) -> None:
    here = ground(2, 1, services=20)
    outcomes = Outcomes(here)
    home = Home.open(tmp_path / "home")
    done = train(outcomes, home, council(), budget=6, session=3)
    told = score(((e.id, r) for e, r in done.experiments), here)
    assert (told.experiments, told.duplicates) == (6, 0)
    with Ledger.open(home) as ledger:
        runs = ledger.runs()
        broke = {(row.weakness, row.place) for row in ledger.past() if row.verdict == "breaks"}
    assert len(runs) == 2
    assert broke == {pair for _, result in done.experiments for pair in result.broke}
    evidence = load_evidence(home, runs[0].run)
    assert evidence is not None
    assert evidence.versions["executor"] == "simulated"
    _every_order_takes_each_once(outcomes, [e for e, _ in done.experiments])


def _every_order_takes_each_once(outcomes: Outcomes, candidates: list) -> None:  # type: ignore[type-arg]
    import random

    for name, order in ORDERS.items():
        taken = [e.id for e, _ in order(candidates, outcomes.ground.system, outcomes.of, random.Random(1))]
        if name.startswith("genetic"):
            assert set(taken) <= {e.id for e in candidates}
        else:
            assert sorted(taken) == sorted(e.id for e in candidates)
