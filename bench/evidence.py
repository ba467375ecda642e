"""What a run with many observations costs: writing them down, putting them into columns, judging them again.

``python -m bench.evidence [--count 10000000] [--trials 10] [--sources 10]`` prints a table: the seconds of each step, a
process of its own, and the most memory that it held beyond what it held before.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from executor.measure.judge import judge
from executor.measure.records import TrialRecord
from executor.measure.samples import Samples
from executor.model.evidence import Observation
from executor.model.plan import Experiment
from executor.run.observations import COLUMNS, ObservationLog, load, to_columns
from tests.executor.measure.records import BACK, STEADY, experiment

HZ = 100.0
STEPS = ("write", "columns", "judge")


def asked(sources: int) -> Experiment:
    """An experiment that watches so many checks, the first of which its hypotheses speak of."""
    return experiment(STEADY, BACK, rate_hz=HZ, also=[f"check-{number}" for number in range(1, sources)])


def bounds(trial: int, length_s: float) -> TrialRecord:
    """A trial whose middle third is the fault."""
    return TrialRecord(
        trial=trial, baseline_start_s=0.0, injected_s=length_s / 3, reverted_s=2 * length_s / 3, end_s=length_s
    )


def write(directory: Path, count: int, trials: int, sources: int) -> None:
    """As a run does, until its end."""
    log = ObservationLog(directory)
    names = [check.id for check in asked(sources).checks]
    slots = count // trials // sources
    for trial in range(1, trials + 1):
        record = bounds(trial, slots / HZ)
        for slot in range(slots):
            at_s = slot / HZ
            ok = not (slot % 2 and record.fault_begins_s <= at_s < record.help_begins_s)
            for name in names:
                log.write(
                    Observation(
                        source=name,
                        experiment="e1",
                        trial=trial,
                        at_s=at_s,
                        ok=ok,
                        latency_ms=5.0 + slot % 97,
                        status=200 if ok else 503,
                        error="" if ok else "status 503",
                    )
                )
    log._file.close()  # putting it into columns is a step of its own


def again(directory: Path, count: int, trials: int, sources: int) -> str:
    """Judge it from its file, as ``murphy evidence RUN --recompute`` does."""
    length_s = count // trials // sources / HZ
    seen = [Samples(bounds(n, length_s), load(directory, "e1", n)) for n in range(1, trials + 1)]
    judgement = judge(asked(sources), seen, started=datetime(2026, 1, 1, tzinfo=UTC))
    return "; ".join(f"{each.hypothesis} {each.verdict.value}" for each in judgement.hypotheses)


def step(name: str, directory: Path, count: int, trials: int, sources: int) -> None:
    """One step in this process; prints a row."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    said = ""
    if name == "write":
        write(directory, count, trials, sources)
    elif name == "columns":
        to_columns(directory)
        said = f"{(directory / COLUMNS).stat().st_size / count:.1f} bytes an observation"
    else:
        said = again(directory, count, trials, sources)
    held = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{name:<10}{time.perf_counter() - begun:>8.1f} s{held:>8.0f} MiB   {said}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.evidence", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--sources", type=int, default=10)
    parser.add_argument("--step", choices=STEPS, help="only this one, in --directory")
    parser.add_argument("--directory", type=Path)
    given = parser.parse_args()
    if given.step:
        step(given.step, given.directory, given.count, given.trials, given.sources)
        return
    print(f"{given.count:,} observations, {given.trials} trials, {given.sources} sources", flush=True)
    with tempfile.TemporaryDirectory(prefix="murphy-bench-") as directory:
        for name in STEPS:
            sizes = [f"--{size}={getattr(given, size)}" for size in ("count", "trials", "sources")]
            command = [sys.executable, "-m", "bench.evidence", "--step", name, "--directory", directory, *sizes]
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
