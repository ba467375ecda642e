"""The ledger on a real SQLite file."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from executor.errors import UnavailableError
from executor.model.faults.network import Latency
from executor.model.vocabulary import Verdict, Weakness
from executor.state.home import Home
from knowledge.findings import findings
from knowledge.ledger import Ledger
from tests.knowledge.runs import MORNING, Case, evidence_of, plan_of, small_system

CASES = (
    Case(Verdict.BREAKS, availability=0.08),
    Case(Verdict.HOLDS, place="front->side", fault=Latency(delay_ms=3000), by=(("historian", 0.3),)),
)


def record(ledger: Ledger, run: str = "run-1", *, system_name: str = "store", days: int = 0) -> bool:
    system = small_system(system_name)
    plan = plan_of(CASES, system)
    evidence = evidence_of(CASES, plan, run, MORNING + timedelta(days=days))
    return ledger.record(plan, evidence, findings(plan, evidence, system), system)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


def test_a_run_comes_back_as_it_went_in(home: Home):
    with Ledger.open(home) as ledger:
        assert record(ledger)
    with Ledger.open(home) as ledger:
        (run,) = ledger.runs()
        assert (run.run, run.system, run.started, run.outcome) == ("run-1", "store", MORNING, "completed")
        broke, held = ledger.past()
        assert (broke.verdict, broke.weakness, broke.place) == (Verdict.BREAKS, Weakness.HARD_DEPENDENCY, "front->back")
        assert broke.fault == "service.error"
        assert broke.fault_types == ("server_error",)
        assert broke.features.caller_technology == "flask"
        assert (broke.features.role, broke.features.fan_in, broke.features.fan_out) == ("middle", 1, 1)
        assert (held.fault, held.fault_types) == ("network.latency delay_ms=3000", ("slow",))
        assert held.at == MORNING
        assert [(p.expert, p.probability, p.verdict) for p in ledger.predictions()] == [
            ("historian", 0.2, Verdict.BREAKS),
            ("network-engineer", 0.6, Verdict.BREAKS),
            ("historian", 0.3, Verdict.HOLDS),
        ]
        (found,) = ledger.findings()
        assert (found.run, found.place) == ("run-1", "front->back")


def test_a_run_is_recorded_once(home: Home):
    with Ledger.open(home) as ledger:
        assert record(ledger)
        assert not record(ledger)
        assert len(ledger.runs()) == 1
        assert len(ledger.past()) == 2


def test_answers_are_ordered_by_time_and_findings_newest_first(home: Home):
    with Ledger.open(home) as ledger:
        record(ledger, "run-b", days=1)
        record(ledger, "run-a", days=2)
        record(ledger, "run-c", system_name="other", days=0)
        assert [run.run for run in ledger.runs()] == ["run-c", "run-b", "run-a"]
        assert [row.run for row in ledger.past("store")] == ["run-b", "run-b", "run-a", "run-a"]
        assert [found.run for found in ledger.findings()] == ["run-a", "run-b", "run-c"]
        assert [row.hypothesis for row in ledger.past_of("run-a")] == ["h0", "h1"]


def test_a_run_that_cannot_be_kept_whole_is_not_kept_at_all(home: Home):
    with Ledger.open(home) as ledger:
        system = small_system()
        plan = plan_of(CASES, system)
        evidence = evidence_of(CASES, plan)
        (found,) = findings(plan, evidence, system)
        with pytest.raises(UnavailableError, match="cannot be used"):
            ledger.record(plan, evidence, (found, found), system)
        assert ledger.runs() == ()
        assert ledger.past() == ()


def test_the_file_is_for_its_owner_only(home: Home):
    with Ledger.open(home) as ledger:
        record(ledger)
        assert stat.S_IMODE(home.ledger.stat().st_mode) == 0o600


def test_a_newer_ledger_is_refused_and_left_alone(home: Home):
    Ledger.open(home).close()
    with sqlite3.connect(home.ledger) as database:
        database.execute("UPDATE schema_version SET version = 99")
    database.close()
    before = home.ledger.read_bytes()
    with pytest.raises(UnavailableError, match="schema version 99"):
        Ledger.open(home)
    assert home.ledger.read_bytes() == before


def test_what_a_run_measured_comes_back(home: Home):
    with Ledger.open(home) as ledger:
        record(ledger)
        record(ledger, "run-2", days=1)
        record(ledger, "run-3", system_name="other")
        found = ledger.measures("store")
        assert list(found) == ["run-1", "run-2"]
        home_check, *_ = found["run-1"]
        assert (home_check.dimension, home_check.service, home_check.of) == ("availability", "front", "home")
        assert (home_check.value, home_check.promised, home_check.critical) == (0.08, 0.95, True)


@pytest.mark.parametrize(("version", "lacking"), [(1, ("measures", "actions")), (2, ("actions",))])
def test_a_ledger_of_an_earlier_version_is_taken_over_with_its_runs(home: Home, version: int, lacking: tuple[str, ...]):
    with Ledger.open(home) as ledger:
        record(ledger)
    with sqlite3.connect(home.ledger) as database:
        for table in lacking:
            database.execute(f"DROP TABLE {table}")
        database.execute("ALTER TABLE results DROP COLUMN exposure")
        database.execute("UPDATE schema_version SET version = ?", (version,))
    database.close()
    with Ledger.open(home) as ledger:
        assert len(ledger.past()) == 2
        assert ledger.measures("store").keys() == {"run-1"}
        assert ledger.actions() == {}
        record(ledger, "run-2", days=1)
        assert ledger.measures("store")["run-2"]
        assert {run for run, _ in ledger.actions()} == {"run-2"}


def test_what_was_done_to_one_system_is_told_alone(home: Home):
    with Ledger.open(home) as ledger:
        record(ledger)
        record(ledger, "run-2", days=1, system_name="other")
        assert {run for run, _ in ledger.actions()} == {"run-1", "run-2"}
        assert ledger.actions("other") == {key: done for key, done in ledger.actions().items() if key[0] == "run-2"}


def test_what_was_done_is_kept_whole_and_what_cannot_be_read_is_left_out(home: Home):
    with Ledger.open(home) as ledger:
        record(ledger)
        before = ledger.actions()
        assert [len(told) for told in before.values()] == [1] * len(before)
    with sqlite3.connect(home.ledger) as database:
        database.execute('UPDATE actions SET action = \'{"fault": {"kind": "of.tomorrow"}}\' WHERE experiment = \'e0\'')
    database.close()
    with Ledger.open(home) as ledger:
        assert ledger.actions() == {key: told for key, told in before.items() if key[1] != "e0"}


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(home: Home):
    home.ledger.write_text("not a database at all, but long enough to be taken for one" * 40, encoding="utf-8")
    with pytest.raises(UnavailableError, match="not a database"):
        Ledger.open(home)
    home.ledger.unlink()
    with sqlite3.connect(home.ledger) as database:
        database.execute("CREATE TABLE recipes (name TEXT)")
    database.close()
    with pytest.raises(UnavailableError, match="some other program"):
        Ledger.open(home)


WRITER = """
import sys
from pathlib import Path
from executor.state.home import Home
from knowledge.ledger import Ledger
from tests.knowledge.test_ledger import record
home = Home.open(Path(sys.argv[1]))
for number in range(20):
    with Ledger.open(home) as ledger:
        record(ledger, f"run-{sys.argv[2]}-{number}")
"""


def test_two_processes_write_at_once_and_both_are_kept(home: Home):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(home.path), name], stderr=subprocess.PIPE)
        for name in ("a", "b")
    ]
    for writer in writers:
        _, error = writer.communicate(timeout=100)
        assert writer.returncode == 0, error.decode()
    with Ledger.open(home) as ledger:
        assert len(ledger.runs()) == 40
        assert len(ledger.past()) == 80
