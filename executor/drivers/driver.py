"""What a kind of instance can have done to it: drivers, their capabilities, and which driver has which.

A behaviour asks for a capability, never for a driver; so every driver that has it works with every behaviour that needs
it. A driver holds no state: what it needs to undo is in the record that its own methods return. Others add drivers
(``executor.plugins``). Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar, cast, runtime_checkable

from executor import plugins
from executor.drivers.targets import Contained, Ec2Target, PodTarget, Resolved, ResolvedInstance
from executor.errors import InputError

if TYPE_CHECKING:
    from executor.drivers.beside import Beside
    from executor.faults.behaviour import Context
    from executor.model.system import Instance, Service
    from executor.model.vocabulary import Scope

Record = Mapping[str, Any]
Capability = TypeVar("Capability")
RestartBy = Literal["supervisor", "murphy"]


class Driver(Protocol):
    """How one kind of instance is found. What else it can do, it says by having the methods of a capability."""

    name: str
    """As in the instance's ``driver``."""
    noun: str
    """What its instances are, in a sentence: ``a container``."""

    def find(self, service: Service, instance: Instance) -> ResolvedInstance:
        """The instance as it is right now. Raises ``UnavailableError`` if it is not there, or cannot be told."""


@runtime_checkable
class Neighbourly(Protocol):
    """It can tell what else is struck when a fault on one of its instances reaches beyond it."""

    def beside(self, target: Any, scope: Scope, fault: Any, others: Sequence[ResolvedInstance]) -> Beside:
        """Which of the others share that with the target, and what else does that is none of them. Touches nothing.

        Raises ``UnavailableError`` if it cannot be told.
        """


@runtime_checkable
class Limited(Protocol):
    """A driver that itself says why it can no more."""

    only: str
    """What alone it can do, and where more can be done."""


@runtime_checkable
class Freezes(Protocol):
    """It can be made to stand still and to go on."""

    def unfreezable(self, target: Any) -> str | None:
        """Why not, in one sentence; ``None`` if it can."""

    def freezing(self, target: Any) -> dict[str, Any]:
        """The record. Raises ``UnavailableError`` if it is gone or stands still already."""

    def freeze(self, record: Record) -> None:
        """Make it stand still. Raises ``UnavailableError`` if it is gone."""

    def frozen(self, record: Record) -> bool | None:
        """Whether it stands still; one that is gone does not. ``None``: cannot tell."""

    def thaw(self, record: Record) -> None:
        """Let it go on. Idempotent, also when it is gone."""


@runtime_checkable
class Leased(Protocol):
    """What was done to it is undone there unless we renew: it is on a machine that we may lose."""

    def renew(self, record: Record, lease_s: float) -> None:
        """Let the fault live ``lease_s`` seconds from now; ``record`` is one of ``Freezes`` or ``Ends``.

        Raises ``FaultGoneError`` if it has been undone there, and ``UnavailableError`` if it cannot be renewed.
        """


@runtime_checkable
class Slows(Freezes, Protocol):
    """It can be made to stand still and to go on by turns, by its own machine."""

    def slow(self, record: Record, still_s: float, run_s: float) -> None:
        """Let it stand still ``still_s`` seconds, go on for ``run_s``, and so on until ``thaw``; as ``freeze`` else."""

    def slowed(self, record: Record) -> bool | None:
        """Whether that goes on, or has left it standing still; of one that is gone not. ``None``: cannot tell."""


@runtime_checkable
class Ends(Protocol):
    """It can be ended, and started again when nobody else does."""

    def unendable(self, target: Any) -> str | None:
        """Why not, in one sentence; ``None`` if it can."""

    def ending(self, target: Any, context: Context, *, by: RestartBy, grace_s: float = 0.0) -> dict[str, Any]:
        """The record, with all that starting it again needs; ``by``: who should. Raises ``UnavailableError``."""

    def kill(self, record: Record, signal: str) -> None:
        """End it at once by ``KILL``, ``ABRT`` or ``SEGV``. Raises ``UnavailableError`` if it is gone, or stays."""

    def stop(self, record: Record) -> None:
        """Ask it to end, and end it after the record's grace time. Raises as ``kill`` does."""

    def ended(self, record: Record) -> bool | None:
        """Whether the very one of then is gone, whatever runs in its place."""

    def down(self, record: Record) -> bool | None:
        """Whether none that fits it runs, or one that is about to end. ``None``: cannot tell."""

    def start(self, record: Record) -> None:
        """See that it runs again: by whoever should start it, or else by us. Idempotent.

        Raises ``UnavailableError`` if it does not come back.
        """


@runtime_checkable
class EndsAgain(Ends, Protocol):
    """It can be killed again each time that it is back, by its own machine."""

    def loop(self, record: Record, every_s: float, times: int) -> None:
        """Kill it, and see that it is killed so often, so fast; until ``start``. Raises as ``kill`` does."""

    def looping(self, record: Record) -> bool | None:
        """Whether what is to kill it again is there. ``None``: cannot tell."""


@runtime_checkable
class Succeeded(Protocol):
    """What takes its place once it has ended is a process of this machine too."""

    def successors(self, record: Record) -> list[list[int]]:
        """Pid and start time of what runs in its place now; ``record`` is one of ``Ends``."""


@runtime_checkable
class Networked(Protocol):
    """Its packets pass through a network namespace of this machine, in which they can be told by its port."""

    def listening(self, target: Any) -> dict[str, Any]:
        """Where they pass, as ``executor.kernel.netns.listening`` says it.

        Raises ``UnavailableError`` if it is gone, or listens on no known port.
        """


