"""The shop itself: opens, keeps its promises, restarts what ends, says what is wrong with it, and leaves nothing."""

from __future__ import annotations

import json
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
import yaml

from executor.model.probe import Check, DetectionSignal
from executor.model.vocabulary import Weakness
from executor.probes.answer import Answer
from executor.probes.ask import ask, open_client
from tests.system.shops import ENDED_S, SHOP, end_shop, read_state, start_shop

FLEET = runpy.run_path(str(SHOP / "fleet.py"))
processes_of = runpy.run_path(str(SHOP / "sweeper.py"))["processes_of"]
SERVICES = {member.service for member in FLEET["FLEET"]}
EDGES = {*FLEET["edges"](), ("catalog-lb", "catalog"), ("payment-lb", "payment")}


def annotated(shop: dict[str, Any]) -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load(Path(shop["annotations"]).read_text(encoding="utf-8"))["services"]
    return services


def checks(shop: dict[str, Any]) -> list[Check]:
    given = [item for service in annotated(shop).values() for item in service.get("operations", ())]
    return [Check.model_validate_json(json.dumps(item)) for item in given]


def signals(shop: dict[str, Any]) -> list[DetectionSignal]:
    given = [item for service in annotated(shop).values() for item in service.get("signals", ())]
    return [DetectionSignal.model_validate_json(json.dumps(item)) for item in given]


def answers(asked: list[Check] | list[DetectionSignal], times: int = 1) -> dict[str, list[Answer]]:
    async def ask_all() -> dict[str, list[Answer]]:
        async with open_client() as client:
            return {each.id: [await ask(each.probe, client) for _ in range(times)] for each in asked}

    return anyio.run(ask_all)


def until(condition: Callable[[], bool], what: str, deadline_s: float = 60) -> None:
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"waited {deadline_s} s for {what}"
        time.sleep(0.05)


def all_well(shop: dict[str, Any]) -> bool:
    return all(each.ok for given in answers(checks(shop)).values() for each in given)


def pid_of(shop: dict[str, Any], name: str) -> int:
    pid: int = read_state(shop["run_dir"])["processes"][name]["pid"]
    return pid


def test_every_operation_answers_as_promised(shop: dict[str, Any]) -> None:
    until(lambda: all_well(shop), "all operations")
    bad = {name: [a.error for a in given if not a.ok] for name, given in answers(checks(shop), times=5).items()}

    assert len(bad) >= 14
    assert not any(bad.values()), bad


def test_every_signal_says_well(shop: dict[str, Any]) -> None:
    until(lambda: all(each.ok for given in answers(signals(shop)).values() for each in given), "all signals")


def test_orders_leave_their_traces_in_the_database(shop: dict[str, Any]) -> None:
    with psycopg.connect(shop["environment"]["SHOP_DATABASE_URL"]) as connection:
        [(before,)] = connection.execute("SELECT count(*) FROM payments").fetchall()
        order = next(check for check in checks(shop) if check.id == "place-order")
        assert answers([order])["place-order"][0].ok
        [(after,)] = connection.execute("SELECT count(*) FROM payments").fetchall()

    assert after == before + 1


def test_the_annotations_speak_of_this_shop(shop: dict[str, Any]) -> None:
    with psycopg.connect(shop["environment"]["SHOP_DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    tables = {row[0] for row in rows}
    ports = {process["port"] for process in shop["processes"].values()}

    assert set(annotated(shop)) == SERVICES
    assert set(annotated(shop)["postgres"]["tables"]) == tables
    for check in checks(shop):
        assert set(check.tables) <= tables, check.id
        assert set(check.needs or ()) <= SERVICES, check.id
    named = re.findall(r"127\.0\.0\.1:(\d+)", Path(shop["annotations"]).read_text(encoding="utf-8"))
    assert {int(port) for port in named} <= ports


def test_weaknesses_are_named_in_the_common_words_at_places_that_exist() -> None:
    said = yaml.safe_load((SHOP / "weaknesses.yaml").read_text(encoding="utf-8"))
    pairs = {key: [(item["weakness"], item["place"]) for item in said[key]] for key in ("weak", "tolerant")}
    both = pairs["weak"] + pairs["tolerant"]
    places = SERVICES | {f"{caller}->{callee}" for caller, callee in EDGES}

    assert len(both) == len(set(both))
    assert {weakness for weakness, _ in both} <= {weakness.value for weakness in Weakness}
    assert {place for _, place in both} == places
    assert len({weakness for weakness, _ in pairs["weak"]}) >= 8
    people = (SHOP / "WEAKNESSES.md").read_text(encoding="utf-8")
    assert all(f"`{weakness}`" in people for weakness, _ in both)


@pytest.mark.parametrize("name", ["catalog-1", "payment-lb", "redis"])
def test_what_ends_is_started_again(shop: dict[str, Any], name: str) -> None:
    pid = pid_of(shop, name)
    os.kill(pid, signal.SIGKILL)

    until(lambda: pid_of(shop, name) != pid, f"{name} to be started again")
    until(lambda: all_well(shop), "all to be well again")


def test_inventory_is_started_again_when_it_stays_unwell(shop: dict[str, Any]) -> None:
    postgres, inventory = pid_of(shop, "postgres"), pid_of(shop, "inventory")
    os.kill(postgres, signal.SIGKILL)  # takes inventory's connections along, and inventory makes no others

    until(lambda: pid_of(shop, "postgres") != postgres, "the database to be started again")
    until(lambda: pid_of(shop, "inventory") != inventory, "inventory to be started again")
    until(lambda: all_well(shop), "all to be well again")


def test_told_to_end_it_leaves_nothing(shop_directory: Callable[[], Path]) -> None:
    run = shop_directory()
    starter = start_shop(run, "--no-proxy")
    assert len(processes_of(run)) >= len(FLEET["FLEET"])

    assert end_shop(starter) == ""
    assert starter.returncode == 0
    assert processes_of(run) == []
    assert not run.exists()


def test_killed_with_a_service_standing_still_it_leaves_nothing(shop_directory: Callable[[], Path]) -> None:
    run = shop_directory()
    starter = start_shop(run, "--no-proxy")
    os.kill(read_state(run)["processes"]["cart"]["pid"], signal.SIGSTOP)
    starter.kill()
    starter.communicate(timeout=ENDED_S)

    until(lambda: not run.exists() and processes_of(run) == [], "everything to be gone")


def test_a_taken_port_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        base = taken.getsockname()[1]
        argv = [sys.executable, str(SHOP / "start.py"), "--base-port", str(base), "--run-dir", str(tmp_path / "run")]
        ended = subprocess.run(argv, capture_output=True, text=True, timeout=ENDED_S, check=False)

    assert ended.returncode == 1
    assert ended.stderr == f"The shop cannot start: port {base} is in use; choose another --base-port\n"
    assert not (tmp_path / "run").exists()
