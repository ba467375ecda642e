"""Each weakness is judged where its fault can show it, and says why not where it cannot."""

from __future__ import annotations

import pytest

from executor.model.criteria import BoundedLatency, CallsWithin, DataKept, DetectedWithin, RecoversWithin, SteadyState
from executor.model.data_check import DataCheck
from executor.model.faults import SPECS, Fault
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.faults.network import Latency
from executor.model.faults.resource import Connections
from executor.model.faults.service import CorruptResponse, Crash, DependencyFailure, Error, Hang, Timeout
from executor.model.plan import EdgeTarget, InstanceTarget, Target
from executor.model.probe import HttpProbe
from executor.model.system import Service, System
from executor.model.vocabulary import Weakness
from planner.recipes.case import Case, Judging, Unfit
from planner.recipes.table import LEFT_OUT, RECIPES, judging
from tests.executor.faults.cases import all_cases
from tests.planner.systems import bazaar, check, edge, service

LATE = Latency(delay_ms=3000)
REFUSED = DependencyFailure(mode="refuse")


def judged(weakness: Weakness, place: str, fault: Fault, target: Target | None = None) -> Judging | Unfit:
    caller, _, callee = place.partition("->")
    aim = target or (EdgeTarget(caller=caller, callee=callee) if callee else InstanceTarget(service=place))
    return judging(Case(bazaar(), weakness, place, fault, aim))


def fit(weakness: Weakness, place: str, fault: Fault, target: Target | None = None) -> Judging:
    found = judged(weakness, place, fault, target)
    assert isinstance(found, Judging), found
    return found


def unfit(weakness: Weakness, place: str, fault: Fault, target: Target | None = None) -> str:
    found = judged(weakness, place, fault, target)
    assert isinstance(found, Unfit), found
    return found.reason


def test_every_weakness_has_a_recipe_or_a_reason_and_not_both() -> None:
    assert set(RECIPES) | set(LEFT_OUT) == set(Weakness)
    assert not set(RECIPES) & set(LEFT_OUT)


@pytest.mark.parametrize("weakness", sorted(LEFT_OUT))
def test_what_is_left_out_says_why(weakness: Weakness) -> None:
    assert unfit(weakness, "web->lb", REFUSED) == LEFT_OUT[weakness]


def test_hard_dependency_asks_only_those_who_should_do_without() -> None:
    home = fit(Weakness.HARD_DEPENDENCY, "app->cache", REFUSED)
    assert home.criteria == (SteadyState(checks=("list",)),)
    assert home.exercised_by == (("app", "cache"),)
    assert "no operation" in unfit(Weakness.HARD_DEPENDENCY, "web->lb", REFUSED)  # all need what is behind the balancer
    assert "missing timeout" in unfit(Weakness.HARD_DEPENDENCY, "web->tips", LATE)
    assert "supervisor" in unfit(Weakness.HARD_DEPENDENCY, "web->tips", Crash(), InstanceTarget(service="tips"))


def test_degradation_takes_damaged_answers() -> None:
    assert fit(Weakness.NO_GRACEFUL_DEGRADATION, "web->tips", CorruptResponse()).checks == ("home",)
    assert unfit(Weakness.NO_GRACEFUL_DEGRADATION, "web->tips", REFUSED)


def test_a_timeout_is_looked_for_below_the_delay() -> None:
    late = fit(Weakness.MISSING_TIMEOUT, "web->tips", LATE)
    assert late.criteria == (BoundedLatency(checks=("home",), limit_ms=2000),)
    assert late.fault_s > 2 + 8 / 10  # the answers that begin in the last 2 s do not count
    assert unfit(Weakness.MISSING_TIMEOUT, "web->tips", Latency(delay_ms=2000))  # who answers after 1.8 s has given up
    assert "another instance" in unfit(Weakness.MISSING_TIMEOUT, "lb->app", Hang(), InstanceTarget(service="app"))


@pytest.mark.parametrize(("timeout_ms", "retries", "limit_ms"), [(1500, 0, 1650), (1500, 1, None), (1700, 0, None)])
def test_a_shorter_delay_tells_where_it_is_known_how_long_is_waited(
    timeout_ms: float, retries: int, limit_ms: float | None
) -> None:
    edges = [
        {**d.model_dump(), **({"timeout_ms": timeout_ms, "retries": retries} if d.place == "web->tips" else {})}
        for d in bazaar().dependencies
    ]
    told = System.model_validate({**bazaar().model_dump(), "dependencies": edges})
    aim = EdgeTarget(caller="web", callee="tips")
    found = judging(Case(told, Weakness.MISSING_TIMEOUT, "web->tips", Latency(delay_ms=1800), aim))
    if limit_ms is None:
        assert isinstance(found, Unfit)
    else:
        assert isinstance(found, Judging)
        assert found.criteria == (BoundedLatency(checks=("home",), limit_ms=limit_ms),)


