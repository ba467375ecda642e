"""Which services the dependency graph suspects: by dominators of what users need, softness and instances counted."""

from __future__ import annotations

from typing import Any

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.model.probe import Check, TcpProbe
from executor.model.system import Dependency, ProcessInstance, Service, System
from knowledge.topology.single_points import SinglePoint, entry_operations, single_points


def system(*edges: str, instances: dict[str, int] | None = None, soft: str = "", **checks: dict[str, Any]) -> System:
    """Services as the edges (``a->b``) name them; ``checks`` are operations of the service that they are called by."""
    pairs = [edge.split("->") for edge in edges]
    names = sorted({name for pair in pairs for name in pair} | set(checks))
    return System(
        name="s",
        services=tuple(
            Service(
                name=name,
                instances=tuple(
                    ProcessInstance(id=f"{name}-{n}", command="x") for n in range((instances or {}).get(name, 1))
                ),
                operations=(Check(id=f"use-{name}", service=name, probe=TcpProbe(port=1), **checks[name]),)
                if name in checks
                else (),
            )
            for name in names
        ),
        dependencies=tuple(
            Dependency(caller=caller, callee=callee, fallback=True if f"{caller}->{callee}" == soft else None)
            for caller, callee in pairs
        ),
    )


def named(found: tuple[SinglePoint, ...]) -> dict[str, SinglePoint]:
    return {each.service: each for each in found}


def test_in_a_chain_each_is_one_and_cuts_off_what_is_below_it() -> None:
    found = named(single_points(system("a->b", "b->c", "c->d", a={})))

    assert {name: each.cut_off for name, each in found.items()} == {
        "a": ("b", "c", "d"),
        "b": ("c", "d"),
        "c": ("d",),
        "d": (),
    }
    assert {name for name, each in found.items() if each.articulation} == {"a", "b", "c"}
    assert all(each.operations == ("use-a",) for each in found.values())


def test_several_instances_stand_in_for_each_other() -> None:
    assert set(named(single_points(system("web->lb", "lb->app", "app->db", instances={"app": 2}, web={})))) == {
        "web",
        "lb",
        "db",
    }


def test_two_ways_to_what_is_needed_are_one_too_many_for_a_single_point() -> None:
    ways = ("web->left", "web->right", "left->db", "right->db")
    assert set(named(single_points(system(*ways, web={"needs": ("db",)})))) == {"web", "db"}
    assert not named(single_points(system(*ways, web={"needs": ("db",)})))["db"].articulation


def test_what_all_ways_to_what_is_needed_pass_is_one_though_nobody_named_it() -> None:
    ways = ("web->gate", "gate->left", "gate->right", "left->db", "right->db")
    found = named(single_points(system(*ways, web={"needs": ("db",)})))

    assert set(found) == {"web", "gate", "db"}
    assert found["gate"].cut_off == ("db", "left", "right")


def test_what_users_do_without_is_none() -> None:
    both = ("web->tips", "web->db")
    assert set(named(single_points(system(*both, soft="web->tips", web={})))) == {"web", "db"}
    assert set(named(single_points(system(*both, web={"needs": ("web", "db")})))) == {"web", "db"}
    assert set(named(single_points(system(*both, web={"exercises": ("web->db",)})))) == {"web", "db"}


def test_only_what_users_do_counts_and_without_it_whoever_nobody_calls() -> None:
    inner = system("web->app", "app->db", web={}, app={})
    assert [check.id for check in entry_operations(inner)] == ["use-web"]
    critical = system("web->app", "app->db", web={}, app={"critical": True})
    assert [check.id for check in entry_operations(critical)] == ["use-app", "use-web"]
    silent = named(single_points(system("web->app", "app->db")))
    assert set(silent) == {"web", "app", "db"}
    assert silent["app"].operations == ()


def test_a_ring_that_nobody_enters_is_looked_at_all_the_same() -> None:
    assert set(named(single_points(system("a->b", "b->a", a={})))) == {"a", "b"}


def test_what_is_called_with_a_fallback_is_reached_all_the_same() -> None:
    """``db`` is needed through ``app`` alone, but ``web`` calls it, too: it is not only through ``app`` reached."""
    found = named(single_points(system("web->app", "app->db", "web->db", soft="web->db", web={})))
    assert set(found) == {"web", "app", "db"}
    assert found["app"].cut_off == ()
    assert found["web"].cut_off == ("app", "db")
    only = named(single_points(system("web->app", "app->db", soft="app->db", web={})))
    assert only["app"].cut_off == (), "nothing hangs on what has a fallback"


def test_what_calls_itself_or_is_called_back_is_entered_by_users_all_the_same() -> None:
    """A till that is told by ``bank`` what became of a payment is no less where users come in."""
    inward = ("desk->log", "till->bank")
    assert set(named(single_points(system(*inward, "till->till", desk={}, till={})))) == {"desk", "log", "till", "bank"}
    assert set(named(single_points(system(*inward, "bank->till", desk={}, till={})))) == {"desk", "log", "till", "bank"}


@given(st.data())
def test_a_single_point_is_what_a_needed_service_cannot_be_reached_without(data: st.DataObject) -> None:
    """Held against taking each service away and looking again."""
    names = [f"s{n}" for n in range(data.draw(st.integers(2, 6)))]
    pairs = [(a, b) for a in names for b in names if a < b]
    edges = data.draw(st.lists(st.sampled_from(pairs), unique=True, min_size=1))
    start = names[0]
    graph = nx.DiGraph(edges)
    graph.add_nodes_from(names)
    needed = data.draw(st.sets(st.sampled_from(names))) & {start, *nx.descendants(graph, start)}
    told = system(*(f"{a}->{b}" for a, b in edges), **{start: {"needs": tuple(sorted(needed)), "critical": True}})

    wanted = {start, *needed}
    for name in set(names) - wanted:
        without = graph.copy()
        without.remove_node(name)
        if needed - {start, *nx.descendants(without, start)}:
            wanted.add(name)
    assert {each.service for each in single_points(told) if each.operations} == wanted


@pytest.mark.parametrize("count", [1, 3])
def test_equal_systems_give_equal_suspicions(count: int) -> None:
    one = system("a->b", "b->c", instances={"b": count}, a={})
    assert single_points(one) == single_points(System.model_validate_json(one.model_dump_json()))
