"""The twin of one system: rehearses experiments, one after another. Arithmetic only; touches nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from executor.measure.containment import struck as targets_of
from executor.model.digest import digest
from executor.model.plan import Experiment
from executor.model.system import System
from executor.model.vocabulary import Weakness
from executor.safety.guard import planned_services
from knowledge.twin.arrays import Flags, Floats
from knowledge.twin.blows import Blows, blows
from knowledge.twin.information import gain, joint_gain
from knowledge.twin.outcome import Outcome, play
from knowledge.twin.parameters import Parameters
from knowledge.twin.rehearsal import CheckOutlook, HypothesisOutlook, Recovery, Rehearsal
from knowledge.twin.topology import Topology, topology
from knowledge.twin.verdicts import Case, Verdict, verdict
from knowledge.twin.worlds import Believed, Key, Worlds

WORLDS = 200
"""A probability of one half is then known to about ± 0.07 (two standard errors), a rare one better."""
ALONE = 0.95
"""P(a service is lost) when its last instance is, and no run has shown otherwise: what would stand in for it?"""
SPARE = 0.1
"""The same while other instances of it are left."""
SAID_AND_NOT_SO = 0.1
"""P(a time-out, retry, breaker or fallback does not work) of which it is said that it is there."""
TOUCHED_MIN = 0.01


class Twin:
    """What is known of one system, ready to rehearse. Not changed by rehearsing."""

    def __init__(self, system: System, beliefs: Iterable[Believed] = (), parameters: Parameters | None = None) -> None:
        self.system = system
        self.parameters = parameters or Parameters()
        self._topology: Topology = topology(system)
        self._beliefs: dict[Key, Believed] = {(b.weakness, b.place): b for b in beliefs}
        self._annotated = _annotated(system, self._beliefs)
        self._digest = digest(system)

    def seed(self, experiment: Experiment) -> int:
        """The seed of an experiment's worlds: from the digests of system and experiment."""
        told = hashlib.sha256(f"{self._digest} {experiment.model_dump_json()}".encode())
        return int.from_bytes(told.digest()[:8])

    def rehearse(self, experiment: Experiment, *, worlds: int = WORLDS, seed: int | None = None) -> Rehearsal:
        """Play an experiment through in so many sampled worlds.

        Equal systems, beliefs, parameters, experiments and seeds give equal rehearsals. Raises ``InputError`` for a
        target that the system does not have.
        """
        chosen = self.seed(experiment) if seed is None else seed
        struck = blows(experiment, self._topology)
        asked = [(h.weakness, h.place) for h in experiment.hypotheses]
        known = self._annotated | _structural(struck, self._topology, self._beliefs)
        drawn = Worlds(worlds, chosen, self._beliefs, asked, known)
        outcome = play(experiment, struck, self._topology, drawn, self.parameters)
        case = Case(experiment, outcome, drawn)
        verdicts = [verdict(hypothesis, case, struck.types) for hypothesis in experiment.hypotheses]
        return _summed(experiment, case, verdicts, self._topology, chosen)


def rehearse(
    experiment: Experiment,
    system: System,
    beliefs: Iterable[Believed] = (),
    parameters: Parameters | None = None,
    *,
    worlds: int = WORLDS,
) -> Rehearsal:
    """Rehearse one experiment on a system; for several, make one ``Twin``."""
    return Twin(system, beliefs, parameters).rehearse(experiment, worlds=worlds)


def _annotated(system: System, beliefs: Mapping[Key, Believed]) -> dict[Key, float]:
    """P(present) of what an edge's owner says it has not, where nothing is believed of that."""
    found: dict[Key, float] = {}
    for edge in system.dependencies:
        for weakness, said in (
            (Weakness.MISSING_TIMEOUT, edge.timeout_ms),
            (Weakness.MISSING_RETRY, edge.retries),
            (Weakness.MISSING_CIRCUIT_BREAKER, edge.breaker),
            (Weakness.HARD_DEPENDENCY, edge.fallback),
        ):
            if said and (weakness, edge.place) not in beliefs:
                found[weakness, edge.place] = SAID_AND_NOT_SO
    return found


def _structural(blows: Blows, topology: Topology, beliefs: Mapping[Key, Believed]) -> dict[Key, float]:
    """P(single point of failure) of what is struck, by the instances that are left, unless runs have tried it."""
    found: dict[Key, float] = {}
    for number, felt in blows.services.items():
        key = (Weakness.SINGLE_POINT_OF_FAILURE, topology.system.services[number].name)
        known = beliefs.get(key)
        if known is not None and known.runs:
            continue
        left = min(blow.left for blow in felt)
        if left:
            found[key] = SPARE if known is None else min(known.probability, SPARE)
        else:
            found[key] = ALONE if known is None else max(known.probability, ALONE)
    return found


