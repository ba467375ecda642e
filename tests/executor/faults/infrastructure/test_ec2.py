"""What the contract suite does not show of machines in Amazon's cloud."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.drivers.aws import api, ec2
from executor.drivers.resolve import resolve
from executor.drivers.targets import Ec2Target
from executor.errors import UnavailableError
from executor.faults.behaviour import Behaviour, Context, Momentary, why_not
from executor.faults.registry import behaviour
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Vm
from executor.model.faults.service import Crash, Hang, Stop
from executor.model.plan import InstanceTarget
from executor.model.system import System
from tests.executor.faults.amazon import REGION, Amazon


class Struck:
    """One machine with a fault prepared on it."""

    def __init__(self, amazon: Amazon, fault: FaultSpec, machine: str = "") -> None:
        self.amazon, self.fault = amazon, fault
        self.machine = machine or amazon.machine()
        self.system: System = amazon.system(self.machine)
        self.how: Behaviour = behaviour(fault.kind)
        self.before = amazon.image_of(self.machine)
        self.record: dict[str, Any] = {}

    @property
    def target(self) -> Ec2Target:
        (target,) = resolve(InstanceTarget(service="web"), self.system)
        assert isinstance(target, Ec2Target)
        return target

    def why_not(self) -> str:
        return why_not(self.how, self.fault, self.target) or ""

    def prepared(self) -> dict[str, Any]:
        assert self.why_not() == ""
        return self.how.prepare(self.fault, self.target, Context(self.system, f"murphy-{self.machine}", "/tmp"))

    def inject(self) -> None:
        self.record = self.prepared()
        self.record |= self.how.inject(self.record, 30)


@pytest.fixture
def machines(amazon: Amazon) -> Iterator[Amazon]:
    """Amazon, and whatever machines a test has made are ended."""
    yield amazon
    amazon.end()


@pytest.mark.parametrize(
    "fault", [Vm(how="detach_nic"), Vm(how="detach_disk"), Vm(how="stop"), Crash(), Stop()], ids=lambda f: f.words()
)
def test_taken_away_and_given_back(machines: Amazon, fault: FaultSpec) -> None:
    struck = Struck(machines, fault)
    struck.inject()
    assert struck.how.active(struck.record) is True
    assert machines.image_of(struck.machine) != struck.before
    struck.how.revert(struck.record)
    assert struck.how.active(struck.record) is False
    assert machines.image_of(struck.machine) == struck.before


def test_a_reset_is_over_at_once(machines: Amazon) -> None:
    struck = Struck(machines, Vm(how="reset"))
    struck.inject()
    assert isinstance(struck.how, Momentary)
    assert struck.how.struck(struck.record)
    assert struck.how.active(struck.record) is False
    assert machines.image_of(struck.machine) == struck.before


@pytest.mark.parametrize(
    ("how", "more", "reason"),
    [
        ("stop", {"tags": {"aws:autoscaling:groupName": "web"}}, "belongs to the Auto Scaling group web"),
        ("stop", {"kind": "m5d.large"}, "disks of the instance store"),
        ("pause", {}, "is an EC2 instance, and not something that can be made to stand still"),
    ],
)
def test_what_could_not_be_given_back_is_not_taken(
    machines: Amazon, how: Any, more: dict[str, Any], reason: str
) -> None:
    struck = Struck(machines, Vm(how=how), machines.machine(**more))
    assert reason in struck.why_not()


def test_a_hang_needs_a_machine_that_can_stand_still(machines: Amazon) -> None:
    assert "can be made to stand still" in Struck(machines, Hang()).why_not()


def test_a_public_address_on_loan_would_be_lost(machines: Amazon, monkeypatch: pytest.MonkeyPatch) -> None:
    """moto lends none, so this one is put into what it says."""
    struck = Struck(machines, Vm(how="stop"))
    plain = ec2.describe

    def lent(kept: Any) -> dict[str, Any]:
        about = plain(kept)
        about["NetworkInterfaces"][0]["Association"] = {"IpOwnerId": "amazon", "PublicIp": "192.0.2.1"}
        return about

    monkeypatch.setattr(ec2, "describe", lent)
    assert "give it an Elastic IP first" in struck.why_not()


@pytest.mark.parametrize("how", ["stop", "reset", "isolate", "detach_nic", "detach_disk"])
def test_the_machine_murphy_runs_on_is_left_alone(
    machines: Amazon, how: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    struck = Struck(machines, Vm(how=how))
    asset = tmp_path / "board_asset_tag"
    asset.write_text(f"{struck.machine}\n", encoding="ascii")
    monkeypatch.setattr(ec2, "_HOST", asset)
    assert "Murphy runs on" in struck.why_not()


def test_an_unknown_disk_is_answered_with_those_there_are(machines: Amazon) -> None:
    struck = Struck(machines, Vm(how="detach_disk", device="/dev/sdz"))
    assert "as device: /dev/sdf" in struck.why_not()


def test_the_root_disk_is_never_the_one_meant(machines: Amazon) -> None:
    struck = Struck(machines, Vm(how="detach_disk", device="/dev/sda1"))
    assert "name one disk beside its root" in struck.why_not()


def test_groups_that_somebody_gave_meanwhile_stay(machines: Amazon) -> None:
    struck = Struck(machines, Vm(how="isolate"))
    struck.inject()
    first = struck.before["cards"][0][0]
    machines.ec2.modify_network_interface_attribute(NetworkInterfaceId=first, Groups=machines.groups[1:])
    struck.how.revert(struck.record)
    after = machines.image_of(struck.machine)["cards"]
    assert after[0][2] == machines.groups[1:]
    assert after[1] == struck.before["cards"][1]
    assert struck.how.active(struck.record) is False


def test_a_group_that_no_card_got_yet_goes_too(machines: Amazon) -> None:
    """Whoever made it died before saying so."""
    struck = Struck(machines, Vm(how="isolate"))
    record = struck.how.prepare(struck.fault, struck.target, Context(struck.system, "murphy-half", "/tmp"))
    before = machines.all_groups()
    machines.ec2.create_security_group(GroupName="murphy-half", Description="half", VpcId=machines.vpc)
    assert struck.how.active(record) is True
    struck.how.revert(record)
    assert machines.all_groups() == before


def test_a_disk_that_was_given_to_another_meanwhile_is_left_there(machines: Amazon) -> None:
    struck = Struck(machines, Vm(how="detach_disk"))
    struck.inject()
    other = machines.machine()
    machines.ec2.attach_volume(VolumeId=struck.record["volume"], InstanceId=other, Device="/dev/sdg")
    assert struck.how.active(struck.record) is None
    with pytest.raises(UnavailableError, match="was attached to"):
        struck.how.revert(struck.record)


def test_an_amazon_out_of_reach_is_not_taken_for_well(machines: Amazon) -> None:
    struck = Struck(machines, Vm(how="stop"))
    struck.inject()
    lost = struck.record | {"endpoint": "http://127.0.0.1:9"}
    assert struck.how.active(lost) is None
    with pytest.raises(UnavailableError, match="AWS cannot be asked"):
        struck.how.revert(lost)
    struck.how.revert(struck.record)
    assert machines.image_of(struck.machine) == struck.before


def test_a_machine_that_amazon_has_forgotten_owes_nothing(machines: Amazon) -> None:
    struck = Struck(machines, Vm(how="stop"))
    struck.inject()
    forgotten = struck.record | {"ec2": "i-0123456789abcdef0"}
    struck.how.revert(forgotten)
    assert struck.how.active(forgotten) is False


def test_without_credentials_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    with pytest.raises(UnavailableError, match=r"web-1: AWS cannot be asked: Unable to locate credentials\."):
        api.ask({"region": REGION, "endpoint": "http://localhost:9", "instance": "web-1"}, "ec2", "describe_vpcs")


def test_without_boto3_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    with pytest.raises(UnavailableError, match=r"murphy-chaos\[aws\]"):
        api.ask({"region": REGION, "endpoint": "", "instance": "web-1"}, "ec2", "describe_vpcs")


@pytest.mark.parametrize("endpoint", ["ftp://x", "https://key:secret@ec2.example"])
def test_an_endpoint_holds_no_credentials(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        Amazon.instance("web-1", "i-0123456789abcdef0", endpoint)
