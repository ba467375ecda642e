"""What tests of whole runs share: a real service, a system around it, plans for it, and signed approvals."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from executor.errors import UnavailableError
from executor.kernel import locate, process
from executor.model.approval import Approval
from executor.model.criteria import RecoversWithin, SteadyState
from executor.model.digest import digest
from executor.model.faults import Fault
from executor.model.faults.service import Hang
from executor.model.plan import (
    AbortCondition,
    Action,
    Experiment,
    Hypothesis,
    InstanceTarget,
    Plan,
    Prediction,
    Stage,
)
from executor.model.probe import Check, HttpProbe
from executor.model.system import Dependency, ManagedProxy, ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind, Weakness
from executor.safety.approval import installation_of, make_grant
from executor.safety.limits import BlastRadius, Guard, Limits
from executor.safety.signing import create_key, sign_grant
from executor.state.home import Home

SHELF = Path(__file__).with_name("shelf.py")
LIMITS = Limits(
    blast_radius=BlastRadius(instances_percent=100, services_percent=100, traffic_percent=100),
    lease_s=3,
    guard=Guard(cpu_percent_max=100, memory_free_percent_min=0),  # the machine that runs the tests may be busy
)


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many different ones: each is held until all are known."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]


def until(condition: Callable[[], Any], within_s: float = 30.0, what: str = "") -> Any:
    """Poll until it is truthy; returns it."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < deadline, what or f"{condition} did not come true"
        time.sleep(0.01)
    return value


SUPERVISOR = """
import subprocess, sys
for _ in range(30):
    subprocess.run([sys.executable, *sys.argv[2:]], check=False)
"""


class Shelf:
    """One running service."""

    def __init__(
        self, name: str, upstream: Shelf | None = None, way: int | None = None, *, supervised: bool = False
    ) -> None:
        """``way`` is the port through which it asks the upstream service, if that is not the service's own."""
        self.name, self.upstream, self.port = name, upstream, free_port()
        arguments = [str(SHELF), str(self.port)] + ([str(way or upstream.port)] if upstream else [])
        before = ["-c", SUPERVISOR, self.supervisor] if supervised else []
        self.started = subprocess.Popen([sys.executable, *before, *arguments], start_new_session=True)

    @property
    def supervisor(self) -> str:
        """What only the command line of its supervisor has, if it has one."""
        return f"supervisor={self.port}"

    @property
    def instance(self) -> ProcessInstance:
        return ProcessInstance(id=f"{self.name}-1", command=f"{SHELF.name} {self.port}", port=self.port)

    def found(self) -> process.Found | None:
        """The process that serves now."""
        try:
            return locate.find(self.instance)
        except UnavailableError:
            return None

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=0.5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def stopped(self) -> bool:
        """Whether it stands still by SIGSTOP."""
        found = self.found()
        return found is not None and process.state(found.pid, found.start_ticks) == "T"

    def service(self) -> Service:
        path = "/via" if self.upstream else "/"
        probe = HttpProbe(url=f"http://127.0.0.1:{self.port}{path}", timeout_ms=2000)
        check = Check(id=self.name, service=self.name, probe=probe, rate_hz=20)
        return Service(
            name=self.name, kind=ServiceKind.HTTP, instances=(self.instance,), operations=(check,), criticality=2
        )

    def end(self) -> None:
        """End it, and whatever was started in its place."""
        self.started.kill()
        self.started.wait()
        while (found := self.found()) is not None:
            process.send(found.pid, found.start_ticks, signal.SIGKILL)
            process.wait_gone(found.pid, found.start_ticks, 5)


@contextmanager
def shelves(*names: str, chained: bool = True) -> Iterator[list[Shelf]]:
    """Services, each with the one before as its upstream if ``chained``."""
    running: list[Shelf] = []
    try:
        for name in names:
            running.append(Shelf(name, running[-1] if running and chained else None))
        for shelf in running:
            until(shelf.answers, what=f"{shelf.name} does not answer")
        yield running
    finally:
        for shelf in running:
            shelf.end()


