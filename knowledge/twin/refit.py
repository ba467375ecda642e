"""The twin's parameters, re-estimated from what the ledger has: nothing is stored, so that it can always be rebuilt.

Every estimate begins as the judgement of ``parameters.py`` and moves as far as results carry it: a judgement counts as
``STRENGTH`` of them. What is of one place (usual times, time-outs) comes from this system alone, what is of a class
(rates of detection, times to restart) from all systems of the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from executor.model.probe import Check
from executor.model.system import System
from executor.model.vocabulary import FaultType, Phase, Verdict, Weakness
from knowledge.rows import PastFigures, PastRow
from knowledge.sensitivity import sensitivity
from knowledge.twin.blows import GONE
from knowledge.twin.parameters import Parameters, Spread

if TYPE_CHECKING:
    from knowledge.ledger import Ledger

STRENGTH = 6.0
"""Results that a judgement counts as."""
REPAIRED = 0.5
"""A ``holds`` after a ``breaks`` under the same fault counts so much as a miss: it may have been mended."""
SIGMA_MIN = 0.25
"""No spread gets narrower: the next system is another."""
WAITED_MS_MIN = 50.0
"""A rise in latency below this is no time-out."""
SHOWN_MAX = 0.98
_CUT = frozenset({FaultType.REFUSED, FaultType.SESSIONS_LOST, FaultType.SILENT, FaultType.SERVER_ERROR, FaultType.SLOW})
_WAIT = frozenset({FaultType.SILENT, FaultType.SLOW})


@dataclass(frozen=True)
class _Measured:
    """One experiment: its results and its figures."""

    rows: tuple[PastRow, ...]
    figures: PastFigures

    @property
    def types(self) -> frozenset[str]:
        return frozenset(name for row in self.rows for name in row.fault_types)


def learned(ledger: Ledger, system: System) -> Parameters:
    """The parameters for one system. Raises ``UnavailableError`` if the ledger cannot be read."""
    return refit(ledger.past(), ledger.figures(), system)


def refit(past: Sequence[PastRow], figures: Sequence[PastFigures], system: System) -> Parameters:
    """From all results and figures, of this system and others, oldest first: of a place the latest time-out counts."""
    usual = Parameters()
    measured = _joined(past, figures)
    waits = {key: wait_ms for each in measured for key, wait_ms in _waits(each, system)}
    own = [each.figures for each in measured if each.figures.system == system.name]
    return replace(
        usual,
        shown=_shown(past),
        restart_s=_moved(usual.restart_s, (s for each in measured for s in _back(each, GONE, "mttr"))),
        reconnect_s=_moved(usual.reconnect_s, (s for each in measured for s in _back(each, _CUT, "mttr_from_revert"))),
        timeout_ms=_moved(usual.timeout_ms, waits.values()),
        timeouts_ms={place: wait_ms for (name, place), wait_ms in waits.items() if name == system.name},
        base_ms=_base_ms(own, system),
        errors=_errors(own, system),
        runs=len({row.run for row in past}),
    )


def _shown(past: Iterable[PastRow]) -> dict[tuple[Weakness, str], float]:
    """P(breaks | present) by class and type of fault, from places where another result has shown that it is there."""
    places: dict[tuple[str, Weakness, str], list[PastRow]] = {}
    for row in sorted(past, key=lambda row: (row.at, row.run, row.hypothesis)):
        if row.decided:
            places.setdefault((row.system, row.weakness, row.place), []).append(row)
    counts: dict[tuple[Weakness, str], list[float]] = {}
    for (_, weakness, _), rows in places.items():
        broke = sum(row.verdict is Verdict.BREAKS for row in rows)
        seen: set[str] = set()
        for row in rows:
            breaks = row.verdict is Verdict.BREAKS
            types = "+".join(row.fault_types)
            if broke - breaks > 0 and len(row.fault_types) == 1:
                count = counts.setdefault((weakness, row.fault_types[0]), [0.0, 0.0])
                count[0] += breaks
                count[1] += 1.0 if breaks or types not in seen else REPAIRED
            if breaks:
                seen.add(types)
    return {key: _rate(key, *count) for key, count in sorted(counts.items())}


def _rate(key: tuple[Weakness, str], hits: float, tried: float) -> float:
    supposed = sensitivity(key[0], (key[1],))
    return min(SHOWN_MAX, (STRENGTH * supposed + hits) / (STRENGTH + tried))


def _moved(spread: Spread, values: Iterable[float]) -> Spread:
    """The log-normal spread with measured values on top of ``STRENGTH`` supposed ones."""
    logs = [math.log(max(1e-3, value)) for value in values]
    if not logs:
        return spread
    weight = STRENGTH + len(logs)
    middle = (STRENGTH * math.log(spread.median) + math.fsum(logs)) / weight
    squares = STRENGTH * (spread.sigma**2 + (math.log(spread.median) - middle) ** 2)
    sigma = math.sqrt((squares + math.fsum((log - middle) ** 2 for log in logs)) / weight)
    held = min(spread.most, max(spread.least, math.exp(middle)))
    return replace(spread, median=held, sigma=max(SIGMA_MIN, sigma), n=len(logs))


def _joined(past: Sequence[PastRow], figures: Sequence[PastFigures]) -> list[_Measured]:
    rows: dict[tuple[str, str], list[PastRow]] = {}
    for row in past:
        rows.setdefault((row.run, row.experiment), []).append(row)
    return [_Measured(tuple(rows.get((each.run, each.experiment), ())), each) for each in figures]


def _back(measured: _Measured, types: frozenset[FaultType], name: str) -> Iterator[float]:
    """Seconds until the slowest check was back, of an experiment with such faults alone; none if one never was."""
    if not measured.types or not measured.types <= {type_.value for type_ in types}:
        return
    found = [figure.value for figure in measured.figures.figures if figure.name == name]
    never = any(figure.name == "recovered" and figure.value < 1 for figure in measured.figures.figures)
    if found and not never:
        yield max(found)


def _waits(measured: _Measured, system: System) -> Iterator[tuple[tuple[str, str], float]]:
    """((system, edge), milliseconds) that a caller was seen to wait before it gave up and did without."""
    for row in measured.rows:
        waiting = set(row.fault_types) <= {type_.value for type_ in _WAIT} and row.fault_types
        if row.weakness is Weakness.MISSING_TIMEOUT and row.verdict is Verdict.HOLDS and waiting:
            longest = max(_rises(measured.figures), default=0.0)
            known = next((e for e in system.dependencies if e.place == row.place and row.system == system.name), None)
            tries = 1 + (known.retries or 0 if known else 0)
            if WAITED_MS_MIN <= longest < 0.9 * _late_ms(row.fault):
                yield (row.system, row.place), longest / tries


def _rises(figures: PastFigures) -> Iterator[float]:
    for figure in figures.figures:
        if figure.name == "latency_p95" and figure.phase is Phase.FAULT:
            before = figures.value("latency_p95", figure.of, Phase.BASELINE)
            if before is not None:
                yield figure.value - before


def _late_ms(fault: str) -> float:
    """How late answers came, of a fault in short; infinite where they never did."""
    told = [part.partition("=")[2] for part in fault.split() if part.startswith("delay_ms=")]
    return float(told[0]) if told else math.inf


def _base_ms(own: Sequence[PastFigures], system: System) -> dict[str, float]:
    """Of each service the median over its runs of the usual time of its fastest check."""
    found: dict[str, float] = {}
    for service in system.services:
        usual = [ms for check in service.operations if (ms := _usual(own, "latency_p50", check)) is not None]
        if usual:
            found[service.name] = min(usual)
    return found


def _errors(own: Sequence[PastFigures], system: System) -> dict[str, float]:
    checks = [check for service in system.services for check in service.operations]
    kept = {check.id: _usual(own, "availability", check) for check in checks}
    return {check: 1 - value for check, value in kept.items() if value is not None and value < 1}


def _usual(own: Sequence[PastFigures], name: str, check: Check) -> float | None:
    """The median of a figure over the baselines in which the check was well: what a busy host spoils is not usual."""
    values = [each.value(name, check.id, Phase.BASELINE) for each in own if _well(each, check)]
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _well(figures: PastFigures, check: Check) -> bool:
    good = figures.value("availability", check.id, Phase.BASELINE)
    late_ms = figures.value("latency_p95", check.id, Phase.BASELINE)
    promised_ms = check.slo.latency_ms_max
    in_time = promised_ms is None or (late_ms is not None and late_ms <= promised_ms)
    return good is not None and good >= check.slo.availability_min and in_time
