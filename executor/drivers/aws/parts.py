"""What can be taken from an EC2 instance, and given back exactly: its network, a network card, a disk.

Each part has an image of how it was, from which it is given back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from executor.drivers.aws import api, marks
from executor.drivers.aws.api import AwsError
from executor.drivers.driver import Part, Record
from executor.errors import UnavailableError

_SETTLES_S = 12.0
_CARD: Final = "murphy-card:"
"""Tag of our group with what a card's own groups were; its id follows, and a number."""
_TOGETHER: Final = 10
"""Ids of groups in one tag, which holds 256 characters."""
About = dict[str, Any]


class Removable(Protocol):
    """One kind of part."""

    def impossible(self, kept: Record, about: About, device: str) -> str | None:
        """Why not, in one sentence; ``None`` if it can be taken away and given back."""

    def image(self, kept: Record, about: About, device: str, mark: str) -> dict[str, Any]:
        """How it is. Raises ``UnavailableError`` if ``impossible`` would say why."""

    def remove(self, record: Record) -> None:
        """Take it away."""

    def removed(self, record: Record, living: bool) -> bool:
        """Whether something of what ``remove`` does is there; ``living``: whether the instance is."""

    def put_back(self, record: Record, living: bool) -> None:
        """As the image says; idempotent. Raises ``UnavailableError`` while it is not back."""


class Network:
    """Every card gets one security group that lets nothing through, instead of those that it has."""

    def impossible(self, kept: Record, about: About, device: str) -> str | None:  # noqa: ARG002 - the protocol's
        """We must be let change the groups of its cards."""
        cards = about.get("NetworkInterfaces", ())
        if not cards or "VpcId" not in about:
            return f"{kept['ec2']} has no network card in a VPC; choose another instance."
        first = cards[0]
        same = [group["GroupId"] for group in first["Groups"]]
        asked = _new("murphy-asking", about["VpcId"], ())
        return api.forbidden(kept, "ec2", "create_security_group", **asked) or api.forbidden(
            kept,
            "ec2",
            "modify_network_interface_attribute",
            NetworkInterfaceId=first["NetworkInterfaceId"],
            Groups=same,
        )

    def image(self, kept: Record, about: About, device: str, mark: str) -> dict[str, Any]:
        """Each card's groups, in their order."""
        if reason := self.impossible(kept, about, device):
            raise UnavailableError(reason, where=kept["instance"])
        cards = [
            [card["NetworkInterfaceId"], [group["GroupId"] for group in card["Groups"]]]
            for card in about["NetworkInterfaces"]
        ]
        return {"cards": cards, "vpc": about["VpcId"], "group": mark}

    def remove(self, record: Record) -> None:
        """Make the group, empty it of the rule that every new one has, and give it to each card."""
        wanted = _new(record["group"], record["vpc"], record["cards"])
        made = api.ask(record, "ec2", "create_security_group", **wanted)["GroupId"]
        (about,) = api.ask(record, "ec2", "describe_security_groups", GroupIds=[made])["SecurityGroups"]
        if rules := about["IpPermissionsEgress"]:
            api.ask(record, "ec2", "revoke_security_group_egress", GroupId=made, IpPermissions=rules)
        for card, _ in record["cards"]:
            _regroup(record, card, [made])

    def removed(self, record: Record, living: bool) -> bool:  # noqa: ARG002 - the group may be there without it
        """Whether our group is there: it is made before a card gets it, and goes when none has it."""
        return _group(record) is not None

    def put_back(self, record: Record, living: bool) -> None:  # noqa: ARG002 - a card that is gone is told by itself
        """Give each card that has our group its own again, and delete ours. Whoever gave it another meanwhile is right.

        Raises ``UnavailableError`` while a card still has it.
        """
        group = _group(record)
        if group is None:
            return
        for card, groups in record["cards"]:
            with api.unless_gone():
                about = api.ask(record, "ec2", "describe_network_interfaces", NetworkInterfaceIds=[card])
                if [each["GroupId"] for each in about["NetworkInterfaces"][0]["Groups"]] == [group]:
                    _regroup(record, card, groups)
        if not api.wait(lambda: _deleted(record, group), _SETTLES_S / 2):
            raise UnavailableError(f"the security group {group} is still in use.", where=record["instance"])


