"""Real systems of two services, ``NAME-front`` that asks ``NAME-base`` through a managed proxy, and one run on all.

The services are ``member.py`` with other switches, so that each property is shown once by a system that has it and once
by one that has not.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from executor.errors import SafetyRefusalError, UnavailableError
from executor.kernel import locate, process
from executor.model.criteria import DetectedWithin, RecoversWithin
from executor.model.evidence import Evidence, Validation
from executor.model.faults import Fault
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, DetectionSignal, HttpProbe, Slo
from executor.model.system import Dependency, ManagedProxy, ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind, Verdict, Weakness
from executor.run.engine import run
from executor.safety.limits import Guard, Limits
from executor.state.home import Home
from tests.executor.kit import LIMITS, SUPERVISOR, approve, free_ports, plan_of, until

MEMBER = Path(__file__).with_name("member.py")
RATE_HZ = 10.0
RUNS = 3
PROMISED = Slo(availability_min=0.9, latency_ms_max=500)
MUCH = Limits(
    **{
        **dict(LIMITS),
        "concurrent_faults_max": 20,
        "guard": Guard(
            **{
                **dict(LIMITS.guard),
                "unplanned_services_max": 100,
                "cascade_per_s_max": 1000,
                "cost_percent_max": 100,
            }
        ),
    }
)


@dataclass
class Mesh:
    """One system of two services."""

    name: str
    fault: Fault
    front: Sequence[str] = ()
    """Switches of the calling service."""
    base: Sequence[str] = ()
    supervised: bool = False
    """Whether somebody starts ``base`` again when it dies."""
    fault_s: float = 2.0
    recovery_s: float = 3.0
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    ports: tuple[int, ...] = ()
    """Of base, front, and the proxy's way between them."""

    def start(self) -> dict[str, Any]:
        """Both services; returns what the proxy is to do."""
        base, front, way = self.ports = tuple(free_ports(3))
        before = ["-c", SUPERVISOR, f"supervisor={base}"] if self.supervised else []
        self._begin(*before, str(MEMBER), str(base), *self.base)
        self._begin(str(MEMBER), str(front), "--upstream", str(way), *self.front)
        return {"edge": self.edge, "listen": way, "upstream": f"127.0.0.1:{base}", "protocol": "http"}

    def _begin(self, *command: str) -> None:
        self.started.append(subprocess.Popen([sys.executable, *command], start_new_session=True))

    @property
    def edge(self) -> str:
        return f"{self.name}-front->{self.name}-base"

    def of(self, what: str) -> str:
        """The name of a service, check or signal: ``front``, ``base``, ``via``, ``soft``, ``plain``, ``health``."""
        return f"{self.name}-{what}"

    def services(self) -> tuple[Service, Service]:
        base = self._service("base", (self._check("base", "base", "/", (), ()),))
        front = self._service(
            "front",
            (
                self._check("via", "front", "/via", ("front", "base"), (self.edge,)),
                self._check("soft", "front", "/soft", ("front",), (self.edge,)),
                self._check("plain", "front", "/", ("front",), ()),
            ),
        )
        return base, front

    def signal(self) -> DetectionSignal:
        probe = HttpProbe(url=f"http://127.0.0.1:{self.ports[1]}/health")
        return DetectionSignal(id=self.of("health"), service=self.of("front"), probe=probe)

    def instance(self, what: str) -> ProcessInstance:
        port = self.ports[("base", "front").index(what)]
        return ProcessInstance(id=self.of(f"{what}-1"), command=f"{MEMBER.name} {port}", port=port)

    def dependency(self, control: str) -> Dependency:
        return Dependency(
            caller=self.of("front"),
            callee=self.of("base"),
            protocol="http",
            port=self.ports[0],
            interception=ManagedProxy(control=control, edge=self.edge),
        )

    def experiment(self) -> Experiment:
        on_edge = self.fault.target_kind == "edge"
        target = (
            EdgeTarget(caller=self.of("front"), callee=self.of("base"))
            if on_edge
            else InstanceTarget(service=self.of("base"))
        )
        base, front = self.services()
        back = RecoversWithin(checks=(self.of("base"),), within_s=1, since="injected")
        noticed = DetectedWithin(signal=self.of("health"), within_s=0.8)
        return Experiment(
            id=self.name,
            title=f"fault on {self.name}",
            hypotheses=(
                Hypothesis(
                    id=f"h-{self.name}",
                    weakness=Weakness.HARD_DEPENDENCY,
                    place=self.of("front"),
                    statement="it holds",
                    criteria=(noticed,) if on_edge else (back,),
                    prediction=Prediction(probability_breaks=0.5),
                ),
            ),
            checks=front.operations if on_edge else base.operations,
            signals=(self.signal(),),
            actions=(Action(id=f"a-{self.name}", fault=self.fault, target=target, duration_s=self.fault_s),),
            abort_conditions="none",
            baseline_s=1.5,
            recovery_deadline_s=self.recovery_s,
        )

    def _service(self, what: str, operations: tuple[Check, ...]) -> Service:
        return Service(
            name=self.of(what),
            kind=ServiceKind.HTTP,
            instances=(self.instance(what),),
            operations=operations,
            criticality=2,
        )

    def _check(self, what: str, service: str, path: str, needs: Sequence[str], edges: tuple[str, ...]) -> Check:
        port = self.ports[("base", "front").index(service)]
        return Check(
            id=self.of(what),
            service=self.of(service),
            probe=HttpProbe(url=f"http://127.0.0.1:{port}{path}", timeout_ms=1000),
            slo=PROMISED,
            rate_hz=2 * RATE_HZ if service == "base" else RATE_HZ,
            needs=tuple(map(self.of, needs or (service,))),
            exercises=edges,
        )

    def end(self) -> None:
        """End both, and what was started in the place of one."""
        while self.started:
            each = self.started.pop()
            each.kill()
            each.wait()
        for what in ("base", "front"):
            while (found := _found(self.instance(what))) is not None:
                process.send(found.pid, found.start_ticks, signal.SIGKILL)
                process.wait_gone(found.pid, found.start_ticks, 5)


