"""What processes of a self-test are told: where to stand still, and another wall clock."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import executor
from executor.clock import start_ticks
from executor.kernel import child, process
from executor.selftest import hooks
from executor.selftest.moments import BEHAVIOUR, JOURNAL, NOTES, Boundary
from tests.executor.kit import until

ROOT = Path(executor.__file__).parent


def test_the_whole_executor_reads_the_wall_clock_in_one_place() -> None:
    """Else a step of the clock that the self-test makes would not reach it."""
    reads = re.compile(r"datetime\.(now|today|utcnow)\(|\btime\.(time|time_ns|localtime|gmtime|ctime)\(|CLOCK_REALTIME")
    found = [path.name for path in ROOT.rglob("*.py") if reads.search(path.read_text(encoding="utf-8"))]
    # The ages of backups, which are files; and when a halt was, which no decision rests on.
    assert sorted(found) == ["backup.py", "clock.py", "flag.py", "restore_drill.py"]


def test_a_program_is_told_another_wall_clock_and_its_leases_do_not_feel_it(tmp_path: Path) -> None:
    told = child.environment() | hooks.environment(tmp_path / "hooks")
    code = "from executor.clock import SYSTEM_CLOCK, boottime, wall; import json\n"
    code += "print(json.dumps([wall(), SYSTEM_CLOCK.now().isoformat(), boottime()]))"

    def off_s() -> list[float]:
        done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True)
        texts = re.findall(r'"([^"]+)"', done.stdout)
        return [(datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds() for text in texts]

    assert all(abs(off) < 60 for off in off_s())
    for step_s in (86_400.0, -86_400.0):
        hooks.clock_file(tmp_path / "hooks").write_text(str(step_s))
        assert all(abs(off - step_s) < 60 for off in off_s())


def test_only_the_module_that_is_meant_stands_still(tmp_path: Path) -> None:
    boundary = Boundary("finish", before=True)
    told = child.environment() | hooks.environment(
        tmp_path / "hooks", module="executor.selftest.again", boundary=boundary
    )
    code = "from executor.state.journal import Journal; print(Journal.finish.__name__)"
    done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "finish"


def test_a_process_stands_still_at_its_boundary_and_goes_on(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from executor.state.journal import Journal\n"
    code += "from executor.selftest.moments import Boundary, stand_still_at\n"
    code += "stand_still_at(Boundary.parse('after note 2'))\n"
    code += "journal = Journal(Path(sys.argv[1])); journal.note('a', 'one'); journal.note('a', 'two'); journal.close()"
    one = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "journal.db")], env=child.environment())
    ticks = start_ticks(one.pid) or 0
    until(lambda: process.state(one.pid, ticks) == "T")
    os.kill(one.pid, 18)
    assert one.wait(30) == 0


def test_every_boundary_is_a_call_that_exists() -> None:
    from executor.faults.registry import BEHAVIOURS
    from executor.state import undo_notes
    from executor.state.journal import Journal

    assert all(callable(getattr(Journal, call)) for call in JOURNAL)
    assert all(callable(getattr(undo_notes, call)) for call in NOTES)
    assert all(callable(getattr(one, call)) for one in BEHAVIOURS for call in BEHAVIOUR)
    written = {name for name, call in vars(Journal).items() if callable(call) and _writes(call)}
    assert written - {"running", "__init__"} == set(JOURNAL)


def _writes(call: object) -> bool:
    code = getattr(call, "__code__", None)
    return code is not None and "write" in code.co_names
