"""Faults on machines in Amazon's cloud, as moto plays it: state, security groups and disks, through the real boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import Resolved
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Fis, Vm
from executor.model.plan import InstanceTarget
from tests.executor.faults.amazon import Amazon
from tests.executor.faults.cases import Bench, Case


class Ec2Subject:
    """One instance, and another of the same groups that is left alone."""

    def __init__(self, amazon: Amazon, shows: Callable[[Ec2Subject], str]) -> None:
        self.amazon, self.shows = amazon, shows
        amazon.fis.forget()
        self.machine, self.other = amazon.machine(), amazon.machine()
        self.system = amazon.system(self.machine)
        self.before, self.others = amazon.image_of(self.machine), amazon.image_of(self.other)

    def resolved(self) -> Resolved:
        (target,) = resolve(InstanceTarget(service="web"), self.system)
        return target

    def normal(self) -> bool:
        return self.amazon.image_of(self.machine) == self.before

    def faulted(self) -> bool:
        return bool(self.shows(self))

    def size(self) -> str:
        return self.shows(self)

    def state(self) -> Any:
        made = self.amazon
        return {**made.image_of(self.machine), "groups": made.all_groups(), "fis": dict(made.fis.templates)}

    def unharmed(self) -> bool:
        return self.amazon.image_of(self.other) == self.others

    def die(self) -> None:
        self.amazon.ec2.terminate_instances(InstanceIds=[self.machine])

    def stopped(self) -> str:
        state = self.amazon.about(self.machine)["State"]["Name"]
        return "one instance asked, one stopped" if state == "stopped" else ""

    def cut_off(self) -> str:
        """Its cards' groups let nothing in and nothing out."""
        groups = self.amazon.all_groups()
        cards = self.amazon.image_of(self.machine)["cards"]
        closed = [card for card, _, held in cards if not any(groups[g][1] or groups[g][2] for g in held)]
        return (
            f"all network asked, {len(closed)} of {len(cards)} cards without any rule"
            if closed == [c for c, *_ in cards]
            else ""
        )


def case(name: str, fault: FaultSpec, shows: Callable[[Ec2Subject], str]) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Ec2Subject]:
        subject = Ec2Subject(bench.fixture("amazon"), shows)
        yield subject
        subject.amazon.end()

    return Case(name, fault, opened)


CASES = (
    case("infrastructure.fis", Fis(does="stop", duration_s=120), Ec2Subject.stopped),
    case("infrastructure.vm-ec2-isolate", Vm(how="isolate"), Ec2Subject.cut_off),
)
