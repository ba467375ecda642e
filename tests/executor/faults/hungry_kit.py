"""Two processes that try to get what a fault takes from one of them, and cgroups made for them."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.kernel import cgroup, process, volume
from executor.model.plan import InstanceTarget
from executor.model.system import ProcessInstance, Service, System
from tests.executor.kit import until

HUNGRY = Path(__file__).with_name("hungry.py")
_numbers = itertools.count(1)


class Hungry:
    """One process that does as it is told."""

    def __init__(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        self.name = f"{name}-{os.getpid()}-{next(_numbers)}"
        self.process = subprocess.Popen(
            [sys.executable, "-S", str(HUNGRY), self.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        self.ask("clock")  # it has begun, and all that beginning opens is closed again

    def ask(self, do: str, **told: Any) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"do": do, **told}).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        process.end_child(self.process, signal.SIGKILL)
        self.process.communicate()


class Pair:
    """A target and a bystander, alike in all; how one of them is short of something is the subclass's to say."""

    def __init__(self, target: Hungry, bystander: Hungry) -> None:
        self.target, self.bystander = target, bystander
        instance = ProcessInstance(id="hungry-1", command=f"{HUNGRY.name} {target.name}")
        service = Service(name="hungry", instances=(instance,), restarts="by_hand")
        self.system = System(name="larder", services=(service,))

    def short(self, which: Hungry) -> bool:
        """Whether it does not get what it should."""
        raise NotImplementedError

    def resolved(self) -> ProcessTarget:
        (found,) = resolve(InstanceTarget(service="hungry"), self.system)
        assert isinstance(found, ProcessTarget)
        return found

    def normal(self) -> bool:
        return not self.short(self.target)

    def faulted(self) -> bool:
        return self.short(self.target)

    def unharmed(self) -> bool:
        return not self.short(self.bystander)

    def state(self) -> Any:
        proc = Path(f"/proc/{self.target.process.pid}")
        return {
            "limits": (proc / "limits").read_text(encoding="ascii"),
            "cgroups": cgroup.places(self.target.process.pid),
            "descriptors": sorted(entry.name for entry in (proc / "fd").iterdir()),
            "oom score": (proc / "oom_score_adj").read_text(encoding="ascii"),
            "our cgroups": sorted(str(made.directory) for made in cgroup.made() if f"-{os.getpid()}-" in str(made)),
            "mounts": [mount for mount in volume.mounts() if f"/larder-{os.getpid()}/" in str(mount.point)],
        }

    def die(self) -> None:
        self.target.end()


@contextmanager
def pair(kind: Any, *given: Any, environment: Mapping[str, str] | None = None) -> Iterator[Any]:
    """A pair of that class, ended afterwards."""
    target, bystander = Hungry("target", environment), Hungry("bystander")
    try:
        yield kind(target, bystander, *given)
    finally:
        target.end()
        bystander.end()


@contextmanager
def scratch_cgroup(controller: str) -> Iterator[Path]:
    """A cgroup that the test makes, with nothing of ours in its name; removed afterwards."""
    directory = cgroup.hierarchy(controller).root / f"test-larder-{os.getpid()}-{next(_numbers)}"
    directory.mkdir()
    try:
        yield directory
    finally:
        until(lambda: _removed(directory), what=f"{directory} cannot be removed")


def _removed(directory: Path) -> bool:
    try:
        directory.rmdir()
    except OSError:
        return False
    return True


def no_cgroup(controller: str) -> str | None:
    """Why there is no such cgroup to be made here."""
    if os.geteuid() != 0:
        return "cgroups need root"
    try:
        cgroup.hierarchy(controller)
    except UnavailableError as error:
        return str(error)
    return None