def test_a_bulkhead_needs_pressure_from_those_who_wait() -> None:
    found = fit(Weakness.MISSING_BULKHEAD, "web->tips", LATE)
    assert found.drivers == ("home",)
    assert [c.checks for c in found.criteria if isinstance(c, SteadyState)] == [("imprint",)]
    assert unfit(Weakness.MISSING_BULKHEAD, "web->tips", Error())
    assert "no two operations" in unfit(Weakness.MISSING_BULKHEAD, "app->db", LATE)
    assert found.fault_s >= 1.5 + 3 + 8 / 10  # the starved page may be answered 3 s late, and the judge wants 8 answers


def test_calls_are_counted_where_that_can_be_done() -> None:
    storm = fit(Weakness.RETRY_STORM, "web->tips", Error(status=503))
    assert storm.criteria == (CallsWithin(caller="web", callee="tips", factor_max=3),)
    assert storm.drivers == ("home",)
    breaker = fit(Weakness.MISSING_CIRCUIT_BREAKER, "web->tips", Timeout()).criteria[0]
    assert isinstance(breaker, CallsWithin)
    assert breaker.factor_max < 1
    assert "cannot be counted" in unfit(Weakness.RETRY_STORM, "app->cache", REFUSED)
    assert unfit(Weakness.MISSING_CIRCUIT_BREAKER, "web->tips", REFUSED)


def test_the_baseline_is_long_enough_to_compare_calls_with() -> None:
    found = fit(Weakness.RETRY_STORM, "web->tips", Error())
    assert found.baseline_s * 10 >= 16  # the judge wants 8 calls, and home brings 10 a second


def test_a_retry_is_looked_for_under_rare_server_errors() -> None:
    found = fit(Weakness.MISSING_RETRY, "web->lb", Error(status=503, probability=0.15))
    assert found.fault_s * 10 >= 60
    assert unfit(Weakness.MISSING_RETRY, "web->lb", Error(status=503))
    assert "404" in unfit(Weakness.MISSING_RETRY, "web->lb", Error(status=404, probability=0.15))


def test_a_balancer_is_tried_with_one_member_that_hangs() -> None:
    found = fit(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "lb", Hang(), InstanceTarget(service="app"))
    steady = found.criteria[0]
    assert isinstance(steady, SteadyState)
    assert steady.after_s > 0
    assert set(steady.checks) == {"home", "order", "list"}
    assert "hang" in unfit(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "lb", Crash(), InstanceTarget(service="app"))
    both = InstanceTarget(service="app", count=2)
    assert "no other member" in unfit(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "lb", Hang(), both)
    assert "not behind" in unfit(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "lb", Hang(), InstanceTarget(service="db"))


def test_a_single_point_is_judged_by_critical_operations_only() -> None:
    assert set(fit(Weakness.SINGLE_POINT_OF_FAILURE, "db", Crash()).checks) == {"home", "order"}
    assert "no critical" in unfit(Weakness.SINGLE_POINT_OF_FAILURE, "cache", Crash())


def test_recovery_is_timed_from_the_death_and_outlasted_by_the_fault() -> None:
    found = fit(Weakness.SLOW_OR_MISSING_RECOVERY, "web", Crash())
    back = found.criteria[0]
    assert isinstance(back, RecoversWithin)
    assert back.since == "injected"
    assert set(back.checks) == {"home", "imprint"}
    assert found.fault_s > back.within_s + 1
    assert "cannot be seen" in unfit(Weakness.SLOW_OR_MISSING_RECOVERY, "app", Crash())


def test_recovery_is_told_by_one_operation_of_others_or_by_all_its_own() -> None:
    own, through = (fit(Weakness.SLOW_OR_MISSING_RECOVERY, place, Crash()).criteria[0] for place in ("web", "db"))
    assert isinstance(own, RecoversWithin)
    assert isinstance(through, RecoversWithin)
    assert (own.of, through.of) == ("all", "any")


def test_reconnecting_is_timed_from_the_end_of_the_fault() -> None:
    found = fit(Weakness.DOES_NOT_RECONNECT, "app->db", ConnectionFailure(), InstanceTarget(service="db"))
    back = found.criteria[0]
    assert isinstance(back, RecoversWithin)
    assert back.since == "reverted"
    assert found.recovery_s > back.within_s + 1
    assert "cut the calls" in unfit(Weakness.DOES_NOT_RECONNECT, "app->db", Crash(), InstanceTarget(service="db"))


def test_a_lock_is_judged_by_operations_on_other_tables() -> None:
    found = fit(Weakness.POOL_EXHAUSTION, "app->db", Lock(table="orders"), InstanceTarget(service="db"))
    assert found.checks == ("list", "order")
    assert found.drivers == ("order",)
    assert unfit(Weakness.POOL_EXHAUSTION, "app->db", Lock(table="elsewhere"), InstanceTarget(service="db"))
    few = Lock(table="orders", rows=5)
    assert "as a whole" in unfit(Weakness.POOL_EXHAUSTION, "app->db", few, InstanceTarget(service="db"))
    assert fit(Weakness.POOL_EXHAUSTION, "web", Connections(count=50)).checks == ("home", "imprint")


