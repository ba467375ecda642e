"""What must come out of it, by how the systems are made."""

from __future__ import annotations

from dataclasses import replace

import pytest

from executor.model.criteria import BoundedLatency, CallsWithin, RecoversWithin, SteadyState
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.faults.network import ConnectionLimit, Latency
from executor.model.faults.resource import Connections, FileDescriptors
from executor.model.faults.service import Crash, DependencyFailure, Error, Hang, Timeout
from executor.model.probe import Slo
from executor.model.vocabulary import ServiceKind, Weakness
from knowledge.twin.parameters import Parameters
from knowledge.twin.twin import Twin
from tests.knowledge.twin.scene import at, check, experiment, nothing_but, system

ASK = check("root", needs=("root", "mid"), exercises=("root->mid", "mid->leaf"))
LONGER = {"root->mid": {"timeout_ms": 900}}
CHAIN = system(("root->mid", "mid->leaf"), (ASK,), timeout_ms=400, retries=0, breaker=False, apart=LONGER)
IN_TIME = {(Weakness.MISSING_TIMEOUT, "mid->leaf"): BoundedLatency(checks=("ask-root",), limit_ms=2000)}
SLOW = experiment(Latency(delay_ms=3000), at("mid->leaf"), (ASK,), IN_TIME)


def seen(breaks: float) -> bool:
    """Whether that is as near to 1 as a verdict, which may err, lets it be."""
    assert breaks > 0.9 or breaks < 0.05
    return breaks > 0.9


def test_a_slow_dependency_makes_the_root_slow_only_where_a_timeout_is_missing() -> None:
    patient = {(Weakness.MISSING_TIMEOUT, edge.place): 1.0 for edge in CHAIN.dependencies}
    without = Twin(CHAIN, nothing_but(CHAIN, patient)).rehearse(SLOW)
    assert seen(without.hypotheses[0].breaks)
    assert without.breaks == 1, "a user who waits for three seconds is not in steady state"
    with_one = Twin(CHAIN, nothing_but(CHAIN, {})).rehearse(SLOW)
    assert not seen(with_one.hypotheses[0].breaks)
    assert with_one.breaks == 0, "it gives up after 0.4 s, and does without"


def test_an_impatient_caller_further_up_explains_the_slow_dependency_away() -> None:
    only_below = nothing_but(CHAIN, {(Weakness.MISSING_TIMEOUT, "mid->leaf"): 1.0})
    foreseen = Twin(CHAIN, only_below).rehearse(SLOW)
    assert not seen(foreseen.hypotheses[0].breaks), "root gives up on mid after 0.9 s: nobody waits for long"
    assert foreseen.breaks == 1, "and fails, since it needs mid"


def test_a_timeout_without_a_fallback_fails_the_root_in_time() -> None:
    brittle = Twin(CHAIN, nothing_but(CHAIN, {(Weakness.HARD_DEPENDENCY, "mid->leaf"): 1.0})).rehearse(
        experiment(Timeout(), at("mid->leaf"), (ASK,), IN_TIME)
    )
    assert not seen(brittle.hypotheses[0].breaks), "an error that comes soon is no missing time-out"
    assert brittle.breaks == 1
    assert dict(brittle.touched) == {"mid": 1, "root": 1}


def test_what_is_said_of_an_edge_counts_where_nothing_is_believed_of_it() -> None:
    pair = experiment(Timeout(), at("root->leaf"), (ask := check("root", needs=(), slo=Slo(latency_ms_max=900)),))
    unsaid = Twin(system(("root->leaf",), (ask,), retries=0)).rehearse(pair)
    said = Twin(system(("root->leaf",), (ask,), retries=0, timeout_ms=300, fallback=True, breaker=True)).rehearse(pair)
    assert said.breaks == pytest.approx(1 - 0.9**3, abs=0.04), "any of three may be said and not so"
    assert unsaid.breaks > 2 * said.breaks


def test_errors_that_come_late_are_waited_for_too() -> None:
    slow_to_fail = system(("root->mid", "mid->leaf"), (ASK,), timeout_ms=2500, retries=0, breaker=False)
    brittle = nothing_but(slow_to_fail, {(Weakness.HARD_DEPENDENCY, "mid->leaf"): 1.0})
    stuck = experiment(Timeout(), at("mid->leaf"), (ASK,), IN_TIME)
    assert seen(Twin(slow_to_fail, brittle).rehearse(stuck).hypotheses[0].breaks)


def test_a_timeout_no_longer_than_the_one_below_comes_first() -> None:
    equal = system(("root->mid", "mid->leaf"), (ASK,), timeout_ms=400, retries=0, breaker=False)
    foreseen = Twin(equal, nothing_but(equal, {})).rehearse(SLOW)
    assert foreseen.breaks == 1, "root is gone by the time that mid does without leaf"


