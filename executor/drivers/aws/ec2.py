"""The driver of EC2 instances: stopped, started, rebooted, cut off, terminated; they lose disks and network cards.

boto3 is loaded only when Amazon is asked.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.aws import api, groups, parts
from executor.drivers.aws.api import AwsError
from executor.drivers.driver import Part, Record, RestartBy
from executor.drivers.targets import Ec2Target
from executor.errors import UnavailableError

if TYPE_CHECKING:
    from executor.faults.behaviour import Context
    from executor.model.system import Ec2Instance, Service

_SETTLES_S = 10.0
"""How long one undoing waits for an instance; a stop may take minutes, so what is not done then stays owed."""
_HOST = Path("/sys/devices/virtual/dmi/id/board_asset_tag")
"""On an instance it holds the instance's own id."""


class Ec2:
    """An instance id is never given again, so it is enough to know the very one of then."""

    name = "ec2"
    noun = "an EC2 instance"

    def find(self, service: Service, instance: Ec2Instance) -> Ec2Target:
        """The running instance. Raises ``UnavailableError`` if it is not running, or Amazon cannot be asked."""
        target = Ec2Target(
            service, instance.id, instance.instance, instance.region, instance.endpoint, instance.fis_role
        )
        if (now := _state(place(target))) != "running":
            raise UnavailableError(f"{target.ec2} is {now}, not running.", where=target.instance)
        return target

    def unendable(self, target: Ec2Target) -> str | None:
        """It must come back as it was: same address, same disks, not replaced; and we must be let start it."""
        try:
            kept = place(target)
            about = describe(kept)
            ours = api.forbidden(kept, "ec2", "stop_instances", InstanceIds=[target.ec2])
            back = api.forbidden(kept, "ec2", "start_instances", InstanceIds=[target.ec2])
            return _own(target) or _lost(kept, about) or ours or back
        except UnavailableError as error:
            return str(error)

    def ending(self, target: Ec2Target, context: Context, *, by: RestartBy, grace_s: float = 0.0) -> dict[str, Any]:  # noqa: ARG002
        """Which instance, and where. Amazon starts it again when asked, whoever else should."""
        kept = place(target)
        if (now := _state(kept)) != "running":
            raise UnavailableError(f"{target.ec2} is {now}, not running.", where=target.instance)
        return kept

    def kill(self, record: Record, signal: str) -> None:  # noqa: ARG002 - a machine knows no signals
        """Force it to stop, whatever its system says; it has begun to when this returns."""
        api.ask(record, "ec2", "stop_instances", InstanceIds=[record["ec2"]], Force=True)

    def stop(self, record: Record) -> None:
        """Ask it to stop. Amazon itself forces it after a few minutes, so the grace time is not ours to keep."""
        api.ask(record, "ec2", "stop_instances", InstanceIds=[record["ec2"]])

    def ended(self, record: Record) -> bool | None:
        """Whether it stops, is stopped or is gone."""
        try:
            return _state(record) not in ("running", "pending")
        except UnavailableError:
            return None

    def down(self, record: Record) -> bool | None:
        """Whether it stops or is stopped; one that was terminated is gone for good, and not by us."""
        try:
            return _state(record) in ("stopping", "stopped")
        except UnavailableError:
            return None

    def start(self, record: Record) -> None:
        """Start it, once it has stopped. Raises ``UnavailableError`` while it is not running."""
        if not api.wait(lambda: _state(record) != "stopping", _SETTLES_S):
            raise UnavailableError(f"{record['ec2']} is still stopping; it is started after that.", where=_name(record))
        if _state(record) == "stopped":
            api.ask(record, "ec2", "start_instances", InstanceIds=[record["ec2"]])
        if not api.wait(lambda: _state(record) not in ("stopped", "pending"), _SETTLES_S / 2):
            raise UnavailableError(f"{record['ec2']} was started and is not running yet.", where=_name(record))

    def irreplaceable(self, target: Ec2Target) -> str | None:
        """Its group must put another in its place, nothing be lost with it, and we be let terminate it."""
        try:
            kept = place(target)
            about = describe(kept)
            lost = groups.lost(kept, about) or _stored(kept, about)
            ours = api.forbidden(kept, "ec2", "terminate_instances", InstanceIds=[target.ec2])
            return _own(target) or groups.irreplaceable(kept, about) or lost or ours
        except UnavailableError as error:
            return str(error)

    def terminating(self, target: Ec2Target) -> dict[str, Any]:
        """Which instance, and whose."""
        kept = place(target)
        about = describe(kept)
        if reason := groups.lost(kept, about):
            raise UnavailableError(reason, where=target.instance)
        if about["State"]["Name"] != "running" or not groups.of(about):
            raise UnavailableError(f"{target.ec2} does not run, or is in no Auto Scaling group.", where=target.instance)
        return kept | {"group": groups.of(about)}

    def terminate(self, record: Record) -> None:
        """End it for good; it has begun to end when this returns."""
        api.ask(record, "ec2", "terminate_instances", InstanceIds=[record["ec2"]])

    def unreplaced(self, record: Record) -> bool | None:
        """Whether it was terminated, and its group lacks one."""
        try:
            return not _living(record) and groups.unreplaced(record)
        except UnavailableError:
            return None

    def await_replaced(self, record: Record) -> None:
        """See its group whole again, if it was terminated. Raises ``UnavailableError`` while the group is not."""
        if not _living(record):
            groups.await_replaced(record)

    def unresettable(self, target: Ec2Target) -> str | None:
        """We must be let reboot it."""
        try:
            return _own(target) or api.forbidden(place(target), "ec2", "reboot_instances", InstanceIds=[target.ec2])
        except UnavailableError as error:
            return str(error)

    def resetting(self, target: Ec2Target) -> dict[str, Any]:
        """Which instance, and where."""
        return place(target)

    def reset(self, record: Record) -> None:
        """Ask Amazon to reboot it: its system is asked first, and reset if it does not answer within minutes."""
        api.ask(record, "ec2", "reboot_instances", InstanceIds=[record["ec2"]])

    def irremovable(self, target: Ec2Target, part: Part, device: str) -> str | None:
        """The part must be there, and be one that can be given back exactly."""
        try:
            kept = place(target)
            return _own(target) or parts.PARTS[part].impossible(kept, describe(kept), device)
        except UnavailableError as error:
            return str(error)

    def removing(self, target: Ec2Target, context: Context, part: Part, device: str) -> dict[str, Any]:
        """The before-image of the part."""
        kept = place(target)
        return kept | {"part": part} | parts.PARTS[part].image(kept, describe(kept), device, context.mark)

    def remove(self, record: Record) -> None:
        """Take it away; it has begun to go when this returns."""
        parts.PARTS[record["part"]].remove(record)

    def removed(self, record: Record) -> bool | None:
        """Whether it is away; nothing is missing from an instance that was terminated."""
        try:
            return parts.PARTS[record["part"]].removed(record, _living(record))
        except UnavailableError:
            return None

    def put_back(self, record: Record) -> None:
        """As it was in the before-image. Raises ``UnavailableError`` while it is not back."""
        parts.PARTS[record["part"]].put_back(record, _living(record))