def test_a_cold_cache_is_judged_by_who_uses_it_and_by_speed() -> None:
    found = fit(Weakness.COLD_CACHE_OVERLOAD, "app->cache", CacheFlush(), InstanceTarget(service="cache"))
    assert found.criteria == (SteadyState(checks=("list",), latency_ms_max=300),)


def test_a_blind_spot_takes_a_signal_and_users_who_are_failed() -> None:
    found = fit(Weakness.DETECTION_BLIND_SPOT, "app", REFUSED, EdgeTarget(caller="app", callee="db"))
    assert found.criteria == (DetectedWithin(signal="app-health", within_s=3),)
    assert set(found.drivers) == {"order", "list"}
    whole = InstanceTarget(service="app", count=2)
    assert "would have it back" in unfit(Weakness.DETECTION_BLIND_SPOT, "app", Crash(), whole)
    assert "declares no" in unfit(Weakness.DETECTION_BLIND_SPOT, "web", REFUSED, EdgeTarget(caller="web", callee="lb"))


def test_a_shared_database_speaks_of_no_single_caller() -> None:
    """What a page that needs two callers of a dead database does says nothing of either edge."""
    system = bazaar()
    shared = System(
        name="bazaar", services=system.services, dependencies=(*system.dependencies, edge("web", "db", "postgresql"))
    )
    cut = Case(shared, Weakness.DOES_NOT_RECONNECT, "app->db", ConnectionFailure(), InstanceTarget(service="db"))
    found = judging(cut)
    assert isinstance(found, Judging)
    assert set(found.checks) == {"home", "order", "list"}  # none of them was seen to use web->db
    alone = judging(
        Case(shared, Weakness.DOES_NOT_RECONNECT, "web->db", ConnectionFailure(), InstanceTarget(service="db"))
    )
    assert isinstance(alone, Unfit)


def test_every_kind_of_fault_is_refused_or_judged_by_every_recipe() -> None:
    system = bazaar()
    typical = (spec.typical(system.service("db")) for spec in SPECS)
    for fault in (*filter(None, typical), *(case.fault for case in all_cases())):
        for weakness in Weakness:
            for place in ("db", "app", "web->lb", "app->db"):
                caller, _, callee = place.partition("->")
                target = {
                    "edge": EdgeTarget(caller=caller, callee=callee or "lb"),
                    "instances": InstanceTarget(service=callee or caller),
                }.get(fault.target_kind)
                if target is not None:
                    found = judging(Case(system, weakness, place, fault, target))
                    assert isinstance(found, Judging) or found.reason


def test_what_a_service_must_keep_is_looked_for_when_it_dies() -> None:
    read = HttpProbe(url="http://127.0.0.1:1/orders")
    kept = DataCheck(
        id="kept", service="app", write=HttpProbe(url=f"{read.url}/{{id}}", method="PUT"), read=read, rate_hz=2
    )
    plain = bazaar()
    apart = tuple(s for s in plain.services if s.name != "app")
    app = Service(**{**dict(plain.service("app")), "data_checks": (kept,)})
    where = System(**{**dict(plain), "services": (*apart, app)})
    found = judging(Case(where, Weakness.INCONSISTENT_AFTER_CRASH, "app", Crash(), InstanceTarget(service="app")))
    assert isinstance(found, Judging)
    assert found.criteria == (DataKept(data_check="kept"),)
    assert found.checks, "an experiment asks something of its users, too"
    assert found.baseline_s * kept.rate_hz >= 12
    hanging = judging(Case(where, Weakness.INCONSISTENT_AFTER_CRASH, "app", Hang(), InstanceTarget(service="app")))
    assert hanging == Unfit("it takes a fault that ends the service's process")
    assert "declares no data check" in unfit(Weakness.INCONSISTENT_AFTER_CRASH, "app", Crash())
    assert "service that dies" in unfit(Weakness.INCONSISTENT_AFTER_CRASH, "app->db", REFUSED)


def test_a_kept_member_is_blamed_on_the_caller_whose_users_use_no_other_way_there() -> None:
    through_both = check("both", "web", exercises=("web->old", "old->app", "web->new", "new->app"))
    through_old = check("one", "web", exercises=("web->old", "old->app"))
    pairs = (("web", "old"), ("web", "new"), ("old", "app"), ("new", "app"))
    system = System(
        name="forked",
        services=(
            service("web", operations=(through_both, through_old)),
            *(service(name) for name in ("old", "new")),
            service("app", instances=2),
        ),
        dependencies=tuple(edge(*pair) for pair in pairs),
    )
    kept = Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER
    old, new = (
        judging(Case(system, kept, f"{name}->app", Hang(), InstanceTarget(service="app"))) for name in ("old", "new")
    )
    assert isinstance(old, Judging)
    assert old.checks == ("one",)
    assert isinstance(new, Unfit)
    assert "no other way" in new.reason
