"""One trial of a real experiment on a simulated system: the same observations that the executor's sampler would make.

What is judged then is judged by the executor's own judges: nothing here says how anything came out.
"""

from __future__ import annotations

import math
import random
from functools import partial

import numpy as np

from bench.gym.behaviour import Operation, Outcome, World
from bench.gym.simulation import Simulation
from bench.gym.striking import strike, struck
from executor.measure.columns import NO_STATUS, Columns, Recording
from executor.measure.counters import counter, edges_of
from executor.measure.records import TrialRecord
from executor.measure.sampler import DRAIN_S, SIGNAL_HZ
from executor.measure.samples import Samples
from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.system import System

TAKES_S = 0.04
"""Until a fault is made, or undone."""
BLIP = 0.002
"""Share of a user's requests that fail for reasons of their own, whatever is done to the system."""
JITTER = 0.15
"""Standard deviation of the logarithm of what measuring itself does to a latency."""
SIGNAL_MS = 3.0
_ERRORS = {"refused": "connection refused", "reset": "connection reset", "open": "HTTP 503", "full": "HTTP 503"}


class _Asked:
    """The answers to one check, by column."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self.latency_ms: list[float] = []
        self.ok: list[bool] = []
        self.error: list[str] = []
        self.value: list[float] = []

    def add(self, at_s: float, latency_ms: float, *, ok: bool, error: str = "", value: float = math.nan) -> None:
        self.at_s.append(at_s)
        self.latency_ms.append(latency_ms)
        self.ok.append(ok)
        self.error.append(error)
        self.value.append(value)

    def into(self, recording: Recording, source: str) -> None:
        texts = list(dict.fromkeys(["", *self.error]))
        codes = {text: code for code, text in enumerate(texts)}
        n = len(self.at_s)
        columns = Columns(
            np.array(self.at_s, dtype=np.float64),
            np.array(self.ok, dtype=bool),
            np.array(self.latency_ms, dtype=np.float64),
            np.full(n, NO_STATUS, dtype=np.int32),
            np.array(self.value, dtype=np.float64),
            np.array([codes[text] for text in self.error], dtype=np.int32),
            np.zeros(n, dtype=np.int32),
        )
        recording.extend(source, columns, texts)


def carry_out(world: World, system: System, experiment: Experiment, *, seed: int, number: int = 1) -> Samples:
    """All phases of one trial. Times of its record are seconds since its own beginning."""
    simulation = Simulation(world, seed)
    noise = random.Random(seed + 1)
    inject_s = experiment.baseline_s
    injected_s = inject_s + TAKES_S
    revert_s = injected_s + experiment.fault_s
    reverted_s = revert_s + TAKES_S
    end_s = reverted_s + experiment.recovery_deadline_s

    recording = Recording()
    asked = {check.id: _Asked() for check in experiment.checks}
    open_: dict[str, dict[float, None]] = {check.id: {} for check in experiment.checks}
    operations = {operation.id: operation for operation in world.operations}
    streams = len(experiment.checks) + len(experiment.signals)
    for place, check in enumerate(experiment.checks):
        offset_s = place / streams / check.rate_hz
        for k in range(int((end_s - offset_s) * check.rate_hz)):
            at_s = offset_s + k / check.rate_hz
            simulation.events.at(
                at_s, _ask, simulation, operations[check.id], check, at_s, asked[check.id], open_[check.id], noise
            )
    said = {signal.id: _Asked() for signal in experiment.signals}
    counted = {(d.caller, d.callee): _Asked() for d in edges_of(experiment, system) if d.protocol == "http"}
    for k in range(int(end_s * SIGNAL_HZ)):
        simulation.events.at(k / SIGNAL_HZ, partial(_look, simulation, experiment, said, counted))
    names = [i.name for action in experiment.actions for i in struck(action, simulation)]
    _schedule(simulation, experiment, injected_s)
    simulation.events.run(end_s + DRAIN_S)

    for check in experiment.checks:
        for at_s in open_[check.id]:
            asked[check.id].add(at_s, (end_s + DRAIN_S - at_s) * 1000, ok=False, error="unanswered")
        asked[check.id].into(recording, check.id)
    for name, answers in said.items():
        answers.into(recording, name)
    for edge, answers in counted.items():
        answers.into(recording, counter(*edge))
    record = TrialRecord(
        trial=number,
        baseline_start_s=0.0,
        injected_s=injected_s,
        reverted_s=reverted_s,
        end_s=end_s,
        inject_started_s=inject_s,
        revert_started_s=revert_s,
        struck=tuple(names),
    )
    return Samples(record, recording)


def _schedule(simulation: Simulation, experiment: Experiment, injected_s: float) -> None:
    for action in experiment.actions:
        begin_s = injected_s - TAKES_S / 2 + action.start_s

        def begin(action=action, end_s=begin_s + action.whole_s + TAKES_S) -> None:  # type: ignore[no-untyped-def]
            simulation.events.at(end_s, strike(simulation, action))

        simulation.events.at(begin_s, begin)


def _ask(
    simulation: Simulation,
    operation: Operation,
    check: Check,
    at_s: float,
    into: _Asked,
    open_: dict[float, None],
    noise: random.Random,
) -> None:
    open_[at_s] = None

    def answered(outcome: Outcome) -> None:
        del open_[at_s]
        latency_ms = (simulation.events.now - at_s) * 1000 * math.exp(noise.gauss(0.0, JITTER))
        if latency_ms > check.probe.timeout_ms:
            into.add(at_s, check.probe.timeout_ms, ok=False, error=f"no answer within {check.probe.timeout_ms:g} ms")
        elif outcome != "ok" or noise.random() < BLIP:
            into.add(at_s, latency_ms, ok=False, error=_ERRORS.get(outcome, "HTTP 500"))
        else:
            into.add(at_s, latency_ms, ok=True)

    simulation.ask(operation, answered)


def _look(
    simulation: Simulation,
    experiment: Experiment,
    said: dict[str, _Asked],
    counted: dict[tuple[str, str], _Asked],
) -> None:
    """What signals and counters say at this moment."""
    now = simulation.events.now
    for signal in experiment.signals:
        well = simulation.well(signal.service)
        if well is None:
            timeout_ms = signal.probe.timeout_ms
            said[signal.id].add(now, timeout_ms, ok=False, error=f"no answer within {timeout_ms:g} ms")
        else:
            said[signal.id].add(now, SIGNAL_MS, ok=well, error="" if well else "HTTP 503")
    for edge, answers in counted.items():
        answers.add(now, 0.1, ok=True, value=float(simulation.edges[edge].calls))
