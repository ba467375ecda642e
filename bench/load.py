"""Generators of load beside each other: ``python -m bench.load [--k9 PATH] [--repeat 5] [--seconds 3]``.

Open loop, at equal rates, in turn, against nginx with one worker on a loopback port, which answers 200 and nothing
else. ``--k9`` is the command of k9-load (``pip install k9-load`` in an environment of its own). Each figure is the
median of the repetitions with the least and the most; the ratios are of the same repetition, so that what else runs
strikes both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from executor.load.load import Load, Order
from executor.load.profile import constant
from executor.load.request import Request
from executor.load.window import latencies
from tests.executor.kit import free_port, until
from tests.executor.load.conftest import serving

NGINX = """
daemon off; master_process off; worker_processes 1; pid {0}/pid; error_log {0}/error.log;
events {{ worker_connections 20000; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c; uwsgi_temp_path {0}/d;
    scgi_temp_path {0}/e;
    server {{ listen 127.0.0.1:{1} backlog=4096; location / {{ return 200 "ok"; }} }}
}}
"""
RATES = (200, 1000, 2000, 4000, 8000, 16000)


@dataclass(frozen=True)
class Seen:
    """What a generator did and says."""

    reached: float
    """Share of the requests due that were sent and, where it tells, not late."""
    cpu_ms: float
    """Its processor time for a request, start and end left in."""
    p50_ms: float
    p99_ms: float
    over_s: float
    """How much longer than the load the whole of it took."""


@contextmanager
def trivial() -> Iterator[int]:
    with tempfile.TemporaryDirectory() as directory:
        port, config = free_port(), Path(directory) / "nginx.conf"
        config.write_text(NGINX.format(directory, port))
        started = subprocess.Popen(["nginx", "-e", f"{directory}/error.log", "-c", str(config)])
        try:
            until(lambda: _answers(port))
            yield port
        finally:
            started.kill()
            started.wait()


def _answers(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def murphy(port: int, rate: float, seconds: float) -> Seen:
    order = Order(Request("127.0.0.1", port), (constant(rate, seconds),), good_within_s=1.0, concurrency=2000)
    before, begun = _cpu_s(), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        with Load(order, Path(scratch), "it") as load:
            windows = [window for window in load.windows() if window.due]
        took = latencies(windows)
    time.sleep(0.2)  # until its exit has been collected
    over_s = time.monotonic() - begun - seconds - 0.2
    due, on_time = sum(w.due for w in windows), sum(w.sent - w.late for w in windows)
    p50, p99 = (took.get_value_at_percentile(q) / 1000 for q in (50, 99))
    return Seen(on_time / (rate * seconds), 1000 * (_cpu_s() - before) / due, p50, p99, over_s)


def k9(command: str, port: int, rate: float, seconds: float) -> Seen:
    load = {"executor": "constant-arrival-rate", "rate": rate, "timeUnit": "1s", "duration": f"{seconds}s"}
    options = {
        "scenarios": {"load": {**load, "preAllocatedVUs": 100, "maxVUs": 2000}},
        "summaryTrendStats": ["med", "p(99)"],
    }
    plan = {"options": options, "flows": {"default": [{"request": {"url": f"http://127.0.0.1:{port}/"}}]}}
    before, begun = _cpu_s(), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "plan.json").write_text(json.dumps(plan))
        words = [command, "run", "--quiet", "--summary-export", f"{scratch}/summary.json", f"{scratch}/plan.json"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        metrics = json.loads((Path(scratch) / "summary.json").read_text())["metrics"]
    over_s = time.monotonic() - begun - seconds
    sent, took = metrics["http_reqs"]["count"], metrics["iteration_duration_corrected"]
    return Seen(sent / (rate * seconds), 1000 * (_cpu_s() - before) / sent, took["med"], took["p(99)"], over_s)


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    return " ".join(form.format(each) for each in (statistics.median(values), min(values), max(values)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.load")
    parser.add_argument("--k9")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    if shutil.which("nginx") is None:
        sys.exit("nginx is needed (apt-get install nginx-light).")
    engines: dict[str, Callable[[int, float, float], Seen]] = {"murphy": murphy}
    if given.k9:
        engines["k9"] = lambda port, rate, seconds: k9(given.k9, port, rate, seconds)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{given.repeat} × {given.seconds:g} s, {os.cpu_count()} cores, load {load}; median, least, most")
    print(f"{'rate':>7} {'':<8}{'sent in time':>18}{'cpu ms/request':>22}{'p50 ms':>24}{'p99 ms':>26}{'more s':>18}")
    with trivial() as port:
        for rate in RATES:
            seen: dict[str, list[Seen]] = {name: [] for name in engines}
            for _ in range(given.repeat):
                for name, engine in engines.items():
                    seen[name].append(engine(port, rate, given.seconds))
            for name, each in seen.items():
                cells = [
                    spread([s.reached for s in each]).rjust(18),
                    spread([s.cpu_ms for s in each], "{:.3f}").rjust(22),
                    spread([s.p50_ms for s in each]).rjust(24),
                    spread([s.p99_ms for s in each]).rjust(26),
                    spread([s.over_s for s in each]).rjust(18),
                ]
                print(f"{rate:>7} {name:<8}{''.join(cells)}", flush=True)
            if "k9" in seen:
                pairs = list(zip(seen["murphy"], seen["k9"], strict=True))
                cpu, p99 = [a.cpu_ms / b.cpu_ms for a, b in pairs], [a.p99_ms / b.p99_ms for a, b in pairs]
                print(f"{'':>7} murphy ÷ k9: cpu {spread(cpu)}, p99 {spread(p99)}")
    print("a server that stands still for 0.5 s of 1.5 s, at 200/s: p99 should be 500 ms")
    for name, engine in engines.items():
        found = []
        for _ in range(given.repeat):
            with serving(["20", "5", "stall=0.5:0.5"]) as port:
                found.append(engine(port, 200, 2.0))
        print(f"{name:<8} p99 {spread([s.p99_ms for s in found])} ms", flush=True)


if __name__ == "__main__":
    main()
