"""What a run is told of how big these faults are, as the kernel says, beside what was asked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.faults.behaviour import Context, Telling
from executor.faults.registry import behaviour
from executor.model.faults import FaultSpec
from executor.model.faults.resource import Connections, Cpu, DiskFill, Memory
from executor.model.plan import InstanceTarget
from executor.model.system import System
from tests.executor.faults.cases.volumes import DATA, OnVolume, no_mounts, small_volumes
from tests.executor.faults.hungry_kit import pair
from tests.executor.kit import shelves, until
from tests.missing import missing


@contextmanager
def made(fault: FaultSpec, target: ProcessTarget, system: System, path: Path) -> Iterator[tuple[Telling, Any]]:
    how: Any = behaviour(fault.model_dump()["kind"])
    record = how.prepare(fault, target, Context(system, f"murphy-told-{os.getpid()}", str(path)))
    try:
        record |= how.inject(record, 60)
        assert isinstance(how, Telling)
        yield how, record
    finally:
        how.revert(record)
    how.tells(record)  # and raises nothing


@contextmanager
def told(fault: FaultSpec, path: Path) -> Iterator[tuple[Telling, Any]]:
    """On a process that listens."""
    with shelves("books") as (shelf,):
        system = System(name="library", services=(shelf.service(),))
        (target,) = resolve(InstanceTarget(service="books"), system)
        assert isinstance(target, ProcessTarget)
        with made(fault, target, system, path) as both:
            yield both


def test_connections(tmp_path: Path) -> None:
    with told(Connections(count=25), tmp_path) as (how, record):
        until(lambda: how.tells(record) == "25 connections asked, 25 open")


def test_memory(tmp_path: Path) -> None:
    with told(Memory(bytes=48 * 2**20), tmp_path) as (how, record):
        said = re.fullmatch("48 MiB asked, ([0-9]+) MiB resident with the helper's own", how.tells(record))
        assert said
        assert 48 < int(said[1]) < 48 + 64


def test_processor_time(tmp_path: Path) -> None:
    """A busy machine gives less."""

    def busy() -> bool:
        said = re.fullmatch("40 % of 1 core asked, ([0-9]+) % used", how.tells(record))
        assert said
        assert int(said[1]) <= 100
        return int(said[1]) > 0

    with told(Cpu(load_percent=40), tmp_path) as (how, record):
        until(busy)


def test_a_full_volume(tmp_path: Path) -> None:
    if reason := no_mounts():
        missing(reason)
    with small_volumes(), pair(OnVolume) as subject:
        fault = DiskFill(path=str(DATA), leave_percent=25)
        with made(fault, subject.resolved(), subject.system, tmp_path) as (how, record):
            assert how.tells(record) == "2 MiB left asked, 6.0 MiB taken and 2.0 of 8.0 MiB left"
        assert how.tells(record) == "", "it is gone"
