"""Infrastructure layer: what services stand on is taken away: containers, machines, balancers, storage, credentials."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from executor.model.base import Directory, Line, Milliseconds, Name, Percent, PlainName, Seconds
from executor.model.faults.base import FaultSpec, TargetKind, delayed
from executor.model.vocabulary import FaultType, Scope
from executor.model.wording import duration, number
from executor.secrets import look_secret, named_secret

if TYPE_CHECKING:
    from executor.model.system import Service

_CONTAINER: Final = {
    "kill": (FaultType.DEAD, "kill it"),
    "pause": (FaultType.SILENT, "pause it"),
    "stop": (FaultType.STOPPED, "ask it to end, kill it after {grace}"),
    "remove": (FaultType.DEAD, "kill it and take it away"),
    "restart": (FaultType.STOPPED, "ask it to end, kill it after {grace}, and start it again"),
    "disconnect": (FaultType.SILENT, "cut it off from {network}"),
}
_VM: Final = {
    "stop": (FaultType.DEAD, "cut its power, and start it again afterwards"),
    "terminate": (FaultType.DEAD, "terminate it for good, as its Auto Scaling group puts another in its place"),
    "pause": (FaultType.SILENT, "freeze it whole"),
    "reset": (FaultType.DEAD, "reset it"),
    "isolate": (FaultType.SILENT, "cut it off from the network"),
    "detach_nic": (FaultType.SILENT, "take a network card from it"),
    "detach_disk": (FaultType.SERVER_ERROR, "take a disk from it"),
}


class Container(FaultSpec):
    """A container is killed, paused, stopped, removed, restarted or cut off from its networks, by its engine."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "An engine that was asked to end a container does not start it again by its restart policy (service.crash lets"
        " it). One that is removed is put aside under another name, so that nothing it has written is lost: by its"
        " labels it is still found. One that is cut off may come back with another address, unless it has a fixed one,"
        " and its look-ups of names take some 10 s to fail."
    )
    usual: ClassVar[dict[str, Any]] = {"how": "kill"}
    kind: Literal["infrastructure.container"] = "infrastructure.container"
    how: Literal["kill", "pause", "stop", "remove", "restart", "disconnect"]
    network: Line = ""
    """Which one it is cut off from; empty: all that it is in."""
    grace_s: Seconds = 5
    """How long it may take to end, where it is asked to."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return _CONTAINER[self.how][0]

    def words(self) -> str:
        """What is done."""
        network = f"network {self.network}" if self.network else "all its networks"
        return "have its engine " + _CONTAINER[self.how][1].format(grace=duration(self.grace_s), network=network)


class Vm(FaultSpec):
    """A virtual machine stops, is terminated, stands still, starts anew, or loses its network, a disk or a card."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "The machine's host stays well, and the machine comes back to the same one; connections that are open already "
        "may outlive an isolation in Amazon's cloud. One that is terminated never comes back: its group's new one has "
        "another id and address, which system.yaml has to name afterwards."
    )
    usual: ClassVar[dict[str, Any]] = {"how": "stop"}
    kind: Literal["infrastructure.vm"] = "infrastructure.vm"
    how: Literal["stop", "terminate", "pause", "reset", "isolate", "detach_nic", "detach_disk"]
    """``terminate``: on EC2 only, in an Auto Scaling group that is whole, where nothing is lost with it."""
    device: Line = ""
    """Which card or disk, as the machine's own manager calls it; empty: the only one that can be taken."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return _VM[self.how][0]

    def words(self) -> str:
        """What is done."""
        return _VM[self.how][1] + (f" ({self.device})" if self.device else "")


class Credentials(FaultSpec):
    """What an application logs in with is changed, taken from it or has expired, in PostgreSQL or Redis."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE, Scope.SERVER)
    differs: ClassVar[str] = (
        "Nobody is given the new password, as when one was changed and not passed on; the old one works again later."
    )
    kind: Literal["infrastructure.credentials"] = "infrastructure.credentials"
    how: Literal["rotate", "revoke", "expire"] = "rotate"
    """``rotate`` sets another password, ``revoke`` lets the role not log in, ``expire`` lets its password be over."""
    role: PlainName | None = None
    """Whose; by default the one that the dsn logs in with."""
    sessions: Literal["keep", "end"] = "keep"
    """Whether its sessions that are there already go on."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return FaultType.SESSIONS_LOST if self.sessions == "end" else FaultType.REFUSED

    def words(self) -> str:
        """What is done."""
        whose = f"the role {self.role}" if self.role else "the role of its clients"
        ended = ", and end its sessions" if self.sessions == "end" else ""
        return {
            "rotate": f"change the password of {whose} and tell nobody",
            "revoke": f"let {whose} not log in",
            "expire": f"let the password of {whose} expire",
        }[self.how] + ended


class Config(FaultSpec):
    """One value in a service's file of settings is changed, and the service reads it again."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE, Scope.SETTINGS)
    differs: ClassVar[str] = (
        "The file is sound and one value is wrong; a bad deployment may break the whole file, which many a service"
        " notices and refuses."
    )
    usual: ClassVar[dict[str, Any]] = {"key": "timeout", "value": 0}
    look: ClassVar[FaultType] = FaultType.MISCONFIGURED
    kind: Literal["infrastructure.config"] = "infrastructure.config"
    file: Line = ""
    """Which of the files that system.yaml names (``config``); empty: the only one."""
    key: Annotated[str, StringConstraints(pattern=r"^[^\s=]+$", max_length=200)]
    """Names joined by dots, numbers within a list; what stands under ``[section]`` has the section's name before."""
    value: bool | int | float | Line
    """What stands there instead."""

    @model_validator(mode="after")
    def _carries_no_secret(self) -> Self:
        if named_secret(self.key.rpartition(".")[2]) or look_secret((str(self.value),)):
            raise ValueError("looks like a secret, which no plan may hold; infrastructure.credentials changes those")
        return self

    def words(self) -> str:
        """What is done."""
        value = json.dumps(self.value, ensure_ascii=False)
        return f"set {self.key} to {value} in {self.file or 'its settings'} and have it read them"


