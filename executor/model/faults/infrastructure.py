"""Infrastructure layer: what services stand on is taken away: containers, machines, balancers, storage, credentials."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import StringConstraints, model_validator

from executor.model.base import Line, Seconds
from executor.model.faults.base import FaultSpec, TargetKind
from executor.model.faults.data import PlainName
from executor.model.vocabulary import FaultType
from executor.model.wording import duration
from executor.secrets import look_secret, named_secret

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
    "pause": (FaultType.SILENT, "freeze it whole"),
    "reset": (FaultType.DEAD, "reset it"),
    "isolate": (FaultType.SILENT, "cut it off from the network"),
    "detach_nic": (FaultType.SILENT, "take a network card from it"),
    "detach_disk": (FaultType.SERVER_ERROR, "take a disk from it"),
}


class Container(FaultSpec):
    """A container is killed, paused, stopped, removed, restarted or cut off from its networks, by its engine."""

    target_kind: ClassVar[TargetKind] = "instances"
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
    """A virtual machine stops, stands still, starts anew, is cut off, or loses a disk or a network card."""

    target_kind: ClassVar[TargetKind] = "instances"
    differs: ClassVar[str] = (
        "The machine's host stays well, and the machine comes back to the same one; connections that are open already "
        "may outlive an isolation in Amazon's cloud."
    )
    usual: ClassVar[dict[str, Any]] = {"how": "stop"}
    kind: Literal["infrastructure.vm"] = "infrastructure.vm"
    how: Literal["stop", "pause", "reset", "isolate", "detach_nic", "detach_disk"]
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
    differs: ClassVar[str] = (
        "Nobody is given the new password, as when one was changed and not passed on; the old one works again afterwards."
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


SPECS: Final[tuple[type[FaultSpec], ...]] = (Container, Vm, Credentials, Config)
