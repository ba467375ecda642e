"""Descriptors of a process and its workers, those too that it starts while the fault lasts."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.drivers.targets import ProcessTarget
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import process
from executor.model.faults.resource import FileDescriptors
from executor.model.system import Service, System

FORKING = """
import os, signal, sys
for line in sys.stdin:
    if (pid := os.fork()) == 0:
        signal.alarm(100)
        signal.pause()
    print(pid, flush=True)
"""


@pytest.fixture
def forking() -> Iterator[subprocess.Popen[bytes]]:
    """Starts a worker for each line that it is told."""
    made = subprocess.Popen([sys.executable, "-S", "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield made
    for pid, ticks in process.members(made.pid, start_ticks(made.pid) or 0):
        process.send(pid, ticks, signal.SIGKILL)
    made.communicate()


def worker(forking: subprocess.Popen[bytes]) -> int:
    assert forking.stdin is not None
    assert forking.stdout is not None
    forking.stdin.write(b"\n")
    forking.stdin.flush()
    return int(forking.stdout.readline())


def test_workers_started_meanwhile_get_their_limit_back(forking: subprocess.Popen[bytes], tmp_path: Path) -> None:
    how, first = behaviour("resource.file_descriptors"), worker(forking)
    service = Service(name="shop")
    target = ProcessTarget(service, "shop-1", forking.pid, start_ticks(forking.pid) or 0, None)
    record = how.prepare(
        FileDescriptors(leave=4), target, Context(System(name="s", services=(service,)), "m", str(tmp_path))
    )
    pids = [forking.pid, first]
    before = resource.prlimit(forking.pid, resource.RLIMIT_NOFILE)
    how.inject(record, 60)
    pids.append(worker(forking))
    limits = [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids]
    assert all(soft < 20 and hard == before[1] for soft, hard in limits), limits
    how.revert(record)
    assert [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids] == [before] * 3
    assert how.active(record) is False
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
