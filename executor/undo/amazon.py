"""Emergency restoration of what faults have made at Amazon: security groups that isolate, and experiments of FIS.

``murphy recover --sweep --system FILE``, in the regions of that system's EC2 instances. It is told by its tags, which
say who holds it, and what undoes it. Standard library and behaviours only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import TYPE_CHECKING, Any

from executor.drivers.aws import ec2, fis, marks, parts
from executor.errors import UnavailableError, words_of
from executor.undo.swept import Swept, left_alone

if TYPE_CHECKING:
    from executor.model.system import System

Place = dict[str, Any]


def sweep_amazon(system: System, held: Set[str]) -> Iterator[Swept]:
    """Undo and remove all of ours in the regions of a system, but what a run holds. Blocks for seconds."""
    for place, role in _places(system):
        yield from _isolations(place, held)
        if role:
            yield from _experiments(place, held)


def _places(system: System) -> list[tuple[Place, bool]]:
    """Regions, each with whether an instance there lets FIS act."""
    from executor.model.system import Ec2Instance

    found: dict[tuple[str, str], bool] = {}
    for instance in (each for service in system.services for each in service.instances):
        if isinstance(instance, Ec2Instance):
            where = (instance.region, instance.endpoint)
            found[where] = found.get(where, False) or bool(instance.fis_role)
    return [({"instance": region, "region": region, "endpoint": end}, role) for (region, end), role in found.items()]


def _isolations(place: Place, held: Set[str]) -> Iterator[Swept]:
    try:
        found = parts.isolations(place)
    except UnavailableError as error:
        yield Swept("owed", f"security groups cannot be looked at: {_line(error)}")
        return
    for record, tags in found:
        name = f"security group {record['group']} in {place['region']}"
        yield _undone(name, tags, held, partial(parts.PARTS["network"].put_back, record, living=True))


def _experiments(place: Place, held: Set[str]) -> Iterator[Swept]:
    try:
        found = fis.marked(place)
    except UnavailableError as error:
        yield Swept("owed", f"experiments of FIS cannot be looked at: {_line(error)}")
        return
    for mark, tags in found.items():
        name = f"FIS template or experiment of {mark} in {place['region']}"
        yield _undone(name, tags, held, partial(_end, {**place, "mark": mark}, tags))


def _end(record: Place, tags: dict[str, str]) -> None:
    """End it, see running what it has stopped, and only then let go of the template, which tells of it."""
    fis.stop(record)
    if fis.STOPS in tags:
        ec2.DRIVER.start({**record, "ec2": tags[fis.STOPS]})
    fis.forget(record)


def _undone(name: str, tags: dict[str, str], held: Set[str], undo: Callable[[], None]) -> Swept:
    mark = tags[marks.TAG]
    hold, holder = marks.hold(tags)
    if mark in held:
        hold, holder = "held", "a living process"
    if left := left_alone(hold, name, holder, mark):
        return left
    try:
        undo()
    except UnavailableError as error:
        return Swept("owed", f"{name} cannot be removed: {_line(error)}")
    return Swept("done", f"removed: {name}")


def _line(error: UnavailableError) -> str:
    return words_of(error).rstrip(".")
