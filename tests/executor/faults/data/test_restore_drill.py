"""What a drill finds: how long, how old, how much is lost, and that a bad backup is bad."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from executor.errors import UnavailableError
from executor.faults.behaviour import Context, Telling
from executor.faults.registry import behaviour
from executor.kernel import child, process
from executor.model.evidence import EventKind
from executor.model.faults.data import RestoreDrill
from executor.model.probe import Check, TcpProbe
from executor.model.system import Service, System
from executor.run.engine import run
from executor.state.home import Home
from tests.executor.faults.cases import Bench
from tests.executor.faults.cases.drill import INVARIANTS, NEWER, Drill, copies
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, until

HOW = behaviour("data.restore_drill")
TABLES = ("sold", "goods")


@pytest.fixture
def drill(bench: Bench, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Drill]:
    made = Drill(bench.postgres(), tmp_path, getattr(request, "param", "custom"))
    yield made
    made.close()
    assert copies() == []


def carried_out(drill: Drill, path: Path, fault: RestoreDrill | None = None, **backup: Any) -> dict[str, Any]:
    """The record once the drill is over, and what it told."""
    target = drill.resolved()
    assert target.service.backup is not None
    altered = {**dict(target.service), "backup": {**dict(target.service.backup), **backup}}
    target = replace(target, service=Service.model_validate(altered))
    scratch = path / "scratch"
    scratch.mkdir(mode=0o700, parents=True)
    context = Context(drill.system, f"murphy-drill-{os.getpid()}-1", str(scratch))
    record = HOW.prepare(fault or RestoreDrill(tables=TABLES), target, context)
    try:
        record |= HOW.inject(record, 60)
        assert isinstance(HOW, Telling)
        return record | {"told": HOW.tells(record)}
    finally:
        HOW.revert(record)
        assert list(scratch.iterdir()) == []


def test_what_is_measured(drill: Drill, tmp_path: Path) -> None:
    """No table is named, so all are compared; the archive has not all of them."""
    found = carried_out(drill, tmp_path, RestoreDrill())
    assert found["restored"] is True
    assert 0 < found["rto_s"] < 60
    assert 0 < found["rpo_s"] < 600
    missing = found["tables_missing"]
    assert "public.others" in missing
    assert "public.sold" not in missing
    assert found["tables_equal"] == found["tables_compared"] - len(missing) - 1
    assert found["rows_lost"] >= NEWER + 20
    assert found["invariants_broken"] == list(INVARIANTS[1:])
    assert f"{found['rows_lost']} rows lost, 2 invariants broken" in found["told"]


def test_rows_of_partitions_and_heirs_are_counted_once(drill: Drill, tmp_path: Path) -> None:
    with psycopg.connect(drill.server.url(), autocommit=True) as shop:
        shop.execute("CREATE TABLE years (n int) PARTITION BY RANGE (n); CREATE TABLE heir () INHERITS (sold)")
        shop.execute("CREATE TABLE year PARTITION OF years FOR VALUES FROM (0) TO (100)")
        try:
            before = carried_out(drill, tmp_path / "before", RestoreDrill())["rows_lost"]
            shop.execute("INSERT INTO years SELECT generate_series(1, 7); INSERT INTO heir VALUES (1000, 'heir')")
            found = carried_out(drill, tmp_path / "after", RestoreDrill())
            assert found["rows_lost"] == before + 8
            assert "public.years" not in found["tables_missing"]
            assert carried_out(drill, tmp_path / "named", RestoreDrill(tables=("years",)))["rows_lost"] == 7
        finally:
            shop.execute("DROP TABLE years, heir")


def test_names_mean_in_the_copy_what_they_mean_in_the_database(drill: Drill, tmp_path: Path) -> None:
    """To a role that looks in a schema of its own: and a table with capital letters, beside one without, is itself."""
    invariant = "SELECT count(*) = 2 FROM things"
    with psycopg.connect(drill.server.url("postgres"), autocommit=True) as owner:
        owner.execute("CREATE SCHEMA app AUTHORIZATION shop; ALTER ROLE shop SET search_path = app, public")
        try:
            with psycopg.connect(drill.server.url()) as shop:
                shop.execute('CREATE TABLE things AS SELECT generate_series(1, 2) n; CREATE TABLE "Sold" (n int)')
            dump = [str(drill.server.programs / "bin" / "pg_dump"), "-Fc", "-d", drill.server.url()]
            subprocess.run([*dump, "-n", "app", "-f", str(drill.archive)], check=True)
            with psycopg.connect(drill.server.url()) as shop:
                shop.execute('INSERT INTO "Sold" VALUES (1), (2), (3)')
            found = carried_out(drill, tmp_path, RestoreDrill(tables=("things", "Sold")), invariants=(invariant,))
        finally:
            owner.execute("ALTER ROLE shop RESET search_path; DROP SCHEMA app CASCADE")
    assert (found["tables_missing"], found["invariants_broken"]) == ([], [])
    assert (found["tables_equal"], found["rows_lost"]) == (1, 3)


def test_a_backup_that_is_damaged_is_what_the_drill_finds(drill: Drill, tmp_path: Path) -> None:
    whole = drill.archive.read_bytes()
    drill.archive.write_bytes(whole[: len(whole) // 2])
    found = carried_out(drill, tmp_path)
    assert found["restored"] is False
    assert "end of file" in found["why"]
    assert found["told"].startswith("the backup cannot be restored: pg_restore: ended with status 1")


@pytest.mark.slow
def test_one_that_takes_too_long_is_given_up(drill: Drill, tmp_path: Path) -> None:
    found = carried_out(drill, tmp_path, RestoreDrill(tables=TABLES, within_s=8), restore_command=("sleep", "60"))
    assert found["restored"] is False
    assert "it took too long" in found["why"]


def test_a_helper_that_is_killed_takes_its_server_with_it(drill: Drill, tmp_path: Path) -> None:
    context = Context(drill.system, "murphy-drill-killed", str(tmp_path))
    record = HOW.prepare(RestoreDrill(tables=TABLES), drill.resolved(), context)
    HOW.inject(record, 60)
    (helper,) = child.living(Path(record["deadline"]))
    data = str(Path(record["directory"]) / "data")
    assert any(data in process.command_line(pid) for pid in process.pids())
    process.send(helper.pid, helper.start_ticks, signal.SIGKILL)
    until(lambda: not any(data in process.command_line(pid) for pid in process.pids()))
    assert HOW.active(record) is False
    HOW.revert(record)
    assert not Path(record["directory"]).exists()


def test_somebody_elses_directory_is_not_taken(drill: Drill, tmp_path: Path) -> None:
    context = Context(drill.system, "murphy-drill-taken", str(tmp_path))
    record = HOW.prepare(RestoreDrill(tables=TABLES), drill.resolved(), context)
    place = Path(record["directory"])
    place.mkdir()
    try:
        with pytest.raises(UnavailableError, match="File exists"):
            HOW.inject(record, 60)
    finally:
        HOW.revert(record)
    assert not place.exists()


@pytest.mark.parametrize("drill", ["plain"], indirect=True)
def test_what_it_measured_is_on_the_time_line_of_the_run(drill: Drill, tmp_path: Path) -> None:
    """Of a script here, which is restored by a command of the operator's own."""
    (plain,) = drill.system.services
    assert plain.backup is not None
    command = ("/bin/sh", "-c", f'exec {drill.server.programs}/bin/psql -v ON_ERROR_STOP=1 -qXf "$MURPHY_BACKUP"')
    backup = {**dict(plain.backup), "restore_command": command}
    check = Check(id="postgres", service="postgres", probe=TcpProbe(port=drill.server.port), rate_hz=20)
    database = Service.model_validate({**dict(plain), "operations": (check,), "backup": backup})
    system = System(name="shop", services=(database,))
    home = Home.open(tmp_path / "home")
    experiment = experiment_on(system, "postgres", RestoreDrill(tables=TABLES))
    plan = plan_of(system, (experiment,))
    evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
    assert (evidence.outcome, evidence.results[0].aborted, evidence.owed) == ("completed", "", ())
    (measured,) = [event for event in evidence.timeline if event.kind is EventKind.MEASURED]
    assert measured.action == "a1"
    assert "(RTO)" in measured.detail
    assert f"1 of 2 tables as they are, {NEWER} rows lost" in measured.detail


