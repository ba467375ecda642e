"""Whether a dead instance leaves the list and comes back: at a real registry, and on made-up samples."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from executor.measure.validators.service_discovery import validate
from executor.model.criteria import DetectedWithin, RecoversWithin
from executor.model.evidence import Observation, Validation
from executor.model.faults.service import Crash
from executor.model.plan import Experiment, InstanceTarget
from executor.model.probe import Check, DetectionSignal, HttpProbe
from executor.model.system import Service, System
from executor.model.vocabulary import Verdict
from executor.state.home import Home
from tests.executor.kit import until
from tests.executor.measure import records
from tests.executor.measure.records import END_S, INJECTED_S, REVERTED_S, faulted, observations, trial, well
from tests.executor.measure.validators.scenes import Part, carried_out, experiment, running, said


def listed(registry: Part) -> str:
    with urllib.request.urlopen(registry.url("/members"), timeout=2) as answer:
        return str(answer.read().decode())


@pytest.mark.slow
def test_one_that_registers_itself_comes_back_and_one_that_only_renews_does_not(home: Home, quick: None) -> None:
    registry = Part("registry", "registry")
    with running(registry):
        keen = Part("keen", "member", registry.port, "keen-1", "registers")
        idle = Part("idle", "member", registry.port, "idle-1", "renews")
        with running(keen, idle):
            enter = urllib.request.Request(registry.url("/members/idle-1"), method="POST")  # as its deployment did once
            urllib.request.urlopen(enter, timeout=2).close()
            until(lambda: "keen-1" in listed(registry) and "idle-1" in listed(registry))
            services = tuple(part.service(signals=(signal_of(registry, part),)) for part in (keen, idle))
            own = Service(name="registry", instances=(registry.instance,))
            system = System(name="members", services=(*services, own))
            promised = [DetectedWithin(signal=f"{part.name}-listed", within_s=1.8) for part in (keen, idle)]
            targets = [InstanceTarget(service=part.name) for part in (keen, idle)]
            asked = experiment(system, Crash(restart="murphy"), targets, *promised, recovery_deadline_s=3)
            found = said(carried_out(home, system, asked), "service_discovery")
            assert found["keen-listed"].verdict is Verdict.HOLDS, found
            assert "was not listed any more" in found["keen-listed"].measured
            assert "and was again" in found["keen-listed"].measured
            assert found["idle-listed"].verdict is Verdict.BREAKS, found
            assert "idle-1 was not listed again" in found["idle-listed"].measured


def signal_of(registry: Part, part: Part) -> DetectionSignal:
    probe = HttpProbe(url=registry.url("/members"), expect_text=f'"{part.name}-1"', timeout_ms=2000)
    return DetectionSignal(id=f"{part.name}-listed", service=part.name, instance=f"{part.name}-1", probe=probe)


Said = Callable[[float], tuple[bool, float]]


def judged(said_at: Said, *, within_s: float = 2, error: str = "status 404", **fields: Any) -> Validation:
    promised = DetectedWithin(signal="health", within_s=within_s)
    plain = records.experiment(promised)
    (signal,) = plain.signals
    given = {"signals": (DetectionSignal(**{**dict(signal), "instance": "base-1"}),), "recovery_deadline_s": 4}
    asked = Experiment(**{**dict(plain), **given})
    health = observations("health", said_at, rate_hz=5, error=error)
    fields = {"struck": ("base-1",), **fields}
    (found,) = validate(asked, [trial(observations("front", well), health, **fields)])
    return found


def gone(begin_s: float, end_s: float) -> Said:
    return lambda at_s: (not begin_s <= at_s < end_s, 5.0)


def test_it_leaves_and_comes_back() -> None:
    found = judged(gone(INJECTED_S + 1, REVERTED_S + 1))
    assert found.verdict is Verdict.HOLDS
    assert found.measured.startswith("base-1 was not listed any more 1.0")
    assert "; and was again 1.0" in found.measured
    assert found.measured.endswith("s after its restart began")


@pytest.mark.parametrize(
    ("said_at", "fields", "verdict", "words"),
    [
        (gone(INJECTED_S + 3, REVERTED_S + 1), {}, Verdict.BREAKS, "was not listed any more 3.0"),
        (well, {}, Verdict.BREAKS, "base-1 was still listed 4.80 s after its end"),
        (well, {"within_s": 10}, Verdict.INCONCLUSIVE, "base-1 was still listed 4.80 s after its end"),
        (gone(INJECTED_S, END_S), {}, Verdict.BREAKS, "base-1 was not listed again in the 4.00 s after its restart"),
        (gone(INJECTED_S, END_S), {"end_s": REVERTED_S + 2}, Verdict.INCONCLUSIVE, "in the 2.00 s after its restart"),
        (gone(INJECTED_S, REVERTED_S - 1), {}, Verdict.HOLDS, "before anybody helped"),
        (gone(0, END_S), {}, Verdict.INCONCLUSIVE, "base-1 was not listed before the fault"),
        (well, {"struck": ("base-2",)}, Verdict.HOLDS, "base-1, which nothing struck, stayed listed"),
        (gone(INJECTED_S + 1, REVERTED_S), {"struck": ("base-2",)}, Verdict.BREAKS, "was not listed 20 times"),
        (well, {"injected_s": None, "reverted_s": None}, Verdict.INCONCLUSIVE, "the fault was not injected"),
    ],
)
def test_what_is_said(said_at: Said, fields: dict[str, Any], verdict: Verdict, words: str) -> None:
    found = judged(said_at, **fields)
    assert found.verdict is verdict, found
    assert words in found.measured


def test_a_registry_that_falls_silent_does_not_say_that_the_instance_has_left() -> None:
    found = judged(lambda at_s: (not faulted(at_s), 5.0), error="unanswered")
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.measured == "whether base-1 is listed was not told under the fault"


Served = Callable[[float], tuple[bool, str]]


def rotation(said_at: Served, *, within_s: float = 2, **fields: Any) -> Validation | None:
    """What is said of a check whose answers name who gave them."""
    promised = RecoversWithin(checks=("front",), within_s=within_s, since="injected")
    plain = records.experiment(promised)
    (check,) = plain.checks
    probe = HttpProbe(url="http://127.0.0.1:1/", answered_by="X-Served-By")
    given = {"checks": (Check(**{**dict(check), "probe": probe}),), "signals": (), "recovery_deadline_s": 4}
    series = []
    for slot in range(int(END_S * 10)):
        ok, by = said_at(slot / 10)
        answer = {
            "source": "front",
            "experiment": "e1",
            "trial": 1,
            "latency_ms": 5,
            "error": "" if ok else "status 503",
        }
        series.append(Observation(**answer, at_s=slot / 10, ok=ok, by=by))
    return next(iter(validate(Experiment(**{**dict(plain), **given}), [trial(series, **fields)])), None)


def turns(at_s: float) -> str:
    return "ab"[round(at_s * 10) % 2]


def without_a(lost: Callable[[float], bool]) -> Served:
    """What would be given to ``a`` goes to ``b``, but is lost as long as ``a`` is still given work."""

    def said_at(at_s: float) -> tuple[bool, str]:
        if not faulted(at_s) or turns(at_s) == "b":
            return True, turns(at_s)
        return (False, "") if lost(at_s) else (True, "b")

    return said_at


@pytest.mark.parametrize(
    ("said_at", "fields", "verdict", "words"),
    [
        (
            without_a(lambda at_s: at_s < INJECTED_S + 1),
            {},
            Verdict.HOLDS,
            "5 of 50 answers failed without a, steadily well from 0.90 s on; a answered",
        ),
        (
            without_a(lambda at_s: at_s < INJECTED_S + 3),
            {},
            Verdict.BREAKS,
            "15 of 50 answers failed without a, steadily well from 2.90 s on; a answered",
        ),
        (
            lambda at_s: (not REVERTED_S <= at_s < REVERTED_S + 0.5, "b" if faulted(at_s) else turns(at_s)),
            {},
            Verdict.HOLDS,
            "0 of 50 answers failed without a; a answered",
        ),
        (
            lambda at_s: (round(at_s * 10) % 3 > 0, "b" if faulted(at_s) else turns(at_s)),
            {},
            Verdict.INCONCLUSIVE,
            "front was not well before the fault",
        ),
        (without_a(faulted), {}, Verdict.BREAKS, "25 of 50 answers failed without a, b answering the others"),
        (without_a(faulted), {"within_s": 10}, Verdict.INCONCLUSIVE, "25 of 50 answers failed without a"),
        (
            lambda at_s: (True, "b" if at_s >= INJECTED_S else turns(at_s)),
            {},
            Verdict.BREAKS,
            "a gave no answer again in",
        ),
        (lambda at_s: (not faulted(at_s), turns(at_s)), {}, Verdict.INCONCLUSIVE, "and nobody answered"),
    ],
)
def test_who_is_given_work(said_at: Served, fields: dict[str, Any], verdict: Verdict, words: str) -> None:
    found = rotation(said_at, **fields)
    assert found is not None
    assert found.verdict is verdict, found
    assert words in found.measured


@pytest.mark.parametrize(
    "said_at",
    [
        lambda at_s: (True, "b" if at_s >= INJECTED_S else "a"),
        lambda at_s: (True, turns(at_s)),
        lambda _: (True, ""),
    ],
)
def test_one_that_was_replaced_for_good_and_one_that_was_not_missed_say_nothing(said_at: Served) -> None:
    """A fail-over from the only one that served need not be taken back."""
    assert rotation(said_at) is None
