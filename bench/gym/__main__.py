"""``python -m bench.gym``: the planner and others on simulated systems; prints a table and writes all figures as JSON.

``--seeds 20 --services 60``; ``--only 3`` for one seed. See docs/gym.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from bench.gym.seed import Options, end_with_us, measure
from bench.gym.table import summary, table


def main() -> int:
    """Measure and tell."""
    asked = argparse.ArgumentParser(prog="python -m bench.gym", description=__doc__)
    asked.add_argument("--seeds", type=int, default=20, help="systems, each with its clean twin and its family")
    asked.add_argument("--first", type=int, default=1, help="the first seed")
    asked.add_argument("--services", type=int, default=Options.services, help="services a system, 20 to 1,000")
    budget = "experiments that each search may spend; 0: a quarter of the candidates"
    asked.add_argument("--budget", type=int, default=Options.budget, help=budget)
    asked.add_argument("--systems", type=int, default=Options.systems, help="systems a family")
    asked.add_argument("--lesson", type=int, default=Options.lesson, help="experiments on those between first and last")
    asked.add_argument("--processes", type=int, default=2)
    asked.add_argument("--output", type=Path, default=Path(".murphy/gym.json"))
    asked.add_argument("--table", type=Path, help="only print the table of figures that were written before")
    told = asked.parse_args()
    if told.table:
        print(table(json.loads(told.table.read_text())["seeds"]))
        return 0
    told.output.parent.mkdir(parents=True, exist_ok=True)
    options = Options(services=told.services, budget=told.budget, systems=told.systems, lesson=told.lesson)
    began = time.monotonic()
    seeds = []
    with ProcessPoolExecutor(told.processes, mp_context=get_context("spawn"), initializer=end_with_us) as pool:
        waiting = {pool.submit(measure, seed, options): seed for seed in range(told.first, told.first + told.seeds)}
        for done in as_completed(waiting):
            seeds.append(done.result())
            print(f"seed {waiting[done]}: {seeds[-1]['seconds']:.0f} s", file=sys.stderr, flush=True)
            seeds.sort(key=lambda each: each["seed"])
            figures = {"options": vars(options), "summary": summary(seeds), "seeds": seeds}
            told.output.write_text(json.dumps(figures, indent=1))
    print(table(seeds))
    print(f"\n{(time.monotonic() - began) / 60:.0f} minutes. All figures: {told.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