def _found(instance: ProcessInstance) -> process.Found | None:
    try:
        return locate.find(instance)
    except UnavailableError:
        return None


@contextmanager
def standing(directory: Path, meshes: Sequence[Mesh]) -> Iterator[System]:
    """All of them as one system, with one proxy on all their edges."""
    control, config = directory / "control.sock", directory / "proxy.json"
    proxy: subprocess.Popen[bytes] | None = None
    try:
        edges = [mesh.start() for mesh in meshes]
        config.write_text(json.dumps({"control": str(control), "edges": edges}), encoding="utf-8")
        command = [sys.executable, "-m", "executor.proxy", "--config", str(config)]
        proxy = subprocess.Popen(command, cwd=Path(__file__).parents[4], stdout=subprocess.DEVNULL)
        until(control.exists)
        yield System(
            name="mesh",
            services=tuple(service for mesh in meshes for service in mesh.services()),
            dependencies=tuple(mesh.dependency(str(control)) for mesh in meshes),
        )
    finally:
        for mesh in meshes:
            mesh.end()
        if proxy is not None:
            proxy.terminate()
            proxy.wait()


@dataclass(frozen=True)
class Shown:
    """What a run of several meshes at once has shown."""

    home: Home
    evidence: Evidence

    def said(self, validator: str, of: str) -> Validation | None:
        """Of one service, edge, check or signal; ``None``: nothing."""
        found = [v for r in self.evidence.results for v in r.validations if (v.validator, v.of) == (validator, of)]
        return found[0] if found else None

    def verdict(self, validator: str, of: str) -> Verdict | None:
        said = self.said(validator, of)
        return None if said is None else said.verdict

    @property
    def disturbed(self) -> bool:
        """Whether a service was not well before the fault came."""
        said = [validation for result in self.evidence.results for validation in result.validations]
        return any(result.aborted for result in self.evidence.results) or any(
            "well before the fault" in each.measured for each in said
        )

    def table(self) -> str:
        """All of it, for whoever reads a failed test."""
        rows = [(v.verdict.value, v.validator, v.of, v.measured) for r in self.evidence.results for v in r.validations]
        return "\n".join("  ".join(row) for row in rows)


def shown(directory: Path, *meshes: Mesh, told: Mapping[tuple[str, str], Verdict] | None = None) -> Shown:
    """Run an experiment on each, all at once, by the real engine.

    A machine that is busy elsewhere may keep them from being well before the fault (the run is refused, perhaps), or
    from being, for want of processor time, what they are: if something else is said than is to be ``told`` (by
    validator and what it speaks of), there is another run, up to twice.
    """
    for number in range(RUNS):
        home = Home.open(directory / f"home-{number}")
        with standing(directory, meshes) as system:
            plan = plan_of(system, tuple(mesh.experiment() for mesh in meshes))
            try:
                found = Shown(home, run(plan, approve(home, plan, MUCH), system=system, limits=MUCH, home=home))
            except SafetyRefusalError:  # all that it asked at once were slow
                if number == RUNS - 1:
                    raise
                continue
        if not found.disturbed and all(found.verdict(*each) is verdict for each, verdict in (told or {}).items()):
            break
    return found
