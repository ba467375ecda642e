"""The table of the contract suite: a fault that this machine has not is in it too."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.executor.faults import table


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_seen", defaultdict(dict))


def test_what_was_seen_and_what_was_not() -> None:
    table.saw("network.loss", "injected")
    table.saw("network.loss", "measured size", "30 % asked, 29.4 % of 2,000 packets")
    head, row = (line.split("  ") for line in table.lines())
    assert [part.strip() for part in head if part][:4] == ["fault", *table.COLUMNS[:3]]
    assert [part.strip() for part in row if part][:4] == [
        "network.loss",
        "yes",
        "-",
        "30 % asked, 29.4 % of 2,000 packets",
    ]


def test_what_is_not_here_says_why_also_from_another_process() -> None:
    table.saw("network.loss", "injected")
    table.merge({"network.duplicate_reorder": {"not here": "this kernel has no netem"}})
    assert table.lines()[-1] == "network.duplicate_reorder  not here: this kernel has no netem"
