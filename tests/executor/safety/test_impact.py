"""What a plan is predicted to do to users, and that it counts over all runs together."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import SafetyRefusalError
from executor.model.faults.service import Error
from executor.model.plan import EdgeTarget
from executor.model.probe import Check
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.safety.impact import indirect, traffic_percent
from executor.safety.limits import BlastRadius, Limits
from executor.safety.reach import reach_of
from executor.safety.rules import joint, refusals
from executor.state.journal import Journal, Reach
from tests.executor.safety.examples import CHECK, act, chain, edge, experiment, hang, plan, service, slow, system
from tests.executor.safety.test_radius import row

REACH = Reach(1, 1, 1, ("s1-1",), traffic=12.5, protected=4.0, struck=("s1",), leans=("s2", "s3"))


def _running(journal: Journal) -> list[Reach]:
    return [row.reach for row in journal.running()]


def test_the_journal_keeps_what_a_run_is_predicted_to_do(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    try:
        journal.admit(
            "run-1",
            nonce="n",
            plan_digest="sha256:" + "0" * 64,
            environment="development",
            reach=REACH,
            check=lambda _: None,
            detail={},
        )
        assert _running(journal) == [REACH]
        with journal.store.write() as db:  # as an older Murphy wrote it
            db.execute("""UPDATE runs SET targets = '["s1-1"]'""")
        assert _running(journal) == [Reach(1, 1, 1, ("s1-1",))]
    finally:
        journal.close()


def _task(name: str, of: str, *exercises: str, weight: float = 1) -> Check:
    return Check(id=name, service=of, probe=CHECK.probe, exercises=exercises, weight=weight)


def _shop(**store: bool) -> System:
    """Two tasks: buying, done nine times as often, goes over web, app and store; reading stays in web."""
    tasks = (_task("buy", "web", "web->app", "app->store", weight=9), _task("read", "web"))
    edges = [edge("web", "app"), edge("app", "store", **store), edge("other", "store")]
    return system(
        service("web", 4, operations=tasks), service("app", 2), service("store"), service("other"), edges=edges
    )


SHOP = _shop()


@pytest.mark.parametrize(
    ("actions", "percent"),
    [
        ([hang("store")], 90),
        ([hang("app")], 45),
        ([hang("web", count=1)], 25),
        ([hang("web", count=1), hang("app")], 9 / 10 * 75 + 1 / 10 * 25),
        ([hang("other")], 0),
        ([slow("other", "store")], 0),
        ([slow("app", "store")], 90),
        ([slow("app", "store"), hang("store")], 90),  # nobody loses more than all
        ([act(Error(probability=0.5), EdgeTarget(caller="app", callee="store"), "some")], 45),
    ],
)
def test_traffic_is_what_users_do_by_its_weight(actions: list, percent: float) -> None:
    assert traffic_percent(actions, SHOP) == pytest.approx(percent)


def test_where_nobody_knows_the_way_it_leads_over_all_that_can_be_reached() -> None:
    unknown = Check(id="x", service="s2", probe=CHECK.probe)
    of = chain(5)
    known = system(*of.services[:2], service("s2", operations=(unknown,)), *of.services[3:], edges=of.dependencies)
    assert traffic_percent([hang("s4")], known) == 100
    assert traffic_percent([hang("s1")], known) == 0
    assert traffic_percent([hang("s1")], of) == 100  # no operation at all: s0, which nobody calls, stands for one


@pytest.mark.parametrize(
    ("store", "actions", "share"),
    [
        ({}, [hang("store")], 1),
        ({}, [hang("app")], 0.5),
        ({}, [slow("app", "store")], 1),
        ({}, [hang("other")], 0),
        ({"fallback": True}, [hang("store")], 0.1),
        ({"fallback": True}, [slow("app", "store")], 0.1),
        ({"fallback": True}, [hang("store"), hang("app")], 0.6),
        ({}, [hang("web")], 0),  # struck itself, which another rule forbids
        ({}, [slow("web", "app")], 0),
    ],
)
def test_losses_spread_to_callers_and_less_over_a_fallback(store: dict, actions: list, share: float) -> None:
    assert indirect(actions, "web", _shop(**store)) == pytest.approx(share)


def test_a_circle_of_calls_ends() -> None:
    ring = system(*map(service, "abc"), edges=[edge("a", "b"), edge("b", "c"), edge("c", "a")])
    assert indirect([hang("c")], "a", ring) == 1
    assert traffic_percent([hang("c")], ring) == 100


def test_a_protected_service_may_lose_a_little_by_what_it_depends_on() -> None:
    limits = Limits(protected_services=("web",))
    assert [str(refusal) for refusal in refusals(plan(SHOP, hang("other"), hang("app")), SHOP, limits)] == [
        "refused by protected impact: in stage 2 web, which is protected, is predicted to lose 50 % of its work, and "
        "the limit is 10 % (protected_impact_percent in limits.toml). "
        "Strike what web does not depend on, or fewer of several instances."
    ]
    shielded = _shop(fallback=True)
    assert refusals(plan(shielded, hang("store")), shielded, limits) == []
    wide = Limits(protected_services=("web",), blast_radius=BlastRadius(protected_impact_percent=50))
    assert refusals(plan(SHOP, hang("app")), SHOP, wide) == []


def test_one_thing_at_a_time_is_allowed_and_two_only_within_the_traffic() -> None:
    assert refusals(plan(SHOP, hang("store")), SHOP, Limits()) == []
    two = plan(SHOP, [experiment(hang("other")), experiment(slow("app", "store"))])
    wide = {"instances_percent": 100, "services_percent": 100}
    (refusal,) = refusals(two, SHOP, Limits(blast_radius=BlastRadius(**wide)))
    assert refusal.measured == "stage 1 touches 90 % of what users do at once"
    assert refusals(two, SHOP, Limits(blast_radius=BlastRadius(**wide, traffic_percent=90))) == []


def test_all_runs_together_are_held_to_the_traffic_and_to_what_is_protected() -> None:
    radius = {"instances_percent": 100, "services_percent": 100, "traffic_percent": 90}
    limits = Limits(blast_radius=BlastRadius(**radius), concurrent_runs_max=2)
    asked = reach_of(plan(SHOP, hang("app")), SHOP)
    assert (asked.traffic, asked.protected) == (pytest.approx(45), 0)
    joint(asked, [row("x", traffic=45)], SHOP, limits)
    with pytest.raises(SafetyRefusalError, match=r"together with run-x it would be 96 % of what users do at once"):
        joint(asked, [row("x", traffic=51)], SHOP, limits)
    hurting = reach_of(plan(SHOP, hang("app")), SHOP, {"web"})
    assert hurting.protected == 50
    with pytest.raises(SafetyRefusalError, match=r"protected impact: together with run-x it would be 50 % of a protec"):
        joint(hurting, [row("x")], SHOP, limits)


def test_what_the_business_stops_without_is_struck_in_production_only_if_the_limits_say_so() -> None:
    of = system(service("web", criticality=3), service("app"), edges=[edge("web", "app")])
    live = System(**{**dict(of), "environment": Environment.PRODUCTION})
    given = {"environments": ("production",)}

    def rules(where: System, **more: object) -> set[str]:
        return {
            r.rule for a in (hang("web"), slow("web", "app")) for r in refusals(plan(where, a), where, Limits(**more))
        }

    assert rules(of) == set()
    assert rules(live, **given) == {"critical services", "abort conditions"}
    assert rules(live, **given, critical_in_production=True) == {"abort conditions"}
    (refusal, _) = refusals(plan(live, hang("web")), live, Limits(**given))
    assert refusal.measured == "action hang-web strikes web, whose criticality is 3"
    assert [r.rule for r in refusals(plan(live, hang("app")), live, Limits(**given))] == ["abort conditions"]
