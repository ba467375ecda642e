"""Times of detection and recovery from records whose true times are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.measure.samples import Samples
from executor.model.evidence import Event, EventKind, Figure, Observation
from executor.model.probe import Slo
from tests.executor.measure.records import (
    BACK,
    END_S,
    FAULT_S,
    INJECTED_S,
    REVERTED_S,
    Answer,
    dead,
    experiment,
    judged,
    observations,
    trial,
    well,
)

ASKED = experiment(BACK, slo=Slo(latency_ms_max=200))
CHECK_S, SIGNAL_S = 0.1, 0.2


def figures(*trials: Samples) -> dict[str, Figure]:
    """Of the check and its signal, by name."""
    return {figure.name: figure for figure in judged(ASKED, *trials).figures if figure.phase is None}


def outage(detected_s: float, recovered_s: float, *, phase_s: float = 0.0, number: int = 1) -> Samples:
    """The check fails from the injection, the signal says so from ``detected_s`` on; both are well ``recovered_s`` on.

    ``phase_s`` shifts the sampling, so that the true times fall anywhere between two askings.
    """

    def front(at_s: float) -> Answer:
        return not INJECTED_S <= at_s + phase_s < INJECTED_S + recovered_s, 10.0

    def health(at_s: float) -> Answer:
        return not INJECTED_S + detected_s <= at_s + phase_s < INJECTED_S + recovered_s, 10.0

    asked = [*observations("front", front), *observations("health", health, rate_hz=1 / SIGNAL_S)]
    shifted = [Observation(**{**o.model_dump(), "at_s": o.at_s + phase_s, "trial": number}) for o in asked]
    return trial(shifted, number=number)


@given(st.floats(0.21, 2.0), st.floats(0.3, 2.0), st.floats(0, 0.0999))
def test_the_error_is_within_one_sampling_interval(detected_s: float, more_s: float, phase_s: float) -> None:
    recovered_s = detected_s + more_s
    found = figures(outage(detected_s, recovered_s, phase_s=phase_s))
    for name, true_s, interval_s in (("mttd", detected_s, SIGNAL_S + 0.01), ("mttr", recovered_s, CHECK_S)):
        figure = found[name]
        assert figure.low is not None and figure.high is not None
        assert abs(figure.value - true_s) <= interval_s + 1e-6
        assert figure.low - 1e-6 <= true_s <= figure.high + 1e-6


@given(st.floats(0.21, 2.0), st.floats(0.3, 2.0))
def test_the_parts_of_a_recovery_add_up_to_it(detected_s: float, more_s: float) -> None:
    found = figures(outage(detected_s, detected_s + more_s))
    parts = [figure.value for name, figure in found.items() if name.startswith("recovery_")]
    assert sum(parts) == pytest.approx(found["mttr"].value)
    (longest,) = (figure for name, figure in found.items() if name.startswith("bottleneck_"))
    assert longest.value == pytest.approx(max(parts) / sum(parts))


def test_the_longest_part_is_named() -> None:
    assert "bottleneck_detection" in figures(outage(2.5, 3.0))
    assert "bottleneck_failover" in figures(outage(0.3, 3.0))

    def reconnects(at_s: float) -> Answer:
        return not INJECTED_S <= at_s < INJECTED_S + 4, 10.0

    signal = observations("health", lambda at_s: (not INJECTED_S + 0.3 <= at_s < INJECTED_S + 1, 10.0), rate_hz=5)
    found = figures(trial(observations("front", reconnects), signal))
    assert found["bottleneck_reconnect"].value == pytest.approx(3 / 4, abs=0.06)

    def cold(at_s: float) -> Answer:
        since_s = at_s - INJECTED_S
        return not 0 <= since_s < 1, 400.0 if 1 <= since_s < 4 else 10.0

    found = figures(trial(observations("front", cold), signal))
    assert found["bottleneck_warm_up"].value == pytest.approx(3 / 4, abs=0.06)

    def backlog(at_s: float) -> Answer:
        """Askings wait for 1 s and are then served one after another until 3 s."""
        since_s = at_s - INJECTED_S
        return True, 10 + 1000 * max(0.0, 1 + since_s * 2 / 3 - since_s) if 0 <= since_s < 3 else 10.0

    found = figures(trial(observations("front", backlog), signal))
    assert found["bottleneck_drain"].value == pytest.approx(1.4 / 2.4, abs=0.06)  # within 200 ms from 2.4 s on


def test_answers_that_stay_slow_are_no_backlog() -> None:
    def cold(at_s: float) -> Answer:
        return True, 700.0 if INJECTED_S <= at_s < REVERTED_S + 3 else 10.0

    found = figures(trial(observations("front", cold), observations("health", well, rate_hz=5)))
    assert found["recovery_drain"].value == pytest.approx(0.6, abs=0.01)  # those who waited when the fault went
    assert found["bottleneck_warm_up"].value == pytest.approx(2.3 / 3, abs=0.06)


def test_without_a_signal_that_noticed_detection_and_failover_are_one() -> None:
    front = observations("front", lambda at_s: (not INJECTED_S <= at_s < INJECTED_S + 2, 10.0))
    found = figures(trial(front, observations("health", well, rate_hz=5)))
    assert {name for name in found if name.startswith("recovery_")} == {"recovery_outage"}
    assert found["bottleneck_outage"].value == 1


def test_what_is_back_with_the_revert_has_no_bottleneck() -> None:
    found = figures(trial(observations("front", dead), observations("health", dead, rate_hz=5)))
    assert found["mttr_from_revert"].value == 0
    assert not any(name.startswith(("recovery_", "bottleneck_")) for name in found)


def test_what_only_the_revert_ended_is_split_from_the_revert_on() -> None:
    late = REVERTED_S + 1.5
    front = observations("front", lambda at_s: (not INJECTED_S <= at_s < late, 10.0))
    health = observations("health", lambda at_s: (not INJECTED_S + 0.5 <= at_s < REVERTED_S + 0.5, 10.0), rate_hz=5)
    found = figures(trial(front, health))
    assert "recovery_detection" not in found  # it was noticed long before, and that held nothing up
    assert found["recovery_failover"].value == pytest.approx(0.5, abs=SIGNAL_S)
    assert found["recovery_reconnect"].value == pytest.approx(1.0, abs=SIGNAL_S + CHECK_S)
    assert found["mttr_from_revert"].value == pytest.approx(1.5, abs=CHECK_S)


def test_several_trials_say_how_alike_they_are() -> None:
    leak = [outage(0.4, 1 + 0.3 * n, number=n + 1) for n in range(7)]
    found = figures(*leak)
    assert found["mttr_worst"].value == pytest.approx(2.8, abs=CHECK_S)
    slope = found["mttr_trend"]
    assert (slope.unit, slope.value) == ("s_per_trial", pytest.approx(0.3, abs=0.02))
    assert slope.p_value is not None and slope.p_value < 0.001
    cv = found["mttr_cv"]
    assert cv.low is not None and cv.high is not None
    assert cv.value == pytest.approx(0.34, abs=0.02)
    assert cv.low <= cv.value <= cv.high
    assert "mttr_outlier" not in found


def test_a_trial_that_stands_apart_is_named() -> None:
    alike = [outage(0.4, 4.5 if n == 3 else 1 + 0.1 * (n % 2), number=n + 1) for n in range(7)]
    (outlier,) = (f for f in judged(ASKED, *alike).figures if f.name == "mttr_outlier")
    assert (outlier.of, outlier.value) == ("front in trial 4", pytest.approx(4.5, abs=CHECK_S))
    assert figures(*alike)["mttr_trend"].p_value == pytest.approx(1, abs=0.9)


def test_one_trial_without_recovery_leaves_no_mean_and_is_told() -> None:
    never = trial(observations("front", lambda at_s: (at_s < INJECTED_S, 10.0), trial=2), number=2)
    found = figures(outage(0.4, 1), never)
    assert (found["recovered"].value, found["recovered"].n) == (0.5, 2)
    assert not {"mttr", "mttr_worst", "mttr_cv"} & set(found)
    assert not any(name.startswith(("recovery_", "bottleneck_")) for name in found)


def test_what_was_kept_of_the_service_until_the_deadline() -> None:
    control_s = FAULT_S + ASKED.recovery_deadline_s
    found = figures(outage(0.4, 2.0))
    assert found["effectiveness"].value == pytest.approx(1 - 2.0 / control_s, abs=CHECK_S / control_s)
    never = trial(observations("front", lambda at_s: (at_s < INJECTED_S, 10.0)))
    assert figures(never)["effectiveness"].value == pytest.approx(0, abs=0.01)
    assert "effectiveness" not in figures(trial(observations("front", well)))  # nothing to recover from
    assert "effectiveness" not in figures(trial(observations("front", dead), aborted="the guard said so"))


@given(st.floats(0.31, 3.0), st.floats(0, 0.0999))
def test_the_longest_outage_is_known_to_within_sampling(lasted_s: float, phase_s: float) -> None:
    found = figures(outage(0.2, 0.5, number=1), outage(0.2, lasted_s + 0.5, phase_s=phase_s, number=2))
    longest = found["longest_outage"]
    assert longest.low is not None and longest.high is not None
    assert longest.low - 1e-6 <= lasted_s + 0.5 <= longest.high + 1e-6
    assert longest.high - longest.low <= 2 * CHECK_S + 0.01 + 1e-6  # an interval at either end, and an answer's time


def test_an_outage_that_was_not_seen_to_end_has_no_upper_bound() -> None:
    never = trial(observations("front", lambda at_s: (at_s < INJECTED_S, 10.0)))
    longest = figures(never)["longest_outage"]
    assert (longest.value, longest.high) == (pytest.approx(END_S - INJECTED_S, abs=CHECK_S), None)
    assert longest.low == pytest.approx(END_S - INJECTED_S, abs=2 * CHECK_S)
    quiet = figures(trial(observations("front", well)))["longest_outage"]
    assert (quiet.value, quiet.low, quiet.high) == (0, 0, 0)


def test_every_figure_has_what_it_is_sure_of() -> None:
    """Its interval, or at least one end of it."""
    never = trial(observations("front", lambda at_s: (at_s < INJECTED_S, 10.0), trial=8), number=8)
    for trials in ([outage(0.4, 1 + 0.3 * n, number=n + 1) for n in range(7)], [outage(0.4, 2.0), never]):
        for figure in judged(ASKED, *trials).figures:
            assert (figure.low, figure.high) != (None, None), figure
            assert figure.n >= 1


def test_a_signal_that_keeps_quiet_is_counted() -> None:
    quiet = [trial(observations("front", dead, trial=n), observations("health", well, rate_hz=5, trial=n), number=n)
             for n in (1, 2)]  # fmt: skip
    quiet[1] = outage(0.4, 2, number=2)
    found = figures(*quiet)
    assert (found["detected"].value, found["detected"].n) == (0.5, 2)
    assert "mttd" not in found
    nothing = trial(observations("front", well), observations("health", well, rate_hz=5))
    assert "detected" not in figures(nothing)  # nothing to report


def test_the_time_line_agrees_with_the_figures() -> None:
    judgement = judged(ASKED, outage(0.4, 2.0))
    events: dict[EventKind, Event] = {event.kind: event for event in judgement.events}
    found = figures(outage(0.4, 2.0))
    assert events[EventKind.RECOVERED].at_s - INJECTED_S == pytest.approx(found["mttr"].value)
    assert events[EventKind.DETECTED].at_s - INJECTED_S == pytest.approx(found["mttd"].value)
