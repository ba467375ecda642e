from __future__ import annotations

import multiprocessing
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from executor.clock import boottime, own_ticks
from executor.errors import SafetyRefusalError, UnavailableError
from executor.state import journal as module
from executor.state import rows
from executor.state.home import Home
from executor.state.journal import Journal, RunRow
from tests.executor.injections import REACH, admit, arm


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.db")
    yield made
    made.close()


def test_an_approval_is_consumed_with_the_run_and_only_once(journal: Journal) -> None:
    assert journal.used("n1") == ()
    admit(journal, "run-1", "n1")
    assert journal.used("n1") == ("run-1",)
    with pytest.raises(SafetyRefusalError, match="used by run-1"):
        admit(journal, "run-2", "n1")
    assert [row.run for row in journal.running()] == ["run-1"]


def test_an_approval_for_many_runs_is_consumed_use_by_use(journal: Journal) -> None:
    admit(journal, "run-1", "n1", uses=3)
    admit(journal, "run-1-3", "n1", uses=3, use=3)
    assert journal.used("n1") == ("run-1", "run-1-3")
    for use in (3, 4, 0):
        with pytest.raises(SafetyRefusalError, match=r"refused by uses: .*used by run-1, run-1-3, .*3 runs"):
            admit(journal, "run-4", "n1", uses=3, use=use)
    assert journal.used("n1") == ("run-1", "run-1-3")
    assert [row.run for row in journal.running()] == ["run-1", "run-1-3"]


def test_a_use_that_was_never_granted_is_refused(journal: Journal) -> None:
    with pytest.raises(SafetyRefusalError, match="refused by single use: use 2 of the approval"):
        admit(journal, use=2)
    assert journal.used("run-1") == ()


def test_many_reverts_are_noted_in_one_step(journal: Journal) -> None:
    admit(journal)
    numbers = [arm(journal, f"m{n}").id for n in range(3)]
    journal.reverted(numbers[0], by="watchdog", verified=True)
    journal.reverted_all(numbers, by="executor", verified=True)
    assert journal.pending() == []
    assert [[i.id for i in journal.reverted_by("run-1", who)] for who in ("watchdog", "executor")] == [
        numbers[:1],
        numbers[1:],
    ]


def test_a_check_that_refuses_leaves_the_approval_as_it_was(journal: Journal) -> None:
    admit(journal, "run-1")
    seen: list[list[RunRow]] = []

    def refuse(rows: list[RunRow]) -> None:
        seen.append(rows)
        raise SafetyRefusalError("concurrent runs", measured="one", limit="one", hint="Wait.")

    with pytest.raises(SafetyRefusalError):
        admit(journal, "run-2", check=refuse)
    assert [[row.run for row in rows] for rows in seen] == [["run-1"]]
    assert seen[0][0].alive
    assert seen[0][0].reach == REACH
    assert journal.used("run-2") == ()


def _try(path: str, gate: Any, results: Any) -> None:
    journal = Journal(Path(path))
    gate.wait()
    try:
        admit(journal, f"run-{os.getpid()}", "same")
    except SafetyRefusalError:
        results.put(0)
    else:
        results.put(1)
    journal.close()


def test_of_many_processes_with_one_approval_exactly_one_begins(tmp_path: Path) -> None:
    path = str(tmp_path / "journal.db")
    Journal(Path(path)).close()
    spawn = multiprocessing.get_context("spawn")
    gate, results = spawn.Barrier(4), spawn.Queue()
    processes = [spawn.Process(target=_try, args=(path, gate, results)) for _ in range(4)]
    for process in processes:
        process.start()
    begun = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)
    assert sorted(begun) == [0, 0, 0, 1]


def test_a_run_ends_once(journal: Journal) -> None:
    admit(journal)
    mine = (os.getpid(), own_ticks())
    assert journal.state_of("run-0", *mine) == "awaited"
    assert journal.state_of("run-1", *mine) == "running"
    assert journal.state_of("run-1", os.getpid(), own_ticks() + 1) == "foreign"
    assert journal.finish("run-1", "completed")
    assert not journal.finish("run-1", "interrupted", who="watchdog")
    assert journal.state_of("run-1", *mine) == "ended"
    assert journal.running() == []


def test_an_injection_goes_through_its_states(journal: Journal) -> None:
    admit(journal)
    armed = arm(journal)
    assert (armed.state, armed.lapsed) == ("armed", False)
    assert journal.injected(armed.id, {"pid": 1, "helper": 7})
    assert journal.injection(armed.id).record == {"pid": 1, "helper": 7}
    journal.owe(armed.id, "no way", by="executor")
    assert [(i.state, i.error) for i in journal.pending("run-1")] == [("owed", "no way")]
    journal.reverted(armed.id, by="recover", verified=True)
    assert journal.pending() == []
    assert [i.id for i in journal.reverted_by("run-1", "recover")] == [armed.id]


