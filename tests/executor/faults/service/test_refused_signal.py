"""A process that may not be signalled keeps no other from going on again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.kernel import process
from tests.executor.kit import until

NOBODY = 65534
REVERT = """
import json, os, sys
from executor.faults.registry import behaviour
kind, record = json.load(sys.stdin)
assert behaviour(kind).active(record)  # all that this loads is loaded: another user may not be let into its directory
os.setgid(65534)
os.setuid(65534)
try:
    behaviour(kind).revert(record)
except PermissionError:
    print("refused")
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("kind", ["service.hang", "service.slowdown"])
@pytest.mark.parametrize("refused_at", [0, 1])
def test_all_that_may_be_signalled_go_on(kind: str, refused_at: int, tmp_path: Path) -> None:
    # In sessions of their own: within one, everybody may send SIGCONT to everybody.
    ours = subprocess.Popen(["sleep", "100"], user=NOBODY, group=NOBODY, extra_groups=[], start_new_session=True)
    roots = subprocess.Popen(["sleep", "100"], start_new_session=True)
    try:
        members = [[each.pid, start_ticks(each.pid)] for each in (ours, roots)]
        for pid, ticks in members:
            assert ticks is not None
            process.send(pid, ticks, signal.SIGSTOP)
            until(lambda pid=pid, ticks=ticks: process.state(pid, ticks) == "T")  # type: ignore[misc]
        ordered = [members[1], members[0]] if refused_at == 0 else members
        record = {"instance": "it", "deadline": str(tmp_path / "none.lease"), "members": ordered}
        done = subprocess.run(
            [sys.executable, "-c", REVERT],
            input=json.dumps([kind, record]),
            cwd=Path(__file__).parents[4],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == "refused\n", done.stderr
        states = [process.state(pid, ticks or 0) for pid, ticks in members]
        assert states[0] != "T", "it was left stopped"
        assert states[1] == "T"
    finally:
        for each in (ours, roots):
            each.kill()
            each.wait()
