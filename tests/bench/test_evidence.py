"""Judging a run again takes memory by columns: what ten million observations cost is a matter of bytes for each."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from bench.evidence import again, write
from executor.run.observations import to_columns

COUNT = 48_000
BYTES_MAX = 150
"""For each observation, at the highest: its columns, and what is made of them. As an object it takes about 1,000."""


def test_judging_takes_tens_of_bytes_of_an_observation(tmp_path: Path) -> None:
    write(tmp_path, COUNT, trials=4, sources=6)
    to_columns(tmp_path)
    again(tmp_path, COUNT, trials=4, sources=6)  # what is loaded and cached once is no part of it
    tracemalloc.start()
    try:
        said = again(tmp_path, COUNT, trials=4, sources=6)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert said == "h1 breaks; h2 holds"
    assert most / COUNT < BYTES_MAX
