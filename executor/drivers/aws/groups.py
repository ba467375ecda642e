"""EC2 instances that are ended for good: only where an Auto Scaling group puts another in their place.

Nothing can be given back here, so what would be lost with the instance forbids it; undone is seeing the group whole.
"""

from __future__ import annotations

from typing import Any, Final

from executor.drivers.aws import api
from executor.drivers.driver import Record
from executor.errors import UnavailableError

TAG: Final = "aws:autoscaling:groupName"
"""Amazon's own tag of an instance that is a group's."""
_REPLACED_WITHIN_S: Final = 3.0
"""How long one try waits for the group, so that a few of them fit into the 20 s of an undoing, which then says what is
missing. A group may take minutes; what is not done then stays owed, and is tried again."""
_NEEDED: Final = ("Launch", "Terminate", "HealthCheck", "ReplaceUnhealthy", "AddToLoadBalancer")
"""What a group does to replace an instance; any of it may be suspended.
Source: https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-suspend-resume-processes.html"""
About = dict[str, Any]


def of(about: About) -> str:
    """The group that an instance belongs to; empty if to none."""
    return str(next((tag["Value"] for tag in about.get("Tags", ()) if tag["Key"] == TAG), ""))


def irreplaceable(kept: Record, about: About) -> str | None:
    """Why nothing would put another in its place, or why the group is not whole now, in one sentence; else ``None``."""
    name = of(about)
    if not name:
        return f"{kept['ec2']} is in no Auto Scaling group, so nothing would put another in its place; use stop."
    group = _group(kept, name)
    if group is None:
        return f"the Auto Scaling group {name} is not there; see who ends {kept['ec2']}, or choose another instance."
    if reason := _unwilling(kept, group):
        return reason
    if lack := _lack(group):
        return f"the Auto Scaling group {name} lacks {lack} of its instances already; wait until it is whole."
    return None


def _unwilling(kept: Record, group: About) -> str | None:
    """Why this group would not replace it, or should not have to."""
    name, instance = group["AutoScalingGroupName"], kept["ec2"]
    if group.get("Status"):
        return f"the Auto Scaling group {name} is being deleted; choose another instance."
    suspended = [each["ProcessName"] for each in group.get("SuspendedProcesses", ())]
    if stopped := [each for each in _NEEDED if each in suspended]:
        return f"the Auto Scaling group {name} has {', '.join(stopped)} suspended, so none would follow; resume it."
    own = next((each for each in group["Instances"] if each["InstanceId"] == instance), None)
    if own is None or not _serves(own):
        state = own["LifecycleState"] if own else "not known to it"
        return f"{instance} is not in service in its Auto Scaling group {name} ({state}), which would not replace it."
    if own.get("ProtectedFromScaleIn") or group.get("NewInstancesProtectedFromScaleIn"):
        return f"the Auto Scaling group {name} protects its instances from scale-in; take that away, or choose another."
    return None


def lost(kept: Record, about: About) -> str | None:
    """What would go or stay behind with an instance that is terminated, in one sentence; ``None``: nothing."""
    name = kept["ec2"]
    asked = {"InstanceId": name, "Attribute": "disableApiTermination"}
    if api.ask(kept, "ec2", "describe_instance_attribute", **asked)["DisableApiTermination"]["Value"]:
        return f"{name} has termination protection; take it away, or choose another instance."
    disks = {each["DeviceName"]: each["Ebs"] for each in about.get("BlockDeviceMappings", ())}
    root = disks.pop(about.get("RootDeviceName", ""), {})
    if disks:
        return f"{name} has a disk beside its root ({', '.join(sorted(disks))}), which its successor would not have."
    if not root.get("DeleteOnTermination", True):
        return f"the root disk of {name} would stay behind; let it go with the instance (DeleteOnTermination)."
    for card in about.get("NetworkInterfaces", ()):
        if str(card.get("Association", {}).get("IpOwnerId", "amazon")) != "amazon":
            return f"{name} has an Elastic IP, which its successor would not have; choose another instance."
        if not card["Attachment"].get("DeleteOnTermination", True):
            return f"{name} has a network card that would stay behind ({card['NetworkInterfaceId']}); detach it before."
    return None


def unreplaced(kept: Record) -> bool:
    """Whether its group is not whole without it. A group that is gone, or wants fewer by now, lacks nothing.

    Raises ``UnavailableError`` if Amazon cannot be asked.
    """
    group = _group(kept, kept["group"])
    return group is not None and _lack(group, but=kept["ec2"]) > 0


def await_replaced(kept: Record) -> None:
    """See the group whole. Raises ``UnavailableError`` if it is not within 3 s."""
    if api.wait(lambda: not unreplaced(kept), _REPLACED_WITHIN_S):
        return
    group = _group(kept, kept["group"])
    if group is not None and (lack := _lack(group, but=kept["ec2"])):
        have = f"lacks {lack} of {group['DesiredCapacity']} healthy instances in service"
        raise UnavailableError(
            f"the Auto Scaling group {kept['group']} {have}; it is to replace {kept['ec2']}.", where=kept["instance"]
        )


def _group(kept: Record, name: str) -> About | None:
    answer = api.ask(kept, "autoscaling", "describe_auto_scaling_groups", AutoScalingGroupNames=[name])
    found: list[About] = answer["AutoScalingGroups"]
    return found[0] if found else None


def _lack(group: About, *, but: str = "") -> int:
    """How much of its capacity is not healthy and in service, leaving one out: Amazon may not know yet that it ended.

    In instances, or where each has a weight in those.
    """
    serving = (each for each in group["Instances"] if each["InstanceId"] != but and _serves(each))
    return max(0, int(group["DesiredCapacity"]) - sum(int(each.get("WeightedCapacity") or 1) for each in serving))


def _serves(member: About) -> bool:
    return bool(member["LifecycleState"] == "InService" and member["HealthStatus"] == "Healthy")
