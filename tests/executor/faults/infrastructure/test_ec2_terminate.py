"""An instance is ended for good only where its group puts another in its place, and nothing goes with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from executor.errors import UnavailableError
from executor.model.faults.infrastructure import Fis, Vm
from tests.executor.faults.amazon import Amazon
from tests.executor.faults.infrastructure.test_ec2 import Struck

END = Vm(how="terminate")


@pytest.fixture
def machines(amazon: Amazon) -> Iterator[Amazon]:
    amazon.fis.forget()
    yield amazon
    amazon.end()


@pytest.fixture
def pair(machines: Amazon) -> tuple[Amazon, str, str]:
    """An Auto Scaling group of two."""
    one, other = machines.group(size=2)
    return machines, one, other


@pytest.mark.parametrize("fault", [END, Fis(does="terminate")], ids=lambda fault: fault.kind)
def test_ended_for_good_and_replaced(pair: tuple[Amazon, str, str], fault: Any) -> None:
    amazon, one, other = pair
    amazon.launches.looks = 4
    struck, bystander = Struck(amazon, fault, one), amazon.image_of(other)
    struck.inject()
    assert amazon.about(one)["State"]["Name"] == "terminated"
    assert struck.how.active(struck.record) is True
    assert amazon.serving() == [other]
    struck.how.revert(struck.record)
    assert struck.how.active(struck.record) is False
    serving = amazon.serving()
    assert len(serving) == 2
    assert other in serving
    assert one not in serving
    assert amazon.image_of(other) == bystander
    struck.how.revert(struck.record)
    assert amazon.serving() == serving


def test_a_group_that_does_not_get_whole_is_owed(
    pair: tuple[Amazon, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    amazon, one, _ = pair
    monkeypatch.setattr("executor.drivers.aws.groups._REPLACED_WITHIN_S", 0.1)
    amazon.launches.stuck = True
    struck = Struck(amazon, END, one)
    struck.inject()
    with pytest.raises(UnavailableError, match=rf"web lacks 1 of 2 healthy instances in service; .* replace {one}\."):
        struck.how.revert(struck.record)
    assert struck.how.active(struck.record) is True
    amazon.launches.stuck = False
    struck.how.revert(struck.record)
    assert struck.how.active(struck.record) is False


def test_a_group_that_wants_fewer_meanwhile_owes_nothing(pair: tuple[Amazon, str, str]) -> None:
    amazon, one, _ = pair
    amazon.launches.stuck = True
    struck = Struck(amazon, END, one)
    struck.inject()
    amazon.scaling.update_auto_scaling_group(AutoScalingGroupName="web", DesiredCapacity=1)
    struck.how.revert(struck.record)
    assert struck.how.active(struck.record) is False


def test_never_ended_nothing_is_waited_for(pair: tuple[Amazon, str, str]) -> None:
    amazon, one, other = pair
    struck = Struck(amazon, END, one)
    assert struck.why_not() == ""
    record = struck.how.prepare(END, struck.target, None)  # type: ignore[arg-type]
    amazon.launches.stuck = True
    amazon.scaling.set_desired_capacity(AutoScalingGroupName="web", DesiredCapacity=3)
    struck.how.revert(record)
    assert struck.how.active(record) is False
    assert sorted(amazon.serving()) == sorted((one, other))


def _protect(amazon: Amazon, one: str) -> None:
    amazon.ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": True})


def _scale_in(amazon: Amazon, one: str) -> None:
    amazon.scaling.set_instance_protection(AutoScalingGroupName="web", InstanceIds=[one], ProtectedFromScaleIn=True)


def _all_new(amazon: Amazon, one: str) -> None:
    amazon.scaling.update_auto_scaling_group(AutoScalingGroupName="web", NewInstancesProtectedFromScaleIn=True)


def _suspend(amazon: Amazon, one: str) -> None:
    amazon.scaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Launch"])


def _suspend_ends(amazon: Amazon, one: str) -> None:
    amazon.scaling.suspend_processes(AutoScalingGroupName="web", ScalingProcesses=["Terminate", "AZRebalance"])


def _stand_by(amazon: Amazon, one: str) -> None:
    amazon.scaling.enter_standby(AutoScalingGroupName="web", InstanceIds=[one], ShouldDecrementDesiredCapacity=True)


def _unwell(amazon: Amazon, one: str) -> None:
    others = [each for each in amazon.serving() if each != one]
    amazon.scaling.set_instance_health(InstanceId=others[0], HealthStatus="Unhealthy")


def _disk(amazon: Amazon, one: str) -> None:
    made = amazon.ec2.create_volume(Size=1, AvailabilityZone=amazon.about(one)["Placement"]["AvailabilityZone"])
    amazon.ec2.attach_volume(VolumeId=made["VolumeId"], InstanceId=one, Device="/dev/sdf")


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (_protect, "has termination protection; take it away"),
        (_scale_in, "protects its instances from scale-in"),
        (_all_new, "protects its instances from scale-in"),
        (_suspend, "has Launch suspended, so none would follow; resume it"),
        (_suspend_ends, "has Terminate suspended, so none would follow"),
        (_stand_by, "is not in service in its Auto Scaling group web (Standby)"),
        (_unwell, "lacks 1 of its instances already; wait until it is whole"),
        (_disk, "has a disk beside its root (/dev/sdf), which its successor would not have"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else None,
)
@pytest.mark.parametrize("fault", [END, Fis(does="terminate")], ids=lambda fault: fault.kind)
def test_what_would_not_come_back_is_not_ended(
    pair: tuple[Amazon, str, str], fault: Any, first: Callable[[Amazon, str], None], reason: str
) -> None:
    amazon, one, _ = pair
    first(amazon, one)
    assert reason in Struck(amazon, fault, one).why_not()
    assert amazon.about(one)["State"]["Name"] == "running"


def test_a_card_that_would_stay_behind_is_not_left(pair: tuple[Amazon, str, str]) -> None:
    amazon, one, _ = pair
    second = amazon.ec2.create_network_interface(SubnetId=amazon.subnet, Groups=amazon.groups)["NetworkInterface"]
    card = second["NetworkInterfaceId"]
    amazon.ec2.attach_network_interface(NetworkInterfaceId=card, InstanceId=one, DeviceIndex=1)
    assert f"has a network card that would stay behind ({card})" in Struck(amazon, END, one).why_not()


def test_an_instance_without_a_group_is_not_ended(machines: Amazon) -> None:
    assert "is in no Auto Scaling group" in Struck(machines, END).why_not()


def test_a_tag_alone_makes_no_group(machines: Amazon) -> None:
    tagged = machines.machine(tags={"aws:autoscaling:groupName": "none-such"})
    assert "the Auto Scaling group none-such is not there" in Struck(machines, END, tagged).why_not()


def test_disks_of_the_instance_store_are_not_lost(machines: Amazon) -> None:
    one, _ = machines.group(size=2, InstanceType="m5d.large")
    assert "has disks of the instance store" in Struck(machines, END, one).why_not()


def test_an_amazon_out_of_reach_is_not_taken_for_whole(pair: tuple[Amazon, str, str]) -> None:
    amazon, one, _ = pair
    struck = Struck(amazon, END, one)
    struck.inject()
    lost = struck.record | {"endpoint": "http://127.0.0.1:9"}
    assert struck.how.active(lost) is None
    with pytest.raises(UnavailableError, match="AWS cannot be asked"):
        struck.how.revert(lost)
