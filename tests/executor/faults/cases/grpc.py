"""An error on a gRPC edge: grpcio's own client calls its own server, through a managed proxy or led astray."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import Resolved
from executor.model.faults.service import Error
from executor.model.plan import EdgeTarget
from executor.model.system import Dependency, KernelRedirect, ManagedProxy, ProcessInstance, Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.edge_kit import need_redirect
from tests.executor.faults.net_kit import likely
from tests.executor.proxy.conftest import Managed
from tests.executor.proxy.grpc_kit import OTHER, UNARY, GrpcCaller, GrpcServer

CALLS = 1_000
MESSAGE = "out of café, 100 % sure"


class GrpcSubject:
    """The edge ``a->g``: one method of it is struck. A bystander calls the same method without the proxy."""

    def __init__(self, path: Path, fault: Error, way: str) -> None:
        self.fault = fault
        self.callee, self.caller, self.bystander = GrpcServer(), GrpcCaller("a"), GrpcCaller("b")
        self.managed = Managed(path, self.callee.port, grpc=True) if way == "managed" else None
        self.port = self.managed.grpc if self.managed else self.callee.port
        interception = ManagedProxy(control=self.managed.control, edge="a->g") if self.managed else KernelRedirect()
        edge = Dependency(caller="a", callee="g", protocol="grpc", port=self.callee.port, interception=interception)
        services = (
            Service(name="a", instances=(self.caller.instance,)),
            Service(name="g", instances=(ProcessInstance(id="g-1", port=self.callee.port),)),
        )
        self.system = System(name="s", services=services, dependencies=(edge,))

    def resolved(self) -> Resolved:
        return self.resolved_in(self.system)

    @staticmethod
    def resolved_in(system: System) -> Resolved:
        (target,) = resolve(EdgeTarget(caller="a", callee="g"), system)
        return target

    def normal(self) -> bool:
        return self.caller.well(self.port, times=5) and self.caller.well(self.port, path=OTHER)

    def faulted(self) -> bool:
        said = self.caller.call(self.port, times=30)
        return said["codes"].get(self.fault.grpc_status, 0) > 0 and said["messages"] == [MESSAGE]

    def state(self) -> dict[str, Any]:
        if self.managed is None:
            listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
            return {"tables": [line for line in listed.splitlines() if "contract" in line]}
        return {"edges": self.managed.ask({"do": "edges"}), "proxy": self.managed.process.pid}

    def unharmed(self) -> bool:
        """Whether another caller's calls of the method, and this one's of another, are all answered well."""
        return self.bystander.well(self.callee.port, times=100) and self.caller.well(self.port, path=OTHER, times=100)

    def size(self) -> str:
        """How many of many calls it strikes; of those the callee sees nothing."""
        before = self.callee.seen()[UNARY]
        struck = self.caller.call(self.port, times=CALLS)["codes"].get(self.fault.grpc_status, 0)
        assert self.callee.seen()[UNARY] - before == CALLS - struck
        assert likely(struck, CALLS, self.fault.probability), struck
        return f"{100 * self.fault.probability:g} % of the calls asked, {100 * struck / CALLS:.1f} % of {CALLS:,} calls"

    def die(self) -> None:
        """What the fault lives in dies: the managed proxy, or else the caller that is to be hurt."""
        dying = self.managed.process if self.managed else self.caller.process
        dying.kill()
        dying.wait()

    def end(self) -> None:
        if self.managed:
            self.managed.stop()
        for one in (self.caller, self.bystander, self.callee):
            one.end()


def case(fault: Error, way: str) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[GrpcSubject]:
        if way == "redirect":
            need_redirect()
        subject = GrpcSubject(bench.path, fault, way)
        try:
            yield subject
        finally:
            subject.end()

    return Case(f"{fault.kind}-grpc-{way}", fault, opened)


CASES = (
    case(Error(grpc_status="RESOURCE_EXHAUSTED", grpc_message=MESSAGE, path=UNARY, probability=0.3), "managed"),
    case(Error(grpc_status="UNAVAILABLE", grpc_message=MESSAGE, path=UNARY), "redirect"),
)
