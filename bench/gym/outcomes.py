"""What each experiment gives on a system, whoever chooses it: carried out once, judged by the executor's judges."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from bench.gym.plants import Pair
from bench.gym.systems import Ground
from bench.gym.trial import carry_out
from executor.measure.judge import verdicts
from executor.measure.samples import Samples
from executor.model.plan import Experiment
from executor.model.vocabulary import Phase, Verdict


@dataclass(frozen=True)
class Result:
    """What one experiment has shown, and what it has cost."""

    broke: frozenset[Pair]
    """Its findings."""
    decided: tuple[tuple[float, bool], ...]
    """Each hypothesis that was decided: the probability of ``breaks`` that was predicted, and whether it broke."""
    undecided: int
    risk: float
    """Seconds for which users were not served as promised, each check by the criticality of its service (3 is 1)."""
    seconds: float


class Outcomes:
    """Results by experiment. Equal experiments give equal results: fault, target and system decide their seed."""

    def __init__(self, of: Ground) -> None:
        self.ground = of
        self._known: dict[str, Result] = {}
        self._criticality = {service.name: service.criticality for service in of.system.services}

    def trials(self, experiment: Experiment) -> list[Samples]:
        """All its trials."""
        seed = zlib.crc32(f"{self.ground.world.name} {experiment.id}".encode())
        numbers = range(1, experiment.trials + 1)
        return [carry_out(self.ground.world, self.ground.system, experiment, seed=seed + n, number=n) for n in numbers]

    def of(self, experiment: Experiment) -> Result:
        """The result, from memory if there is one. What the experiment is judged by is part of what tells it apart."""
        key = f"{experiment.id} {sorted(h.id for h in experiment.hypotheses)}"
        if key not in self._known:
            trials = self.trials(experiment)
            self._known[key] = self.read(experiment, trials, verdicts(experiment, trials))
        return self._known[key]

    def read(self, experiment: Experiment, trials: list[Samples], judged: tuple) -> Result:  # type: ignore[type-arg]
        """The result of trials that were judged."""
        told = (Verdict.BREAKS, Verdict.HOLDS)
        return Result(
            broke=frozenset((h.weakness, h.place) for h in judged if h.verdict is Verdict.BREAKS),
            decided=tuple((h.predicted, h.verdict is Verdict.BREAKS) for h in judged if h.verdict in told),
            undecided=sum(h.verdict not in told for h in judged),
            risk=self._risk(experiment, trials),
            seconds=sum(samples.trial.end_s for samples in trials),
        )

    def _risk(self, experiment: Experiment, trials: list[Samples]) -> float:
        lost = 0.0
        for samples in trials:
            for check in experiment.checks:
                for phase in (Phase.FAULT, Phase.RECOVERY):
                    answers = samples.within(check.id, phase)
                    bad = ~(answers.ok & (answers.latency_ms <= (check.slo.latency_ms_max or 1000.0)))
                    lost += float(bad.sum()) / check.rate_hz * self._criticality[check.service] / 3
        return lost