def arn(kept: Record) -> str:
    """The name by which Amazon's other services know the instance. Raises ``AwsError``."""
    (reservation,) = api.ask(kept, "ec2", "describe_instances", InstanceIds=[kept["ec2"]])["Reservations"]
    region = str(kept["region"])
    partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")
    return f"arn:{partition}:ec2:{region}:{reservation['OwnerId']}:instance/{kept['ec2']}"


def describe(kept: Record) -> dict[str, Any]:
    """All that Amazon says of the instance. Raises ``AwsError``, also for one that it no longer knows."""
    answer = api.ask(kept, "ec2", "describe_instances", InstanceIds=[kept["ec2"]])
    about: dict[str, Any] = answer["Reservations"][0]["Instances"][0]
    return about


def place(target: Ec2Target) -> dict[str, Any]:
    """Which instance, and where it is asked about, for a record."""
    where = {"region": target.region, "endpoint": target.endpoint}
    return {"instance": target.instance, "ec2": target.ec2, **where}


def _name(record: Record) -> str:
    return str(record["instance"])


def _state(kept: Record) -> str:
    """``pending``, ``running``, ``stopping``, ``stopped``, ``shutting-down`` or ``terminated``."""
    try:
        return str(describe(kept)["State"]["Name"])
    except AwsError as error:
        if error.gone:  # an hour after its end Amazon forgets an instance
            return "terminated"
        raise


def _living(kept: Record) -> bool:
    return _state(kept) not in ("shutting-down", "terminated")


def _own(target: Ec2Target) -> str | None:
    """That Murphy itself runs there, in one sentence: it could not undo what cuts it off."""
    with suppress(OSError):
        if _HOST.read_text(encoding="ascii").strip() == target.ec2:
            return f"Murphy runs on {target.ec2} itself; run it elsewhere, or choose another instance."
    return None


def _lost(kept: Record, about: dict[str, Any]) -> str | None:
    """What a stop would lose for good, in one sentence; ``None``: nothing."""
    name = kept["ec2"]
    if group := groups.of(about):
        return f"{name} belongs to the Auto Scaling group {group}, which would replace it; put it into standby first."
    if about.get("InstanceLifecycle") == "spot":
        return f"{name} is a spot instance, which Amazon need not start again; choose another instance."
    if reason := _stored(kept, about):
        return reason
    if any(_lent(card) for card in about.get("NetworkInterfaces", ())):
        return f"{name} has a public address on loan, and would get another; give it an Elastic IP first."
    return None


def _stored(kept: Record, about: dict[str, Any]) -> str | None:
    """That it has disks which a stop and a termination erase, in one sentence."""
    if about.get("RootDeviceType", "ebs") == "ebs" and not _instance_store(kept, about["InstanceType"]):
        return None
    return f"{kept['ec2']} has disks of the instance store, which are erased with that; choose another instance."


def _instance_store(kept: Record, kind: str) -> bool:
    answer = api.ask(kept, "ec2", "describe_instance_types", InstanceTypes=[kind])
    return any(each.get("InstanceStorageSupported") for each in answer["InstanceTypes"])


def _lent(card: dict[str, Any]) -> bool:
    return str(card.get("Association", {}).get("IpOwnerId", "")) == "amazon"


DRIVER = Ec2()
