"""A caller, a callee, a bystander, and the two ways to reach the edge between them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from executor.drivers.resolve import resolve
from executor.drivers.targets import EdgeTargets, Resolved
from executor.faults.behaviour import Behaviour, Context, Telling
from executor.faults.registry import behaviour
from executor.kernel import child, process, redirect, sockets
from executor.model.faults import FaultSpec
from executor.model.plan import EdgeTarget
from executor.model.system import (
    Dependency,
    KernelRedirect,
    ManagedProxy,
    ProcessInstance,
    Service,
    System,
)
from tests.executor.proxy.conftest import Managed
from tests.executor.proxy.servers import wait_until
from tests.missing import missing

CALLER = Path(__file__).with_name("caller.py")
BODY = b'{"items": ["one", "two", "three"], "total": 3}' * 40
LEASE_S = 60.0
RESET = ("ConnectionResetError", "RemoteDisconnected", "BrokenPipeError")
WAYS = ("managed", pytest.param("redirect", marks=pytest.mark.root))


def need_redirect() -> None:
    """Skip where nothing can be redirected, but never in continuous integration."""
    why = redirect.unavailable() if shutil.which("nft") and os.geteuid() == 0 else "not root, or no nft"
    if why:
        missing(why)


class Caller:
    """A process that calls when told to."""

    def __init__(self, name: str, *options: str) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, str(CALLER), f"--name={name}-{os.getpid()}", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        wait_until(lambda: process.command_line(self.process.pid))  # for a moment after its start it shows none

    @property
    def instance(self) -> ProcessInstance:
        return ProcessInstance(id=f"{self.name}-1", command=f"--name={self.name}-{os.getpid()}")

    def begin(self, port: int, **how: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"port": port, **how}) + "\n")
        self.process.stdin.flush()

    def outcome(self) -> dict[str, Any]:
        assert self.process.stdout
        return json.loads(self.process.stdout.readline())

    def call(self, port: int, **how: Any) -> dict[str, Any]:
        self.begin(port, **how)
        return self.outcome()

    def end(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class _Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served = 0

    def do_GET(self) -> None:
        type(self).served += 1
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: Any) -> None:
        return


class _Server(ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        return  # connections end in every way here


@contextmanager
def serving() -> Iterator[int]:
    """A callee that answers every request well; gives its port."""
    server = _Server(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Scene:
    """One edge ``a->b`` that can be intercepted, and who calls over it."""

    way: str
    directory: Path
    caller: Caller
    bystander: Caller
    port: int = 0
    """Where the caller calls."""
    direct: int = 0
    """Where the callee listens, and the bystander calls."""
    managed: Managed | None = None
    last: dict[str, Any] = field(default_factory=dict)

    def system(self, protocol: str = "http") -> System:
        interception = (
            ManagedProxy(control=self.managed.control, edge="a->b" if protocol == "http" else "a->c")
            if self.managed
            else KernelRedirect()
        )
        edge = Dependency(caller="a", callee="b", protocol=protocol, port=self.direct, interception=interception)  # type: ignore[arg-type]
        services = (
            Service(name="a", instances=(self.caller.instance,)),
            Service(name="b", instances=(ProcessInstance(id="b-1", port=self.direct),)),
        )
        return System(name="s", services=services, dependencies=(edge,))

    def call(self, **how: Any) -> dict[str, Any]:
        return self.caller.call(self.port, **how)

    def well(self) -> bool:
        self.last = self.call()
        return self.last | _UNTOLD == _WELL

    def callee_requests(self) -> int:
        """Requests that the callees of this test process have answered."""
        return _Answers.served

    def wait_for_connection(self) -> None:
        """Until the caller's call is under way."""
        wait_until(lambda: sockets.connections(self.caller.process.pid, self.port))

    def bystander_well(self) -> bool:
        return self.bystander.call(self.direct) | _UNTOLD == _WELL


_UNTOLD = {"s": 0, "pid": 0, "local": 0}
_WELL = {"status": 200, "body": BODY.decode(), "type": "application/json", "error": "", **_UNTOLD}


@contextmanager
def scene(way: str, directory: Path, *options: str) -> Iterator[Scene]:
    """Everything running; at the end everything is gone."""
    if way == "redirect":
        need_redirect()
    made = Scene(way, directory, Caller("caller", *options), Caller("bystander"))
    try:
        with serving() as made.direct:
            made.managed = Managed(directory, made.direct) if way == "managed" else None
            made.port = made.managed.http if made.managed else made.direct
            yield made
    finally:
        if made.managed:
            made.managed.stop()
        made.caller.end()
        made.bystander.end()


class Held:
    """One fault on one target: made, looked at, undone."""

    def __init__(self, fault: FaultSpec, target: Resolved, system: System, scratch: Path, mark: str = "m1") -> None:
        mark = f"{mark}-{os.getpid()}"  # two runs of the tests may share a machine
        self.how: Behaviour = behaviour(fault.kind)  # type: ignore[attr-defined]
        why_not = self.how.unsupported(fault, target)
        assert why_not is None, why_not
        self.record = self.how.prepare(fault, target, Context(system, mark, str(scratch)))

    def inject(self, lease_s: float = LEASE_S) -> None:
        self.record |= self.how.inject(json.loads(json.dumps(self.record)), lease_s)

    def active(self) -> bool | None:
        return self.how.active(self.record)

    def revert(self) -> None:
        self.how.revert(json.loads(json.dumps(self.record)))

    def condition(self) -> dict[str, object]:
        """What there is of it now, for whoever finds that a call was not struck."""
        listed = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=False).stdout
        helpers = child.living(Path(self.record["deadline"]))
        return {"active": self.active(), "helpers": helpers, "wanted": self.record.get("helpers"), "rules": listed}

    def told(self) -> str:
        """What a run is told of its size."""
        assert isinstance(self.how, Telling)
        return self.how.tells(self.record)

    def left_behind(self) -> list[object]:
        """Helpers, tables and files of this fault."""
        left: list[object] = list(child.living(Path(self.record["deadline"])))
        if self.record["redirected"]:
            listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
            left += [line for line in listed.splitlines() if self.record["table"] in line]
        deadline = Path(self.record["deadline"])
        return left + [path for path in (deadline, child.tally_of(deadline)) if path.exists()]


def one_edge(system: System) -> EdgeTargets:
    (target,) = resolve(EdgeTarget(caller="a", callee="b"), system)
    assert isinstance(target, EdgeTargets)
    return target


def on_edge(scene: Scene, fault: FaultSpec, *, protocol: str = "http", mark: str = "m1") -> Held:
    system = scene.system(protocol)
    return Held(fault, one_edge(system), system, scene.directory, mark)


def is_struck(call: Callable[[], bool], held: Held) -> bool:
    """Whether a call over a redirect is struck, the second time at the latest.

    On a busy machine the first call after the injection has passed unstruck, twice in some hundred runs; nobody knows
    why. The warning says in what condition the redirect was then.
    """
    if call():
        return True
    warnings.warn(f"a call over a redirect was not struck: {held.condition()}", stacklevel=2)
    return call()


@contextmanager
def faulted(scene: Scene, held: Held) -> Iterator[None]:
    """Normal, then faulted inside, then normal again, with nothing left behind."""
    assert scene.well()
    assert held.active() is False
    try:
        held.inject()
        assert held.active() is True
        yield
    finally:
        held.revert()
    assert held.active() is False
    wait_until(scene.well)
    held.revert()
    assert held.left_behind() == []
