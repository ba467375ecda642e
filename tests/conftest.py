"""Held for every test: no model is called and nothing beyond this machine is reached."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from _pytest.reports import CollectErrorRepr
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.executor.faults import table
from tests.missing import hidden

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
    "bench/test_halt.py::test_it_measures_a_way[API, mixed]",
    "bench/test_halt.py::test_it_measures_a_way[SIGTERM]",
    "executor/faults/test_data_crash.py::test_databases_are_as_before_whoever_dies[executor killed",
    "executor/faults/test_without_journal.py::test_a_power_cut_and_a_lost_journal[data",
    "executor/faults/test_without_journal.py::test_a_power_cut_and_a_lost_journal[network.dns",
    "executor/faults/test_without_journal.py::test_a_power_cut_and_a_lost_journal[service.crash",
    "executor/faults/test_without_journal.py::test_a_power_cut_and_a_lost_journal[service.slowdown",
    "executor/run/test_gone.py::test_one_that_comes_back_though_nobody_was_to_start_it[kill it with SIGKILL; Murphy",
    "executor/state/test_scarce.py::test_on_such_a_disk[recover_on_a",
    "executor/state/test_scarce.py::test_on_such_a_disk[murphy_run_says_what_is_owed]",
    "fuzz/test_files.py::test_a_spoilt_file[trials.json]",
    "planner/cascade/test_chain.py::",
)
"""Cases of tests, or a whole file, that are long and have their like: for ``make test-slow``."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before it is chosen by marks."""
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(_KIN):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that is not run in CI for want of something has failed, however it says so."""
    report = yield
    if why := hidden(report, call.excinfo and call.excinfo.value):
        report.outcome, report.longrepr = "failed", why
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same of a whole module."""
    report = yield
    if why := hidden(report):
        report.outcome, report.longrepr = "failed", CollectErrorRepr(why)
    return report


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