class Zone(FaultSpec):
    """The instances of a zone are gone, stand still or are cut off: an action for each service that has some there."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "Only the system's own instances are lost, one shortly after the other, and each as its driver can; with a "
        "zone that is truly lost its network and storage go too."
    )
    lacks: ClassVar[str] = (
        "write the plan by hand: one action for each service, with the ids of its instances in the zone."
    )
    kind: Literal["infrastructure.zone"] = "infrastructure.zone"
    zone: Name
    """As the instances have it in system.yaml; one in another zone is refused."""
    how: Literal["stop", "pause", "isolate"] = "stop"
    """``isolate`` takes machines; a process or a container stops or pauses."""
    device: ClassVar[str] = ""

    @classmethod
    def typical(cls, service: Service) -> Self | None:  # noqa: ARG003 - it is of several services
        """Nothing: a zone is more than one service's."""
        return None

    def looks(self) -> FaultType:
        """By its parameters."""
        return _VM[self.how][0]

    def words(self) -> str:
        """What is done."""
        how = {"stop": "end it", "pause": "freeze it whole", "isolate": "cut it off from the network"}[self.how]
        return f"{how}, as zone {self.zone} is lost"


class Fis(FaultSpec):
    """Amazon's own Fault Injection Service (FIS) strikes an EC2 instance, and ends that by itself after a time."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "Load, delays and losses are made within the instance by Amazon's agent; one that is broken off may last there "
        "until its own end."
    )
    usual: ClassVar[dict[str, Any]] = {"does": "stop"}
    kind: Literal["infrastructure.fis"] = "infrastructure.fis"
    does: Literal["stop", "terminate", "cpu", "memory", "latency", "packet_loss"]
    duration_s: Annotated[int, Field(ge=60, le=43_200, multiple_of=60)] = 300
    """After this FIS ends it, whatever has become of Murphy: whole minutes, and longer than the action.

    An instance that is terminated is gone at once.
    """
    percent: Annotated[Percent, Field(ge=1)] = 90
    """Load of the processors, share of the memory, or packets lost."""
    delay_ms: Annotated[Milliseconds, Field(ge=1)] = 1000
    """Of each packet that it sends."""
    interface: Annotated[str, StringConstraints(pattern=r"^[\w.-]{0,15}$")] = ""
    """Network interface within the instance; empty: FIS's own default, ``eth0``."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return {
            "stop": FaultType.STOPPED,
            "terminate": FaultType.DEAD,
            "cpu": FaultType.STARVED_CPU,
            "memory": FaultType.STARVED_MEMORY,
            "latency": delayed(self.delay_ms),
            "packet_loss": FaultType.INTERMITTENT,
        }[self.does]

    def words(self) -> str:
        """What is done."""
        percent = number(self.percent)
        what = {
            "stop": "stop it",
            "terminate": "terminate it for good, as its Auto Scaling group puts another in its place",
            "cpu": f"burn {percent} % of its processors",
            "memory": f"take {percent} % of its memory",
            "latency": f"delay each packet it sends by {duration(self.delay_ms / 1000)}",
            "packet_loss": f"lose {percent} % of the packets it sends",
        }[self.does]
        return f"let AWS FIS {what}, for {duration(self.duration_s)} at most"


