"""Real systems of small services, and what the validators say of a real run on them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor.errors import UnavailableError
from executor.kernel import locate, process
from executor.model.criteria import Criterion, SteadyState
from executor.model.evidence import Evidence, Validation
from executor.model.faults import Fault
from executor.model.plan import Action, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, HttpProbe
from executor.model.system import ProcessInstance, Service, System
from executor.model.vocabulary import Weakness
from executor.run.engine import run
from executor.run.rejudge import differences
from executor.state.home import Home
from tests.executor.kit import LIMITS, approve, free_port, plan_of, until

PARTS = Path(__file__).with_name("parts.py")


class Part:
    """One running service of ``parts.py``."""

    def __init__(self, name: str, kind: str, *arguments: str | int | Path) -> None:
        self.name, self.kind, self.port = name, kind, free_port()
        command = [sys.executable, str(PARTS), kind, str(self.port), *map(str, arguments)]
        self.started = subprocess.Popen(command, start_new_session=True)

    @property
    def instance(self) -> ProcessInstance:
        return ProcessInstance(id=f"{self.name}-1", command=f"{PARTS.name} {self.kind} {self.port}", port=self.port)

    def url(self, path: str = "/") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def service(self, **fields: Any) -> Service:
        probe = HttpProbe(url=self.url(fields.pop("path", "/")), timeout_ms=2000)
        check = Check(id=self.name, service=self.name, probe=probe, rate_hz=20)
        return Service(**{"name": self.name, "instances": (self.instance,), "operations": (check,), **fields})

    def listens(self) -> bool:
        try:
            locate.find(self.instance)
        except UnavailableError:
            return False
        return True

    def end(self) -> None:
        """End it, and whatever was started in its place."""
        self.started.kill()
        self.started.wait()
        while self.listens():
            found = locate.find(self.instance)
            process.send(found.pid, found.start_ticks, signal.SIGKILL)
            process.wait_gone(found.pid, found.start_ticks, 5)


@contextmanager
def running(*parts: Part) -> Iterator[None]:
    try:
        for part in parts:
            until(part.listens, what=f"{part.name} does not listen")
        yield
    finally:
        for part in parts:
            part.end()


def hypothesis(number: int, service: str, *criteria: Criterion) -> Hypothesis:
    return Hypothesis(
        id=f"h{number}",
        weakness=Weakness.SINGLE_POINT_OF_FAILURE,
        place=service,
        statement=f"{service} gets over it",
        criteria=criteria,
        prediction=Prediction(probability_breaks=0.5),
    )


def experiment(
    system: System, fault: Fault, targets: Sequence[InstanceTarget], *promised: Criterion, **fields: Any
) -> Experiment:
    """One fault on each of the targets, with all that the system declares."""
    checks = tuple(check for service in system.services for check in service.operations)
    duration_s = fields.pop("duration_s", 2.0)
    given: dict[str, Any] = {
        "id": "e1",
        "title": "recovery",
        "hypotheses": tuple(
            hypothesis(n, target.service, SteadyState(checks=(checks[0].id,)), *(promised if n == 1 else ()))
            for n, target in enumerate(targets, start=1)
        ),
        "checks": checks,
        "signals": tuple(signal for service in system.services for signal in service.signals),
        "data_checks": tuple(check for service in system.services for check in service.data_checks),
        "actions": tuple(
            Action(id=f"a{n}", fault=fault, target=target, duration_s=duration_s)
            for n, target in enumerate(targets, start=1)
        ),
        "abort_conditions": "none",
        "baseline_s": 1.5,
        "recovery_deadline_s": 6,
    }
    return Experiment(**{**given, **fields})


def carried_out(home: Home, system: System, asked: Experiment) -> Evidence:
    """A run, which says the same when it is judged again from what it has left."""
    plan = plan_of(system, (asked,))
    evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
    assert evidence.outcome == "completed", evidence.timeline
    assert evidence.owed == ()
    assert differences(home, evidence) == []
    return evidence


def said(evidence: Evidence, validator: str) -> dict[str, Validation]:
    """What one validator says, by what it says it of."""
    (result,) = evidence.results
    return {each.of: each for each in result.validations if each.validator == validator}
