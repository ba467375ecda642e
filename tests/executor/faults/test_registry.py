"""The registry: every fault of the catalogue, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from executor.errors import InputError
from executor.faults.registry import BEHAVIOURS, behaviour, by_kind
from executor.model.faults import SPECS

ROOT = Path(__file__).parents[3]


def test_every_fault_of_the_catalogue_has_a_behaviour() -> None:
    assert {how.kind for how in BEHAVIOURS} == {spec.named() for spec in SPECS}


def test_a_second_behaviour_of_a_kind_raises() -> None:
    with pytest.raises(ValueError, match=r"two behaviours make service\.crash"):
        by_kind((behaviour("service.crash"), behaviour("service.crash")))


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no fault 'service\.sulk' is known\. Known are .*service\.crash"):
        behaviour("service.sulk")


def test_the_watchdog_loads_the_standard_library_only() -> None:
    code = """
import sys
import executor.faults.registry
heavy = {"pydantic", "psycopg", "redis", "anyio", "psutil", "httpx"} & {name.partition(".")[0] for name in sys.modules}
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
