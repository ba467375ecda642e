"""Who serves before and under a fault: behind real balancers, and on made-up samples."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor.measure.validators.failover import validate
from executor.model.criteria import DetectedWithin, RecoversWithin
from executor.model.evidence import Observation, Validation
from executor.model.faults.service import Crash
from executor.model.plan import Experiment, InstanceTarget
from executor.model.probe import Check, DetectionSignal, HttpProbe
from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind, Verdict
from executor.state.home import Home
from tests.executor.faults.balancers import lacking
from tests.executor.kit import Shelf, free_ports, shelves, until
from tests.executor.measure import records
from tests.executor.measure.records import BASELINE_S, END_S, INJECTED_S, REVERTED_S, faulted, trial
from tests.executor.measure.validators.scenes import carried_out, experiment, said
from tests.missing import missing

HAPROXY = """\
defaults
    mode http
    retries 0
    timeout connect 500ms
    timeout client 5s
    timeout server 5s
"""
SIDE = """
frontend {name}
    bind 127.0.0.1:{port}
    http-request return status 200 if {{ path /rotation/a-1 }} {{ srv_is_up({name}/a-1) }}
    http-request return status 200 if {{ path /rotation/b-1 }} {{ srv_is_up({name}/b-1) }}
    http-request return status 404 if {{ path_beg /rotation/ }}
    http-response set-header X-Served-By %s
    default_backend {name}
backend {name}
    balance roundrobin
    option httpchk GET /
    server a-1 127.0.0.1:{a} {how}
    server b-1 127.0.0.1:{b} {how}
