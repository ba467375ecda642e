"""How long a rehearsal takes: ``python -m bench.twin [--services 1000,2000,5000] [--worlds 200] [--repeat 5]``.

Systems are layered graphs with three calls a service, half of whose faults are felt by hundreds of others: the struck
service is the one that most others reach, so that little can be left out. Each size is timed ``--repeat`` times, in
turn with the others, on one thread: making the twin (numbering, digest) and rehearsing one experiment, which is what a
first candidate costs; every further one costs the rehearsal alone. Ratios compare medians; near-linear is about the
ratio of the sizes. Peak memory is that of a process of its own for each size.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from executor.model.criteria import SteadyState
from executor.model.faults.network import Latency
from executor.model.faults.service import Crash
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, InstanceTarget, Prediction
from executor.model.probe import Check, HttpProbe, Slo
from executor.model.system import Dependency, ProcessInstance, Service, System
from executor.model.vocabulary import Weakness
from knowledge.twin.topology import topology
from knowledge.twin.twin import Twin

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""What numpy's libraries read as they are loaded."""
CALLS = 3
LAYERS = 12
ONE_MOST_S = 2.0
"""What 1,000 services × 200 worlds × one candidate may take."""


@dataclass(frozen=True)
class Believed:
    weakness: Weakness
    place: str
    probability: float
    runs: int = 0


def layered(count: int, seed: int = 7) -> System:
    """Services in layers; each calls three of the layers below, rather the near ones."""
    chance = random.Random(seed)
    wide = max(1, count // LAYERS)
    edges: dict[tuple[int, int], None] = {}
    for number in range(count):
        layer = min(LAYERS - 1, number // wide)
        if layer < LAYERS - 1:
            below = range((layer + 1) * wide, min(count, (layer + 3) * wide))
            edges |= dict.fromkeys((number, callee) for callee in chance.sample(below, min(CALLS, len(below))))
    services = tuple(
        Service(
            name=f"s{number}",
            criticality=chance.randrange(4),
            instances=tuple(ProcessInstance(id=f"s{number}-{n}", command=f"s{number} {n}") for n in range(2)),
            operations=(check(number),) if number < wide else (),
        )
        for number in range(count)
    )
    dependencies = tuple(Dependency(caller=f"s{a}", callee=f"s{b}", protocol="http") for a, b in edges)
    return System(name=f"layered-{count}", services=services, dependencies=dependencies)


def check(number: int) -> Check:
    return Check(
        id=f"ask-{number}",
        service=f"s{number}",
        probe=HttpProbe(url="http://127.0.0.1:1/"),
        slo=Slo(latency_ms_max=500),
    )


def candidate(system: System) -> Experiment:
    """The service that most others reach loses an instance, and the calls to it are slow."""
    known = topology(system)
    leaves = [number for number, out in enumerate(known.edges_out) if not out]
    worst = max(leaves[:200], key=lambda number: (len(known.upstream([number])), -number))
    edge = system.dependencies[known.edges_in[worst][0]]
    checks = tuple(c for s in system.services for c in s.operations)[:20]
    return Experiment(
        id="try",
        title="try",
        hypotheses=(
            Hypothesis(
                id="h",
                weakness=Weakness.HARD_DEPENDENCY,
                place=edge.place,
                statement="it holds",
                criteria=(SteadyState(checks=(checks[0].id,)),),
                prediction=Prediction(probability_breaks=0.5),
            ),
        ),
        checks=checks,
        actions=(
            Action(id="crash", fault=Crash(), target=InstanceTarget(service=edge.callee), duration_s=6),
            Action(
                id="slow",
                fault=Latency(delay_ms=1500),
                target=EdgeTarget(caller=edge.caller, callee=edge.callee),
                duration_s=6,
            ),
        ),
        abort_conditions="none",
    )


def beliefs(system: System) -> list[Believed]:
    return [
        Believed(weakness, edge.place, 0.3)
        for edge in system.dependencies
        for weakness in (Weakness.HARD_DEPENDENCY, Weakness.MISSING_TIMEOUT, Weakness.MISSING_CIRCUIT_BREAKER)
    ]


def timed(system: System, experiment: Experiment, worlds: int) -> tuple[float, float]:
    """(seconds to make the twin, seconds to rehearse), of this process's own processor."""
    known = beliefs(system)
    began = time.process_time()
    twin = Twin(system, known)
    made = time.process_time()
    twin.rehearse(experiment, worlds=worlds)
    return made - began, time.process_time() - made


def memory_mib(count: int, worlds: int) -> float:
    """Peak memory of a process that does it once, less that of one that only gets as far as the system."""
    told = [
        int(
            subprocess.run(
                [sys.executable, "-m", "bench.twin", "--one", str(count), "--worlds", str(number)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for number in (worlds, 1)
    ]
    return (told[0] - told[1]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--services", default="1000,2000,5000")
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if not ONE_THREAD.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, "-m", "bench.twin", *sys.argv[1:]], {**os.environ, **ONE_THREAD})
    if told.one:
        system = layered(told.one)
        timed(system, candidate(system), told.worlds)
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        print(int(peak.split()[1]))
        return 0
    sizes = [int(size) for size in told.services.split(",")]
    scenes = {size: (system := layered(size), candidate(system)) for size in sizes}
    seen: dict[int, list[tuple[float, float]]] = {size: [] for size in sizes}
    timed(*scenes[sizes[0]], told.worlds)  # what is loaded only once
    for _ in range(told.repeat):
        for size in sizes:
            seen[size].append(timed(*scenes[size], told.worlds))
    print(f"{told.worlds} worlds, {told.repeat} runs of each size, one thread, seconds of processor time")
    print(
        f"{'services':>8} {'edges':>6} {'felt by':>7} {'twin':>6} "
        f"{'rehearsal: least':>17} {'median':>6} {'most':>6} {'MiB':>5}"
    )
    whole: dict[int, float] = {}
    for size in sizes:
        system, experiment = scenes[size]
        known = topology(system)
        struck = known.index[experiment.actions[0].target.service]  # type: ignore[union-attr]
        made = statistics.median(first for first, _ in seen[size])
        spans = sorted(second for _, second in seen[size])
        whole[size] = made + statistics.median(spans)
        print(
            f"{size:8} {len(system.dependencies):6} {len(known.upstream([struck])):7} {made:6.3f} {spans[0]:17.3f} "
            f"{statistics.median(spans):6.3f} {spans[-1]:6.3f} {memory_mib(size, told.worlds):5.0f}"
        )
    first = sizes[0]
    for size in sizes[1:]:
        print(
            f"{size} services take {whole[size] / whole[first]:.2f} × as long as {first}, "
            f"being {size / first:g} × as many"
        )
    over = [size for size in sizes if size <= 1000 and whole[size] > ONE_MOST_S]
    for size in over:
        print(f"{size} services took {whole[size]:.2f} s, and the limit is {ONE_MOST_S:g} s")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
