"""Systems of real processes to see failures spread in, and the commands that plan for, strike and measure them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from executor.errors import UnavailableError
from executor.kernel import locate, process
from executor.model.probe import Check, HttpProbe
from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind
from executor.safety.limits import Limits, to_toml
from tests.executor.kit import LIMITS, free_ports, until
from tests.planner.cli.commands import murphy, told

RELAY = Path(__file__).with_name("relay.py")


@dataclass(frozen=True)
class Part:
    """A service as it is to be."""

    name: str
    calls: tuple[str, ...] = ()
    instances: int = 1
    own: bool = False
    """Whether users have an operation that asks nobody else."""
    rate_hz: float = 10.0
    settings: dict[str, Any] = field(default_factory=dict)
    asked: bool = True
    """Whether they have one that asks those it calls."""
    said: dict[str, Any] = field(default_factory=dict)
    """What else the system says of it."""


@contextmanager
def running(*parts: Part) -> Iterator[System]:
    """The services as real processes, and the system that describes them."""
    ports = _ports(parts)
    started: list[subprocess.Popen[bytes]] = []
    system = _system(parts, ports)
    try:
        for part in parts:
            settings = json.dumps({**part.settings, "calls": [ports[name] for name in part.calls]})
            for port in ports[part.name]:
                command = [sys.executable, str(RELAY), str(port), settings]
                started.append(subprocess.Popen(command, start_new_session=True))
        for port in (port for each in ports.values() for port in each):
            until(lambda port=port: _answers(port), what=f"nothing answers on {port}")
        yield system
    finally:
        for each in started:
            each.kill()
            each.wait()
        for service in system.services:
            for instance in service.instances:
                _end(instance)  # what was started again is nobody's child


def described(*parts: Part) -> System:
    """The system alone; nothing of it runs."""
    return _system(parts, _ports(parts))


def _ports(parts: Sequence[Part]) -> dict[str, list[int]]:
    numbers = iter(free_ports(sum(part.instances for part in parts)))
    return {part.name: [next(numbers) for _ in range(part.instances)] for part in parts}


def _system(parts: Sequence[Part], ports: dict[str, list[int]]) -> System:
    return System(
        name="relays",
        services=tuple(_service(part, ports, parts) for part in parts),
        dependencies=tuple(
            Dependency(caller=part.name, callee=name, protocol="http", port=ports[name][0])
            for part in parts
            for name in part.calls
        ),
    )


def _service(part: Part, ports: dict[str, list[int]], parts: Sequence[Part]) -> Service:
    reached = _reached(part, {each.name: each for each in parts})
    own = Check(
        id=f"{part.name}-own",
        service=part.name,
        probe=_probe(ports[part.name][0], "/own"),
        exercises=(),
    )
    probe = _probe(ports[part.name][0], "/")
    main = Check(id=part.name, service=part.name, probe=probe, exercises=reached, rate_hz=part.rate_hz)
    return Service(
        name=part.name,
        kind=ServiceKind.HTTP,
        instances=tuple(
            ProcessInstance(id=f"{part.name}-{n}", command=f"{RELAY.name} {port}", port=port)
            for n, port in enumerate(ports[part.name], start=1)
        ),
        operations=(*((main,) if part.asked else ()), *((own,) if part.own else ())),
        criticality=2,
        restarts="by_hand",
        **part.said,
    )


def _probe(port: int, path: str) -> HttpProbe:
    return HttpProbe(url=f"http://127.0.0.1:{port}{path}", timeout_ms=3000)


def _reached(part: Part, parts: dict[str, Part]) -> tuple[str, ...]:
    below = [edge for name in part.calls for edge in (f"{part.name}->{name}", *_reached(parts[name], parts))]
    return tuple(dict.fromkeys(below))


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/own", timeout=0.5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _end(instance: Any) -> None:
    try:
        found = locate.find(instance)
    except UnavailableError:
        return
    process.send(found.pid, found.start_ticks, signal.SIGKILL)
    process.wait_gone(found.pid, found.start_ticks, 5)


def settle(directory: Path, monkeypatch: pytest.MonkeyPatch, system: System, limits: Limits = LIMITS) -> None:
    """A working directory of its own with the system, the operator's limits and a key that may sign."""
    monkeypatch.chdir(directory)
    monkeypatch.setenv("MURPHY_HOME", str(directory / "home"))
    Path("system.yaml").write_text(system.model_dump_json(), encoding="utf-8")
    Path("limits.toml").write_text(to_toml(limits), encoding="utf-8")


@dataclass(frozen=True)
class Experience:
    """A cascade from its plan to what was seen of it, as the commands print it for programs."""

    planned: dict[str, Any]
    run: dict[str, Any]
    found: dict[str, Any]

    def point(self, service: str) -> str | None:
        """What is said of a suspected single point of failure; ``None``: it is not suspected."""
        return next((each["said"] for each in self.found["single_points"] if each["service"] == service), None)

    def fell(self, nth: int) -> dict[str, Any]:
        """The services that fell in one of the experiments, by name."""
        return {each["service"]: each for each in self.found["cascades"][nth]["fallen"]}

    def links(self, nth: int) -> dict[str, Any]:
        """Its propagation graph, by ``caller->callee``."""
        links = self.found["cascades"][nth]["links"]
        return {f"{each['way']['caller']}->{each['way']['callee']}": each for each in links}

    def figure(self, name: str, nth: int) -> float:
        """One of its figures."""
        figures = self.found["cascades"][nth]["figures"]
        return float(next(each["value"] for each in figures if each["name"] == name))

    def verdict(self, weakness: str, nth: int) -> str:
        """Of the hypothesis about it in that experiment."""
        hypotheses = self.run["results"][nth]["hypotheses"]
        return str(next(each["verdict"] for each in hypotheses if each["weakness"] == weakness))


def experience(capsys: pytest.CaptureFixture[str], service: str, *options: str) -> Experience:
    """Plan a cascade, sign it, run it, and look at it."""
    planned = told(capsys, "cascade", service, *options)
    if not Path("home/keys/me.pem").exists():
        murphy("keys", "create", "me")
    assert murphy("approve", "--yes", "--key", "me") == 0
    capsys.readouterr()
    assert murphy("run", "--json") in (0, 1)
    run = json.loads(capsys.readouterr().out)
    assert run["outcome"] == "completed", run["timeline"]
    assert not run["owed"]
    return Experience(planned, run, told(capsys, "cascade", "--of", run["run"]))
