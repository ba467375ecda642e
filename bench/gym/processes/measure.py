"""``python -m bench.gym.processes.measure``: small real systems, the real executor, and what the planner finds.

For each seed a system with planted weaknesses, and its clean twin; sessions of a few experiments, each planned from
what those before have taught. Beside it as many experiments drawn at random from the same candidates.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench.gym.loop import LIMITS
from bench.gym.outcomes import Result
from bench.gym.processes.town import running
from bench.gym.score import score
from bench.gym.seed import council
from bench.gym.systems import Ground, real_ground
from executor.errors import InputError, SafetyRefusalError
from executor.model.evidence import Evidence
from executor.model.plan import Experiment, Stage
from executor.model.system import System
from executor.model.vocabulary import Verdict
from executor.state.home import Home
from experts.brief import Constraints
from planner.assemble import plan_on
from planner.demo.loop import sign
from planner.graph import open_graph
from planner.session import Session
from planner.shelf import Shelf
from planner.tools import Tools

TRIES, QUIET_S = 6, 20.0
Steps = list[tuple[Experiment, Result]]


def ours(home: Home, system: System, *, sessions: int, experiments: int) -> Steps:
    """Plan, sign, run and learn, so many times."""
    done: Steps = []
    for _ in range(sessions):
        try:
            session = Session.begin(
                home,
                system,
                goal="Find out what breaks before users do.",
                constraints=Constraints(experiments_max=experiments, seconds_max=600),
                limits=LIMITS,
                experts=council(),
                proposer="gym",
            )
        except (InputError, SafetyRefusalError):
            break
        done += _run(home, session)
    return done


def drawn(home: Home, system: System, choice: Sequence[Experiment], *, count: int, seed: int) -> Steps:
    """As many experiments drawn from the candidates, one after another."""
    chosen = random.Random(seed).sample(list(choice), min(count, len(choice)))
    plan = plan_on(
        system,
        plan_id=f"drawn-{seed}",
        proposer="gym",
        goal="",
        rationale="Drawn at random.",
        stages=tuple(Stage(experiments=(experiment,)) for experiment in chosen),
    )
    return _run(home, Session.adopt(home, plan, system, limits=LIMITS))


def candidates(home: Home, system: System) -> list[Experiment]:
    """All that the first plan is chosen from."""
    Session.begin(
        home,
        system,
        constraints=Constraints(experiments_max=1),
        limits=LIMITS,
        experts=council(),
        proposer="gym-look",
    )
    with closing(Shelf(home.sessions)) as shelf, open_graph(Tools(home, shelf)) as graph:
        assert graph.checkpointer and not isinstance(graph.checkpointer, bool)
        (kept, *_) = graph.checkpointer.list(None, limit=1)
        return [Experiment.model_validate(each) for each in kept.checkpoint["channel_values"]["candidates"]]


def _run(home: Home, session: Session) -> Steps:
    """Where the system is unwell for want of processor time, wait; a machine that is never quiet gives no answer."""
    for left in range(TRIES - 1, -1, -1):
        try:
            outcome = session.carry_out(sign(home, session))
            break
        except SafetyRefusalError as refusal:
            if refusal.rule != "health" or not left:
                raise
            time.sleep(QUIET_S)
    return [(experiment, _read(experiment, outcome.evidence)) for experiment in session.plan.experiments]


def _read(experiment: Experiment, evidence: Evidence) -> Result:
    judged = next((r.hypotheses for r in evidence.results if r.experiment == experiment.id), ())
    told = (Verdict.BREAKS, Verdict.HOLDS)
    return Result(
        broke=frozenset((h.weakness, h.place) for h in judged if h.verdict is Verdict.BREAKS),
        decided=tuple((h.predicted, h.verdict is Verdict.BREAKS) for h in judged if h.verdict in told),
        undecided=sum(h.verdict not in told for h in judged),
        risk=0.0,
        seconds=evidence.duration_s / max(1, len(evidence.results)),
    )


def measure(seed: int, *, services: int, sessions: int, experiments: int) -> dict[str, Any]:
    """One system and its twin."""
    began = time.monotonic()
    told: dict[str, Any] = {"seed": seed}
    for healthy in (False, True):
        ground = real_ground(seed, services=services, healthy=healthy)
        with tempfile.TemporaryDirectory(prefix="murphy-gym-") as made, running(ground) as system:
            home = Home.open(Path(made) / "home")
            mine = ours(home, system, sessions=1 if healthy else sessions, experiments=experiments)
            told["twin" if healthy else "ours"] = _told(mine, ground)
            if not healthy:
                other = Home.open(Path(made) / "other")
                choice = candidates(other, system)
                told["planted"] = [f"{each.plant} at {each.place}" for each in ground.planted]
                told["candidates"] = len(choice)
                told["random"] = _told(drawn(other, system, choice, count=len(mine), seed=seed), ground)
    told["seconds"] = time.monotonic() - began
    return told


def _told(steps: Steps, ground: Ground) -> dict[str, Any]:
    each = score(((experiment.id, result) for experiment, result in steps), ground)
    return {
        "experiments": each.experiments,
        "found_at": each.found_at,
        "found": each.found,
        "true": each.true,
        "false": each.false_pairs,
        "undecided": sum(result.undecided for _, result in steps),
    }


def main() -> int:
    """Measure and tell."""
    asked = argparse.ArgumentParser(prog="python -m bench.gym.processes.measure", description=__doc__)
    asked.add_argument("--seeds", type=int, default=3)
    asked.add_argument("--first", type=int, default=1)
    asked.add_argument("--services", type=int, default=12, help="8 to 20")
    asked.add_argument("--sessions", type=int, default=3)
    asked.add_argument("--experiments", type=int, default=8, help="experiments a session")
    asked.add_argument("--output", type=Path, default=Path(".murphy/gym-real.json"))
    told = asked.parse_args()
    seeds = []
    for seed in range(told.first, told.first + told.seeds):
        each = measure(seed, services=told.services, sessions=told.sessions, experiments=told.experiments)
        seeds.append(each)
        ours_, random_, twin = each["ours"], each["random"], each["twin"]
        print(
            f"seed {seed}: {len(each['planted'])} planted; found {len(ours_['found'])} in {ours_['experiments']} "
            f"experiments (at {ours_['found_at']}), at random {len(random_['found'])} (at {random_['found_at']}); "
            f"false {len(ours_['false'])}, on the clean twin {len(twin['false'])} in {twin['experiments']}; "
            f"{each['seconds']:.0f} s",
            flush=True,
        )
        for false in (*ours_["false"], *random_["false"], *twin["false"]):
            print(f"  false: {false}", flush=True)
    told.output.parent.mkdir(parents=True, exist_ok=True)
    told.output.write_text(json.dumps(seeds, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