def test_what_an_operation_needs_by_design_is_not_survived() -> None:
    foreseen = Twin(CHAIN, nothing_but(CHAIN, {})).rehearse(experiment(DependencyFailure(), at("root->mid"), (ASK,)))
    assert foreseen.breaks == 1
    (only,) = foreseen.checks
    assert (only.check, only.service, only.breaks, only.kept) == ("ask-root", "root", 1, 0)


def test_retries_multiply_along_a_way() -> None:
    chain = system(("root->mid", "mid->leaf"), (check("root"),), retries=2, timeout_ms=400, breaker=False)
    beliefs = nothing_but(chain, {(Weakness.HARD_DEPENDENCY, edge.place): 1.0 for edge in chain.dependencies})
    for most, breaks in ((8.5, True), (9.5, False)):
        asked = {(Weakness.RETRY_STORM, "mid->leaf"): CallsWithin(caller="mid", callee="leaf", factor_max=most)}
        made = experiment(Error(status=503), at("mid->leaf"), (check("root"),), asked)
        assert seen(Twin(chain, beliefs).rehearse(made).hypotheses[0].breaks) is breaks


def test_a_breaker_that_opens_spares_the_callee() -> None:
    asked = {(Weakness.MISSING_CIRCUIT_BREAKER, "mid->leaf"): CallsWithin(caller="mid", callee="leaf", factor_max=0.5)}
    ask = check("mid", needs=("mid",), exercises=("mid->leaf",))
    made = experiment(Timeout(), at("mid->leaf"), (ask,), asked)
    pair = system(("mid->leaf",), (ask,), timeout_ms=400, retries=0)
    for missing in (0.0, 1.0):
        beliefs = nothing_but(pair, {(Weakness.MISSING_CIRCUIT_BREAKER, "mid->leaf"): missing})
        assert seen(Twin(pair, beliefs).rehearse(made).hypotheses[0].breaks) is bool(missing)


def test_a_retry_hides_a_rare_error() -> None:
    rare = experiment(
        Error(status=503, probability=0.15),
        at("root->mid"),
        (ASK,),
        {(Weakness.MISSING_RETRY, "root->mid"): SteadyState(checks=("ask-root",), availability_min=0.97)},
    )
    chain = system(("root->mid", "mid->leaf"), (ASK,), timeout_ms=400, breaker=False)
    for missing in (0.0, 1.0):
        beliefs = nothing_but(chain, {(Weakness.MISSING_RETRY, "root->mid"): missing})
        tries_once_more = replace(Parameters(), retries=replace(Parameters().retries, median=2.0, sigma=0.0))
        assert seen(Twin(chain, beliefs, tries_once_more).rehearse(rare).hypotheses[0].breaks) is bool(missing)


@pytest.mark.parametrize("fault", [Crash(restart="murphy"), Hang()])
def test_two_instances_survive_the_loss_of_one_and_one_does_not(fault: Crash | Hang) -> None:
    for count in (1, 2):
        twice = system(("root->mid", "mid->leaf"), (ASK,), instances={"mid": count})
        foreseen = Twin(twice, nothing_but(twice, {}), QUICK).rehearse(experiment(fault, at("mid"), (ASK,)))
        assert foreseen.breaks == (1 if count == 1 else 0)
        assert ("mid" in dict(foreseen.touched)) is (count == 1)


AMPLE = replace(Parameters().headroom, median=40.0, sigma=0.0)
QUICK = replace(Parameters(), eject_s=replace(Parameters().eject_s, median=0.2, sigma=0.0), headroom=AMPLE)


def test_one_that_is_left_may_not_carry_the_load_of_two() -> None:
    twice = system(("root->mid", "mid->leaf"), (ASK,), instances={"mid": 2}, retries=0)
    narrow = replace(QUICK, headroom=replace(AMPLE, median=1.5))
    foreseen = Twin(twice, nothing_but(twice, {}), narrow).rehearse(experiment(Hang(), at("mid"), (ASK,)))
    assert foreseen.breaks == 1
    assert foreseen.checks[0].kept == pytest.approx(0.75, abs=0.05), "1.5 of 2"


def test_two_instances_do_not_help_where_the_dead_one_is_kept() -> None:
    ask = check("lb", needs=("app",), exercises=("lb->app",))
    behind = system(
        ("lb->app",), (ask,), instances={"app": 2}, services={"lb": {"kind": ServiceKind.LOAD_BALANCER}}, retries=0
    )
    asked = {
        (Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "lb"): SteadyState(
            checks=("ask-lb",), after_s=2, availability_min=0.95
        )
    }
    made = experiment(Hang(), at("app"), (ask,), asked)
    for kept in (0.0, 1.0):
        beliefs = nothing_but(behind, {(Weakness.LOAD_BALANCER_KEEPS_DEAD_MEMBER, "lb"): kept})
        assert seen(Twin(behind, beliefs, QUICK).rehearse(made).hypotheses[0].breaks) is bool(kept)


