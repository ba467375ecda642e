"""A search for the largest rate that an instance carries, as a run: planned, approved, undone, and judged again."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from executor.errors import InputError
from executor.kernel import locate
from executor.load.window import Window
from executor.measure.capacity.steps import Step
from executor.model.criteria import BeyondCapacity
from executor.model.evidence import ExperimentResult
from executor.model.faults.service import CapacitySearch, Hang, Overload
from executor.model.plan import Action, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, TcpProbe
from executor.model.system import ProcessInstance, Service, System
from executor.model.vocabulary import Verdict, Weakness
from executor.run import searches
from executor.run.engine import run
from executor.run.rejudge import differences
from executor.safety.limits import Limits
from executor.state.home import Home
from tests.executor.faults.cases.memory import LIMIT
from tests.executor.faults.hungry_kit import no_cgroup, scratch_cgroup
from tests.executor.injections import nothing_left
from tests.executor.kit import LIMITS, approve, plan_of
from tests.executor.load.conftest import serving
from tests.missing import missing

HYPOTHESIS = Hypothesis(
    id="h1",
    weakness=Weakness.CAPACITY_CLIFF,
    place="bounded",
    statement="it serves on",
    criteria=(BeyondCapacity(action="a1"),),
    prediction=Prediction(probability_breaks=0.5),
)


def searched(
    home: Home,
    *words: object,
    up_to: float = 800,
    within_ms: float = 150.0,
    duration_s: float = 240,
    into: Path | None = None,
) -> ExperimentResult:
    """What a search of a bounded server gives: workers, service time in ms, options; ``into``: a cgroup for it."""
    with serving([str(word) for word in words]) as port:
        service = Service(name="bounded", instances=(ProcessInstance(id="bounded-1", port=port),))
        system = System(name="s", services=(service,))
        if into is not None:
            (into / "cgroup.procs").write_text(str(locate.find(service.instances[0]).pid))
        search = CapacitySearch(good_within_ms=within_ms, start_rps=50)
        fault = Overload(rate_rps=up_to, concurrency=1000, search=search)
        experiment = Experiment(
            id="e1",
            title="how much it carries",
            hypotheses=(HYPOTHESIS,),
            checks=(Check(id="up", service="bounded", probe=TcpProbe(port=port)),),
            actions=(Action(id="a1", fault=fault, target=InstanceTarget(service="bounded"), duration_s=duration_s),),
            abort_conditions="none",
            baseline_s=0.5,
            recovery_deadline_s=1,
        )
        plan = plan_of(system, (experiment,))
        limits = Limits(**{**dict(LIMITS), "fault_s_max": 600})
        evidence = run(plan, approve(home, plan, limits), system=system, limits=limits, home=home)
        assert differences(home, evidence) == []
        assert nothing_left(home)
        assert evidence.outcome == "completed"
        assert evidence.duration_s < duration_s or duration_s < 5
        return evidence.results[0]


def test_one_that_is_cut_short_says_what_it_saw(home: Home) -> None:
    """400 requests/s: so soon only that it carries the first rates."""
    result = searched(home, 10, 25, duration_s=4)
    (found,) = result.capacities
    assert (found.maximum, found.after) == ("at_least", "inconclusive")
    assert found.low_rps in (50, 100)
    assert [round(level.offered_rps, -1) for level in found.levels][:1] == [50]
    assert result.hypotheses[0].verdict is Verdict.INCONCLUSIVE


WINDOW = Window(
    0.0, 0.1, due=5, late=0, dropped=0, skipped=0, good=5, answered=5, failed={}, under_way=0, lag_ms=0, busy=0
)
DAMAGED = (b'{"part": 1}', b"1", b"[" * 100_000, Step("search", 50, (replace(WINDOW, latency="@"),)).line().encode())


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_file_is_named(line: bytes, tmp_path: Path) -> None:
    fault = Overload(rate_rps=50, search=CapacitySearch(good_within_ms=100))
    action = Action(id="a1", fault=fault, target=InstanceTarget(service="bounded"), duration_s=9)
    experiment = Experiment(
        id="e1",
        title="how much it carries",
        hypotheses=(HYPOTHESIS,),
        checks=(Check(id="up", service="bounded", probe=TcpProbe(port=1)),),
        actions=(action,),
        abort_conditions="none",
    )
    written = tmp_path / "written"
    whole = Step("search", 50, (WINDOW,))
    written.write_bytes(whole.line().encode() + b'\n{"ended": "done"}\n{"part": "sea')
    searches.keep(tmp_path, "e1", 1, "a1", "bounded-1", written)
    assert searches.load(tmp_path, experiment, 1) == {("a1", "bounded-1"): [whole]}
    written.write_bytes(line + b"\n")
    searches.keep(tmp_path, "e1", 1, "a1", "bounded-1", written)
    with pytest.raises(InputError, match=r"bounded-1\.jsonl: the steps of a search cannot be read: "):
        searches.load(tmp_path, experiment, 1)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_one_that_sheds_what_it_cannot_carry(home: Home) -> None:
    """400 requests/s; what finds 20 waiting is refused at once, so the others are in time."""
    result = searched(home, 10, 25, "queue=20")
    (found,) = result.capacities
    assert (found.maximum, found.instance, found.failure) == ("found", "bounded-1", "refusal")
    assert found.low_rps == pytest.approx(400, rel=0.06)
    assert (found.saturated, found.after) == ("pool", "recovers")
    assert "about 10 at once" in found.saturated_why or "about 11 at once" in found.saturated_why
    assert result.hypotheses[0].verdict is Verdict.HOLDS
    (figure,) = (figure for figure in result.figures if figure.name == "capacity")
    assert (figure.low, figure.high, figure.unit) == (found.low_rps, found.high_rps, "per_s")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_one_that_lets_everybody_wait(home: Home) -> None:
    """400 requests/s; beyond that all wait, and in the end nobody is served in time."""
    result = searched(home, 10, 25)
    (found,) = result.capacities
    assert (found.maximum, found.failure, found.after) == ("found", "latency collapse", "recovers")
    assert found.low_rps == pytest.approx(400, rel=0.05)
    assert found.knee is not None
    assert found.knee.value == pytest.approx(400, rel=0.1)
    assert found.beyond is not None
    assert found.beyond.high < 0.2
    assert found.recovery_s is not None
    assert 0.2 <= found.recovery_s.value <= 2
    assert result.hypotheses[0].verdict is Verdict.BREAKS


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_one_that_stays_bad(home: Home) -> None:
    """200 requests/s, and 67 once 15 wait: 100 come before and after an overload."""
    result = searched(home, 4, 20, "worn=15")
    (found,) = result.capacities
    assert (found.maximum, found.after) == ("found", "metastable")
    assert result.hypotheses[0].verdict is Verdict.BREAKS


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_one_whose_breaker_opens_is_neither_small_nor_metastable(home: Home) -> None:
    """200 requests/s; once 15 wait it refuses all for 5 s, after which it is well again."""
    (found,) = searched(home, 4, 20, "open=15:5", up_to=400).capacities
    assert (found.maximum, found.after) == ("found", "recovers"), found
    assert found.low_rps == pytest.approx(200, rel=0.08)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_known_contention_is_found(home: Home) -> None:
    """Its throughput is largest at 22 under way; beyond that the more wait the slower it is."""
    sigma, kappa = 0.05, 0.002
    (found,) = searched(home, 1, 40, f"usl={sigma}:{kappa}", up_to=400, within_ms=300).capacities
    assert found.contention is not None, found
    assert found.coherency is not None
    assert found.contention.value == pytest.approx(sigma, abs=0.03)
    assert found.coherency.value == pytest.approx(kappa, abs=0.0015)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(("words", "resource"), [((1, 8, "burn=1"), "cpu"), ((8, 40, "files=40"), "descriptors")])
def test_what_is_used_up_first(home: Home, words: tuple[object, ...], resource: str) -> None:
    (found,) = searched(home, *words, up_to=500).capacities
    assert (found.maximum, found.saturated) == ("found", resource), found


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.root
def test_one_that_runs_out_of_memory(home: Home) -> None:
    """Whoever waits takes memory; the kernel ends it, and the search with it."""
    if reason := no_cgroup("memory"):
        missing(reason)
    with scratch_cgroup("memory") as directory:
        next(directory / name for name in LIMIT if (directory / name).exists()).write_text(str(64 * 2**20))
        (found,) = searched(home, 8, 40, "hold=500000", into=directory).capacities
    assert (found.failure, found.saturated) == ("out of memory", "memory")
    assert found.after == "inconclusive"


@pytest.mark.slow
def test_what_is_there_beside_a_search_goes_with_it(home: Home) -> None:
    """One that refuses all is soon told; the others look at different moments whether the search is over."""
    with ExitStack() as servers:
        names = ["bounded", *(f"other{n}" for n in range(5))]
        ports = [servers.enter_context(serving(["1", "1", "queue=-1"])) for _ in names]
        services = tuple(
            Service(name=name, instances=(ProcessInstance(id=f"{name}-1", port=port),))
            for name, port in zip(names, ports, strict=True)
        )
        search = CapacitySearch(good_within_ms=1, start_rps=800)
        faults: list[tuple[float, Overload | Hang]] = [(0, Overload(rate_rps=800, search=search))]
        faults += [(0.1 * n, Hang()) for n in range(1, 6)]
        experiment = Experiment(
            id="e1",
            title="how much it carries beside others that hang",
            hypotheses=(HYPOTHESIS,),
            checks=(Check(id="up", service="bounded", probe=TcpProbe(port=ports[0])),),
            actions=tuple(
                Action(id=f"a{n}", fault=fault, target=InstanceTarget(service=name), start_s=start_s, duration_s=40)
                for n, (name, (start_s, fault)) in enumerate(zip(names, faults, strict=True), start=1)
            ),
            abort_conditions="none",
            baseline_s=0.5,
            recovery_deadline_s=1,
        )
        system = System(name="s", services=services)
        plan = plan_of(system, (experiment,))
        limits = Limits(**{**dict(LIMITS), "concurrent_faults_max": 6, "fault_s_max": 600})
        evidence = run(plan, approve(home, plan, limits), system=system, limits=limits, home=home)
    assert evidence.outcome == "completed"
    assert [found.maximum for found in evidence.results[0].capacities] == ["below"]
    assert evidence.duration_s < 20
