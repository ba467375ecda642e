from __future__ import annotations

import math

import pytest

from executor.load.recorder import Recorder
from executor.load.window import Window, latencies

BEGUN = 1000.0


def _recorder() -> tuple[Recorder, list[Window]]:
    written: list[Window] = []
    return Recorder(written.append, BEGUN, window_s=0.5, good_within_s=0.25), written


def _send(recorder: Recorder, due: float, late_s: float = 0.0) -> None:
    recorder.next_due(BEGUN + due)
    recorder.sent(BEGUN + due, BEGUN + due + late_s)


def test_a_window_is_written_once_it_is_known_which_of_it_were_good() -> None:
    recorder, written = _recorder()
    _send(recorder, 0.1)
    _send(recorder, 0.4)
    recorder.settled(BEGUN + 0.1, BEGUN + 0.2, "")
    recorder.next_due(BEGUN + 0.6)
    recorder.flush(BEGUN + 0.6)
    assert written == []
    recorder.settled(BEGUN + 0.4, BEGUN + 0.64, "")
    recorder.flush(BEGUN + 0.76)
    (window,) = written
    assert (window.due, window.good, window.answered, window.under_way) == (2, 2, 1, 1)
    assert latencies(written).get_max_value() == pytest.approx(100_000, rel=0.001)


def test_late_answers_are_not_good_and_failures_count_where_they_happen() -> None:
    recorder, written = _recorder()
    for due in (0.0, 0.1, 0.2):
        _send(recorder, due)
    recorder.next_due(math.inf)
    recorder.settled(BEGUN, BEGUN + 0.3, "")
    recorder.settled(BEGUN + 0.1, BEGUN + 0.2, "status 503")
    recorder.settled(BEGUN + 0.2, BEGUN + 0.9, "timeout")
    recorder.flush(BEGUN + 2)
    first, second, *_ = written
    assert (first.due, first.good, first.answered, dict(first.failed), first.under_way) == (
        3,
        0,
        1,
        {"status 503": 1},
        1,
    )
    assert (second.due, dict(second.failed), second.under_way) == (0, {"timeout": 1}, 0)


def test_a_generator_that_is_behind_loses_no_request_of_its_windows() -> None:
    """It stood still for 2 s. What had been due meanwhile is still of the windows in which it was due."""
    recorder, written = _recorder()
    _send(recorder, 0.0)
    recorder.next_due(BEGUN + 0.1)
    recorder.flush(BEGUN + 2.0)
    assert written == []
    for k in range(1, 20):
        recorder.next_due(BEGUN + k / 10)
        if k < 10:
            recorder.skipped(BEGUN + k / 10)
        else:
            recorder.sent(BEGUN + k / 10, BEGUN + 2.0)
    recorder.next_due(math.inf)
    recorder.flush(BEGUN + 2.0, all_until=BEGUN + 2.0)
    assert [(w.due, w.skipped, w.late) for w in written] == [(5, 4, 0), (5, 5, 0), (5, 0, 5), (5, 0, 5)]
    assert [w.under_way for w in written] == [1, 1, 1, 1]
    assert written[2].lag_ms == pytest.approx(1000)


def test_a_rare_request_holds_no_window_back() -> None:
    recorder, written = _recorder()
    _send(recorder, 0.0)
    recorder.next_due(BEGUN + 60)
    recorder.flush(BEGUN + 10)
    assert len(written) == 19


def test_what_is_over_is_written_to_the_end() -> None:
    recorder, written = _recorder()
    _send(recorder, 0.7)
    recorder.dropped(BEGUN + 0.8)
    recorder.flush(BEGUN + 1.2, all_until=BEGUN + 1.2)
    assert [(w.due, w.dropped, w.under_way) for w in written] == [(0, 0, 0), (2, 1, 1), (0, 0, 1)]
