"""What to do where a component is missing that a test needs: skip for a user, fail where it is sure to be."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(reason: str, *, there_in: str = "CI") -> NoReturn:
    """Skip the test and say why; in CI, which installs it, it fails. ``there_in``: the variable that says so."""
    if os.environ.get(there_in) == "true":
        pytest.fail(f"missing in {there_in}: {reason}")
    pytest.skip(reason)
