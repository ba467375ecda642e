"""Descriptors of a process and its workers, those too that it starts while the fault lasts."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Record
from executor.faults.registry import behaviour
from executor.kernel import process
from executor.model.faults.resource import FileDescriptors
from executor.model.system import Service, System
from tests.executor.kit import until

HOW = behaviour("resource.file_descriptors")
ROOT = Path(__file__).parents[4]
FORKING = """
import os, resource, signal, sys
for line in sys.stdin:
    if (pid := os.fork()) == 0:
        if line.strip():  # as nginx does it by worker_rlimit_nofile
            resource.setrlimit(resource.RLIMIT_NOFILE, (int(line), int(line)))
        signal.alarm(100)
        signal.pause()
    print(pid, flush=True)
"""


@pytest.fixture
def forking() -> Iterator[subprocess.Popen[bytes]]:
    """Starts a worker for each line that it is told."""
    made = subprocess.Popen([sys.executable, "-S", "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield made
    with suppress(UnavailableError):  # a test has ended it
        process.send_all(process.members(made.pid, start_ticks(made.pid) or 0), signal.SIGKILL)
    made.communicate()


def worker(forking: subprocess.Popen[bytes], own: str = "") -> int:
    assert forking.stdin is not None
    assert forking.stdout is not None
    forking.stdin.write(f"{own}\n".encode())
    forking.stdin.flush()
    return int(forking.stdout.readline())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_worker_of_another_user_is_refused_beforehand() -> None:
    """By whoever may signal it and not read its limits, as a root without CAP_SYS_RESOURCE."""
    code = """
import os, time
pid = os.fork()
os.setuid(0 if pid else 65534)
print(pid, flush=True) if pid else None
time.sleep(100)
"""
    ask = """
import sys
from executor.clock import start_ticks
from executor.drivers.targets import ProcessTarget
from executor.faults.registry import behaviour
from executor.model.faults.resource import FileDescriptors
from executor.model.system import Service
pid = int(sys.argv[1])
target = ProcessTarget(Service(name="shop"), "shop-1", pid, start_ticks(pid), None)
print(behaviour("resource.file_descriptors").unsupported(FileDescriptors(leave=4), target))
"""
    made = subprocess.Popen([sys.executable, "-S", "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert made.stdout is not None
        other = int(made.stdout.readline())
        until(lambda: Path(f"/proc/{other}").stat().st_uid == 65534)
        command = [
            "setpriv",
            "--bounding-set=-sys_resource",
            "--inh-caps=-all",
            sys.executable,
            "-c",
            ask,
            str(made.pid),
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        why = f"the limits of process {other} cannot be read (Operation not permitted)"
        assert said == f"{why}; run Murphy as its user, or with CAP_SYS_RESOURCE.\n"
    finally:
        os.killpg(made.pid, signal.SIGKILL)
        made.communicate()


def prepared(forking: subprocess.Popen[bytes], scratch: Path) -> Record:
    service = Service(name="shop")
    target = ProcessTarget(service, "shop-1", forking.pid, start_ticks(forking.pid) or 0, None)
    return HOW.prepare(
        FileDescriptors(leave=4), target, Context(System(name="s", services=(service,)), "m", str(scratch))
    )


def test_a_successor_gets_its_limit_back_when_the_one_that_started_it_is_gone(
    forking: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """As a server that starts its next release and ends."""
    record = prepared(forking, tmp_path)
    before = resource.prlimit(forking.pid, resource.RLIMIT_NOFILE)
    record = {**record, **HOW.inject(record, 60)}
    successor = worker(forking)
    process.send(forking.pid, start_ticks(forking.pid) or 0, signal.SIGKILL)
    forking.wait()
    try:
        assert resource.prlimit(successor, resource.RLIMIT_NOFILE)[0] < 20
        assert HOW.active(record) is True
        HOW.revert(record)
        assert HOW.active(record) is False
        assert resource.prlimit(successor, resource.RLIMIT_NOFILE) == before
    finally:
        process.send(successor, start_ticks(successor) or 0, signal.SIGKILL)


def test_workers_started_meanwhile_get_their_limit_back(forking: subprocess.Popen[bytes], tmp_path: Path) -> None:
    how, first = HOW, worker(forking)
    record = prepared(forking, tmp_path)
    pids = [forking.pid, first]
    before = resource.prlimit(forking.pid, resource.RLIMIT_NOFILE)
    how.inject(record, 60)
    pids.append(worker(forking))
    other = worker(forking, "13")
    until(lambda: resource.prlimit(other, resource.RLIMIT_NOFILE) == (13, 13))
    limits = [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids]
    assert all(soft < 20 and hard == before[1] for soft, hard in limits), limits
    how.revert(record)
    assert [resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids] == [before] * 3
    assert resource.prlimit(other, resource.RLIMIT_NOFILE) == (13, 13), "it has set that itself"
    assert how.active(record) is False
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
