"""A distributed system as Murphy knows it: services, their instances, who calls whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from executor.model.base import (
    Contract,
    Directory,
    Line,
    Milliseconds,
    Name,
    Port,
    QueueName,
    Seconds,
    SecretRef,
    SqlName,
)
from executor.model.data_check import DataCheck
from executor.model.probe import Check, DetectionSignal, Probe
from executor.model.vocabulary import Environment, ServiceKind
from executor.secrets import look_secret

_SSH_PATH = r"^([/~][^\s%\"'\\$]*)?$"
"""A path in which ``ssh`` replaces nothing but a leading ``~``."""


class Placed(Contract):
    """What every instance has, whoever runs it."""

    zone: Name | None = None
    """What it fails together with: a zone, rack or host by the name that people use for it."""
    machine: Name | None = None
    """The machine it runs on: host or node by its name, or the id of an instance that is that machine. What strikes a
    machine strikes all on it. Needed where Murphy cannot see it: what is on this machine, on a cluster's nodes and on
    one machine behind ``ssh`` it sees."""


class ProcessInstance(Placed):
    """A local process, found again each time by its port and command line, or pinned by pid and start time."""

    driver: Literal["process"] = "process"
    id: Name
    command: Line = ""
    """Arguments that its command line has, one after another; the first may be the end of a path: ``worker.py fast``.
    Code given to a shell does not count, nor what ``tail`` or ``sudo`` is told. Empty: any."""
    port: Port | None = None
    """TCP port it listens on."""
    pid: Annotated[int, Field(gt=1)] | None = None
    """Pins one very process; needs ``start_ticks``. A pinned process that is gone is refused, never replaced."""
    start_ticks: Annotated[int, Field(ge=0)] | None = None
    """Field 22 of ``/proc/PID/stat``: clock ticks after boot at which it started; tells a reused pid apart."""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if (self.pid is None) != (self.start_ticks is None):
            raise ValueError("pid and start_ticks go together")
        if self.pid is None and self.port is None and not self.command:
            raise ValueError("give command, port, or pid with start_ticks, or the process cannot be found")
        return self


class ContainerInstance(Placed):
    """A container of a Docker engine (or one that speaks its API), found again by its name."""

    driver: Literal["container"] = "container"
    id: Name
    container: Line
    """Its name, or an id that pins one very container."""
    engine: Line = "unix:///var/run/docker.sock"
    """Where the engine answers."""
    port: Port | None = None
    """TCP port at which it is called from this machine."""


class VmInstance(Placed):
    """A virtual machine that QEMU runs on this machine, found by the socket at which QEMU takes commands (QMP)."""

    driver: Literal["vm"] = "vm"
    id: Name
    qmp: Annotated[str, StringConstraints(pattern=r"^/\S+$", max_length=100)]
    """Path of a QMP socket of its own for Murphy: QEMU serves one client a socket at a time."""
    port: Port | None = None
    """TCP port at which it is called from this machine."""


class LibvirtInstance(Placed):
    """A virtual machine that libvirt keeps, here or elsewhere, found by its name. Needs libvirt's client, ``virsh``."""

    driver: Literal["libvirt"] = "libvirt"
    id: Name
    domain: Line
    """Its name, or its UUID, which pins one very machine."""
    uri: Annotated[
        str,
        StringConstraints(
            pattern=r"^qemu(\+(unix|ssh|libssh2?|tls))?://([^\s@:/?]+@)?[^\s@/?]*/(system|session)(\?\S*)?$",
            max_length=400,
        ),
    ] = "qemu:///system"
    """Where libvirt answers. Keys and certificates are found as libvirt finds them; nobody is asked for a password."""
    port: Port | None = None
    """TCP port at which it is called from this machine."""


class Ec2Instance(Placed):
    """A machine in Amazon's cloud (EC2). Credentials are found as boto3 finds them, and never written down."""

    driver: Literal["ec2"] = "ec2"
    id: Name
    instance: Annotated[str, StringConstraints(pattern=r"^i-[0-9a-f]{8,17}$")]
    """Its id at Amazon."""
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d+$")]
    endpoint: Annotated[str, StringConstraints(pattern=r"^(https?://[^\s@]+)?$", max_length=200)] = ""
    """Where the service answers, if not at Amazon's own address."""
    fis_role: Annotated[
        str, StringConstraints(pattern=r"^(arn:aws[a-z-]*:iam::\d{12}:role/\S+)?$", max_length=2048)
    ] = ""
    """The role that AWS Fault Injection Service acts as, where it is to be used."""
    port: Port | None = None
    """TCP port at which it is called."""


