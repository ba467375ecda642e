"""Cgroups, mounts and files of a fault whose executor died, with no journal and no notes: a sweep removes them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from executor.clock import start_ticks
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import child, process
from executor.state.home import Home
from executor.undo.sweep import sweep
from tests.executor.faults.cases import Bench, Case, limits, volumes
from tests.executor.faults.test_contract import INJECT, ROOT
from tests.executor.kit import until
from tests.missing import missing

MARK = "murphy-leftover-1"
CASES = {case.id: case for case in (*limits.CASES, *volumes.CASES)}


@contextmanager
def injected(case: Case, bench: Bench, scratch: Path) -> Iterator[tuple[Any, dict[str, Any], subprocess.Popen[bytes]]]:
    """The target, the record, and the living executor that has made the fault."""
    if reason := case.unavailable():
        missing(reason)
    how = behaviour(case.fault.model_dump()["kind"])
    with case.open(bench) as subject:
        record = how.prepare(case.fault, subject.resolved(), Context(subject.system, MARK, str(scratch)))
        executor = subprocess.Popen(
            [sys.executable, "-c", INJECT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
        assert executor.stdin is not None
        assert executor.stdout is not None
        executor.stdin.write(json.dumps([how.kind, record]).encode())
        executor.stdin.close()
        try:
            assert executor.stdout.read(8) == b"go\ndone\n"
            yield subject, record, executor
        finally:
            executor.kill()
            executor.wait()
            executor.stdout.close()
            how.revert(record)


@pytest.mark.parametrize(
    ("kind", "what"),
    [("resource.cpu_throttle", "cgroup"), ("resource.disk_fill", "file"), ("resource.io_error", "mount on")],
)
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "stopped"])
def test_what_bears_our_mark_goes_when_its_executor_is_gone(
    kind: str, what: str, end: signal.Signals, bench: Bench, home: Home, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with injected(CASES[kind], bench, scratch) as (subject, record, executor):
        until(subject.faulted)
        since = start_ticks(executor.pid) or 0
        alone = "spared" if "deadline" in record else "unwatched"  # it has neither a watchdog nor notes
        assert {(one.outcome, one.text.partition(" ")[0]) for one in swept(home)} >= {(alone, what.split()[0])}
        until(subject.faulted, what="a run that goes on was not left alone")
        helpers = child.living(Path(record["deadline"])) if "deadline" in record else []
        for helper in helpers:  # first of all, so that it cannot take its mount away
            process.send(helper.pid, helper.start_ticks, signal.SIGKILL)
            process.wait_gone(helper.pid, helper.start_ticks, 10)
        os.kill(executor.pid, end)
        until(lambda: process.state(executor.pid, since) in (None, "T"))
        (one,) = swept(home)
        assert (one.outcome, one.text.startswith(f"removed: {what} ")) == ("done", True), one
        until(subject.normal)
        assert swept(home) == []


def swept(home: Home) -> list[Any]:
    return [one for one in sweep(home) if MARK in one.text]
