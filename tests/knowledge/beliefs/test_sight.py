"""What experiments can and cannot see: each blindness made on purpose, one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.model.vocabulary import FaultType, Weakness
from knowledge.beliefs.sight import sight
from knowledge.beliefs.usual import POOLS, TIMEOUTS_MS, fills_usual, outlasts_usual
from knowledge.exposure import Exposure, Judged, Look, Strike
from knowledge.sensitivity import SENSITIVITY

EDGE = "web->stock"
"""Users ask web, which calls stock, which calls db."""
USING = Look("page", "web", (EDGE, "stock->db"), rate_hz=10)
APART = Look("about", "web", (), rate_hz=10)
STEADY = Judged("steady_state", checks=("page",))


def struck(kind: FaultType = FaultType.REFUSED, **fields: Any) -> Strike:
    return Strike(**{"kind": "x", "type": kind.value, "edges": (EDGE,), "duration_s": 5.0, **fields})


def slow(delay_ms: float, **fields: Any) -> Strike:
    return struck(FaultType.SLOW if delay_ms >= 1000 else FaultType.SLUGGISH, delay_ms=delay_ms, **fields)


def shows(weakness: Weakness, strike: Strike, judged: Judged = STEADY, place: str = EDGE, **fields: Any) -> float:
    exposure = Exposure(**{"strikes": (strike,), "judged": (judged,), "looks": (USING, APART), **fields})
    return sight(weakness, place, exposure).shows


HARD = Weakness.HARD_DEPENDENCY


def test_with_nothing_in_the_way_it_is_as_sure_as_its_type_makes_it():
    assert shows(HARD, struck()) == pytest.approx(SENSITIVITY[HARD][FaultType.REFUSED], abs=0.01)


@pytest.mark.parametrize(
    ("place", "strike", "judged", "looks"),
    [
        ("web->other", struck(), STEADY, (USING,)),  # another edge is struck
        (EDGE, struck(), Judged("steady_state", checks=("about",)), (USING, APART)),  # who is judged does not pass it
        (EDGE, struck(), STEADY, (replace(USING, edges=("stock->db",)),)),  # declared, and not called
        (EDGE, struck(), Judged("calls_within", of="stock->db", factor_max=3), (USING,)),  # counted elsewhere
        (EDGE, struck(), STEADY, (replace(USING, answers=0),)),  # nobody answered
        (EDGE, struck(duration_s=1), replace(STEADY, after_s=1.5), (USING,)),  # over before it counts
    ],
)
def test_what_does_not_meet_the_place_sees_nothing(place, strike, judged, looks):
    exposure = Exposure((strike,), (judged,), looks)
    found = sight(HARD, place, exposure)
    assert found.shows == 0
    assert found.told


def test_each_service_between_hides_something():
    far = Look("shop", "front", ("front->web", EDGE), rate_hz=10)
    near, away = shows(HARD, struck()), shows(HARD, struck(), replace(STEADY, checks=("shop",)), looks=(far,))
    assert 0 < away < near


@given(st.floats(1, 60_000), st.floats(1, 60_000))
def test_a_longer_delay_sees_no_less(one, other):
    low, high = sorted((one, other))
    bounded = Judged("bounded_latency", checks=("page",), limit_ms=2000)
    for weakness, judged in ((Weakness.MISSING_TIMEOUT, bounded), (HARD, STEADY), (Weakness.TIMEOUT_INVERSION, STEADY)):
        place, edges = ("web->stock", ("stock->db",)) if weakness is Weakness.TIMEOUT_INVERSION else (EDGE, (EDGE,))
        less = shows(weakness, slow(low, edges=edges), judged, place)
        assert less <= shows(weakness, slow(high, edges=edges), judged, place) + 1e-9


def test_a_delay_is_held_against_the_limit_or_the_time_out():
    bounded = Judged("bounded_latency", checks=("page",), limit_ms=2000)
    waits = Weakness.MISSING_TIMEOUT
    assert shows(waits, slow(1900), bounded) == 0
    assert 0 < shows(waits, slow(2200), bounded) < shows(waits, slow(3000), bounded)
    assert shows(waits, slow(3000, duration_s=1.9), bounded) == 0, "over before anybody has waited too long"
    inverted = Weakness.TIMEOUT_INVERSION
    beyond = slow(300, edges=("stock->db",))
    assert shows(inverted, beyond, timeouts=((EDGE, 500.0),)) == 0
    assert shows(inverted, beyond, timeouts=((EDGE, 200.0),)) > shows(inverted, beyond) > 0
    assert shows(inverted, slow(300)) == 0, "the callee itself is late, not what it calls"


def test_rare_errors_are_told_from_chance_only_with_enough_answers():
    rare = struck(FaultType.INTERMITTENT, share=0.15)
    judged = replace(STEADY, availability_min=0.97)
    few, many = (replace(USING, answers=n) for n in (8, 200))
    assert shows(Weakness.MISSING_RETRY, rare, judged, looks=(few,)) < 0.45
    assert shows(Weakness.MISSING_RETRY, rare, judged, looks=(many,)) > 0.85
    assert shows(Weakness.MISSING_RETRY, replace(rare, share=0.02), judged, looks=(many,)) == 0
    assert shows(Weakness.MISSING_RETRY, rare, judged, looks=(few,), trials=1) == pytest.approx(
        shows(Weakness.MISSING_RETRY, rare, judged, looks=(few,), trials=5)
    ), "answers that were counted are of all trials"


def test_one_of_many_instances_is_lost_in_the_crowd():
    point = Weakness.SINGLE_POINT_OF_FAILURE
    dead = struck(FaultType.DEAD, service="stock", edges=(EDGE,))
    alone, third, twentieth = (
        shows(point, replace(dead, instances=share), place="stock") for share in (1.0, 1 / 3, 1 / 20)
    )
    assert alone >= third > 0.5
    assert twentieth == 0


def test_pools_and_walls_do_not_show_under_one_request_at_a_time():
    wall = Weakness.MISSING_BULKHEAD
    judged = Judged("steady_state", checks=("about",))
    calm = (replace(USING, rate_hz=0.3), APART)
    assert shows(wall, slow(3000), judged, looks=calm) == 0
    rates = (1.0, 5.0, 20.0, 60.0)
    seen = [shows(wall, slow(3000), judged, looks=(replace(USING, rate_hz=rate), APART)) for rate in rates]
    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.3 < 0.6 < seen[-1]
    assert shows(wall, slow(3000), judged, looks=(APART,)) == 0, "nobody presses"
    assert shows(wall, slow(3000), judged, timeouts=((EDGE, 50.0),)) == 0, "nobody waits for longer than 50 ms"


def test_a_cliff_does_not_show_under_one_request_at_a_time():
    cliff = Weakness.CAPACITY_CLIFF
    starved = struck(FaultType.STARVED_CPU, service="web", edges=())
    assert shows(cliff, starved, place="web", looks=(replace(USING, rate_hz=1),)) == 0
    assert 0 < shows(cliff, starved, place="web") < shows(cliff, replace(starved, load_hz=200), place="web")


def test_a_breaker_and_a_leak_need_calls():
    judged = Judged("calls_within", of=EDGE, factor_max=0.5)
    few = shows(
        Weakness.MISSING_CIRCUIT_BREAKER, struck(FaultType.SILENT), judged, looks=(replace(USING, rate_hz=0.5),)
    )
    many = shows(Weakness.MISSING_CIRCUIT_BREAKER, struck(FaultType.SILENT), judged)
    assert few < 0.15 < 0.6 < many
    leak, late = Weakness.RESOURCE_LEAK_UNDER_FAILURE, Judged("recovers_within", checks=("page",), within_s=5)
    brief, long = (shows(leak, struck(FaultType.SILENT, duration_s=s), late, place="web") for s in (1, 60))
    assert brief < 0.2 < 0.4 < long


def test_what_is_over_before_it_would_be_noticed_shows_no_blind_spot():
    blind, judged = Weakness.DETECTION_BLIND_SPOT, Judged("detected_within", of="stock", within_s=3)
    dead = struck(FaultType.DEAD, service="stock")
    assert shows(blind, replace(dead, duration_s=2.9), judged, place="stock") == 0
    assert shows(blind, dead, judged, place="stock") > 0.4
    assert shows(blind, dead, judged, place="web") == 0, "the signal speaks of another service"


def test_a_balancer_is_not_tried_by_taking_all_of_its_members():
    kept = Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER
    dead = struck(FaultType.DEAD, service="stock", instances=0.5)
    assert shows(kept, dead) > 0.5
    assert shows(kept, replace(dead, instances=1.0)) == 0


def test_retries_further_up_multiply_what_arrives():
    judged = Judged("calls_within", of="stock->db", factor_max=3)
    failing = struck(FaultType.SERVER_ERROR, edges=("stock->db",))
    here, above = (shows(Weakness.RETRY_STORM, failing, judged, place) for place in ("stock->db", EDGE))
    assert here > above > 0


def test_calls_that_nobody_counted_prove_less():
    assert 0 < shows(HARD, struck(), uncounted=(EDGE,)) < shows(HARD, struck())


def test_only_criteria_that_it_violates_speak_of_what_was_not_meant():
    exposure = Exposure((struck(),), (Judged("recovers_within", checks=("page",), within_s=3),), (USING,))
    assert sight(HARD, EDGE, exposure, named=False).shows == 0
    assert sight(Weakness.DOES_NOT_RECONNECT, EDGE, exposure, named=False).shows > 0.5
    storm, breaker = (Judged("calls_within", of=EDGE, factor_max=factor) for factor in (3, 0.5))
    calls = [Exposure((struck(FaultType.SERVER_ERROR),), (judged,), (USING,)) for judged in (storm, breaker)]
    seen = [sight(Weakness.MISSING_CIRCUIT_BREAKER, EDGE, each, named=False).shows for each in calls]
    assert seen[0] == 0, "who goes on calling as before sends no more than three times as much"
    assert seen[1] > 0.5
    every = Exposure((struck(FaultType.SERVER_ERROR),), (STEADY,), (USING,))
    assert sight(Weakness.MISSING_RETRY, EDGE, every, named=False).shows == 0, "trying again would not have helped"


@given(
    st.sampled_from(Weakness),
    st.sampled_from([EDGE, "web", "stock", "stock->db"]),
    st.sampled_from(FaultType),
    st.sampled_from(
        ["steady_state", "bounded_latency", "calls_within", "recovers_within", "detected_within", "data_kept"]
    ),
    st.floats(0, 1),
    st.floats(0, 1000),
)
def test_it_is_a_probability_and_never_certain(weakness, place, kind, criterion, share, seconds):
    strike = Strike("x", kind.value, (EDGE,), service="stock", share=share, instances=share, duration_s=seconds)
    judged = Judged(criterion, checks=("page",), limit_ms=1000, within_s=3, of="" if "state" in criterion else place)
    found = sight(weakness, place, Exposure((strike, strike), (judged,), (USING, APART)))
    assert 0 <= found.shows < 1


def test_what_is_usual_rises_from_nothing_to_all():
    for spread, share in ((TIMEOUTS_MS, outlasts_usual), (POOLS, fills_usual)):
        values = [share(low) for low, _ in spread]
        assert values == sorted(values)
        assert values[0] == 0
        assert share(spread[-1][0] * 10) == 1
    assert fills_usual(1.0) == 0