class SshInstance(Placed):
    """A process of another machine, reached by OpenSSH's ``ssh`` and found there by its port and command line.

    Nothing is installed there; it needs Linux and Python 3.11. The other machine must be known (its key in
    ``known_hosts``), and let us in without a question: by a key that needs no passphrase, or by an agent.
    """

    driver: Literal["ssh"] = "ssh"
    id: Name
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$", max_length=253)]
    """Its name or address, or a ``Host`` of ``~/.ssh/config``."""
    user: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]*)?$", max_length=100)] = ""
    """Empty: as ``ssh`` chooses."""
    ssh_port: Port | None = None
    identity: Annotated[str, StringConstraints(pattern=_SSH_PATH, max_length=400)] = ""
    """Path of the private key, whose contents are never read by Murphy; empty: the agent's, or ``ssh``'s own choice."""
    known_hosts: Annotated[str, StringConstraints(pattern=_SSH_PATH, max_length=400)] = ""
    """File with the machine's own key; empty: ``ssh``'s own files."""
    command: Line = ""
    """Arguments that its command line has, one after another; the first may be the end of a path: ``worker.py fast``.
    Code given to a shell does not count, nor what ``tail`` or ``sudo`` is told. Empty: any."""
    port: Port | None = None
    """TCP port it listens on there."""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if self.port is None and not self.command:
            raise ValueError("give command or port, or the process cannot be found")
        return self


KubernetesName = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)?$")]


class KubernetesInstance(Placed):
    """A pod of a Kubernetes cluster, found again each time by its workload, or by its labels, or by its own name."""

    driver: Literal["kubernetes"] = "kubernetes"
    id: Name
    kubeconfig: Annotated[str, StringConstraints(pattern=r"^([/~]\S*)?$", max_length=400)] = ""
    """Path of the kubeconfig that holds address and credentials; empty: ``KUBECONFIG``, ``~/.kube/config``, or the
    service account of the pod in which Murphy runs."""
    context: Annotated[str, StringConstraints(max_length=200)] = ""
    """Which of its contexts; empty: its current one."""
    namespace: Annotated[KubernetesName, Field(min_length=1)] = "default"
    workload: Annotated[str, StringConstraints(pattern=r"^([a-z]+/[a-z0-9][a-z0-9.-]*)?$", max_length=300)] = ""
    """``deployment/shop``, ``statefulset/…``, ``daemonset/…``, ``replicaset/…``: what keeps the pod."""
    selector: Line = ""
    """Or labels that the pod has: ``app=shop,tier in (web)``."""
    pod: KubernetesName = ""
    """Or its own name, which a stateful set gives its pods for good."""
    index: Annotated[int, Field(ge=0, le=9999)] = 0
    """Which of the living pods that fit, the oldest being 0."""
    port: Port | None = None
    """TCP port at which it is called from this machine."""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if len([way for way in (self.workload, self.selector, self.pod) if way]) != 1:
            raise ValueError("give one of workload, selector and pod, or the pod cannot be found")
        return self


class OtherInstance(Placed):
    """An instance that a driver of another package finds (``executor.plugins``)."""

    driver: Name
    id: Name
    at: dict[Name, Line] = Field(default_factory=dict)
    """Where it is: whatever that driver needs to find it, without secrets."""
    port: Port | None = None
    """TCP port at which it is called from this machine."""


def _kind(value: Any) -> str:
    """``process`` where none is given."""
    name = value.get("driver", "process") if isinstance(value, dict) else getattr(value, "driver", "process")
    return name if name in _DRIVERS else "other"


_DRIVERS = ("process", "container", "kubernetes", "vm", "libvirt", "ec2", "ssh")
Instance = Annotated[
    Annotated[ProcessInstance, Tag("process")]
    | Annotated[ContainerInstance, Tag("container")]
    | Annotated[KubernetesInstance, Tag("kubernetes")]
    | Annotated[VmInstance, Tag("vm")]
    | Annotated[LibvirtInstance, Tag("libvirt")]
    | Annotated[Ec2Instance, Tag("ec2")]
    | Annotated[SshInstance, Tag("ssh")]
    | Annotated[OtherInstance, Tag("other")],
    Discriminator(_kind),
]
"""Every kind of instance, told apart by ``driver``."""