def test_a_lapsed_lease_is_not_revived_and_fences_the_injection(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    admit(journal)
    slow, quick = arm(journal, "m1", lease_s=1), arm(journal, "m2", lease_s=100)
    later = boottime() + 10
    for place in (module, rows):
        monkeypatch.setattr(place, "boottime", lambda: later)
    assert journal.renew("run-1", 50) == 1
    assert journal.injection(slow.id).lapsed
    assert journal.injection(quick.id).expires == later + 50
    assert not journal.injected(slow.id, {"helper": 7})
    assert journal.injection(slow.id).record == {"helper": 7}  # still needed to undo it


def test_a_lease_that_no_limits_allow_was_forged_and_has_lapsed(journal: Journal) -> None:
    """A row is no reason to leave a fault where it is, however far off its lease ends."""
    admit(journal)
    armed = arm(journal, lease_s=rows.LEASE_S_MAX)
    assert not journal.injection(armed.id).lapsed
    with journal.store.write() as db:
        db.execute("UPDATE injections SET expires = ?", (boottime() + 10 * rows.LEASE_S_MAX,))
    assert journal.injection(armed.id).lapsed


def test_an_injection_that_was_undone_before_it_was_noted_is_to_be_undone_again(journal: Journal) -> None:
    admit(journal)
    armed = arm(journal)
    journal.reverted(armed.id, by="watchdog", verified=True)
    assert not journal.injected(armed.id, {"helper": 7})
    assert [i.id for i in journal.pending("run-1")] == [armed.id]


def test_another_boot_has_ended_every_lease_and_every_run(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    admit(journal)
    armed = arm(journal)
    monkeypatch.setattr(rows, "whereabouts", lambda _place: "gone")
    assert journal.injection(armed.id).lapsed
    assert not journal.running()[0].alive


def test_a_record_that_is_not_json_is_refused_before_anything_is_written(journal: Journal) -> None:
    admit(journal)
    with pytest.raises(ValueError, match="JSON"):
        journal.arm(
            "run-1",
            experiment="e1",
            trial=1,
            action="a1",
            kind="service.hang",
            subject="base-1",
            mark="m1",
            record={"bad": float("nan")},
            lease_s=1,
        )
    assert journal.pending() == []


def test_threads_share_a_journal(journal: Journal) -> None:
    admit(journal)
    threads = [threading.Thread(target=arm, args=(journal, f"m{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(journal.pending("run-1")) == 8


class Leases(RuleBasedStateMachine):
    """Whatever happens in whatever order, what was armed and not reverted is pending, and only live leases grow."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.journal = Journal(Path(self.directory.name) / "journal.db")
        self.now = 1000.0
        self.expires: dict[int, float] = {}
        self.states: dict[int, str] = {}
        self._real = module.boottime
        module.boottime = lambda: self.now

    @initialize()
    def begin(self) -> None:
        admit(self.journal)

    @rule(lease_s=st.floats(1, 20))
    def arm(self, lease_s: float) -> None:
        made = arm(self.journal, f"m{len(self.states)}", lease_s=lease_s)
        self.states[made.id], self.expires[made.id] = "armed", self.now + lease_s

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(lease_s=st.floats(1, 20))
    def renew(self, lease_s: float) -> None:
        live = [n for n, state in self.states.items() if state in ("armed", "injected") and self.expires[n] > self.now]
        assert self.journal.renew("run-1", lease_s) == len(live)
        self.expires.update(dict.fromkeys(live, self.now + lease_s))

    @rule(data=st.data(), what=st.sampled_from(["injected", "reverted", "owe"]))
    def move(self, data: st.DataObject, what: str) -> None:
        if not self.states:
            return
        number = data.draw(st.sampled_from(sorted(self.states)))
        if what == "injected":
            live = self.states[number] == "armed" and self.expires[number] > self.now
            assert self.journal.injected(number, {}) is live
            self.states[number] = "injected" if live else "armed"
        elif what == "reverted":
            self.journal.reverted(number, by="executor", verified=True)
            self.states[number] = "reverted"
        else:
            self.journal.owe(number, "failed", by="executor")
            self.states[number] = "owed"

    @invariant()
    def agrees(self) -> None:
        pending = {i.id: i.state for i in self.journal.pending("run-1")}
        assert pending == {n: state for n, state in self.states.items() if state != "reverted"}
        assert self.journal.altered() == ""

    def teardown(self) -> None:
        module.boottime = self._real
        self.journal.close()
        self.directory.cleanup()


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=12, stateful_step_count=25)


def test_one_without_its_identity_is_nobodys(home: Home) -> None:
    with closing(Journal(home.journal)) as journal:
        with journal.store.write() as db:
            db.execute("DELETE FROM meta")
        with pytest.raises(UnavailableError, match="lost what tells it from others"):
            _ = journal.installation
