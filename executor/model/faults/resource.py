"""Resource layer: processor, memory, disk, descriptors, processes, connections run short; a clock is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from executor.model.base import Directory, Line, Percent, Probability
from executor.model.faults.base import FaultSpec, TargetKind
from executor.model.faults.service import RESTART, RestartBy
from executor.model.vocabulary import FaultType, Scope
from executor.model.wording import duration, many, number, share

if TYPE_CHECKING:
    from executor.model.system import Service

_MIB: Final = 2**20
Rate = Annotated[int, Field(ge=0, le=1_099_511_627_776)]


class Cpu(FaultSpec):
    """A burner competes with the instance for its processors."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.MACHINE,)
    differs: ClassVar[str] = (
        "In a cgroup of the target's own the burner competes within its quota; without one the whole host competes, not"
        " the target alone."
    )
    strength: ClassVar[tuple[str, ...]] = ("load_percent",)
    usual: ClassVar[dict[str, Any]] = {"load_percent": 90}
    look: ClassVar[FaultType] = FaultType.STARVED_CPU
    kind: Literal["resource.cpu"] = "resource.cpu"
    load_percent: Annotated[Percent, Field(ge=1)]
    """Load of each burnt core."""
    cores: Annotated[int, Field(ge=1, le=256)] = 1

    def words(self) -> str:
        """What is done."""
        return f"burn {number(self.load_percent)} % of {many(self.cores, 'core')} beside it"


class Memory(FaultSpec):
    """An allocator takes memory on the instance's host, or in its cgroup where it has one of its own."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.MACHINE,)
    differs: ClassVar[str] = (
        "The memory is another process's: the target feels pressure, but its own heap does not grow. In a cgroup of the"
        " target's own it counts against the target's limit, and the kernel ends the burner before the target. A level"
        " (fill_percent) is met once and not followed: others may take and give back memory meanwhile."
    )
    strength: ClassVar[tuple[str, ...]] = ("bytes",)
    usual: ClassVar[dict[str, Any]] = {"bytes": 256 * 2**20}
    look: ClassVar[FaultType] = FaultType.STARVED_MEMORY
    kind: Literal["resource.memory"] = "resource.memory"
    bytes: Annotated[int | None, Field(ge=1_048_576, le=1_099_511_627_776)] = None
    """How much is taken; either this or ``fill_percent``."""
    fill_percent: Annotated[float | None, Field(ge=1, le=95)] = None
    """As much as is missing, when the fault is prepared, until this share of the memory that there is is in use: of the
    limit of the target's own cgroup, else of the host's memory. Cached files that give way are not in use. Steps do not
    raise it; ``grow_bytes_per_s`` lets it come slowly."""
    grow_bytes_per_s: Annotated[int, Field(ge=0)] = 0
    """0 takes all at once and holds; else it grows to that at this rate."""

    @model_validator(mode="after")
    def _one_amount(self) -> Self:
        if (self.bytes is None) == (self.fill_percent is None):
            raise ValueError("give either bytes or fill_percent")
        return self

    def at(self, share: float) -> Self | None:
        """Of a level none: how much is in use already is not known yet."""
        return None if self.bytes is None else super().at(share)

    def words(self) -> str:
        """What is done."""
        if self.bytes is not None:
            return f"take {self.bytes / 2**20:,.0f} MiB of memory beside it"
        return f"take memory beside it until {number(self.fill_percent or 0)} % of what there is is in use"


class Connections(FaultSpec):
    """Idle connections are held open to the instance's port."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = "All connections come from one address and send nothing."
    strength: ClassVar[tuple[str, ...]] = ("count",)
    usual: ClassVar[dict[str, Any]] = {"count": 50}
    look: ClassVar[FaultType] = FaultType.CONNECTIONS_TAKEN
    kind: Literal["resource.connections"] = "resource.connections"
    count: Annotated[int, Field(ge=1, le=20_000)]

    def words(self) -> str:
        """What is done."""
        return f"hold {self.count} idle connections open to it"