class Backup(Contract):
    """What a service's data can be got back from; looked at right before a fault on data that is not disposable."""

    path: Annotated[str, Field(min_length=1, max_length=4096)]
    """File or directory; its newest file says how old it is."""
    max_age_s: Annotated[float, Field(gt=0, le=31_536_000)] = 86_400
    """Age up to which it will do, seconds."""
    verify_command: Annotated[tuple[str, ...], Field(min_length=1)]
    """Command line that succeeds (status 0) if it can be restored; no shell reads it."""
    verify_s: Annotated[Seconds, Field(gt=0, le=3600)] = 60
    """Longest that this may take, seconds; then it is ended, and the backup is not good."""
    credentials: Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    """File, in the form of ``.pgpass``, from which the backup's own job takes its password."""
    restore_command: tuple[str, ...] = ()
    """Command line that restores it into the PostgreSQL named by ``PGHOST``, ``PGPORT``, ``PGUSER`` and ``PGDATABASE``;
    no shell reads it. Not needed for what ``pg_dump`` wrote."""
    invariants: tuple[Line, ...] = ()
    """Queries, each of which answers true for data that agrees with itself; asked of a restored copy."""


class ConfigFile(Contract):
    """A file of settings that a fault may change, and how the service is made to read it again.

    Without a signal and a command the service is taken to watch the file itself.
    """

    path: Annotated[str, StringConstraints(pattern=r"^/[^\x00\n]+$", max_length=4096)]
    format: Literal["json", "yaml", "toml", "properties"]
    """``properties``: lines of ``key = value``, with or without ``[sections]``; environment and INI files too."""
    signal: Literal["HUP", "USR1", "USR2"] | None = None
    """Signal to the instance's process."""
    command: tuple[str, ...] = ()
    """Command line that makes the service read it, within 10 s; no shell reads it."""

    @model_validator(mode="after")
    def _is_read_in_one_way(self) -> Self:
        if self.signal and self.command:
            raise ValueError("give signal or command, not both")
        return self


class Service(Contract):
    """A named part of the system with one purpose and one or more instances."""

    name: Name
    kind: ServiceKind = ServiceKind.GENERIC
    technology: Name | None = None
    """What it is made with, as far as known: ``postgresql``, ``redis``, ``flask``…"""
    instances: tuple[Instance, ...] = ()
    criticality: Annotated[int, Field(ge=0, le=3)] = 1
    """0 nobody notices … 3 the business stops."""
    protected: bool = False
    """Never a target, and its predicted indirect impact is limited too."""
    health: Probe | None = None
    """Its own health check, as its supervisor or load balancer would ask it."""
    operations: tuple[Check, ...] = ()
    """What users (or callers) do with it, each with its promise. These become the checks of experiments."""
    signals: tuple[DetectionSignal, ...] = ()
    """How the system reports that this service is unwell."""
    data_checks: tuple[DataCheck, ...] = ()
    """How it is seen whether this service keeps what it has acknowledged; they write into it."""
    dsn: SecretRef | None = None
    """Where the connection string for data faults is found; only the reference is ever stored."""
    admin_dsn: SecretRef | None = None
    """The same for an administrator; only faults on credentials use it."""
    tables: tuple[SqlName, ...] = ()
    """Tables of a database, busiest first, as seen at discovery."""
    directories: tuple[Directory, ...] = ()
    """Directories of its data, as this machine sees them, the busiest first; faults on its disk strike these."""
    disposable: bool = False
    """Whether its data may be damaged: it can be thrown away and made anew."""
    backup: Backup | None = None
    """What its data can be got back from; without one only disposable data is struck."""
    queues: tuple[QueueName, ...] = ()
    """Queues of a broker that a fault may fill, busiest first: streams of NATS JetStream, each by its name."""
    control: Line | None = None
    """Where a load balancer is told what to do: HAProxy's runtime socket or nginx's file with the members (a path),
    or Caddy's admin API (``http://127.0.0.1:2019``)."""
    config: tuple[ConfigFile, ...] = ()
    """Its files of settings that a fault may change."""
    restarts: Literal["supervised", "by_hand", "unknown"] = "unknown"
    """Who starts an instance again after it died."""
    restart_command: tuple[str, ...] = ()
    """Command line that starts one instance again by hand, if known.

    It runs as the user that the instance ran as, in its directory and with its limits: what takes more begins with
    ``sudo -n``."""

    @property
    def probes(self) -> tuple[Probe, ...]:
        """All by which its operations, its signals and its own health are asked; data checks have theirs."""
        own = () if self.health is None else (self.health,)
        return (*(check.probe for check in self.operations), *(signal.probe for signal in self.signals), *own)


