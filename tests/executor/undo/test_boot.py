"""What a machine that went down has left is undone at its next boot."""

from __future__ import annotations

import configparser
import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from executor.drivers.resolve import resolve
from executor.errors import InputError
from executor.faults.behaviour import Context, of_another_boot
from executor.faults.registry import behaviour
from executor.kernel import process
from executor.model.faults import Fault
from executor.model.faults.service import Crash, Hang
from executor.model.plan import InstanceTarget
from executor.model.system import Service, System
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.boot import unit
from tests.executor.injections import admit
from tests.executor.kit import Shelf, until

ROOT = Path(__file__).parents[3]


def struck(home: Home, shelf: Shelf, fault: Fault) -> dict[str, object]:
    """The shelf is struck by a run; then its record is one of an earlier boot, as after a power cut."""
    system = System(name="s", services=(Service(name="base", instances=(shelf.instance,), restarts="by_hand"),))
    (target,) = resolve(InstanceTarget(service="base"), system)
    journal = Journal(home.journal)
    journal._boot = "of then"
    admit(journal)
    how = behaviour(fault.kind)
    context = Context(system, "murphy-boot-1", str(home.scratch("run-1")))
    record = how.prepare(fault, target, context)
    armed = journal.arm(
        "run-1",
        experiment="e1",
        trial=1,
        action="a1",
        kind=fault.kind,
        subject="base-1",
        mark="murphy-boot-1",
        record=record,
        lease_s=60.0,
    )
    undo_notes.keep(home, armed, record)
    how.inject(record, 60.0)
    assert journal.injected(armed.id, record)
    journal.close()
    return record


def recover(home: Home) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner.cli.main", "recover"],
        env={**os.environ, "MURPHY_HOME": str(home.path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("journal", ["kept", "lost"])
def test_a_lease_of_an_earlier_boot_has_ended(tmp_path: Path, shelf: Shelf, journal: str) -> None:
    """Its executor seems to live (this process), and the lease to run; both are of another boot."""
    home = Home.open(tmp_path)
    struck(home, shelf, Crash())
    until(lambda: not shelf.answers())
    if journal == "lost":
        home.journal.unlink()
    done = recover(home)
    assert done.stderr == ""
    assert done.stdout.startswith("Undone: service.crash on base-1")
    until(shelf.answers)
    assert undo_notes.left(home) == []
    assert list(home.run_dir("run-1").iterdir()) == []
    if journal == "kept":
        assert done.returncode == 0
        assert recover(home).stdout == "Nothing is owed.\n"


def test_a_process_of_an_earlier_boot_is_nobody_now(tmp_path: Path, shelf: Shelf) -> None:
    """Pids and start times come again at every boot: this process has those of the one that was struck then."""
    home = Home.open(tmp_path)
    struck(home, shelf, Hang())
    until(shelf.stopped)
    assert recover(home).returncode == 0
    found = shelf.found()
    assert found is not None
    assert shelf.stopped(), "a process was signalled that was not struck in this boot"
    process.send(found.pid, found.start_ticks, signal.SIGCONT)


def test_only_processes_are_forgotten() -> None:
    record = {"members": [[7, 8]], "pid": 7, "ticks": 8, "dsn": "env:X", "port": 8}
    assert of_another_boot(record) == record | {"members": [[7, -1]], "ticks": -1}
    assert of_another_boot(record | {"count": 2}, outside=True)["count"] == 0
    assert of_another_boot({"count": 2, "port": 8}, outside=True) == {"count": 2, "port": 8}


@pytest.mark.parametrize("name", ["home", 'a "strange" 50% home\\'])
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path, name: str) -> None:
    home = Home.open(tmp_path / name)
    text = unit(home)
    file = tmp_path / "murphy-recover.service"
    file.write_text(text, encoding="utf-8")
    parsed = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parsed.optionxform = str  # type: ignore[assignment, method-assign]
    parsed.read_string(text)
    service = parsed["Service"]
    assert (service["Type"], service["KillMode"]) == ("oneshot", "process")
    assert service["User"] == pwd.getpwuid(os.geteuid()).pw_name
    escaped = str(home.path).replace("%", "%%")
    assert service["EnvironmentFile"] == f"-{escaped}/recover.env"
    quoted = escaped.replace("\\", "\\\\").replace('"', '\\"')
    assert service["Environment"] == f'"MURPHY_HOME={quoted}"'
    assert parsed["Unit"]["RequiresMountsFor"] == f'"{quoted}"'
    assert service["ExecStart"].endswith('murphy" recover')
    assert "Before" not in parsed["Unit"]
    assert "@" not in text.replace(escaped, "")
    if shutil.which("systemd-analyze"):
        said = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
        assert (said.returncode, said.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_a_program_with_dollars_in_its_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "a$b$$c${d}" / "murphy"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program.with_name("python")))
    file = tmp_path / "murphy-recover.service"
    file.write_text(unit(Home.open(tmp_path / "home")), encoding="utf-8")
    said = subprocess.run(["systemd-analyze", "verify", str(file)], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def test_a_home_that_systemd_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no such path"):
        unit(Home.open(tmp_path / "two\nlines"))


def test_an_owner_without_a_name_is_told_by_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: int) -> pwd.struct_passwd:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert f"\nUser={os.geteuid()}\n" in unit(Home.open(tmp_path / "home"))


def test_the_unit_is_printed_for_this_home(tmp_path: Path) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "planner.cli.main", "recover", "--unit"],
        env={**os.environ, "MURPHY_HOME": str(tmp_path / "home")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said.stdout == unit(Home(tmp_path / "home"))
    assert not (tmp_path / "home").exists()