def test_what_waits_starves_what_does_not_where_there_is_no_bulkhead() -> None:
    asks = (check("root", "uses", needs=(), exercises=("root->leaf",)), check("root", "apart", exercises=()))
    small = system(("root->leaf",), asks, retries=0, breaker=False)
    made = experiment(
        Timeout(), at("root->leaf"), asks, {(Weakness.MISSING_BULKHEAD, "root->leaf"): SteadyState(checks=("apart",))}
    )
    few = replace(Parameters(), workers=replace(Parameters().workers, median=4.0, sigma=0.0))
    for missing in (0.0, 1.0):
        beliefs = nothing_but(
            small, {(Weakness.MISSING_BULKHEAD, "root->leaf"): missing, (Weakness.MISSING_TIMEOUT, "root->leaf"): 1.0}
        )
        assert seen(Twin(small, beliefs, few).rehearse(made).hypotheses[0].breaks) is bool(missing)


def test_a_lock_stops_what_touches_the_table_and_a_used_up_pool_the_rest() -> None:
    asks = (
        check("app", "orders", needs=("db",), exercises=("app->db",), tables=("orders",)),
        check("app", "goods", needs=("db",), exercises=("app->db",), tables=("goods",)),
    )
    shop = system(("app->db",), asks, services={"db": {"tables": ("orders", "goods")}}, retries=0)
    made = experiment(
        Lock(table="orders"), at("db"), asks, {(Weakness.POOL_EXHAUSTION, "app->db"): SteadyState(checks=("goods",))}
    )
    for used_up in (0.0, 1.0):
        foreseen = Twin(shop, nothing_but(shop, {(Weakness.POOL_EXHAUSTION, "app->db"): used_up})).rehearse(made)
        assert {c.check: c.breaks for c in foreseen.checks} == {"orders": 1, "goods": used_up}
        assert seen(foreseen.hypotheses[0].breaks) is bool(used_up)


def test_a_cold_cache_hurts_only_where_what_is_behind_it_cannot_carry_the_load() -> None:
    ask = check("app", exercises=("app->cache",))
    shop = system(("app->cache",), (ask,), timeout_ms=5000, retries=0)
    made = experiment(CacheFlush(), at("cache"), (ask,))
    for overload in (0.0, 1.0):
        beliefs = nothing_but(shop, {(Weakness.COLD_CACHE_OVERLOAD, "app->cache"): overload})
        assert Twin(shop, beliefs).rehearse(made).breaks == overload


def test_connections_that_are_taken_hurt_who_has_no_others() -> None:
    made = experiment(Connections(count=50), at("root"), (check("root"),))
    alone = system((), (check("root"),))
    for used_up in (0.0, 1.0):
        foreseen = Twin(alone, nothing_but(alone, {(Weakness.POOL_EXHAUSTION, "root"): used_up})).rehearse(made)
        assert foreseen.breaks == pytest.approx(0.75 * used_up, abs=0.05), "as often as that type of fault shows it"


def test_one_that_does_not_reconnect_stays_broken() -> None:
    asked = {
        (Weakness.DOES_NOT_RECONNECT, "root->mid"): RecoversWithin(checks=("ask-root",), within_s=3, since="reverted")
    }
    made = experiment(DependencyFailure(), at("root->mid"), (ASK,), asked)
    sure = {(Weakness.DOES_NOT_RECONNECT, "root->mid"): 1.0}
    stuck = Twin(CHAIN, nothing_but(CHAIN, sure)).rehearse(made)
    assert stuck.recovery is not None
    assert stuck.recovery.never == pytest.approx(0.75, abs=0.02), "as often as a refusal shows it"
    quick = Twin(CHAIN, nothing_but(CHAIN, {})).rehearse(made)
    assert quick.recovery is not None
    assert quick.recovery.never == 0
    assert 0 < quick.recovery.low_s <= quick.recovery.median_s <= quick.recovery.high_s < 10
    assert quick.hypotheses[0].breaks < stuck.hypotheses[0].breaks


