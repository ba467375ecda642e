from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from executor.errors import InputError, UnavailableError
from executor.state.home import Home


def test_it_is_made_for_its_owner_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "deep" / "home"))
    home = Home.open()
    assert home.path == tmp_path / "deep" / "home"
    for path in (home.path, home.keys, home.runs, home.scratch("run-1")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    loose = tmp_path / "loose"
    loose.mkdir(mode=0o755)
    assert stat.S_IMODE(Home.open(loose).path.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "UP", ".hidden", "a" * 64, "x\n"])
def test_what_is_no_runs_name_leads_nowhere(tmp_path: Path, name: str) -> None:
    home = Home.open(tmp_path)
    with pytest.raises(InputError):
        home.run_dir(name)
    with pytest.raises(InputError):
        home.clear_scratch(name)


def test_a_file_in_its_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("", encoding="utf-8")
    with pytest.raises(UnavailableError, match="state directory"):
        Home.open(tmp_path / "home")


def test_scratch_goes_and_comes(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    (home.scratch("run-1") / "file").write_text("x", encoding="utf-8")
    home.clear_scratch("run-1")
    home.clear_scratch("run-1")
    assert list(home.run_dir("run-1").iterdir()) == []
    assert home.run_dir("run-2", make=False) == home.runs / "run-2"
    assert not (home.runs / "run-2").exists()


@pytest.mark.timeout(10)
def test_a_pipe_in_a_directorys_place_hangs_nobody(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    os.mkfifo(home.run_dir("run-1") / "scratch")
    home.clear_scratch("run-1")
    home.memory.rmdir()
    os.mkfifo(home.memory)
    home.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["memory"]


def test_what_cannot_be_forgotten_is_named(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    (tmp_path / "RESUMED").mkdir()
    with pytest.raises(UnavailableError, match="cannot be removed"):
        home.forget()


def test_a_directory_that_others_use_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (shared / "theirs").write_text("", encoding="utf-8")
    with pytest.raises(UnavailableError, match="alone"):
        Home.open(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert [path.name for path in shared.iterdir()] == ["theirs"]


def test_forgetting_takes_what_is_ours_and_keeps_the_rest_and_a_halt(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    for name in (
        "theirs",
        "HALTED",
        "journal.db",
        "journal.db-wal",
        "journal.db-anchor",
        "journal.db-reserve",
        "sessions.db",
    ):
        (tmp_path / name).write_text("", encoding="utf-8")
    home.scratch("run-1")
    home.forget()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["HALTED", "theirs"]


CLEARING = """
import sys
from pathlib import Path
from executor.state.home import Home
home = Home(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    home.clear_rehearsals()
"""


def test_a_rehearsal_is_not_taken_for_one_of_the_dead_as_it_begins(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    with subprocess.Popen([sys.executable, "-c", CLEARING, str(tmp_path)], stdout=subprocess.PIPE) as clearing:
        try:
            assert clearing.stdout is not None
            assert clearing.stdout.readline() == b"ready\n"
            until = time.monotonic() + 3  # it fails within some hundred on the code that did not look again
            while time.monotonic() < until:
                with home.rehearsal() as path:
                    assert Path(path).is_dir()
        finally:
            clearing.kill()
    assert not list(tmp_path.glob("readiness-*"))
