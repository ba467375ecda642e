"""What the benchmark of rehearsals times is what it says: a fault that much of a large system feels."""

from __future__ import annotations

from bench.twin import CALLS, candidate, layered, timed
from executor.model.plan import InstanceTarget
from knowledge.twin.topology import topology
from knowledge.twin.twin import Twin


def test_a_layered_system_has_three_calls_a_service_and_no_cycle() -> None:
    system = layered(240)
    known = topology(system)
    assert len(system.services) == 240
    assert not known.closing.any()
    assert len(system.dependencies) > 0.8 * CALLS * 240
    assert layered(240) == system, "equal each time, or runs could not be compared"


def test_the_candidate_is_felt_by_much_of_it() -> None:
    system = layered(240)
    experiment = candidate(system)
    (struck,) = (a.target.service for a in experiment.actions if isinstance(a.target, InstanceTarget))
    known = topology(system)
    assert len(known.upstream([known.index[struck]])) > 60
    foreseen = Twin(system).rehearse(experiment, worlds=20)
    assert foreseen.breaks > 0
    assert len(foreseen.touched) > 20
    assert all(seconds > 0 for seconds in timed(system, experiment, 20))