def _summed(
    experiment: Experiment,
    case: Case,
    verdicts: Sequence[Verdict],
    topology: Topology,
    seed: int,
) -> Rehearsal:
    worlds, outcome = case.worlds, case.outcome
    checks = [check for check in experiment.checks if check.id in outcome.setting.net.roots]
    hurt = {check.id: outcome.hurt(check) for check in checks}
    some = _any(list(hurt.values()), worlds.count)
    active = sorted(outcome.setting.net.active)
    lost = _lost(active, experiment, hurt, outcome, topology)
    names = [topology.system.services[number].name for number in active]
    targets = targets_of(experiment)
    beyond = lost[[row for row, name in enumerate(names) if name not in targets]]
    contained = 1 - beyond.mean(axis=0) if len(beyond) else np.ones(worlds.count)
    return Rehearsal(
        experiment=experiment.id,
        worlds=worlds.count,
        effective=float(1 / (worlds.weights**2).sum()),
        seed=seed,
        breaks=worlds.share(some),
        checks=tuple(_check(check.id, check.service, hurt[check.id], case) for check in checks),
        hypotheses=tuple(
            _hypothesis(h.id, (h.weakness, h.place), each, worlds)
            for h, each in zip(experiment.hypotheses, verdicts, strict=True)
        ),
        touched=_ranked(names, [worlds.share(row) for row in lost]),
        recovery=_recovery([outcome.back_s(check) for check in checks], some, worlds),
        cascade=worlds.share(_any(list(beyond), worlds.count)),
        containment=worlds.share(contained),
        containment_low=float(_quantiles(contained, worlds.weights, (0.05,))[0]),
        unplanned=_unplanned(experiment, hurt, worlds),
        loss=_ranked(names, [1 - worlds.share(outcome.kept(number)) for number in active]),
        gain_bits=joint_gain(np.array([each.breaks for each in verdicts]), worlds.weights),
    )


def _lost(
    active: Sequence[int], experiment: Experiment, hurt: Mapping[str, Flags], outcome: Outcome, topology: Topology
) -> Flags:
    """Whether services leave their steady state, (services, worlds): by their checks where the experiment has some."""
    found = outcome.lost(list(active))
    rows = {topology.system.services[number].name: row for row, number in enumerate(active)}
    watched: dict[str, list[Flags]] = {}
    for check in experiment.checks:
        if check.id in hurt and check.service in rows:
            watched.setdefault(check.service, []).append(hurt[check.id])
    for name, flags in watched.items():
        found[rows[name]] = _any(flags, found.shape[1])
    return found


def _any(flags: Sequence[Flags], worlds: int) -> Flags:
    """Worlds in which one of them is true; in none, if there are none."""
    found = np.zeros(worlds, dtype=np.bool_)
    for each in flags:
        found |= each
    return found


def _check(name: str, service: str, hurt: Flags, case: Case) -> CheckOutlook:
    check = next(each for each in case.experiment.checks if each.id == name)
    kept = case.outcome.met(check, case.outcome.bound_ms(check))
    low, high = _quantiles(kept, case.worlds.weights, (0.05, 0.95))
    return CheckOutlook(name, service, case.worlds.share(hurt), case.worlds.share(kept), float(low), float(high))


def _hypothesis(name: str, key: Key, found: Verdict, worlds: Worlds) -> HypothesisOutlook:
    present = worlds.present(key[0], [key[1]])[0]
    return HypothesisOutlook(
        hypothesis=name,
        weakness=key[0],
        place=key[1],
        present=worlds.probability(*key),
        breaks=worlds.share(found.breaks),
        if_present=_mean(found.breaks, worlds.weights * present),
        if_absent=_mean(found.breaks, worlds.weights * ~present),
        gain_bits=gain(present, found.breaks, worlds.weights),
        simulated=found.simulated,
    )


def _mean(values: Floats, weights: Floats) -> float:
    whole = float(weights.sum())
    return float(values @ weights) / whole if whole > 0 else float("nan")


def _unplanned(experiment: Experiment, hurt: Mapping[str, Flags], worlds: Worlds) -> tuple[float, ...]:
    """As the guard counts them: by the checks of the experiment."""
    planned = planned_services(experiment)
    by_service: dict[str, list[Flags]] = {}
    for check in experiment.checks:
        if check.service not in planned and check.id in hurt:
            by_service.setdefault(check.service, []).append(hurt[check.id])
    if not by_service:
        return ()
    count = np.sum([_any(flags, worlds.count) for flags in by_service.values()], axis=0)
    return tuple(worlds.share(count >= n) for n in range(1, len(by_service) + 1))


def _recovery(back_s: Sequence[Floats], some: Flags, worlds: Worlds) -> Recovery | None:
    if not back_s or not some.any():
        return None
    last = np.max(back_s, axis=0)[some]
    weights = worlds.weights[some] / worlds.weights[some].sum()
    median, low, high = _quantiles(last, weights, (0.5, 0.05, 0.95))
    return Recovery(float(median), float(low), float(high), float(weights @ np.isinf(last)))


def _quantiles(values: Floats, weights: Floats, shares: Sequence[float]) -> list[float]:
    """The least value up to which so much of the weight lies."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return [float(values[order[min(len(order) - 1, int(np.searchsorted(reached, share)))]]) for share in shares]


def _ranked(names: Sequence[str], shares: Sequence[float]) -> tuple[tuple[str, float], ...]:
    told = [(name, share) for name, share in zip(names, shares, strict=True) if share >= TOUCHED_MIN]
    return tuple(sorted(told, key=lambda pair: (-pair[1], pair[0])))
