"""What was refused stays on record, and a journal that was tampered with is itself a reason to refuse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from executor.errors import MurphyError, SafetyRefusalError, UnavailableError
from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.model.system import System
from executor.run.engine import run
from executor.safety.halt import halt, halted, resume
from executor.safety.limits import Limits
from executor.state import audit, undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.recover import recover
from tests.executor.injections import admit, arm
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, shelves, system_of


@pytest.fixture(scope="module")
def shelf() -> Iterator[Shelf]:
    with shelves("base") as (made,):
        yield made


@pytest.fixture
def approved(home: Home, shelf: Shelf) -> tuple[Plan, Approval, System]:
    system = system_of([shelf])
    plan = plan_of(system, (experiment_on(system, "base", duration_s=0.5),))
    return plan, approve(home, plan), system


def refused(home: Home, approved: tuple[Plan, Approval, System], limits: Limits = LIMITS) -> MurphyError:
    plan, approval, system = approved
    with pytest.raises(MurphyError) as no:
        run(plan, approval, system=system, limits=limits, home=home)
    return no.value


def test_every_refusal_is_a_row_with_its_rule_what_was_measured_and_the_limit(
    home: Home, approved: tuple[Plan, Approval, System], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, approval, _system = approved
    halt(home, "a drill", by="alice")
    refused(home, approved)
    resume(home, by="alice")
    refused(home, approved, Limits(lease_s=4))
    monkeypatch.setattr("executor.undo.guardian.sys.executable", "/bin/false")
    assert isinstance(refused(home, approved), UnavailableError)
    rows = [row for row in audit.entries(home) if row.what == "refused"]
    common = {"plan": digest(plan), "nonce": approval.grant.nonce, "proposer": "tester", "approver": "operator"}
    assert all(common.items() <= row.detail.items() and row.who == "preflight" for row in rows)
    assert [row.detail["rule"] for row in rows] == ["halt", "approved limits", "means"]
    assert "alice halted everything (a drill" in rows[0].detail["measured"]
    assert rows[0].detail["limit"] == "no run until it is resumed"
    assert rows[2].detail["measured"] == "the watchdog did not start, so nothing is injected."
    assert audit.verify(home).intact


def test_an_emptied_journal_refuses_to_run_and_stops_neither_halt_nor_recover(
    home: Home, approved: tuple[Plan, Approval, System]
) -> None:
    halt(home, "so that something was written", by="alice")
    resume(home, by="alice")
    home.journal.write_bytes(b"")
    refusal = refused(home, approved)
    assert isinstance(refusal, SafetyRefusalError)
    assert (refusal.rule, refusal.measured) == ("audit trail", "the audit trail has 0 rows, and 3 were written")
    assert "move the journal away" in refusal.hint
    assert halt(home, "to be sure", by="bob") == halted(home)
    assert recover(home) == []
    assert refused(home, approved).message.startswith("refused by audit trail")


@pytest.mark.parametrize("damaged", [False, True], ids=["cannot be undone", "cannot be read"])
def test_what_only_a_note_says_is_owed_too(
    home: Home, approved: tuple[Plan, Approval, System], tmp_path: Path, damaged: bool
) -> None:
    """As after a journal that was moved away: the new one knows nothing of it."""
    with closing(Journal(tmp_path / "lost.db")) as lost:
        admit(lost)
        one = arm(lost, kind="service.unknown", lease_s=0.0)
    home.run_dir(one.run)
    undo_notes.keep(home, one, one.record)
    if damaged:
        (home.run_dir(one.run) / "undo-m1.json").write_text("{", encoding="utf-8")
    no = refused(home, approved)
    assert isinstance(no, SafetyRefusalError)
    assert no.rule == "nothing owed"
    assert ("cannot be read" in no.measured) is damaged