def test_sessions_that_are_cut_once_hurt_who_does_not_connect_anew() -> None:
    ask = check("app", needs=("db",), exercises=("app->db",))
    shop = system(("app->db",), (ask,), breaker=False, retries=1, timeout_ms=400)
    asked = {
        (Weakness.DOES_NOT_RECONNECT, "app->db"): RecoversWithin(checks=("ask-app",), within_s=3, since="reverted")
    }
    for how in ("terminate", "both"):
        made = experiment(ConnectionFailure(how=how), at("db"), (ask,), asked)  # type: ignore[arg-type]
        for stuck in (0.0, 1.0):
            foreseen = Twin(shop, nothing_but(shop, {(Weakness.DOES_NOT_RECONNECT, "app->db"): stuck})).rehearse(made)
            assert (foreseen.hypotheses[0].breaks > 0.75) is bool(stuck)
            assert foreseen.breaks == (1 if how == "both" else pytest.approx(0.9 * stuck, abs=0.02))


def test_what_only_the_code_could_tell_is_not_told_for_certain() -> None:
    alone = system((), (check("root"),))
    odd = experiment(FileDescriptors(), at("root"), (check("root"),))
    assert Twin(alone, nothing_but(alone, {})).rehearse(odd).breaks == pytest.approx(0.3, abs=0.01)
    for most, low, high in ((2, 0.3, 0.8), (60, 0.0, 0.05)):
        limited = experiment(ConnectionLimit(max=most), at("root"), (check("root"),))
        assert low <= Twin(alone, nothing_but(alone, {})).rehearse(limited).breaks <= high


def test_an_instance_that_comes_back_by_itself_does_so_unless_that_is_the_weakness() -> None:
    ask = check("root")
    alone = system((), (ask,), services={"root": {"restarts": "supervised"}})
    asked = {
        (Weakness.SLOW_OR_MISSING_RECOVERY, "root"): RecoversWithin(checks=("ask-root",), within_s=5, since="injected")
    }
    made = experiment(Crash(), at("root"), (ask,), asked)
    spread = replace(Parameters(), restart_s=replace(Parameters().restart_s, median=1.5, sigma=0.1))
    well = Twin(alone, nothing_but(alone, {}), spread).rehearse(made)
    slow = Twin(alone, nothing_but(alone, {(Weakness.SLOW_OR_MISSING_RECOVERY, "root"): 1.0}), spread).rehearse(made)
    assert well.hypotheses[0].breaks < 0.05
    assert slow.hypotheses[0].breaks > 0.7


def test_cycles_come_to_an_end() -> None:
    ask = check("a")
    ring = system(("a->b", "b->c", "c->a", "c->d"), (ask,), retries=1, timeout_ms=400)
    for fault in (Error(status=500, probability=0.5), Timeout(), Latency(delay_ms=3000)):
        foreseen = Twin(ring).rehearse(experiment(fault, at("c->d"), (ask,)))
        assert 0 < foreseen.breaks <= 1
        assert {name for name, _ in foreseen.touched} <= {"a", "b", "c"}
        assert all(0 <= share <= 1 for _, share in (*foreseen.touched, *foreseen.loss))


def test_a_service_that_calls_itself_by_a_cycle_is_hurt_and_not_for_ever_late() -> None:
    ask = check("a", needs=())
    ring = system(("a->b", "b->a", "b->c"), (ask,), timeout_ms=400, retries=0)
    foreseen = Twin(ring, nothing_but(ring, {})).rehearse(experiment(Timeout(), at("b->c"), (ask,)))
    assert foreseen.breaks == 0, "0.4 s more, once"


def test_several_actions_are_felt_together() -> None:
    asks = (check("root", needs=()),)
    both = system(("root->a", "root->b", "root->c"), asks, timeout_ms=400, retries=0, breaker=False)
    beliefs = nothing_but(both, {})
    one = Twin(both, beliefs).rehearse(experiment(Timeout(), at("root->a"), asks))
    three = Twin(both, beliefs).rehearse(experiment([(Timeout(), at(f"root->{name}")) for name in "abc"], None, asks))
    assert one.breaks == 0, "0.4 s are borne"
    assert three.breaks == 1, "three times 0.4 s, one after another, are not"


def test_a_cascade_is_what_goes_beyond_the_target() -> None:
    asks = (check("root"), check("mid"))
    chain = system(("root->mid", "mid->leaf"), asks, retries=0, timeout_ms=400, breaker=False)
    hang = experiment(Hang(), at("leaf"), asks)
    hard = Twin(
        chain, nothing_but(chain, {(Weakness.HARD_DEPENDENCY, e.place): 1.0 for e in chain.dependencies})
    ).rehearse(hang)
    assert (hard.cascade, hard.containment) == (1, 0)
    soft = Twin(chain, nothing_but(chain, {})).rehearse(hang)
    assert (soft.cascade, soft.containment) == (0, 1)
    assert dict(soft.touched) == {"leaf": 1}, "the target itself is hurt, and does not count"
