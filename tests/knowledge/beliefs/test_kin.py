"""What other places of a system say of one: by what they have in common, and as far as they explain what broke."""

from __future__ import annotations

import pytest

from executor.model.system import Dependency, Service, System
from executor.model.vocabulary import FaultType, Verdict, Weakness
from knowledge.beliefs.belief import Key
from knowledge.beliefs.kin import likeness
from knowledge.beliefs.prior import KIN_STRENGTH_MAX
from knowledge.beliefs.update import Weighed, weighed
from knowledge.exposure import Exposure, Judged, Look, Strike
from knowledge.features import Features, describe
from knowledge.rows import PastRow
from tests.knowledge.beliefs.rows import NOW, result

WAITS = Weakness.MISSING_TIMEOUT
RATE = (0.3, "x")


def town(technology: str | None = "flask", callees: int = 4) -> System:
    """Two shops of one technology and one of another, each calling the same depots."""
    depots = [f"depot-{n}" for n in range(callees)]
    services = [
        Service(name="red", technology=technology),
        Service(name="blue", technology=technology),
        Service(name="green", technology="go"),
        *(Service(name=name, technology="go") for name in depots),
    ]
    edges = [
        Dependency(caller=shop, callee=depot, protocol="http") for shop in ("red", "blue", "green") for depot in depots
    ]
    return System(name="town", services=tuple(services), dependencies=tuple(edges))


def features(place: str, system: System | None = None) -> Features:
    return describe(system or town(), WAITS, place)


def row(place: str, verdict: Verdict, number: int, system: System | None = None, *also: str) -> PastRow:
    judged = Judged("bounded_latency", checks=("page",), limit_ms=2000)
    looks = (Look("page", place.partition("->")[0], (place, *also), rate_hz=10),)
    strike = Strike(kind="x", type=FaultType.SILENT.value, edges=(place, *also), duration_s=6.0)
    made = result(WAITS, place, verdict, Exposure((strike,), (judged,), looks), number=number, system="town")
    return PastRow(**{**vars(made), "features": describe(system or town(), WAITS, place, fault_types=("silent",))})


class NothingElse:
    """A memory of this system alone."""

    def similar_each(self, queries, _k, **_asked):
        return [()] * len(queries)


def made(*rows: PastRow, system: System | None = None) -> Weighed:
    there = system or town()
    rates = {(WAITS, edge.place): RATE for edge in there.dependencies}
    return weighed(there, rates, rows, NothingElse(), now=NOW)


def believed(*rows: PastRow, system: System | None = None) -> dict[str, float]:
    return {b.place: b.probability for b in made(*rows, system=system).beliefs}


def test_calls_of_one_service_are_most_alike_then_those_of_one_stack():
    query = features("red->depot-0")
    same, stack, other = (likeness(query, features(f"{shop}->depot-1")) for shop in ("red", "blue", "green"))
    assert 1 == same > stack > other > 0
    unknown = features("blue->depot-1", town(technology=None))
    assert stack > likeness(query, unknown) > other
    assert likeness(query, describe(town(), WAITS, "red")) == 0


def test_what_broke_at_one_place_is_looked_for_where_the_same_hands_were_at_work():
    after = believed(row("red->depot-0", Verdict.BREAKS, 1))
    assert after["red->depot-1"] > after["blue->depot-1"] > after["green->depot-1"] > RATE[0]


def test_a_system_has_a_rate_of_its_own():
    rows = [row(f"red->depot-{n}", Verdict.HOLDS, n + 1) for n in range(3)]
    held = believed(*rows)
    assert held["red->depot-3"] < held["blue->depot-3"] < held["green->depot-3"] < RATE[0]
    assert held["red->depot-3"] < 0.15
    mixed = believed(*rows[:2], row("red->depot-2", Verdict.BREAKS, 3))
    assert (
        held["red->depot-3"] < mixed["red->depot-3"] < believed(row("red->depot-2", Verdict.BREAKS, 3))["red->depot-3"]
    )


def test_what_another_weakness_explains_says_less_of_this_one():
    """Both edges were silent at once: either may be to blame, so neither counts in full for a third."""
    both = row("red->depot-0", Verdict.BREAKS, 1, None, "red->depot-1")
    other = row("red->depot-1", Verdict.BREAKS, 1, None, "red->depot-0")
    alone = row("red->depot-0", Verdict.BREAKS, 1)
    assert RATE[0] < believed(both)["red->depot-3"] < believed(alone)["red->depot-3"]
    assert (
        believed(both, other)["red->depot-3"] < believed(alone, row("red->depot-1", Verdict.BREAKS, 2))["red->depot-3"]
    )


def test_without_a_memory_only_own_runs_count():
    rates: dict[Key, tuple[float, str]] = {(WAITS, edge.place): RATE for edge in town().dependencies}
    told = weighed(town(), rates, [row("red->depot-0", Verdict.BREAKS, 1)], None, now=NOW)
    others = [b.probability for b in told.beliefs if b.place != "red->depot-0"]
    assert others == pytest.approx([RATE[0]] * len(others))


def test_however_many_there_are_a_place_keeps_something_of_its_own_and_grounds_stay_short():
    system = town(callees=40)
    rows = [row(f"red->depot-{n}", Verdict.BREAKS, n + 1, system) for n in range(39)]
    known = made(*rows, system=system)
    last = next(b for b in known.beliefs if b.place == "red->depot-39")
    assert last.probability < 0.92
    assert sum(lean.count for lean in known.priors[WAITS, last.place].leans) == pytest.approx(KIN_STRENGTH_MAX)
    assert len(last.grounds) < 12
    assert "33 other places 33 broke" in last.grounds[-1]
    assert last.leaned > 0
