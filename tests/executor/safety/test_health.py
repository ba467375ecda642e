"""A system that is not well now is left alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
import pytest

from executor.errors import SafetyRefusalError
from executor.model.plan import Plan
from executor.model.probe import Check, HttpProbe, Slo, TcpProbe
from executor.model.system import Service, System
from executor.safety.health import healthy
from tests.executor.safety.conftest import Server
from tests.executor.safety.examples import CHECK, chain, experiment, hang, plan, slow

TEN = chain()


def check(url: str, **more: Any) -> Check:
    return Check(**{"id": CHECK.id, "service": "s0", "probe": HttpProbe(url=url), "rate_hz": 20, **more})


def of(*checks: Check, name: str = "s1") -> Plan:
    return plan(TEN, experiment(hang(name), checks=checks))


def ask(asked: Plan, **more: Any) -> None:
    anyio.run(partial(healthy, asked, TEN, **more))


def refused(asked: Plan, **more: Any) -> str:
    with pytest.raises(SafetyRefusalError) as caught:
        ask(asked, **more)
    assert caught.value.rule == "health"
    return str(caught.value)


def test_a_well_system_passes(serve: Callable[[], Server]) -> None:
    server = serve()
    ask(of(check(server.url("/ok")), Check(id="port", service="s0", probe=TcpProbe(port=server.port))))


def test_an_error_is_refused_with_what_was_measured(serve: Callable[[], Server]) -> None:
    message = refused(of(check(serve().url("/bad"))))
    assert message == (
        "refused by health: front-page answered well 0 of 20 times (status 503), and the limit is 95 %, as it "
        "promises. Nothing is tried on an unwell system."
    )


def test_availability_is_held_against_the_promise(serve: Callable[[], Server]) -> None:
    server = serve()
    assert "(status 503)" in refused(of(check(server.url("/every/4"), slo=Slo(availability_min=0.95))))
    ask(of(check(server.url("/every/4"), slo=Slo(availability_min=0.6))))


def test_latency_is_held_against_the_promise(serve: Callable[[], Server]) -> None:
    server = serve()
    slow = server.url("/slow/300")
    assert "of front-page's answers take over" in refused(of(check(slow, slo=Slo(latency_ms_max=100))))
    ask(of(check(slow, slo=Slo(latency_ms_max=60_000))))


def test_silence_is_not_health(serve: Callable[[], Server]) -> None:
    server = serve()
    assert "answered 0 times, and the limit is 20 answers in time" in refused(
        of(check(server.url("/hang"))), grace_s=0.5
    )


def test_a_process_that_is_gone_is_not_well(serve: Callable[[], Server]) -> None:
    server = serve()
    server.process.kill()
    server.process.wait(timeout=30)
    assert "front-page answered well 0 of" in refused(of(check(server.url("/ok"))))


def test_only_the_first_stage_is_asked_and_equal_checks_once(serve: Callable[[], Server]) -> None:
    server = serve()
    good, other = check(server.url("/ok")), check(server.url("/ok?other"))
    two = [
        experiment(hang("s1"), checks=(good,)),
        experiment(hang("s2"), checks=(good, Check(**{**dict(good), "id": "x"}))),
    ]
    later = experiment(hang("s3"), checks=(check(server.url("/bad")),))
    ask(plan(TEN, two, later))
    same_name = [experiment(hang("s1"), checks=(other,)), experiment(hang("s2"), checks=(check(server.url("/bad")),))]
    assert "front-page answered well 0 of" in refused(plan(TEN, same_name))


def test_the_health_of_targets_and_of_what_they_depend_on_is_asked(serve: Callable[[], Server]) -> None:
    server = serve()

    def where(**paths: str) -> System:
        services = [
            Service(
                **{**dict(each), "health": HttpProbe(url=server.url(paths[each.name])) if each.name in paths else None}
            )
            for each in TEN.services
        ]
        return System(**{**dict(TEN), "services": services})

    later = experiment(hang("s5"), checks=(check(server.url("/ok")),))
    asked = plan(TEN, experiment(hang("s8"), checks=(check(server.url("/ok")),)), later)
    anyio.run(healthy, asked, where(s0="/bad", s4="/bad", s5="/ok", s8="/ok"))  # callers do not matter
    for name in ("s5", "s6", "s9"):
        with pytest.raises(SafetyRefusalError, match=rf"refused by health: {name}\.health answered well 0 of 5 times"):
            anyio.run(healthy, asked, where(**{"s8": "/ok", name: "/bad"}))
    edge = plan(TEN, experiment(slow("s2", "s3"), checks=(check(server.url("/ok")),)))
    with pytest.raises(SafetyRefusalError, match=r"s3\.health answered well 0 of 5 times"):
        anyio.run(healthy, edge, where(s3="/bad"))


def test_no_probe_leaves_the_system() -> None:
    with pytest.raises(SafetyRefusalError, match="probe hosts"):
        ask(of(check("http://elsewhere.example/")))
