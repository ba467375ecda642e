"""What to do where a test cannot run: skip for a user, fail where what it needs is sure to be.

In CI every skip that is not made here is a failure (see ``conftest.py``), whatever its reason.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest
from _pytest import outcomes


class Skipped(outcomes.Skipped):
    """A skip that was thought about here. Never of a whole module."""

    __module__ = "builtins"  # as pytest's own, which it shows without a name


def missing(reason: str, *, there_in: str = "CI") -> NoReturn:
    """Skip the test and say why; in CI, which installs it, it fails. ``there_in``: the variable that says so."""
    if os.environ.get(there_in) == "true":
        pytest.fail(f"missing in {there_in}: {reason}")
    raise Skipped(reason)


def not_meant(reason: str) -> NoReturn:
    """Skip one of a test's cases, in CI too: nothing is missing that could be installed, it is not for this case."""
    raise Skipped(reason)


def hidden(report: pytest.TestReport | pytest.CollectReport, error: BaseException | None = None) -> str | None:
    """Why a skip must not be, in CI: by ``error`` it says that something is missing, and did not ask ``missing``."""
    if (
        os.environ.get("CI") != "true"
        or not report.skipped
        or hasattr(report, "wasxfail")
        or isinstance(error, Skipped)
    ):
        return None
    where, line, reason = report.longrepr  # type: ignore[misc]  # of a skip it is this
    if "got empty parameter set" in reason:  # no fault of another package has that, say
        return None
    return f"{where}:{line}: in CI nothing may be missing, so nothing is skipped but by tests/missing.py. {reason}"