class CpuThrottle(FaultSpec):
    """The instance's cgroup gets a quota of processor time."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "A quota stops all threads for the rest of each 100 ms, as a container's does; a busy host takes time in turns."
        " Where no cgroup can be limited there is service.slowdown."
    )
    usual: ClassVar[dict[str, Any]] = {"quota_percent": 20}
    look: ClassVar[FaultType] = FaultType.STARVED_CPU
    kind: Literal["resource.cpu_throttle"] = "resource.cpu_throttle"
    quota_percent: Annotated[float, Field(ge=1, le=10_000)]
    """Processor time that it keeps, in percent of one core: 200 is two cores."""

    def at(self, share: float) -> Self:
        """It keeps more of a core, the smaller the share is; a quota of more than a core is not raised."""
        return self._with(quota_percent=max(self.quota_percent, 100 - share * (100 - self.quota_percent)))

    def words(self) -> str:
        """What is done."""
        return f"give it {number(self.quota_percent)} % of a core"


class Oom(FaultSpec):
    """The memory of the instance's cgroup is used up, and the kernel ends it."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "A helper takes the last of the memory, and the target is made the kernel's first choice: a real shortage slows"
        " it down first, and may end another of its processes."
    )
    look: ClassVar[FaultType] = FaultType.DEAD
    kind: Literal["resource.oom"] = "resource.oom"
    restart: RestartBy = "supervisor"
    """Who should start it again. When the fault ends and nobody has, Murphy starts the recorded command line."""

    def words(self) -> str:
        """What is done."""
        return f"have the kernel end it for lack of memory; {RESTART[self.restart]}"


class _OnPath(FaultSpec):
    """What strikes a directory."""

    target_kind: ClassVar[TargetKind] = "instances"
    look: ClassVar[FaultType] = FaultType.STARVED_DISK
    lacks: ClassVar[str] = (
        "no directory of its data is known; name one in system.yaml (directories), or as the fault's path."
    )
    path: Directory
    """Directory of the target's data, as this machine sees it; nothing outside it is touched."""

    @classmethod
    def typical(cls, service: Service) -> Self | None:
        """On the first directory that the service says it has."""
        return cls(path=service.directories[0], **cls.usual) if service.directories else None


class DiskFill(_OnPath):
    """A file fills the volume on which a directory is."""

    scope: ClassVar[tuple[Scope, ...]] = (Scope.VOLUME,)
    differs: ClassVar[str] = (
        "The space goes in one stroke. Everything else on the volume runs short too; root may still write into what"
        " ext4 keeps for it, unless the target runs as root."
    )
    kind: Literal["resource.disk_fill"] = "resource.disk_fill"
    leave_percent: Annotated[Percent, Field(le=99)] = 0
    """Share of the volume that stays free."""
    bytes: Annotated[int, Field(ge=0, le=1_125_899_906_842_624)] = 0
    """Size of the file; 0: as large as ``leave_percent`` allows. It is never larger than that."""

    def words(self) -> str:
        """What is done."""
        if self.bytes:
            return f"take {self.bytes / _MIB:,.0f} MiB of the volume of {self.path}"
        return f"fill the volume of {self.path} to {number(100 - self.leave_percent)} %"


class DiskReadonly(_OnPath):
    """The volume mounted on a directory takes no writes."""

    scope: ClassVar[tuple[Scope, ...]] = (Scope.VOLUME,)
    differs: ClassVar[str] = (
        "A kernel that remounts after an error cuts off files that are open for writing; here the volume is refused"
        " while there are any."
    )
    kind: Literal["resource.disk_readonly"] = "resource.disk_readonly"

    def words(self) -> str:
        """What is done."""
        return f"make the volume mounted on {self.path} read-only"


class IoThrottle(_OnPath):
    """Reads and writes of the instance on one disk are slowed."""

    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "Only what the target itself asks of the disk is slowed. With cgroups of version 1 buffered writes are not:"
        " the kernel writes them later on its own account; reads from the disk, direct and synchronous writes are."
    )
    usual: ClassVar[dict[str, Any]] = {"read_bps": _MIB, "write_bps": _MIB}
    kind: Literal["resource.io_throttle"] = "resource.io_throttle"
    read_bps: Rate = 0
    """Bytes a second; 0: not limited. One of the four has to be."""
    write_bps: Rate = 0
    read_iops: Rate = 0
    """Operations a second."""
    write_iops: Rate = 0

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not (self.read_bps or self.write_bps or self.read_iops or self.write_iops):
            raise ValueError("one of read_bps, write_bps, read_iops, write_iops must be above 0")
        return self

    def words(self) -> str:
        """What is done."""
        kib = ((self.read_bps, "read"), (self.write_bps, "written"))
        times = ((self.read_iops, "reads"), (self.write_iops, "writes"))
        parts = [f"{rate / 1024:,.0f} KiB/s {what}" for rate, what in kib if rate]
        parts += [f"{rate:,} {what}/s" for rate, what in times if rate]
        return f"let it have at most {' and '.join(parts)} on the disk of {self.path}"