@pytest.mark.parametrize("drill", ["plain"], indirect=True)
def test_a_script_is_restored_by_psql_if_nobody_says_otherwise(drill: Drill) -> None:
    context = Context(drill.system, "murphy-drill-0", "/nonexistent")
    record = HOW.prepare(RestoreDrill(tables=TABLES), drill.resolved(), context)
    assert record["command"][0] == "psql"


def test_what_is_not_drilled_is_said(drill: Drill, tmp_path: Path) -> None:
    target = drill.resolved()

    def why(fault: RestoreDrill | None = None, **fields: Any) -> str:
        altered = Service.model_validate({**dict(target.service), **fields})
        return HOW.unsupported(fault or RestoreDrill(), replace(target, service=altered)) or ""

    other = tmp_path / "other"
    other.write_bytes(b"something else")
    assert "has no backup" in why(backup=None)
    own = tmp_path / "own"
    dump = [str(drill.server.programs / "bin" / "pg_dump"), "-C", "-s", "-d", drill.server.url(), "-f", str(own)]
    subprocess.run(dump, check=True)
    assert "goes into a database of its own" in why(backup={"path": str(own), "verify_command": ("true",)})
    assert "is nothing that pg_dump wrote" in why(backup={"path": str(other), "verify_command": ("true",)})
    assert "holds no backup" in why(backup={"path": str(tmp_path / "nowhere"), "verify_command": ("true",)})
    assert "has no table nowhere" in why(RestoreDrill(tables=("nowhere",)))
