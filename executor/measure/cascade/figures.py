"""How deep, broad and fast a cascade was, and how well contained: means over trials, each with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from executor.measure.cascade.propagation import Step, Trial
from executor.measure.intervals import Share, bootstrap, mean_interval
from executor.measure.spans import Span, average, mean_of
from executor.model.evidence import Figure


def figures(of: str, trials: Sequence[Trial], contained: Share) -> Iterator[Figure]:
    """What the trials show together; the intervals hold what sampling leaves open and the spread over trials.

    ``cascade_depth``: calls from what was struck to the farthest that fell. ``cascade_breadth``: services that fell
    beyond it. ``cascade_lag``: seconds a call, over the steps by which it came to each. ``cascade_speed``: services a
    second, until the last fell. ``containment``: 1 − services that fell in any trial ÷ services at risk, with Wilson's
    interval.
    """
    if not trials:
        return
    yield _counted("cascade_depth", of, [trial.graph.depth for trial in trials])
    yield _counted("cascade_breadth", of, [len(trial.hurt) for trial in trials])
    causes = [trial.graph.cause(name) for trial in trials for name in trial.hurt]
    yield from mean_of("cascade_lag", of, [_a_call(step) for step in causes if step is not None])
    yield from _speed(of, [(len(trial.hurt), last) for trial in trials if (last := trial.last) is not None])
    if contained.n:
        yield Figure(
            name="containment",
            of=of,
            value=contained.value,
            unit="ratio",
            low=contained.low,
            high=contained.high,
            n=contained.n,
        )


def _a_call(step: Step) -> Span:
    calls = step.way.hops
    return Span(max(0.0, step.lag.value) / calls, step.lag.low / calls, step.lag.high / calls)


def _counted(name: str, of: str, counts: Sequence[int]) -> Figure:
    values = [float(count) for count in counts]
    low, high = mean_interval(values) if len(values) > 1 else (None, None)
    return Figure(name=name, of=of, value=average(values), unit="count", low=low, high=high, n=len(values))


def _speed(of: str, fell: Sequence[tuple[int, Span]]) -> Iterator[Figure]:
    """Services that fell ÷ seconds until the last of them, over all trials together.

    Where all may have fallen at once, as far as sampling can tell, there is no upper end.
    """
    count = sum(services for services, _ in fell)
    pairs = [(float(services), max(0.0, last.value)) for services, last in fell]
    lasted_s, most_s = sum(seconds for _, seconds in pairs), sum(last.high for _, last in fell)
    least_s = sum(max(0.0, last.low) for _, last in fell)
    if lasted_s <= 0:
        return
    value, low, high = count / lasted_s, count / most_s, count / least_s if least_s > 0 else None
    if len(pairs) > 1 and all(seconds > 0 for _, seconds in pairs):
        drawn_low, drawn_high = bootstrap(pairs, lambda drawn: sum(n for n, _ in drawn) / sum(s for _, s in drawn))
        low = max(0.0, low - (value - drawn_low))
        high = None if high is None else high + (drawn_high - value)
    yield Figure(name="cascade_speed", of=of, value=value, unit="per_s", low=low, high=high, n=len(fell))