"""
CHECKS = "check inter 200ms fall 2 rise 2"


@contextmanager
def haproxy(directory: Path, a: Shelf, b: Shelf) -> Iterator[dict[str, int]]:
    """One that asks its members whether they are well, and one that does not; by name, the port of each."""
    ports = dict(zip(("checked", "unchecked"), free_ports(2), strict=True))
    hows = {"checked": CHECKS, "unchecked": ""}
    sides = [SIDE.format(name=name, port=port, a=a.port, b=b.port, how=hows[name]) for name, port in ports.items()]
    file = directory / "haproxy.conf"
    file.write_text(HAPROXY + "".join(sides))
    process = subprocess.Popen(["/usr/sbin/haproxy", "-f", str(file), "-db"], stderr=subprocess.DEVNULL)
    try:
        yield ports
    finally:
        process.kill()
        process.wait()


def balanced(a: Shelf, b: Shelf, ports: dict[str, int]) -> System:
    """Both instances behind both, as their owner would describe them."""

    def url(name: str, path: str = "/") -> str:
        return f"http://127.0.0.1:{ports[name]}{path}"

    checks = tuple(
        Check(id=name, service="lb", probe=HttpProbe(url=url(name), answered_by="X-Served-By"), rate_hz=20)
        for name in ports
    )
    signals = tuple(
        DetectionSignal(
            id=f"{name}-{instance}",
            service="web",
            instance=instance,
            probe=HttpProbe(url=url(name, f"/rotation/{instance}")),
        )
        for name in ports
        for instance in ("a-1", "b-1")
    )
    front = ProcessInstance(id="lb-1", command="haproxy", port=ports["checked"])
    return System(
        name="balanced",
        services=(
            Service(name="lb", kind=ServiceKind.LOAD_BALANCER, instances=(front,), operations=checks),
            Service(name="web", instances=(a.instance, b.instance), signals=signals),
        ),
        dependencies=(Dependency(caller="lb", callee="web", protocol="http", port=a.port),),
    )


@pytest.mark.slow
def test_a_balancer_that_asks_its_members_fails_over_and_one_that_does_not_keeps_a_dead_one(
    tmp_path: Path, home: Home, quick: None
) -> None:
    if reason := lacking("haproxy"):
        missing(reason)
    with shelves("a", "b", chained=False) as (a, b), haproxy(tmp_path, a, b) as ports:
        system = balanced(a, b, ports)
        until(lambda: a.answers() and b.answers())
        promised = (
            RecoversWithin(checks=("checked", "unchecked"), within_s=1.5, since="injected"),
            DetectedWithin(signal="checked-a-1", within_s=1.5),
            DetectedWithin(signal="unchecked-a-1", within_s=1.5),
        )
        target = InstanceTarget(service="web", ids=("a-1",))
        asked = experiment(system, Crash(restart="murphy"), [target], *promised, duration_s=2.5)
        evidence = carried_out(home, system, asked)
        failover = said(evidence, "failover")
        assert failover["checked"].verdict is Verdict.HOLDS, failover
        assert failover["checked"].measured.startswith("a-1 and b-1 answered before, b-1 under the fault")
        assert failover["unchecked"].verdict is Verdict.BREAKS, failover
        assert "answers were good (by b-1)" in failover["unchecked"].measured
        rotation = said(evidence, "service_discovery")
        assert {of: rotation[of].verdict for of in rotation} == {
            "checked-a-1": Verdict.HOLDS,
            "checked-b-1": Verdict.HOLDS,
            "unchecked-a-1": Verdict.BREAKS,
            "unchecked-b-1": Verdict.HOLDS,
            "checked": Verdict.HOLDS,
            "unchecked": Verdict.BREAKS,
        }, rotation
        assert "a-1 was not listed any more" in rotation["checked-a-1"].measured
        assert "was again" in rotation["checked-a-1"].measured
        assert "a-1 was still listed" in rotation["unchecked-a-1"].measured
        assert "a-1 answered again" in rotation["checked"].measured
        assert "answers failed without a-1, b-1 answering the others" in rotation["unchecked"].measured
        noticed = said(evidence, "failure_detection")
        assert noticed.keys() == {"checked-a-1", "unchecked-a-1"}, "what nothing struck had nothing to report"


PROMISED = RecoversWithin(checks=("front",), within_s=2, since="injected")
Said = Callable[[float], tuple[bool, str]]
"""Whether the answer was good, and who gave it."""


def answers(said_at: Said) -> list[Observation]:
    made = []
    for slot in range(int(END_S * 10)):
        ok, by = said_at(slot / 10)
        fields = {"at_s": slot / 10, "ok": ok, "by": by, "error": "" if ok else "status 503"}
        made.append(Observation(source="front", experiment="e1", trial=1, latency_ms=5, **fields))
    return made


def judged(*series: Sequence[Observation], promised: RecoversWithin = PROMISED, **fields: object) -> Validation:
    plain = records.experiment(promised)
    probe = HttpProbe(url="http://127.0.0.1:1/", answered_by="X-Served-By")
    (check,) = plain.checks
    asked = Experiment(**{**dict(plain), "checks": (Check(**{**dict(check), "probe": probe}),)})
    (found,) = validate(asked, [trial(*series, **fields)])
    return found


def turns(at_s: float) -> str:
    return "ab"[round(at_s * 10) % 2]


def test_another_stands_in() -> None:
    def over(at_s: float) -> tuple[bool, str]:
        lost = INJECTED_S <= at_s < INJECTED_S + 0.7
        return (False, "") if lost else (True, "b" if at_s >= INJECTED_S else "a")

    found = judged(answers(over))
    assert found.verdict is Verdict.HOLDS
    assert found.measured == (
        "a answered before, b under the fault; nobody served steadily until 0.70 s (0.60–0.70 s) after the injection"
    )
    late = judged(answers(over), promised=RecoversWithin(checks=("front",), within_s=0.5, since="injected"))
    assert late.verdict is Verdict.BREAKS


def test_users_that_notice_nothing_are_the_best_fail_over() -> None:
    found = judged(answers(lambda at_s: (True, "b" if faulted(at_s) else turns(at_s))))
    assert (found.verdict, found.measured) == (
        Verdict.HOLDS,
        "a and b answered before, b under the fault, and no users were failed",
    )


def test_half_the_answers_are_no_fail_over() -> None:
    def half(at_s: float) -> tuple[bool, str]:
        return (True, turns(at_s)) if not faulted(at_s) or turns(at_s) == "b" else (False, "")

    found = judged(answers(half))
    assert found.verdict is Verdict.BREAKS
    assert "25 of 50 answers were good (by b), and nobody served steadily in its 5.00 s" in found.measured


@pytest.mark.parametrize(
    ("said_at", "why"),
    [
        (lambda at_s: (not INJECTED_S <= at_s < 4, "a"), "that was a restart, and nobody else stood in"),
        (lambda at_s: (True, turns(at_s)), "nobody was missed under the fault: nothing to take over"),
        (lambda at_s: (not faulted(at_s), ""), "did not tell before the fault who answers"),
        (lambda at_s: (at_s < BASELINE_S, "a"), "and it lasted only 1.00 s"),
    ],
)
def test_what_is_no_fail_over_is_not_called_one(said_at: Said, why: str) -> None:
    fields = {"revert_started_s": 4.0, "reverted_s": 4.1} if "1.00" in why else {}
    found = judged(answers(said_at), **fields)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert why in found.measured


def test_one_of_many_whose_turn_did_not_come_has_not_failed() -> None:
    """Ten that share the work by chance: one of them is easily not met again in some twenty answers."""

    def drawn(at_s: float) -> tuple[bool, str]:
        name = f"n{random.Random(round(at_s * 10)).randrange(10)}"
        return True, "n0" if at_s >= INJECTED_S and name == "n7" else name

    found = judged(answers(drawn), revert_started_s=INJECTED_S + 2, reverted_s=INJECTED_S + 2)
    assert found.verdict is Verdict.INCONCLUSIVE, found
    assert judged(answers(drawn)).verdict is Verdict.HOLDS, "in fifty answers it is"


def test_a_check_that_does_not_go_there_says_nothing() -> None:
    plain = records.experiment(PROMISED)
    probe = HttpProbe(url="http://127.0.0.1:1/", answered_by="X-Served-By")
    (check,) = plain.checks
    aside = Check(**{**dict(check), "probe": probe, "exercises": ("front->other",)})
    asked = Experiment(**{**dict(plain), "checks": (aside,)})
    assert list(validate(asked, [trial(answers(lambda at_s: (True, turns(at_s))))])) == []


@pytest.mark.parametrize("lost_s", [0.0, 0.7])
def test_what_fails_as_the_dead_one_comes_back_is_not_the_fail_over(lost_s: float) -> None:
    """A balancer that meets it half-started fails some users, once Murphy's help has begun."""

    def said_at(at_s: float) -> tuple[bool, str]:
        if INJECTED_S <= at_s < INJECTED_S + lost_s or REVERTED_S <= at_s < REVERTED_S + 0.5:
            return False, ""
        return True, "b" if faulted(at_s) else turns(at_s)

    found = judged(answers(said_at))
    assert found.verdict is Verdict.HOLDS, found
    assert found.measured.startswith("a and b answered before, b under the fault")


def test_who_was_failed_is_told_also_where_the_promise_was_kept() -> None:
    found = judged(answers(lambda at_s: (at_s not in (4.0, 7.0), "b" if faulted(at_s) else turns(at_s))))
    assert found.verdict is Verdict.HOLDS
    assert found.measured.endswith("b under the fault, and 2 of 50 answers failed or were late")


def test_data_is_spoken_of_only_where_a_data_check_looked() -> None:
    seen = answers(lambda at_s: (True, "b" if faulted(at_s) else turns(at_s)))
    assert judged(seen).expected == "another serves, steadily and by itself, within 2 s"


def test_what_was_ill_before_is_not_laid_to_the_fail_over() -> None:
    def half(at_s: float) -> tuple[bool, str]:
        return (False, "") if round(at_s * 10) % 3 == 0 else (True, "b" if faulted(at_s) else turns(at_s))

    found = judged(answers(half))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "front was not well before the fault" in found.measured


def test_who_answered_only_after_the_revert_stood_in_for_nobody() -> None:
    found = judged(answers(lambda at_s: (not faulted(at_s), "b" if at_s >= REVERTED_S else "a")))
    assert found.verdict is Verdict.BREAKS
