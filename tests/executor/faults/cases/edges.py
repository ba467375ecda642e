"""Faults on an edge: a real caller calls a real callee, through a managed proxy or led astray by the kernel."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import Resolved
from executor.model.faults import FaultSpec
from executor.model.faults.network import Latency, Partition, Reset
from executor.model.faults.service import CorruptResponse, DependencyFailure, Error, Timeout
from executor.model.plan import EdgeTarget, GroupsTarget
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.edge_kit import RESET, Scene, scene

Call = dict[str, Any]


class EdgeSubject:
    """The edge, and how one fault shows in what its caller is answered."""

    def __init__(self, made: Scene, fault: FaultSpec, shows: Callable[[Call], bool]) -> None:
        self.scene, self.parted, self.shows = made, isinstance(fault, Partition), shows
        self.delay_ms = fault.delay_ms if isinstance(fault, Latency) else None
        self.after_bytes = fault.after_bytes if isinstance(fault, Timeout) else 0
        self.system = made.system()

    def resolved(self) -> Resolved:
        (target,) = resolve(
            GroupsTarget(a=("a",), b=("b",)) if self.parted else EdgeTarget(caller="a", callee="b"), self.system
        )
        return target

    def normal(self) -> bool:
        return self.scene.well()

    def faulted(self) -> bool:
        return self.shows(self.scene.call(timeout_s=1.0)) and self.scene.bystander_well()

    def state(self) -> dict[str, Any]:
        if self.scene.managed is None:
            listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
            return {"tables": [line for line in listed.splitlines() if "contract" in line]}
        return {"edges": self.scene.managed.ask({"do": "edges"}), "proxy": self.scene.managed.process.pid}

    def unharmed(self) -> bool:
        """Whether another caller of the same callee is answered well each of ten times."""
        return all(self.scene.bystander_well() for _ in range(10))

    def size(self) -> str:
        """How many of some calls it struck, and how late they were where it delays them."""
        if self.after_bytes:
            return self._given()
        calls = [self.scene.call(timeout_s=0.6) for _ in range(5)]
        assert all(map(self.shows, calls)), "not every call is struck"
        if self.delay_ms is None:
            return f"every call asked, {len(calls)} of {len(calls)}"
        late_ms = 1000 * statistics.median(call["s"] for call in calls)
        assert late_ms >= self.delay_ms
        return f"{self.delay_ms:.0f} ms asked, {late_ms:.0f} ms in the median of {len(calls)}"

    def _given(self) -> str:
        """How much of an answer's body is given, read off the wire; and that the callee was asked for each."""
        before, given = self.scene.callee_requests(), set()
        for _ in range(5):
            call = self.scene.call(timeout_s=0.6, raw=True)
            given.add(len(call["body"].partition("\r\n\r\n")[2]))
        assert given == {self.after_bytes}
        assert self.scene.callee_requests() - before == 5
        return f"{self.after_bytes} bytes of the body asked, {given.pop()} given in each of 5 answers"

    def die(self) -> None:
        """What the fault lives in dies: the managed proxy, or else the caller that is to be hurt."""
        if self.scene.managed is None:
            self.scene.caller.process.kill()
            self.scene.caller.process.wait()
        else:
            self.scene.managed.process.kill()
            self.scene.managed.process.wait()


def case(fault: FaultSpec, shows: Callable[[Call], bool], way: str = "managed", name: str = "") -> Case:
    kind = fault.kind

    @contextmanager
    def opened(bench: Bench) -> Iterator[EdgeSubject]:
        with scene(way, bench.path) as made:
            yield EdgeSubject(made, fault, shows)

    return Case(f"{kind}-{way}{name}", fault, opened)


def _silent(call: Call) -> bool:
    return bool(call["error"] == "TimeoutError")


def _cut(call: Call) -> bool:
    return call["error"] in RESET


def _late(call: Call) -> bool:
    return bool(call["status"] == 200 and call["s"] >= 0.2)


CASES = (
    case(Error(status=500), lambda call: bool(call["status"] == 500)),
    case(Error(status=500), lambda call: bool(call["status"] == 500), "redirect"),
    case(Timeout(), _silent),
    case(Timeout(after_bytes=1000), _silent, name="-after-bytes"),
    case(CorruptResponse(how="empty"), lambda call: bool(call["status"] == 200 and not call["body"])),
    case(DependencyFailure(mode="blackhole"), _silent),
    case(DependencyFailure(mode="refuse"), _cut, "redirect"),
    case(Latency(delay_ms=200), _late),
    case(Reset(), _cut),
    case(Partition(how="reject"), _cut),
    case(Partition(how="drop"), _silent, "redirect"),
)
