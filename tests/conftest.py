"""Held for every test: no model is called and nothing beyond this machine is reached."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.executor.faults import table

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
for _name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "MURPHY_HOME"):
    os.environ.pop(_name, None)

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_BETWEEN_NAMESPACES = ipaddress.ip_network("198.18.0.0/15")
"""Kept for tests between networks, and routed by nobody (RFC 2544): for namespaces that a test makes."""


_DATA = ("executor/faults/data/", "executor/faults/test_data_crash.py")
_BEYOND = re.compile(r"\[infrastructure\.|-(container|pod|vm|ec2|ssh)\b")
_LONG = (
    *("planner/test_resume.py", "planner/cli/test_main.py", "planner/doctor/test_means.py", "fuzz/test_commands.py"),
    *("executor/state/test_store.py", "executor/safety/test_settle.py", "executor/safety/test_neighbours.py"),
)
"""Long ones whose tests share nothing: each may be in another process, so that none is waited for at the end."""
_HOST = ("bench/", "crash/", "executor/selftest/", "executor/undo/")


_KIN = (
    "bench/gym/test_plants.py::test_a_clean_twin_never_breaks",
    "bench/gym/test_loop.py::test_it_plans_runs_learns",
    "bench/test_halt.py::test_it_measures_a_way[API, mixed]",
    "bench/test_halt.py::test_it_measures_a_way[SIGTERM]",
    "executor/faults/test_whole_runs.py::test_infrastructure_a_node",
    "executor/faults/infrastructure/test_machine_runs.py::test_a_machine_of_libvirt",
    "executor/faults/infrastructure/test_machine_runs.py::test_an_instance_of_a_group_of_amazon",
    "executor/faults/service/test_remote_hang.py::test_without_a_first_renewal",
    "executor/faults/data/test_data_faults.py::test_rows_of_a_helper_that_hangs",
    "executor/faults/test_data_crash.py::test_databases_are_as_before_whoever_dies[executor killed",
    "executor/faults/test_without_journal.py::test_a_power_cut_and_a_lost_journal[data",
    "executor/faults/test_without_journal.py::test_a_power_cut_and_a_lost_journal[network.dns",
    "executor/faults/test_without_journal.py::test_a_power_cut_and_a_lost_journal[service.crash",
    "executor/faults/test_without_journal.py::test_a_power_cut_and_a_lost_journal[service.slowdown",
    "executor/faults/data/test_restore_drill.py::test_one_that_takes_too_long_is_given_up",
    "executor/selftest/test_ordeal.py::test_a_power_cut_without_a_next_start_leaves_residues",
    "executor/run/test_engine.py::test_trials_are_repeated_and_resolved_anew",
    "executor/run/test_engine.py::test_stopping_at_random_moments_undoes_everything",
    "executor/run/test_gone.py::test_one_that_comes_back_though_nobody_was_to_start_it[kill it with SIGKILL; Murphy",
    "executor/state/test_scarce.py::test_on_such_a_disk[recover_on_a",
    "executor/state/test_scarce.py::test_on_such_a_disk[murphy_run_says_what_is_owed]",
    "executor/state/test_store.py::test_processes_that_open_one_file_at_once_all_get_it",
    "executor/measure/validators/test_failover.py::test_a_balancer_that_asks",
    "executor/measure/validators/test_health_truthfulness.py::test_a_health_check_that_looks",
    "executor/undo/test_namespaces.py::test_what_ended_with_its_namespace",
    "executor/undo/test_namespaces.py::test_a_container_that_is_gone_is_taken_for_gone_at_somebodys_word",
    "experts/models/test_prompted.py::test_the_same_council_gives_the_same_proposals_through_either",
    "experts/test_roster.py::test_a_named_address_gets_the_key",
    "fuzz/test_files.py::test_a_spoilt_file[trials.json]",
    "knowledge/documents/test_citing.py::test_few_are_cited",
    "knowledge/topology/test_exercise.py::test_other_traffic_is_not_taken",
    "planner/cascade/test_chain.py::",
    "planner/cli/test_ending.py::test_signals_end_a_run_in_order_however_many_come",
    "planner/cli/test_ending.py::test_a_run_whose_output_nobody_takes_goes_on_to_its_end",
    "planner/cli/test_plan.py::test_what_models_cost_is_told",
    "planner/cli/test_plan.py::test_a_plan_is_replayed_from_what_models_answered",
    "planner/test_citations.py::test_what_is_quoted_is_short",
    "planner/test_secrets.py::test_no_secret_is_kept_said_or_sent",
    "planner/test_recorded.py::test_an_equal_question_is_not_asked_twice",
    "planner/test_recorded.py::test_a_strategy_is_replayed_without_a_call",
    "planner/test_recorded.py::test_of_failures_none_is_taken",
    "planner/test_recorded.py::test_failures_are_replayed_too",
    "planner/test_injection.py::test_no_text_changes_a_limit_a_target_or_an_approval[1]",
    "planner/test_resume.py::test_a_run_is_not_begun_twice_whenever_its_process_dies",
    "planner/test_resume.py::test_no_finished_model_call_is_repeated",
    "planner/test_resume.py::test_a_session_that_has_come_to_its_plan_is_not_taken_up_by_planning_anew",
)
"""Long ones like which there are others: left to ``make test-slow``, so that ``make check`` stays below 20 minutes."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before it is chosen by marks."""
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(_KIN):
            item.add_marker(pytest.mark.slow)


class Together(LoadScopeScheduling):
    """With ``-n``: what shares servers, or looks at the whole host, is in one process, one after another."""

    def _split_scope(self, nodeid: str) -> str:
        path, _, name = nodeid.removeprefix("tests/").partition("::")
        if path in _LONG:
            return nodeid
        if path.startswith(_HOST):
            return "host"
        if path.startswith(("executor/run/", "system/")):
            return "runs"
        if path.startswith(_DATA) or "[data." in name or "[infrastructure.credentials" in name:
            return "data"
        if not path.startswith("executor/faults/"):
            return path
        beyond = path.startswith("executor/faults/infrastructure/") or _BEYOND.search(name)
        if beyond:
            return "beyond processes"
        return "services" if path.startswith("executor/faults/service/") or "[service." in name else "faults"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    """Who runs what."""
    return Together(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What was seen of each fault in a process beside goes to the one that prints."""
    if (output := getattr(session.config, "workeroutput", None)) is not None:
        output["faults"] = table.seen()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take it from there."""
    table.merge(getattr(node, "workeroutput", {}).get("faults", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the contract suite saw of each fault."""
    if lines := table.lines():
        terminalreporter.section("faults, as the contract suite saw them")
        for line in lines:
            terminalreporter.write_line(line)


def _is_local(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a Unix domain path, or netlink
    host = str(address[0])
    if host in ("localhost", ""):
        return True
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return False
    return number.is_loopback or number in _BETWEEN_NAMESPACES


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address):
            raise AssertionError(f"a test tried to reach {address}; tests stay on loopback")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    yield
