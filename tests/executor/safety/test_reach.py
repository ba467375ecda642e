"""What counts as touched, and how much of it there is at one moment."""

from __future__ import annotations

import pytest

from executor.errors import InputError
from executor.model.faults.kubernetes import Endpoints
from executor.model.faults.service import Crash
from executor.model.plan import InstanceTarget
from executor.safety.reach import peak, reach_of, run_s
from executor.safety.touch import by
from tests.executor.safety.examples import act, chain, cut, edge, experiment, hang, plan, service, slow, system

SYSTEM = system(
    service("front", 3), service("back", 2), service("store"), edges=[edge("front", "back"), edge("back", "store")]
)


def test_instances_touch_themselves_and_their_service() -> None:
    reach = reach_of(plan(SYSTEM, hang("front", count=2)), SYSTEM)
    assert (reach.instances, reach.services, reach.faults) == (2, 1, 2)
    assert reach.targets == ("front-1", "front-2")


def test_named_instances_are_the_ones_that_count() -> None:
    assert reach_of(plan(SYSTEM, hang("front", ids=["front-3"])), SYSTEM).targets == ("front-3",)


def test_an_edge_touches_every_instance_of_its_caller_and_none_of_its_callee() -> None:
    reach = reach_of(plan(SYSTEM, slow("front", "back")), SYSTEM)
    assert (reach.instances, reach.services, reach.faults) == (3, 1, 1)
    assert reach.targets == ("front-1", "front-2", "front-3", "front->back")
    assert peak(plan(SYSTEM, slow("front", "back")).stages[0], SYSTEM).single


def test_a_partition_touches_the_callers_of_all_edges_it_cuts() -> None:
    action = cut(["back"], ["front", "store"])
    assert by(action, SYSTEM).edges == {"front->back", "back->store"}
    reach = reach_of(plan(SYSTEM, action), SYSTEM)
    assert (reach.instances, reach.services, reach.faults) == (5, 2, 1)
    assert not peak(plan(SYSTEM, action).stages[0], SYSTEM).single


def test_stages_follow_each_other_and_experiments_of_one_stage_add_up() -> None:
    one, two = experiment(hang("front")), experiment(hang("store"))
    apart, side_by_side = plan(SYSTEM, one, two), plan(SYSTEM, [one, two])
    assert (reach_of(apart, SYSTEM).instances, reach_of(apart, SYSTEM).faults) == (1, 1)
    assert (reach_of(side_by_side, SYSTEM).instances, reach_of(side_by_side, SYSTEM).services) == (2, 2)
    assert reach_of(apart, SYSTEM).targets == reach_of(side_by_side, SYSTEM).targets == ("front-1", "store-1")


@pytest.mark.parametrize(("second_starts_s", "at_once"), [(0, 2), (4.9, 2), (5, 2), (5.1, 1)])
def test_actions_count_together_while_their_times_meet(second_starts_s: float, at_once: int) -> None:
    both = experiment(hang("front"), hang("store", start_s=second_starts_s))
    assert reach_of(plan(SYSTEM, both), SYSTEM).instances == at_once


def test_two_faults_on_one_instance_touch_one_instance() -> None:
    both = experiment(hang("store"), hang("store", id="again"))
    reach = reach_of(plan(SYSTEM, both), SYSTEM)
    assert (reach.instances, reach.services, reach.faults) == (1, 1, 2)


def test_a_run_is_as_long_as_its_longest_experiments_with_all_they_may_wait_for() -> None:
    short = experiment(hang("front"), baseline_s=2, recovery_deadline_s=3)  # 2 + 5 + 3
    long = experiment(hang("store", start_s=1), baseline_s=2, recovery_deadline_s=2, trials=3)  # 3 × (2 + 6 + 2)
    assert run_s(plan(SYSTEM, [short, long], experiment(hang("back")))) == 30 + 2 + 5 + 5


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (hang("ghost"), "ghost: the system has no such service."),
        (hang("front", ids=["front-9"]), "front: has no instance front-9; it has front-1, front-2, front-3."),
        (hang("front", count=4), "front: has 3 instances, and 4 are asked for."),
        (slow("back", "front"), "back->front: the system has no such edge."),
        (cut(["front"], ["store"]), "groups: the system knows no edge between the groups."),
        (cut(["front"], ["ghost"]), "ghost: the system has no such service."),
    ],
)
def test_an_unknown_target_is_the_authors_mistake(action: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        reach_of(plan(SYSTEM, action), SYSTEM)  # type: ignore[arg-type]
    assert str(caught.value) == message


def test_a_chain_of_ten_is_reached_one_at_a_time() -> None:
    small = chain()
    reach = reach_of(plan(small, hang("s1"), slow("s0", "s1")), small)
    assert (reach.instances, reach.services, reach.faults) == (1, 1, 1)


def test_a_fault_that_strikes_all_of_a_service_counts_them_all() -> None:
    every = {instance.id for instance in SYSTEM.service("front").instances}
    touched = by(act(Endpoints(), InstanceTarget(service="front"), "empty"), SYSTEM)
    assert touched.instances == every
    assert touched.faults == len(every)
    assert by(act(Crash(), InstanceTarget(service="front"), "kill"), SYSTEM).faults == 1