class IoError(_OnPath):
    """Reads and writes in a directory fail with an error."""

    scope: ClassVar[tuple[Scope, ...]] = (Scope.DIRECTORY,)
    differs: ClassVar[str] = (
        "Only files opened during the fault are struck, and not by a path from a working directory in it; meanwhile"
        " calls take some 0.1 ms longer (more by a deep path), nothing can be mapped as shared memory (SQLite's WAL and"
        " LMDB do not open), and a file that is removed while open cannot be looked at. What is still open when the"
        " fault ends has to be opened again, and a socket made meanwhile be made anew."
    )
    strength: ClassVar[tuple[str, ...]] = ("probability",)
    kind: Literal["resource.io_error"] = "resource.io_error"
    errno: Literal["EIO", "ENOSPC", "EDQUOT", "EROFS", "EACCES"] = "EIO"
    probability: Annotated[Probability, Field(gt=0)] = 1
    operations: Annotated[
        tuple[Literal["open", "create", "read", "write", "sync", "list", "remove", "rename"], ...], Field(min_length=1)
    ] = ("read", "write", "sync")
    """Which calls fail."""
    files: Line = "*"
    """Which files are struck, as a pattern on their path within ``path``; ``*`` matches slashes too."""

    def words(self) -> str:
        """What is done."""
        what = share(self.probability, "call").replace("every call", "calls")
        calls = ", ".join(self.operations)
        return f"fail {what} to {calls} with {self.errno} in {self.path}{'' if self.files == '*' else f'/{self.files}'}"


class FileDescriptors(FaultSpec):
    """The instance can open no more files and connections."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "The limit comes down to what is open; a leak fills up to the limit, and what the process closes it may open"
        " again here."
    )
    look: ClassVar[FaultType] = FaultType.STARVED_HANDLES
    kind: Literal["resource.file_descriptors"] = "resource.file_descriptors"
    leave: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """How many more each of its processes may open."""

    def words(self) -> str:
        """What is done."""
        return f"let it open {self.leave or 'no'} more files or connections"


class Processes(FaultSpec):
    """The instance can start no more processes and threads."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = "Only the target is short of processes; when a machine's table is full, everybody is."
    look: ClassVar[FaultType] = FaultType.STARVED_HANDLES
    usual: ClassVar[dict[str, Any]] = {"max": 1}
    kind: Literal["resource.processes"] = "resource.processes"
    max: Annotated[int, Field(ge=0, le=4_194_304)]
    """Processes and threads that it may have in all; those that it has beyond stay, and none is added."""

    def words(self) -> str:
        """What is done."""
        return f"let it have at most {self.max} processes and threads together"


class ClockSkew(FaultSpec):
    """The instance's clock shows another time."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "The wall clock jumps at once, for processes that were started with libfaketime; timers and time-outs that the"
        " kernel keeps run on."
    )
    strength: ClassVar[tuple[str, ...]] = ("offset_s",)
    usual: ClassVar[dict[str, Any]] = {"offset_s": 300}
    look: ClassVar[FaultType] = FaultType.CLOCK_WRONG
    kind: Literal["resource.clock_skew"] = "resource.clock_skew"
    offset_s: Annotated[float, Field(ge=-3_153_600_000, le=3_153_600_000)]
    """How much later, or earlier if below 0, it believes to be."""

    def words(self) -> str:
        """What is done."""
        return f"set its clock {duration(abs(self.offset_s))} {'back' if self.offset_s < 0 else 'forward'}"


SPECS: Final[tuple[type[FaultSpec], ...]] = (
    Cpu,
    Memory,
    Connections,
    CpuThrottle,
    FileDescriptors,
    Processes,
    Oom,
    DiskFill,
    DiskReadonly,
    IoThrottle,
    IoError,
    ClockSkew,
)
