"""Many tasks: one that hangs holds up no other, and none is forgotten."""

from __future__ import annotations

import threading

import pytest

from executor.undo.crew import Crew
from tests.executor.kit import until


def unexpected(result: int) -> None:
    raise AssertionError(f"{result} came late")


def test_each_chain_is_done_in_its_order() -> None:
    order: list[int] = []
    lock = threading.Lock()

    def do(task: int) -> int:
        with lock:
            order.append(task)
        return task

    chains = [[10 * chain + place for place in range(3)] for chain in range(50)]
    done = Crew(chains, do, unexpected).work(30)
    assert sorted(done) == sorted(order) == sorted(task for chain in chains for task in chain)
    for chain in chains:
        assert [task for task in order if task in chain] == chain


def test_nothing_to_do_takes_no_time() -> None:
    assert Crew([], lambda task: task, unexpected).work(30) == []


def test_many_that_hang_hold_up_no_other_and_are_told_late() -> None:
    release = threading.Event()
    late: list[int] = []

    def do(task: int) -> int:
        if task < 40:
            release.wait(60)
        return task

    crew = Crew([[task] for task in range(60)], do, late.append)
    assert sorted(crew.work(3)) == list(range(40, 60))
    assert late == []
    release.set()
    until(lambda: sorted(late) == list(range(40)))


def test_without_threads_all_is_done_by_whoever_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert Crew([[1, 2], [3]], lambda task: task, unexpected).work(30) == [1, 2, 3]
