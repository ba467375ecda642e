"""A whole zone is lost in one experiment: an action for each service, and one blast radius for all."""

from __future__ import annotations

import pytest

from executor.drivers.resolve import resolve
from executor.faults.behaviour import why_not
from executor.faults.registry import behaviour
from executor.model.evidence import EventKind
from executor.model.faults.infrastructure import Zone
from executor.model.plan import Action, Experiment, InstanceTarget
from executor.model.system import Service, System
from executor.run.engine import run
from executor.safety.limits import BlastRadius, Limits
from executor.safety.reach import reach_of
from executor.safety.rules import refusals
from executor.state.home import Home
from tests.executor.faults.cases.zone import placed
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, shelves


def system_of(books: Shelf, maps: Shelf, spare: Shelf) -> System:
    """Books in a, maps in a and b."""
    where = {"books": (placed(books, "a"),), "maps": (placed(maps, "a"), placed(spare, "b"))}
    services = tuple(
        Service(**{**dict(shelf.service()), "instances": where[shelf.name], "restarts": "by_hand"})
        for shelf in (books, maps)
    )
    return System(name="library", services=services)


def lost(system: System, zone: str) -> Experiment:
    actions = tuple(
        Action(
            id=f"a-{service.name}",
            fault=Zone(zone=zone, how="pause"),
            target=InstanceTarget(service=service.name, ids=ids),
            duration_s=1,
        )
        for service in system.services
        if (ids := tuple(each.id for each in service.instances if each.zone == zone))
    )
    return experiment_on(system, "books", actions=actions)


@pytest.mark.usefixtures("quick")
def test_all_of_it_and_nothing_else_is_lost_and_comes_back(home: Home) -> None:
    with shelves("books", "maps", "spare", chained=False) as (books, maps, spare):
        system = system_of(books, maps, spare)
        plan = plan_of(system, (lost(system, "a"),))
        reach = reach_of(plan, system)
        assert (reach.instances, reach.services, reach.targets) == (2, 2, ("books-1", "maps-1"))
        evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
        injected = [event.action for event in evidence.timeline if event.kind is EventKind.INJECTED]
        assert sorted(filter(None, injected)) == ["a-books", "a-maps"]
        assert {target.instance for target in evidence.targets} == {"books-1", "maps-1"}
        assert all(check.reverted and check.verified for result in evidence.results for check in result.reverts)
        assert books.answers()
        assert maps.answers()


def test_its_blast_radius_is_that_of_all_its_actions() -> None:
    with shelves("books", "maps", "spare", chained=False) as running:
        system = system_of(*running)
        plan = plan_of(system, (lost(system, "a"),))
        half = Limits(**{**dict(LIMITS), "blast_radius": BlastRadius(instances_percent=50, services_percent=100)})
        assert "instances" in " ".join(str(refusal) for refusal in refusals(plan, system, half))


def test_an_instance_elsewhere_is_refused() -> None:
    with shelves("books", "maps", "spare", chained=False) as running:
        system = system_of(*running)
        for fault, ids, reason in (
            (Zone(zone="a"), ("spare-1",), "spare-1 is in zone b, not in a."),
            (Zone(zone="a", how="isolate"), ("maps-1",), "and not something that is a machine of its own"),
        ):
            (target,) = resolve(InstanceTarget(service="maps", ids=ids), system)
            assert reason in str(why_not(behaviour(fault.kind), fault, target))
