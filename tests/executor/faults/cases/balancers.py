"""Faults of load balancers: HAProxy, Caddy and nginx before three real members."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults.infrastructure import LoadBalancer
from executor.model.plan import InstanceTarget
from executor.model.system import ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind
from executor.servers import haproxy
from tests.executor.faults.balancers import Balancer, ask, balancer, lacking
from tests.executor.faults.cases import Bench, Case

ASKED = 60


class BalancerSubject:
    """A balancer, and how one fault shows in who answers."""

    def __init__(self, made: Balancer, fault: LoadBalancer) -> None:
        self.made, self.fault = made, fault
        instance = ProcessInstance(id="lb-1", port=made.front)
        kind = ServiceKind.LOAD_BALANCER
        service = Service(name="lb", kind=kind, technology=made.make, instances=(instance,), control=made.control)
        self.system = System(name="shop", services=(service,))

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service="lb"), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def normal(self) -> bool:
        return self.made.even()

    def faulted(self) -> bool:
        got = self.made.shares(24)
        first, second, third, _ = self.made.members
        return {
            "member_down": set(got) == {second, third},
            "drain": set(got) == {second, third},
            "weight": got[first] >= 18 and got[second] >= 1 and got[third] >= 1,
            "wrong_upstream": got == {0: 8, second: 8, third: 8},
            "all_down": set(got) == {0},
        }[self.fault.how]

    def state(self) -> Any:
        if self.made.make == "haproxy":
            said = haproxy.ask(self.made.control, "show servers state").splitlines()
            return {"servers": [row.split()[:9] + row.split()[17:19] for row in said[1:]]}  # the rest are counts, times
        if self.made.make == "nginx":
            about = self.made.file.stat()
            times_and_owners = about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns
            return {"file": self.made.file.read_bytes(), "about": times_and_owners}
        with urllib.request.urlopen(f"{self.made.control}/config/", timeout=5) as answer:
            return dict(json.load(answer))

    def die(self) -> None:
        self.made.end()

    def unharmed(self) -> bool:
        """Whether who is behind another frontend of the same balancer answers as ever."""
        return {ask(self.made.side) for _ in range(5)} == {self.made.members[3]}

    def size(self) -> str:
        got = self.made.shares(ASKED)
        shares = " : ".join(f"{100 * got[member] / ASKED:.0f}" for member in self.made.members[:3])
        return (
            f"{self.fault.how} asked; of {ASKED} requests {shares} % to its members, {100 * got[0] / ASKED:.0f} % fail"
        )


def case(make: str, fault: LoadBalancer) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[BalancerSubject]:
        with balancer(make, bench.path / make, bench.fixture("members")) as made:
            yield BalancerSubject(made, fault)

    return Case(f"infrastructure.load_balancer-{make}", fault, opened, unavailable=partial(lacking, make))


CASES = (
    case("haproxy", LoadBalancer(how="weight", backend="app", member="m1")),
    case("caddy", LoadBalancer(how="all_down", backend="app")),
    case("nginx", LoadBalancer(how="wrong_upstream", backend="app")),
)
