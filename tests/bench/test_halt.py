"""The benchmark of halting runs, small, and finds nothing wrong; how fast it is, only the benchmark says."""

from __future__ import annotations

import pytest

from bench.halt import HEAD, WAYS, centile, table


@pytest.mark.parametrize("way", ["API, mixed", "SIGTERM", "guard"])
def test_it_measures_a_way(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = table(4, 1, [way])
    assert (row.wrong, len(row.freed), len(row.told), len(row.bare)) == ([], 1, 1, 1)
    said = capsys.readouterr().out
    assert HEAD in said
    assert row.line() in said


def test_every_way_is_told_apart() -> None:
    assert len({(what, request, stuck) for what, request, stuck in WAYS.values()}) == len(WAYS)


def test_a_percentile_is_a_value_that_was_measured() -> None:
    assert centile([3.0, 1.0, 2.0], 50) == 2.0
    assert centile([float(n) for n in range(1, 101)], 99) == 99.0
    assert centile([5.0], 99) == 5.0
