"""Data that is not disposable is struck only with a backup that would bring it back."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from executor.errors import SafetyRefusalError
from executor.model.faults.data import ConnectionFailure
from executor.model.plan import InstanceTarget, Plan
from executor.model.system import Backup, System
from executor.safety.backup import refuse_without_backup
from executor.safety.limits import Limits
from executor.safety.rules import refusals
from tests.executor.kit import until
from tests.executor.safety.examples import act, hang, plan, service, system

GOOD = (sys.executable, "-c", "import sys; sys.exit(0 if open(sys.argv[1], 'rb').read(4) == b'DUMP' else 3)")


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    file = tmp_path / "backup"
    file.write_bytes(b"DUMP of all")
    return file


def _where(path: Path, command: tuple[str, ...] | None = None, **more: float) -> System:
    backup = Backup(path=str(path), verify_command=command or (*GOOD, str(path)), **more)
    return system(service("store", backup=backup), service("cache", disposable=True), service("ledger"))


def _on(of: System, *names: str) -> Plan:
    return plan(of, *(act(ConnectionFailure(), InstanceTarget(service=name), f"a-{name}") for name in names))


def refused(of: System, *names: str) -> str:
    with pytest.raises(SafetyRefusalError) as caught:
        refuse_without_backup(_on(of, *names), of)
    assert caught.value.rule == "backup"
    return str(caught.value)


def test_a_good_backup_and_disposable_data_will_do(dump: Path) -> None:
    of = _where(dump)
    refuse_without_backup(_on(of, "store", "cache"), of)
    assert refusals(_on(of, "store", "cache"), of, Limits()) == []
    assert [refusal.rule for refusal in refusals(_on(of, "ledger"), of, Limits())] == ["disposable data"]
    refuse_without_backup(plan(of, hang("ledger")), of)  # no fault on data


def test_each_refusal_says_what_was_measured_and_the_limit(dump: Path) -> None:
    assert refused(_where(dump), "ledger") == (
        "refused by backup: ledger has no backup, and the limit is a backup, or disposable data. "
        "Say where it is, as backup in system.yaml."
    )
    os.utime(dump, (time.time() - 5000, time.time() - 5000))
    message = refused(_where(dump, max_age_s=600), "store")
    assert message.startswith("refused by backup: the backup of store is 500")
    assert message.endswith(f" s old, and the limit is 600 s (max_age_s). See to {dump}.")
    os.utime(dump, (time.time() + 5000, time.time() + 5000))
    assert "s in the future" in refused(_where(dump), "store")
    os.utime(dump)
    dump.write_bytes(b"DUM")
    message = refused(_where(dump), "store")
    assert f"was not found good: {sys.executable} ended with status 3, and" in message
    dump.write_bytes(b"")
    assert "the backup of store is empty" in refused(_where(dump), "store")
    dump.unlink()
    assert "cannot be looked at: No such file or directory" in refused(_where(dump), "store")


def test_a_directory_is_as_old_as_its_newest_file_and_as_large_as_all(tmp_path: Path) -> None:
    inner = tmp_path / "base" / "1"
    inner.mkdir(parents=True)
    of = _where(tmp_path / "base", command=(sys.executable, "-c", ""), max_age_s=600)
    assert "is empty" in refused(of, "store")
    for name, age_s in (("old", 5000), ("new", 10)):
        (inner / name).write_text("x")
        os.utime(inner / name, (time.time() - age_s, time.time() - age_s))
    refuse_without_backup(_on(of, "store"), of)
    (inner / "new").unlink()
    assert "s old" in refused(of, "store")


def test_a_command_that_is_not_there_or_hangs_proves_nothing(dump: Path, tmp_path: Path) -> None:
    assert "No such file or directory" in refused(_where(dump, command=(str(tmp_path / "none"),)), "store")
    pids = tmp_path / "pids"
    script = (
        "import subprocess, sys, os, time; child = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=-1);"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}'); time.sleep(600)"
    )
    assert "takes longer than 3 s (verify_s)" in refused(
        _where(dump, command=(sys.executable, "-c", script), verify_s=3), "store"
    )
    found = [int(pid) for pid in pids.read_text().split()]
    assert len(found) == 2
    until(lambda: not any(_lives(pid) for pid in found))


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_no_shell_reads_the_command(dump: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    assert "was not found good" in refused(_where(dump, command=("/bin/false", f"; touch {marker}")), "store")
    assert not marker.exists()
