"""What is particular to a changed file of settings; the rest is in the contract suite."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.model.faults.infrastructure import Config
from executor.model.system import ConfigFile, Service
from executor.servers import reload
from tests.executor.faults.cases.config import TEXT, ConfigSubject
from tests.executor.kit import until

FAULT = Config(key="pool.size", value=1)
HOW = behaviour("infrastructure.config")


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[ConfigSubject]:
    made = ConfigSubject(tmp_path / "etc")
    yield made
    made.one.end()
    made.other.end()


def prepared(subject: ConfigSubject, path: Path, target: ProcessTarget | None = None) -> dict[str, Any]:
    mark = f"murphy-config-{os.getpid()}"
    return HOW.prepare(FAULT, target or subject.resolved(), Context(subject.system, mark, str(path)))


def with_file(target: ProcessTarget, **fields: Any) -> ProcessTarget:
    (file,) = target.service.config
    files = (ConfigFile(**{**dict(file), **fields}),)
    service = Service(**{**dict(target.service), "config": files})
    return ProcessTarget(service, target.instance, target.pid, target.start_ticks, target.port)


def test_what_somebody_else_has_changed_too_is_owed_until_it_is_sorted_out(
    subject: ConfigSubject, tmp_path: Path
) -> None:
    record, file = prepared(subject, tmp_path), subject.one.file
    HOW.inject(record, 60)
    theirs = file.read_text().replace("main", "theirs")
    file.write_text(theirs)
    assert HOW.active(record) is True
    with pytest.raises(UnavailableError, match="was changed by somebody else while it had the fault") as caught:
        HOW.revert(record)
    assert str(caught.value).startswith(f"{file}: ")
    assert file.read_text() == theirs
    assert Path(record["image"]).read_text() == TEXT
    file.write_text(theirs.replace("size: 1 ", "size: 20 "))
    HOW.revert(record)
    assert HOW.active(record) is False
    assert file.read_text() == theirs.replace("size: 1 ", "size: 20 "), "what is theirs stays"
    assert not Path(record["image"]).exists()


def test_a_file_that_was_taken_away_is_not_made_again(subject: ConfigSubject, tmp_path: Path) -> None:
    record = prepared(subject, tmp_path)
    HOW.inject(record, 60)
    subject.one.file.unlink()
    HOW.revert(record)
    assert HOW.active(record) is False
    assert not subject.one.file.exists()


def test_a_file_that_changed_before_the_fault_is_left_alone(subject: ConfigSubject, tmp_path: Path) -> None:
    record = prepared(subject, tmp_path)
    subject.one.file.write_text(f"{TEXT}more: 1\n")
    with pytest.raises(UnavailableError, match="was changed by somebody since it was looked at; nothing is done"):
        HOW.inject(record, 60)
    HOW.revert(record)
    assert subject.one.file.read_text() == f"{TEXT}more: 1\n"


def test_put_back_and_killed_before_it_was_read_it_is_read_the_next_time(
    subject: ConfigSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, record = subject.state(), prepared(subject, tmp_path)
    HOW.inject(record, 60)
    until(subject.faulted)
    with monkeypatch.context() as killed:
        killed.setattr(reload, "again", lambda _: os.kill(os.getpid(), 0) or sys.exit("killed"))
        with pytest.raises(SystemExit):
            HOW.revert(record)
    assert subject.state() == before
    assert HOW.active(record) is True, "the file is back, and the service does not know it"
    HOW.revert(record)
    assert HOW.active(record) is False
    until(subject.normal)


def test_whatever_was_started_with_the_fault_reads_the_file_again(subject: ConfigSubject, tmp_path: Path) -> None:
    record = prepared(subject, tmp_path)
    HOW.inject(record, 60)
    subject.one.end()
    subject.one.start()
    assert subject.faulted()
    HOW.revert(record)
    until(subject.normal)


def test_a_command_has_it_read_and_its_failure_is_said(subject: ConfigSubject, tmp_path: Path) -> None:
    tell = f"import os; os.kill({subject.one.process.pid}, {int(signal.SIGHUP)})"
    target = with_file(subject.resolved(), signal=None, command=(sys.executable, "-c", tell))
    record = prepared(subject, tmp_path, target)
    HOW.inject(record, 60)
    until(subject.faulted)
    failing = {**record, "reload": [sys.executable, "-c", "raise SystemExit(3)"]}
    with pytest.raises(UnavailableError, match="ended with status 3"):
        HOW.revert(failing)
    assert HOW.active(record) is True
    with pytest.raises(UnavailableError, match="No such file"):
        HOW.revert({**record, "reload": [str(tmp_path / "none")]})
    HOW.revert(record)
    until(subject.normal)


def test_what_is_not_supported_is_said(subject: ConfigSubject, tmp_path: Path) -> None:
    target = subject.resolved()

    def why(fault: Config = FAULT, **fields: Any) -> str:
        return str(HOW.unsupported(fault, with_file(target, **fields)))

    assert "does not catch SIGUSR1" in why(signal="USR1")
    assert "is not there" in why(path=str(tmp_path / "none"))
    assert "is no sound json" in why(format="json")
    assert "is that way already" in why(Config(key="pool.size", value=10))
    assert "system.yaml names" in why(Config(file="/etc/other.yaml", key="a", value=1))
    (tmp_path / "name").hardlink_to(subject.one.file)
    assert "more than one name" in why()
    (tmp_path / "name").unlink()
    assert HOW.unsupported(FAULT, target) is None
    (tmp_path / "link").symlink_to(subject.one.file)
    linked = HOW.prepare(
        FAULT, with_file(target, path=str(tmp_path / "link")), Context(subject.system, "m", str(tmp_path))
    )
    assert linked["file"] == str(subject.one.file)


def test_no_plan_holds_a_secret() -> None:
    for key, value in (("db.password", "x"), ("url", "postgres://u:canary@h/d")):
        with pytest.raises(ValidationError, match="looks like a secret"):
            Config(key=key, value=value)
    with pytest.raises(ValidationError, match="not both"):
        ConfigFile(path="/a", format="json", signal="HUP", command=("true",))


def test_owner_mode_attributes_and_times_stay(subject: ConfigSubject, tmp_path: Path) -> None:
    file = subject.one.file
    os.utime(file, ns=(1_000_000_001, 2_000_000_003))
    if os.geteuid() == 0:
        os.chown(file, 12345, 54321)
    with suppress(OSError):  # not on every file system
        os.setxattr(file, "user.origin", b"deployed")
    before = subject.state(), os.listxattr(file)
    record = prepared(subject, tmp_path)
    HOW.inject(record, 60)
    about = file.stat()
    assert about.st_mtime_ns > time.time_ns() - 60 * 10**9
    assert (about.st_mode, about.st_uid, about.st_gid) == before[0]["files"][file.name][1:4]
    file.chmod(0o600)
    HOW.revert(record)
    assert file.stat().st_mode & 0o777 == 0o600, "what somebody else decided meanwhile stays"
    file.chmod(0o640)
    assert (subject.state(), os.listxattr(file)) == before
