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
from tests.executor.faults.simulated_group import LOOKS
from tests.executor.kit import until


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


class GroupSubject(Ec2Subject):
    """One instance of an Auto Scaling group, which takes its time to replace it; the group's other is left alone."""

    def __init__(self, amazon: Amazon, shows: Callable[[Ec2Subject], str]) -> None:
        self.amazon, self.shows = amazon, shows
        amazon.fis.forget()
        self.machine, self.other = amazon.group(size=2)
        amazon.launches.looks = LOOKS
        self.system = amazon.system(self.machine)
        self.others = amazon.image_of(self.other)

    def normal(self) -> bool:
        """Its group is whole, whoever is in it."""
        return len(self.amazon.serving()) == 2

    def state(self) -> Any:
        (group,) = self.amazon.scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
        kept = {name: group[name] for name in ("DesiredCapacity", "MinSize", "MaxSize", "SuspendedProcesses")}
        return {**kept, "rules": self.amazon.all_groups(), "fis": dict(self.amazon.fis.templates)}

    def die(self) -> None:
        """The instance is gone; what replaces it is ended too, and replaced in turn."""
        until(self.normal)  # moto replaces only what is in service
        (new,) = set(self.amazon.serving()) - {self.machine, self.other}
        self.amazon.ec2.terminate_instances(InstanceIds=[new])

    def terminated(self) -> str:
        state = self.amazon.about(self.machine)["State"]["Name"]
        return "one instance asked, one terminated" if state == "terminated" else ""


def case(name: str, fault: FaultSpec, shows: Callable[[Any], str], kind: type[Ec2Subject] = Ec2Subject) -> Case:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Ec2Subject]:
        subject = kind(bench.fixture("amazon"), shows)
        yield subject
        subject.amazon.end()

    return Case(name, fault, opened)


CASES = (
    case("infrastructure.fis", Fis(does="stop", duration_s=120), Ec2Subject.stopped),
    case("infrastructure.fis-terminate", Fis(does="terminate"), GroupSubject.terminated, GroupSubject),
    case("infrastructure.vm-ec2-terminate", Vm(how="terminate"), GroupSubject.terminated, GroupSubject),
    case("infrastructure.vm-ec2-isolate", Vm(how="isolate"), Ec2Subject.cut_off),
)