_BALANCED: Final = {
    "member_down": (FaultType.MISCONFIGURED, "take {member} out of {backend}"),
    "drain": (FaultType.MISCONFIGURED, "have {member} of {backend} get no new sessions"),
    "weight": (FaultType.MISCONFIGURED, "give {member} of {backend} the weight {weight}"),
    "wrong_upstream": (FaultType.INTERMITTENT, "lead the requests for {member} of {backend} to {upstream}"),
    "all_down": (FaultType.SERVER_ERROR, "take all members out of {backend}"),
}


def _address(text: str) -> str:
    """An address and port that there can be."""
    host, _, port = text.rpartition(":")
    ipaddress.ip_address(host.strip("[]"))
    if not 0 < int(port) < 2**16:
        raise ValueError("a port is a number from 1 to 65535")
    return text


class LoadBalancer(FaultSpec):
    """A load balancer leaves out a member, or all, gives one a wrong weight, or leads its requests elsewhere."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE, Scope.MEMBER)
    differs: ClassVar[str] = (
        "The balancer is told so, at once and for all its processes; a real mistake comes with a deployment, and a dead"
        " member is found by health checks, in their own time. nginx and Caddy start their workers or servers anew."
    )
    kind: Literal["infrastructure.load_balancer"] = "infrastructure.load_balancer"
    how: Literal["member_down", "drain", "weight", "wrong_upstream", "all_down"] = "member_down"
    """``drain``: HAProxy only."""
    backend: Line = ""
    """HAProxy's backend, nginx's upstream, or in Caddy a handler's ``@id`` or its server; empty: the only one."""
    member: Line = ""
    """HAProxy's name of the server, or else its address; empty: the first."""
    weight: Annotated[int, Field(ge=1, le=256)] = 10
    """For ``weight``; the others keep theirs, which is 1 unless they say otherwise."""
    upstream: Annotated[
        str, StringConstraints(pattern=r"^(\d+(\.\d+){3}|\[[0-9a-f:]+\]):\d{1,5}$"), AfterValidator(_address)
    ] = "127.0.0.1:9"
    """For ``wrong_upstream``: where its requests go; where nobody listens they fail."""

    def looks(self) -> FaultType:
        """By its parameters."""
        return _BALANCED[self.how][0]

    def reaches(self) -> tuple[Scope, ...]:
        """All that is behind it, where it leaves out all."""
        return (Scope.SERVICE, Scope.MEMBERS) if self.how == "all_down" else self.scope

    def words(self) -> str:
        """What is done."""
        backend, member = self.backend or "its only backend", self.member or "the first member"
        what = _BALANCED[self.how][1]
        return what.format(backend=backend, member=member, weight=self.weight, upstream=self.upstream)


class Storage(FaultSpec):
    """The volume mounted on a directory is gone, stuck, slow, read-only or full."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.VOLUME,)
    differs: ClassVar[str] = (
        "A volume that is gone comes back to the same place with all that it held; a file system that met errors may "
        "stay read-only until it is mounted anew. One that is stuck is only so for what would change it."
    )
    lacks: ClassVar[str] = (
        "no volume of its own is known; name the directory that one is mounted on as the fault's path."
    )
    kind: Literal["infrastructure.storage"] = "infrastructure.storage"
    how: Literal["detach", "stuck", "slow", "read_only", "full"]
    path: Directory
    """Where it is mounted, as this machine sees it."""
    delay_ms: Annotated[Milliseconds, Field(ge=1, le=60_000)] = 500
    """Of each read and write, where it is slow."""

    @classmethod
    def typical(cls, service: Service) -> Self | None:  # noqa: ARG003 - no service says where its data is
        """Nothing: which volume is meant has to be said."""
        return None

    def looks(self) -> FaultType:
        """By its parameters."""
        if self.how == "slow":
            return delayed(self.delay_ms)
        return FaultType.SILENT if self.how == "stuck" else FaultType.STARVED_DISK

    def words(self) -> str:
        """What is done."""
        how = {
            "detach": "take away",
            "stuck": "freeze",
            "slow": f"delay each read and write by {duration(self.delay_ms / 1000)} on",
            "read_only": "make read-only",
            "full": "fill",
        }[self.how]
        return f"{how} the volume mounted on {self.path}"


SPECS: Final[tuple[type[FaultSpec], ...]] = (Container, Vm, Zone, Fis, Storage, Credentials, Config, LoadBalancer)
