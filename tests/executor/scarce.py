"""What is tried on a disk that is full or can only be read: ``python -m tests.executor.scarce CHECK DIRECTORY``.

In a process of its own, whose mounts nobody else sees. Exits with 77 and the reason where there can be none.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from executor.safety.limits import Limits
from executor.selftest.troubles import DiskFull, DiskReadOnly, Trouble, own_mounts
from executor.state import anchor, audit, reserve
from executor.state.journal import Journal
from knowledge.topology.annotations import save_system
from planner import files
from tests.crash.conftest import ROOT, Runner, Scene, scenes_at
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, system_of, until

CANNOT = 77
SMALL = Limits(**{**dict(LIMITS), "state_free_mib_min": 0})
WITHIN_S = LIMITS.lease_s + 30


def murphy(scene: Scene, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner.cli.main", *arguments],
        cwd=ROOT,
        env={**os.environ, "MURPHY_HOME": str(scene.home.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def struck_by(scene: Scene) -> Runner:
    """A run that is in mid-fault."""
    runner = scene.start()
    until(lambda: scene.shelf.stopped() or runner.process.poll() is not None, within_s=120, what="no fault was made")
    assert runner.process.poll() is None, runner.ended()
    runner.says("injected")
    return runner


def struck(scene: Scene) -> None:
    """A run whose executor and watchdog have died in mid-fault."""
    scene.plan(duration_s=30.0, limits=SMALL)
    runner = struck_by(scene)
    os.kill(runner.process.pid, signal.SIGSTOP)  # or it would replace its watchdog
    for pid in scene.watchdogs():
        os.kill(pid, signal.SIGKILL)
    runner.process.kill()
    runner.ended()
    assert scene.shelf.stopped()


def recovered(scene: Scene) -> None:
    """Once the disk is well again nothing is owed, and the trail is whole."""
    done = murphy(scene, "recover")
    assert done.returncode == 0, done
    assert scene.pending() == scene.running() == []
    assert not scene.shelf.stopped()
    assert audit.verify(scene.home).intact
    assert anchor.read(anchor.place(scene.home.journal)) is not None


def unwritten(scene: Scene) -> None:
    """Recovering where the journal cannot be written: the target is free, and it is said what is not written down."""
    done = murphy(scene, "recover")
    assert done.returncode == 4, done
    assert "Undone: service.hang on shelf-0-1" in done.stdout, done
    assert "1 fault is undone, none is left on any target, but the journal could not be written" in done.stdout, done
    assert "Run murphy recover again once there is room" in done.stdout, done
    assert not scene.shelf.stopped()


def recover_on_a_full_disk(scene: Scene, disk: Trouble) -> None:
    struck(scene)
    reserve.give_up(scene.home.journal)  # as a disk that somebody goes on filling
    disk.befall()
    unwritten(scene)
    disk.mend()
    recovered(scene)


def recover_on_a_disk_that_can_only_be_read(scene: Scene, disk: Trouble) -> None:
    struck(scene)
    disk.befall()
    unwritten(scene)
    assert not (scene.home.path / "HALTED").exists()
    disk.mend()
    recovered(scene)


def a_run_under_way(scene: Scene, disk: Trouble) -> None:
    """The fault goes with its lease at the latest, and what is owed is said by whoever ends."""
    scene.plan(duration_s=60.0, limits=SMALL)
    runner = struck_by(scene)
    reserve.give_up(scene.home.journal)
    disk.befall()
    until(lambda: not scene.shelf.stopped(), within_s=WITHIN_S, what="the fault has outlived its lease")
    last = runner.ended()
    assert last.startswith("refused"), runner.said
    assert "every fault is undone, but the journal holds 1 as owed" in last, last
    assert "Run murphy recover again once there is room" in last, last
    disk.mend()
    recovered(scene)


def a_run_under_way_with_the_reserve(scene: Scene, disk: Trouble) -> None:
    scene.plan(duration_s=60.0, limits=SMALL)
    runner = struck_by(scene)
    assert reserve.is_kept(scene.home.journal)
    disk.befall()
    until(lambda: not scene.shelf.stopped(), within_s=WITHIN_S, what="the fault has outlived its lease")
    runner.ended()
    assert scene.pending() == scene.running() == [], runner.said
    assert [e.what for e in audit.entries(scene.home)][-2:] == ["reverted", "run_finished"]
    disk.mend()
    recovered(scene)


def halt_on_a_full_disk(scene: Scene, disk: Trouble) -> None:
    scene.plan(duration_s=60.0, limits=SMALL)
    runner = struck_by(scene)
    reserve.give_up(scene.home.journal)
    disk.befall()
    done = murphy(scene, "halt", "no room")
    assert done.returncode == 0, done
    assert not scene.shelf.stopped()
    runner.ended()
    disk.mend()
    recovered(scene)
    assert murphy(scene, "resume").returncode == 0


def halt_on_a_disk_that_can_only_be_read(scene: Scene, disk: Trouble) -> None:
    """No flag can be raised there, and no run can begin; the fault goes at once all the same."""
    scene.plan(duration_s=60.0, limits=SMALL)
    runner = struck_by(scene)
    disk.befall()
    done = murphy(scene, "halt", "only read")
    assert not scene.shelf.stopped()
    assert done.returncode == 2, done
    assert "Every fault is undone, but nothing keeps runs from beginning" in done.stderr, done
    runner.ended()
    assert not scene.shelf.stopped()
    for pid in scene.watchdogs():
        os.kill(pid, signal.SIGKILL)  # they would go on trying to write it down for two minutes
    disk.mend()
    recovered(scene)


def murphy_run_says_what_is_owed(scene: Scene, disk: Trouble) -> None:
    """Neither the journal nor the session takes anything any more: what is owed decides the exit code."""
    subprocess.run(["mount", "-o", "remount,size=24m", str(disk.disk)], check=True)  # a session needs more than a run
    system, allowed = system_of([scene.shelf]), Limits(state_free_mib_min=0)
    plan = plan_of(system, (experiment_on(system, scene.shelf.name, duration_s=50),))
    save_system(system, scene.directory / "system.yaml")
    files.save(plan, scene.directory / "plan.json")
    files.save(approve(scene.home, plan, allowed), scene.directory / "plan.approval.json")
    (scene.directory / "limits.toml").write_text("state_free_mib_min = 0\n", encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "planner.cli.main", "run"],
        cwd=scene.directory,
        env={**os.environ, "MURPHY_HOME": str(scene.home.path), "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        try:
            until(lambda: run.poll() is not None or scene.shelf.stopped(), within_s=120, what="no fault was made")
            assert scene.shelf.stopped(), run.communicate()
            reserve.give_up(scene.home.journal)
            with closing(sqlite3.connect(scene.home.journal, isolation_level=None)) as db:
                db.execute("BEGIN IMMEDIATE")  # else a log that has grown before may have room for the last words
                disk.befall()
                _, said = run.communicate(timeout=120)
                db.execute("ROLLBACK")
        finally:
            run.kill()
    assert run.returncode == 4, said
    assert "every fault is undone, but the journal holds 1 as owed" in said, said
    assert not scene.shelf.stopped()
    disk.mend()
    recovered(scene)


def looking_changes_nothing(scene: Scene, disk: Trouble) -> None:
    """The trail is read and checked on a disk that can only be read."""
    journal = Journal(scene.home.journal)
    journal.note("tester", "noted")
    journal.close()
    disk.befall()
    for arguments in (("audit", "verify"), ("audit", "show"), ("audit", "export")):
        done = murphy(scene, *arguments)
        assert done.returncode == 0, done
    disk.mend()


CHECKS: dict[str, tuple[Callable[[Scene, Trouble], None], type[Trouble]]] = {
    check.__name__: (check, disk)
    for check, disk in (
        (recover_on_a_full_disk, DiskFull),
        (recover_on_a_disk_that_can_only_be_read, DiskReadOnly),
        (a_run_under_way, DiskFull),
        (a_run_under_way_with_the_reserve, DiskFull),
        (halt_on_a_full_disk, DiskFull),
        (halt_on_a_disk_that_can_only_be_read, DiskReadOnly),
        (murphy_run_says_what_is_owed, DiskFull),
        (looking_changes_nothing, DiskReadOnly),
    )
}


def main() -> int:
    check, kind = CHECKS[sys.argv[1]]
    if why_not := own_mounts():
        print(why_not)
        return CANNOT
    disk = kind(None, Path(sys.argv[2]))
    disk.prepare()
    try:
        with scenes_at(disk.disk) as (scene,):
            try:
                check(scene, disk)
            finally:
                disk.mend()
    finally:
        disk.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
