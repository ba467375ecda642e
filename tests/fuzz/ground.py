"""A home with everything in it that a home can have, for files of it to be spoilt."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.evidence import Evidence
from executor.model.plan import Plan
from executor.model.system import System
from executor.run.record import versions, write_atomically
from executor.run.rejudge import FILE, Trials
from executor.safety.mandate import Policy
from executor.safety.policy import sign_policy
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Injection, Journal, Reach
from knowledge.ledger import Ledger
from planner.shelf import Shelf
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of
from tests.executor.measure.records import BACK, STARTED, STEADY, dead, experiment, judged, keep, observations, trial
from tests.planner.systems import bazaar

NOW = datetime.now(UTC)
RUN = "run-000000000000"
MARK = "murphy-1"
REACH = Reach(1, 1, 1, ("sleeper-1",))


@dataclass(frozen=True)
class Ground:
    """A home with everything in it, a system whose target is a process of the test, and an approved plan for it."""

    home: Home
    system: System
    plan: Plan
    approval: Approval


def lay_out(directory: Path, system: System) -> Ground:
    """All the files of a home, as they are after a run."""
    home = Home.open(directory / "home")
    plan = plan_of(system, (experiment_on(system, "sleeper"),))
    approval = approve(home, plan)
    ends = NOW.replace(year=NOW.year + 1)
    policy = Policy(name="drills", systems=(system.name,), allowed_faults=("*",), valid_until=ends)
    sign_policy(home, policy, "operator")
    with closing(Journal(home.journal)) as journal:
        journal.note("operator", "tested", detail="ä")
    _past_run(home)
    return Ground(home, system, plan, approval)


def _past_run(home: Home) -> None:
    asked = experiment(STEADY, BACK)
    seen = observations("front", dead)
    record = trial(seen)
    system = bazaar()
    plan = plan_of(system, (asked,))
    directory = home.run_dir(RUN)
    evidence = Evidence(
        run=RUN,
        plan_id=plan.id,
        plan_digest=digest(plan),
        limits_digest=digest(LIMITS),
        system_digest=plan.system_digest,
        environment=plan.environment,
        approver="operator",
        started=STARTED,
        duration_s=12,
        outcome="completed",
        timeline=(),
        targets=(),
        results=(judged(asked, record).result(asked, 1, ()),),
        observation_count=len(seen),
        versions=versions(),
        cost={},
    )
    trials = Trials(by_experiment={"e1": (record.trial,)})
    for name, value in (("plan.json", plan), ("evidence.json", evidence), (FILE, trials)):
        write_atomically(directory / name, value)
    keep(directory, seen)
    with Ledger.open(home) as ledger:
        ledger.record(plan, evidence, (), system)
    with closing(Shelf(home.sessions)) as shelf:
        shelf.new("plan")


def left_by_the_dead(path: Path) -> bytes:
    """A journal with a fault of a run that has died: its revert would wake a process that is not there."""
    path.parent.mkdir(exist_ok=True)
    for old in path.parent.glob("journal.db*"):
        old.unlink()
    with closing(Journal(path)) as journal:
        journal._boot, here = "of then", journal._boot
        asked = {"plan_digest": "p", "environment": "development", "reach": REACH, "detail": {}}
        journal.admit(RUN, nonce="1" * 32, check=lambda _rows: None, **asked)  # type: ignore[arg-type]
        journal._boot = here
        _armed(journal)
        journal.store.read("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def note(home: Home) -> bytes:
    """What is noted beside the journal of such a fault."""
    home.run_dir(RUN)
    path = home.path / "third" / "journal.db"
    left_by_the_dead(path)
    with closing(Journal(path)) as journal:
        (injection,) = journal.pending()
    undo_notes.keep(home, injection, injection.record)
    return note_file(home).read_bytes()


def note_file(home: Home) -> Path:
    return home.runs / RUN / f"undo-{MARK}.json"


def _armed(journal: Journal) -> Injection:
    return journal.arm(
        RUN,
        experiment="e1",
        trial=1,
        action="a1",
        kind="service.hang",
        subject="sleeper-1",
        mark=MARK,
        record={"members": [[os.getpid(), 1]], "pid": os.getpid(), "ticks": 1},
        lease_s=0.0,
    )
