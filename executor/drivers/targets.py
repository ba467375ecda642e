"""What a plan's selectors mean right now: instances as their drivers found them, and edges. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # the watchdog loads behaviours and must stay small: no pydantic at run time here
    from executor.model.system import Dependency, Service


@dataclass(frozen=True)
class ResolvedInstance:
    """One instance, resolved now, by whatever driver. Each driver has a class of its own that says where it is."""

    driver: ClassVar[str]
    """The driver's name, as in the instance's ``driver``."""
    service: Service
    instance: str
    """Its id."""


@dataclass(frozen=True)
class ProcessTarget(ResolvedInstance):
    """One process of this machine. ``start_ticks`` tells it from a later process with the same pid."""

    driver = "process"
    pid: int
    start_ticks: int
    port: int | None
    command: str = ""
    """Text that the command line of whatever takes its place contains; empty: any."""


@dataclass(frozen=True)
class VmTarget(ProcessTarget):
    """A virtual machine: the process of this machine that runs it, and where that process takes commands."""

    driver = "vm"
    qmp: str = ""
    """Path of its QMP socket."""


@dataclass(frozen=True, kw_only=True)
class LibvirtTarget(ResolvedInstance):
    """A virtual machine that libvirt keeps. ``number``, which every start changes, tells it from a later start."""

    driver = "libvirt"
    uri: str
    """Where libvirt answers."""
    uuid: str
    number: str


@dataclass(frozen=True)
class Ec2Target(ResolvedInstance):
    """A machine in Amazon's cloud, by its id, which no other ever gets."""

    driver = "ec2"
    ec2: str
    region: str
    endpoint: str
    fis_role: str = ""
    """What Amazon's own Fault Injection Service may act as; empty: it is not used."""


@dataclass(frozen=True)
class PodTarget(ResolvedInstance):
    """A pod of a Kubernetes cluster. ``uid`` tells it from a later pod of the same name."""

    driver = "kubernetes"
    kubeconfig: str
    context: str
    namespace: str
    pod: str
    uid: str
    node: str
    """Name of the node that it is on; empty: of none yet."""

    @property
    def cluster(self) -> dict[str, str]:
        """How the cluster is reached, for a record: a path and a name, never what is behind them."""
        return {"kubeconfig": self.kubeconfig, "context": self.context}


@dataclass(frozen=True, kw_only=True)
class SshTarget(ResolvedInstance):
    """One process of another machine. Start time and boot tell it from a later process with the same pid there."""

    driver = "ssh"
    machine: Mapping[str, str]
    """How the machine is reached, for a record too: host, user, port, paths, never what is in them."""
    boot: str
    """The machine's boot id."""
    pid: int
    start_ticks: int
    port: int | None = None
    """Where it listens there."""
    command: str = ""
    """As of ``ProcessTarget``."""
    above: tuple[int, ...] = ()
    """What it was started by and lives under there, by pid, the nearest first."""
    workers: tuple[int, ...] = ()
    """Its workers there, by pid: they are struck with it."""


@dataclass(frozen=True, kw_only=True)
class Contained(ResolvedInstance):
    """A container, wherever its engine runs."""

    driver = "container"
    engine: str
    """Where its engine answers."""
    container: str
    """Its id."""
    since: str
    """When it was started, as the engine says: tells it from the same container started again."""
    address: str = ""
    """Where its port is called from this machine; empty: it has none."""
    inside: int | None = None
    """That port as it is in the container's own network."""


@dataclass(frozen=True, kw_only=True)
class ContainerTarget(Contained, ProcessTarget):
    """A container of this machine. Its process is the container's first, as this machine sees it."""

    driver = "container"


@dataclass(frozen=True)
class EdgeTargets:
    """The edges a fault strikes, with the processes of each caller."""

    edges: tuple[Dependency, ...]
    callers: Mapping[str, tuple[ProcessTarget, ...]]
    """Processes of each calling service, by service name."""
    first: frozenset[str] = frozenset()
    """Services of the first group, where the target is two groups."""


Resolved = ResolvedInstance | EdgeTargets