Part = Literal["network", "nic", "disk"]
"""What can be taken from a machine: all its network, one network card, one disk."""


@runtime_checkable
class Machine(Protocol):
    """It is a machine of its own, which can be reset, and parts be taken from."""

    def unresettable(self, target: Any) -> str | None:
        """Why not, in one sentence; ``None`` if it can."""

    def resetting(self, target: Any) -> dict[str, Any]:
        """The record. Raises ``UnavailableError`` if it is gone."""

    def reset(self, record: Record) -> None:
        """Start its system anew. Raises ``UnavailableError`` if that is not known to have happened."""

    def irremovable(self, target: Any, part: Part, device: str) -> str | None:
        """Why not, in one sentence; ``device`` as the machine knows it, empty: the only one that there is."""

    def removing(self, target: Any, context: Context, part: Part, device: str) -> dict[str, Any]:
        """The record, with how the part is. Raises ``UnavailableError`` as ``irremovable`` says."""

    def remove(self, record: Record) -> None:
        """Take the part away. Raises ``UnavailableError`` if it cannot be taken."""

    def removed(self, record: Record) -> bool | None:
        """Whether the part is away; from a machine that is gone none is. ``None``: cannot tell."""

    def put_back(self, record: Record) -> None:
        """The part, as it was. Idempotent, also when the machine is gone."""


@runtime_checkable
class Replaced(Protocol):
    """It can be ended for good, as something else puts another in its place."""

    def irreplaceable(self, target: Any) -> str | None:
        """Why nothing would, or what would be lost with it, in one sentence; ``None`` if it is replaced whole."""

    def terminating(self, target: Any) -> dict[str, Any]:
        """The record. Raises ``UnavailableError`` if it is gone, or would not be replaced."""

    def terminate(self, record: Record) -> None:
        """End it. Raises ``UnavailableError`` if it does not let itself be ended."""

    def unreplaced(self, record: Record) -> bool | None:
        """Whether it was ended and its place is empty. ``None``: cannot tell."""

    def await_replaced(self, record: Record) -> None:
        """See another in its place, if it was ended. Idempotent; raises ``UnavailableError`` while there is none."""


_WANTED: Final[dict[Any, str]] = {
    Freezes: "can be made to stand still",
    Ends: "can be ended and started again",
    Machine: "is a machine of its own",
    Replaced: "has its place filled by another once it is ended for good",
    Ec2Target: "Amazon runs",
    Networked: "has packets that can be told apart here",
    Contained: "an engine of containers runs",
    PodTarget: "Kubernetes runs",
    Slows: "can be slowed down",
    EndsAgain: "can be killed again each time that it is back",
}
_OURS: Final = {
    "process": "executor.drivers.local",
    "container": "executor.drivers.container.driver",
    "ec2": "executor.drivers.aws.ec2",
    "vm": "executor.drivers.vm.driver",
    "libvirt": "executor.drivers.libvirt.driver",
    "kubernetes": "executor.drivers.kubernetes.driver",
    "ssh": "executor.drivers.ssh.driver",
}
"""Modules with a ``DRIVER``, by its name; loaded when first asked for, so that nobody waits for a library in vain."""
_loaded: dict[str, Driver] = {}
_able: dict[tuple[str, type], Driver] = {}
"""Those that were seen to have a capability: a protocol takes too long to ask it for each of a hundred faults."""


def driver(name: str) -> Driver:
    """The driver of that name. Raises ``InputError`` naming the known ones."""
    if name not in _loaded:
        _loaded[name] = import_module(_OURS[name]).DRIVER if name in _OURS else _added(name)
    return _loaded[name]


def able(which: ResolvedInstance | Record, capability: type[Capability]) -> Capability:
    """The driver of a target, or of a record that keeps its name as ``driver``; it has the capability.

    Raises ``InputError`` if it has not: ``unfit`` tells so before.
    """
    name = which.driver if isinstance(which, ResolvedInstance) else str(which.get("driver", "process"))
    if (known := _able.get((name, capability))) is not None:
        return cast("Capability", known)
    how = driver(name)
    if not isinstance(how, capability):
        raise InputError(f"{how.noun} is not something that {_WANTED.get(capability, capability.__name__)}.")
    _able[name, capability] = how
    return how


def push_on(record: Record, lease_s: float) -> None:
    """Renew the lease that the target's own machine keeps, if it keeps one. Raises as ``Leased`` does."""
    how = driver(str(record.get("driver", "process")))
    if isinstance(how, Leased):
        how.renew(record, lease_s)


def unfit(target: Resolved, needed: type | tuple[type, ...]) -> str | None:
    """Why a target does not do for what needs a capability, or a class of target; ``None`` if it does.

    Of several needs one is enough; the last says what is lacking.
    """
    if isinstance(target, needed):
        return None
    if not isinstance(target, ResolvedInstance):
        return "it strikes instances, not edges."
    how = driver(target.driver)
    if isinstance(how, needed):
        return None
    wanted = _WANTED.get(needed[-1] if isinstance(needed, tuple) else needed)
    lacking = f"and not something that {wanted}" if wanted else "and this fault needs a process of this machine"
    instead = f"{how.only}, or choose" if isinstance(how, Limited) else "choose"
    return f"{target.instance} is {how.noun}, {lacking}; {instead} another fault or instance."


def _added(name: str) -> Driver:
    found = plugins.added("drivers", name).get(name)
    if found is None:
        raise InputError(f"no driver {name!r} is known.", hint=f"Known are {', '.join(sorted({*_OURS, *_loaded}))}.")
    how: Driver = found()
    if how.name != name:
        raise plugins.unfit(name, "driver")
    return how