class ManagedProxy(Contract):
    """The edge already runs through Murphy's fault proxy, which passes everything unchanged until told otherwise."""

    kind: Literal["managed_proxy"] = "managed_proxy"
    control: Line
    """Path of the proxy's control socket (Unix domain)."""
    edge: Line
    """The edge's name in that proxy, ``caller->callee``."""


class KernelRedirect(Contract):
    """The caller's new connections to the port can be led through a fault proxy by nftables; needs root on the host."""

    kind: Literal["kernel_redirect"] = "kernel_redirect"


Interception = Annotated[ManagedProxy | KernelRedirect, Field(discriminator="kind")]


class Dependency(Contract):
    """An edge: caller calls callee. ``None`` means not known, never "no"."""

    caller: Name
    callee: Name
    protocol: Literal["http", "grpc", "postgresql", "redis", "amqp", "tcp"] = "tcp"
    host: Annotated[Line, StringConstraints(pattern=r"^[^\s@/]*$")] = "127.0.0.1"
    port: Port | None = None
    """Where the callee answers."""
    timeout_ms: Milliseconds | None = None
    retries: Annotated[int, Field(ge=0, le=1000)] | None = None
    breaker: bool | None = None
    fallback: bool | None = None
    interception: Interception | None = None
    """How traffic on this edge can be reached; ``None``: not at all, as far as is known."""
    source: tuple[Line, ...] = ()
    """Each fact's origin, for instance ``socket storefront:41230 -> 127.0.0.1:8001`` or ``environment CATALOG_URL``."""

    @property
    def place(self) -> str:
        """The edge's name as a place: ``caller->callee``."""
        return f"{self.caller}->{self.callee}"


class System(Contract):
    """Services and the edges between them. Names are unique and every edge joins two services of the system."""

    name: Name
    environment: Environment = Environment.DEVELOPMENT
    services: Annotated[tuple[Service, ...], Field(min_length=1)]
    dependencies: tuple[Dependency, ...] = ()

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        names = [service.name for service in self.services]
        _refuse_twice("service", names)
        _refuse_twice("instance", [i.id for s in self.services for i in s.instances])
        _refuse_twice("operation", [c.id for s in self.services for c in s.operations])
        _refuse_twice("data check", [d.id for s in self.services for d in s.data_checks])
        _refuse_twice("dependency", [d.place for d in self.dependencies])
        for dependency in self.dependencies:
            for end in (dependency.caller, dependency.callee):
                if end not in names:
                    raise ValueError(f"dependency {dependency.place}: no service is named {end}")
        for place in _secrets(self, ""):
            raise ValueError(f"{place} holds what looks like a secret; it would be kept, shown and sent to models")
        return self

    def service(self, name: str) -> Service:
        """The service of that name. Raises ``KeyError`` if the system has none."""
        for service in self.services:
            if service.name == name:
                return service
        raise KeyError(name)

    def dependency(self, caller: str, callee: str) -> Dependency:
        """The edge from caller to callee. Raises ``KeyError`` if the system has none."""
        for dependency in self.dependencies:
            if dependency.caller == caller and dependency.callee == callee:
                return dependency
        raise KeyError(f"{caller}->{callee}")


def _secrets(value: object, place: str) -> Iterator[str]:
    """Where in it something looks like a secret, whatever fields it has; a check's body, which may log in, aside."""
    if isinstance(value, Contract):
        for field in type(value).model_fields:
            if field != "json_body":
                yield from _secrets(getattr(value, field), f"{place}.{field}".lstrip("."))
    elif isinstance(value, dict):
        yield from _secrets(tuple(f"{name}={each}" for name, each in value.items()), place)
    elif isinstance(value, tuple):
        if look_secret(each for each in value if isinstance(each, str)):
            yield place
        for number, each in enumerate(value):
            if not isinstance(each, str):
                yield from _secrets(each, f"{place}.{number}")
    elif isinstance(value, str) and look_secret((value,)):
        yield place


def _refuse_twice(what: str, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name} is there twice")
        seen.add(name)
