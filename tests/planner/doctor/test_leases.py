"""Which levels of the safety net are in force: asked of this very machine, with and without what they need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from executor.kernel import redirect
from planner.doctor import leases


def look(what: str) -> leases.Diagnosis:
    found = [diagnosis for diagnosis in (look() for look in leases.LOOKS) if diagnosis.what == what]
    assert len(found) == 1
    return found[0]


def test_every_level_that_is_not_in_force_says_why_and_what_to_do() -> None:
    for diagnosis in (look() for look in leases.LOOKS):
        assert diagnosis.detail
        assert diagnosis.works or diagnosis.remedy


def test_the_kernel_is_asked_for_its_lease() -> None:
    assert look("lease in the kernel").works == (redirect.unavailable() is None)


def test_a_home_that_a_restart_would_empty_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not Path("/dev/shm").is_mount():
        pytest.skip("this machine has no /dev/shm")
    home = Path("/dev/shm") / f"murphy-doctor-{os.getpid()}"
    monkeypatch.setenv("MURPHY_HOME", str(home))
    try:
        found = look("state outlives a restart")
    finally:
        shutil.rmtree(home, ignore_errors=True)
    assert not found.works
    assert "tmpfs" in found.detail


def test_an_installed_unit_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(leases, "UNITS", (tmp_path,))
    assert not look("recovery at boot").works
    (tmp_path / leases.UNIT).touch()
    assert look("recovery at boot").works


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give capabilities up")
def test_a_watchdog_without_its_capabilities_is_named() -> None:
    code = "from planner.doctor import leases; found = leases._watchdog(); print(found.works, found.detail)"
    drop = ["setpriv", "--bounding-set", "-sys_nice", "--inh-caps", "-sys_nice"]
    said = subprocess.run(
        [*drop, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[3],
    ).stdout
    assert said.startswith("False")
    assert "CAP_SYS_NICE" in said