def isolations(place: Record) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """All groups of ours in a region: the record by which ``Network`` puts back, and the group's tags."""
    filters = [{"Name": "tag-key", "Values": [marks.TAG]}]
    found = []
    for group in api.ask(place, "ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]:
        borne = marks.plain(group.get("Tags", ()))
        if marks.HOLDER not in borne or borne[marks.TAG] != group["GroupName"]:
            continue
        cards: dict[str, list[str]] = {}
        for key in sorted(borne):
            if key.startswith(_CARD):
                card, _, _ = key.removeprefix(_CARD).partition(":")
                cards.setdefault(card, []).extend(borne[key].split(","))
        record = {"cards": [list(each) for each in cards.items()], "vpc": group["VpcId"], "group": group["GroupName"]}
        found.append(({**place, **record}, borne))
    return found


def _new(mark: str, vpc: str, cards: Iterable[Sequence[Any]]) -> dict[str, Any]:
    """What a group of ours is made with; how each card is, it says itself."""
    image = {
        f"{_CARD}{card}:{start // _TOGETHER}": ",".join(groups[start : start + _TOGETHER])
        for card, groups in cards
        for start in range(0, len(groups), _TOGETHER)
    }
    borne = [{"ResourceType": "security-group", "Tags": marks.listed(marks.tags(mark, image))}]
    about = "Murphy isolates an instance; goes with the fault"
    return {"GroupName": mark, "Description": about, "VpcId": vpc, "TagSpecifications": borne}


class Card:
    """A network card other than the first, which no instance can be without."""

    def impossible(self, kept: Record, about: About, device: str) -> str | None:
        """One must be meant."""
        try:
            self._meant(kept, about, device)
        except UnavailableError as error:
            return str(error)
        return None

    def image(self, kept: Record, about: About, device: str, mark: str) -> dict[str, Any]:  # noqa: ARG002
        """Which card, and how it is attached."""
        card = self._meant(kept, about, device)
        how = card["Attachment"]
        return {
            "card": card["NetworkInterfaceId"],
            "index": how["DeviceIndex"],
            "network_card": how.get("NetworkCardIndex", 0),
            "goes_too": how.get("DeleteOnTermination", False),
        }

    def _meant(self, kept: Record, about: About, device: str) -> About:
        cards: dict[str, About] = {
            card["NetworkInterfaceId"]: card
            for card in about.get("NetworkInterfaces", ())
            if card["Attachment"]["DeviceIndex"]
        }
        return cards[_named(kept, "network card beside its first", list(cards), device)]

    def remove(self, record: Record) -> None:
        """Detach it by force, as its system is not told of a failure either."""
        attachment = _attachment(record)
        if attachment is None:
            raise UnavailableError(f"{record['card']} is not attached to it any more.", where=record["instance"])
        api.ask(record, "ec2", "detach_network_interface", AttachmentId=attachment["AttachmentId"], Force=True)

    def removed(self, record: Record, living: bool) -> bool:
        """Whether it is not attached, or about to be detached."""
        attachment = _attachment(record) if living else None
        return living and (attachment is None or attachment.get("Status") == "detaching")

    def put_back(self, record: Record, living: bool) -> None:
        """Attach it at its place."""
        if not self.removed(record, living):
            return
        if not api.wait(lambda: _attachment(record) is None, _SETTLES_S / 2):
            raise UnavailableError(f"{record['card']} is still being detached.", where=record["instance"])
        how = api.ask(
            record,
            "ec2",
            "attach_network_interface",
            NetworkInterfaceId=record["card"],
            InstanceId=record["ec2"],
            DeviceIndex=record["index"],
            NetworkCardIndex=record["network_card"],
        )
        goes = {"AttachmentId": how["AttachmentId"], "DeleteOnTermination": record["goes_too"]}
        api.ask(
            record,
            "ec2",
            "modify_network_interface_attribute",
            NetworkInterfaceId=record["card"],
            Attachment=goes,
        )


class Disk:
    """A volume other than the root, without which no instance can be started."""

    def impossible(self, kept: Record, about: About, device: str) -> str | None:
        """One must be meant."""
        try:
            self._meant(kept, about, device)
        except UnavailableError as error:
            return str(error)
        return None

    def image(self, kept: Record, about: About, device: str, mark: str) -> dict[str, Any]:  # noqa: ARG002
        """Which volume, and how it is attached."""
        name, volume = self._meant(kept, about, device)
        return {"device": name, "volume": volume["VolumeId"], "goes_too": volume.get("DeleteOnTermination", False)}

    def _meant(self, kept: Record, about: About, device: str) -> tuple[str, About]:
        disks = {
            each["DeviceName"]: each["Ebs"]
            for each in about.get("BlockDeviceMappings", ())
            if each["DeviceName"] != about.get("RootDeviceName")
        }
        name = _named(kept, "disk beside its root", list(disks), device)
        return name, disks[name]

    def remove(self, record: Record) -> None:
        """Detach it by force, as its system is not told of a failure either."""
        api.ask(record, "ec2", "detach_volume", VolumeId=record["volume"], InstanceId=record["ec2"], Force=True)

    def removed(self, record: Record, living: bool) -> bool:
        """Whether it is not attached, or about to be detached."""
        return living and _volume(record) not in ("attached", "attaching", "gone")

    def put_back(self, record: Record, living: bool) -> None:
        """Attach it under its name."""
        if not self.removed(record, living):
            return
        if not api.wait(lambda: _volume(record) == "", _SETTLES_S / 2):
            raise UnavailableError(f"{record['volume']} is still being detached.", where=record["instance"])
        where = {"VolumeId": record["volume"], "InstanceId": record["ec2"], "Device": record["device"]}
        api.ask(record, "ec2", "attach_volume", **where)
        if not api.wait(lambda: _volume(record) == "attached", _SETTLES_S / 2):
            raise UnavailableError(f"{record['volume']} is not attached again yet.", where=record["instance"])
        goes = {"DeviceName": record["device"], "Ebs": {"DeleteOnTermination": record["goes_too"]}}
        api.ask(record, "ec2", "modify_instance_attribute", InstanceId=record["ec2"], BlockDeviceMappings=[goes])


PARTS: Final[dict[Part, Removable]] = {"network": Network(), "nic": Card(), "disk": Disk()}


def _named(kept: Record, what: str, there: list[str], device: str) -> str:
    """The one that is meant; the only one if none is named. Raises ``UnavailableError`` that lists those there are."""
    if device in there or (not device and len(there) == 1):
        return device or there[0]
    if not there:
        raise UnavailableError(f"{kept['ec2']} has no {what}; choose another fault.", where=kept["instance"])
    raise UnavailableError(f"name one {what} as device: {', '.join(sorted(there))}.", where=kept["instance"])


def _regroup(record: Record, card: str, groups: list[str]) -> None:
    api.ask(record, "ec2", "modify_network_interface_attribute", NetworkInterfaceId=card, Groups=groups)


def _group(record: Record) -> str | None:
    """The id of our group, found by its name: it may have been made by one who died before saying so."""
    filters = [{"Name": "group-name", "Values": [record["group"]]}, {"Name": "vpc-id", "Values": [record["vpc"]]}]
    found = api.ask(record, "ec2", "describe_security_groups", Filters=filters)["SecurityGroups"]
    return str(found[0]["GroupId"]) if found else None


def _deleted(record: Record, group: str) -> bool:
    try:
        api.ask(record, "ec2", "delete_security_group", GroupId=group)
    except AwsError as error:
        if error.code == "DependencyViolation":  # a card's change takes a moment to be seen everywhere
            return False
        if not error.gone:
            raise
    return True


def _attachment(record: Record) -> About | None:
    """How the card is attached; ``None`` if it is not. Raises ``UnavailableError`` if it is attached elsewhere."""
    try:
        about = api.ask(record, "ec2", "describe_network_interfaces", NetworkInterfaceIds=[record["card"]])
    except AwsError as error:
        if error.gone:
            return {"Status": "gone"}
        raise
    attachment: About | None = about["NetworkInterfaces"][0].get("Attachment")
    if not attachment or attachment.get("Status") == "detached":
        return None
    _refuse_elsewhere(record, record["card"], attachment.get("InstanceId"))
    return dict(attachment)


def _volume(record: Record) -> str:
    """``attached``, ``attaching``, ``detaching``, ``busy``; empty if it is not attached; ``gone`` if it is deleted."""
    try:
        (about,) = api.ask(record, "ec2", "describe_volumes", VolumeIds=[record["volume"]])["Volumes"]
    except AwsError as error:
        if error.gone:
            return "gone"
        raise
    attached = [each for each in about.get("Attachments", ()) if each["State"] != "detached"]
    for each in attached:
        _refuse_elsewhere(record, record["volume"], each["InstanceId"])
    return str(attached[0]["State"]) if attached else ""


def _refuse_elsewhere(record: Record, what: str, owner: str | None) -> None:
    if owner and owner != record["ec2"]:
        raise UnavailableError(
            f"{what} was attached to {owner} meanwhile; see what is wanted.", where=record["instance"]
        )
