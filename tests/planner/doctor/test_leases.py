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


OUTLIVES = "from planner.doctor import leases; found = leases._own_processes(); print(found.works, found.detail)"


@pytest.mark.root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a pid namespace")
def test_a_container_that_would_take_the_watchdog_along_is_named() -> None:
    """It sees a /proc of its own, as in any container, and so no pid but its own."""
    alone = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", OUTLIVES]
    root = Path(__file__).parents[3]
    said = subprocess.run(alone, capture_output=True, text=True, check=True, timeout=60, cwd=root).stdout
    assert said == "False we run in a container, which ends with all in it\n"


@pytest.mark.parametrize(
    ("cgroups", "unit"),
    [
        ("0::/system.slice/murphy.service\n", "murphy.service"),
        ("12:pids:/system.slice/murphy.service\n1:name=systemd:/system.slice/murphy.service\n", "murphy.service"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/murphy.service\n", "murphy.service"),
        ("0::/user.slice/user-1000.slice/session-2.scope\n", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-terminal-1.scope\n", ""),
        ("0::/\n", ""),
        ("", ""),
    ],
)
def test_a_service_that_would_take_the_watchdog_along_is_named(
    cgroups: str, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = {"murphy.service": "control-group"}
    monkeypatch.setattr(leases, "_kill_mode", modes.get)
    assert leases.unit_of(cgroups) == unit
    modes["murphy.service"] = "process"
    assert leases.unit_of(cgroups) == ""


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