@contextmanager
def proxied(directory: Path) -> Iterator[tuple[list[Shelf], System]]:
    """``front`` asks ``base`` through a managed proxy."""
    control, listen = directory / "control.sock", free_port()
    with shelves("base") as (base,):
        edge = {"edge": "front->base", "listen": listen, "upstream": f"127.0.0.1:{base.port}", "protocol": "http"}
        config = directory / "proxy.json"
        config.write_text(json.dumps({"control": str(control), "edges": [edge]}), encoding="utf-8")
        command = [sys.executable, "-m", "executor.proxy", "--config", str(config)]
        proxy = subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.DEVNULL)
        front = Shelf("front", base, listen)
        try:
            until(control.exists)
            until(front.answers)
            way = Dependency(
                caller="front",
                callee="base",
                protocol="http",
                port=base.port,
                interception=ManagedProxy(control=str(control), edge="front->base"),
            )
            system = System(name="library", services=(base.service(), front.service()), dependencies=(way,))
            yield [base, front], system
        finally:
            front.end()
            proxy.terminate()
            proxy.wait()


def system_of(running: list[Shelf]) -> System:
    edges = tuple(
        Dependency(caller=s.name, callee=s.upstream.name, protocol="http", port=s.upstream.port)
        for s in running
        if s.upstream
    )
    return System(name="library", services=tuple(s.service() for s in running), dependencies=edges)


def experiment_on(system: System, service: str, fault: Fault | None = None, **fields: Any) -> Experiment:
    """An experiment on the first instance of a service, asking every operation of the system."""
    checks = tuple(check for s in system.services for check in s.operations)
    number = fields.pop("number", 1)
    hypothesis = Hypothesis(
        id=f"h{number}",
        weakness=Weakness.SINGLE_POINT_OF_FAILURE,
        place=service,
        statement=f"{service} keeps answering",
        criteria=(SteadyState(checks=(service,)),),
        prediction=Prediction(probability_breaks=0.5),
    )
    back = Hypothesis(
        id=f"r{number}",
        weakness=Weakness.SLOW_OR_MISSING_RECOVERY,
        place=service,
        statement=f"{service} is back in time",
        criteria=(RecoversWithin(checks=(service,), within_s=20),),
        prediction=Prediction(probability_breaks=0.1),
    )
    action = Action(
        id=f"a{number}",
        fault=fault or Hang(),
        target=InstanceTarget(service=service),
        duration_s=fields.pop("duration_s", 1.0),
    )
    given: dict[str, Any] = {
        "id": f"e{number}",
        "title": f"fault on {service}",
        "hypotheses": (hypothesis, back),
        "checks": checks,
        "actions": (action,),
        "abort_conditions": "none",
        "baseline_s": 0.5,
        "recovery_deadline_s": 15,
    }
    return Experiment(**{**given, **fields})


def plan_of(system: System, *stages: tuple[Experiment, ...]) -> Plan:
    return Plan(
        id="plan-1",
        system_name=system.name,
        system_digest=digest(system),
        environment=system.environment,
        proposer="tester",
        stages=tuple(Stage(experiments=stage) for stage in stages),
    )


def abort_when(check: str, below: float = 0.5, of: int = 5) -> tuple[AbortCondition, ...]:
    return (AbortCondition(check=check, availability_below=below, of=of),)


def approve(home: Home, plan: Plan, limits: Limits = LIMITS, *, uses: int = 1) -> Approval:
    """Signed by a person's key, made for it."""
    if not (home.keys / "operator.pem").exists():
        create_key(home, "operator")
    given = {"approver": "operator", "basis": "person", "valid_s": 600, "now": datetime.now(UTC)}
    grant = make_grant(plan, limits, **given, installation=installation_of(home), uses=uses)
    return sign_grant(home, "operator", grant)
