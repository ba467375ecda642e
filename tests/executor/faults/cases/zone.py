"""A zone is lost: a service with an instance in each of two, and another whose only one is in the first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults.infrastructure import Zone
from executor.model.plan import InstanceTarget
from executor.model.system import ProcessInstance, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.cases.instances import ShelfSubject
from tests.executor.kit import Shelf, shelves


def placed(shelf: Shelf, zone: str) -> ProcessInstance:
    """Its instance, in a zone."""
    return ProcessInstance(**{**dict(shelf.instance), "zone": zone})


class ZoneSubject(ShelfSubject):
    """The shelf is in zone a, and the one beside it in zone b."""

    def __init__(self, shelf: Shelf, other: Shelf, bench: Bench) -> None:
        super().__init__(shelf, other, bench.path, _silent, _size, "by_hand")
        (service,) = self.system.services
        both = (placed(shelf, "a"), placed(other, "b"))
        self.system = System(name="library", services=(type(service)(**{**dict(service), "instances": both}),))

    def resolved(self) -> ProcessTarget:
        ids = tuple(each.id for each in self.system.services[0].instances if each.zone == "a")
        (target,) = resolve(InstanceTarget(service=self.shelf.name, ids=ids), self.system)
        assert isinstance(target, ProcessTarget)
        return target


def _silent(subject: Any) -> bool:
    return not subject.shelf.answers() and subject.shelf.stopped()


def _size(subject: Any) -> str:
    return f"all of zone a asked, {subject.shelf.stopped():d} of 1 stands still, {subject.other.stopped():d} of 1 in b"


@contextmanager
def opened(bench: Bench) -> Iterator[ZoneSubject]:
    with shelves("books", "maps", chained=False) as (shelf, other):
        yield ZoneSubject(shelf, other, bench)


CASES = (Case("infrastructure.zone", Zone(zone="a", how="pause"), opened),)
