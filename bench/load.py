"""Generators of load beside each other: ``python -m bench.load [--k9 PATH] [--hey PATH] [--wrk PATH] [--locust PATH]``.

At equal rates, in turn, against nginx with one worker on a loopback port, which answers 200 and nothing else; and
against a server that stands still for a while, which a closed loop hardly notices. k9-load and Locust come from pip,
in an environment of their own, hey and wrk from Debian. Each figure is the median of the repetitions with the least and
the most; the ratios are of the same repetition, so that what else runs strikes both.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.engines import ENGINES, Engine, Seen, cpu_s
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


def murphy(port: int, rate: float, seconds: float) -> Seen:
    order = Order(Request("127.0.0.1", port), (constant(rate, seconds),), good_within_s=1.0, concurrency=2000)
    before, begun = cpu_s(), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        with Load(order, Path(scratch), "it") as load:
            windows = [window for window in load.windows() if window.due]
        took = latencies(windows)
    time.sleep(0.2)  # until its exit has been collected
    over_s = time.monotonic() - begun - seconds - 0.2
    due, on_time = sum(w.due for w in windows), sum(w.sent - w.late for w in windows)
    told = (took.get_value_at_percentile(q) / 1000 for q in (50, 90, 99))
    return Seen(on_time / (rate * seconds), 1000 * (cpu_s() - before) / due, *told, over_s)


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    return " ".join(form.format(each) for each in (statistics.median(values), min(values), max(values)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.load")
    for name in ENGINES:
        parser.add_argument(f"--{name}", help="its command")
    parser.add_argument("--rates", type=int, nargs="+", default=RATES)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    given = parser.parse_args()
    if shutil.which("nginx") is None:
        sys.exit("nginx is needed (apt-get install nginx-light).")
    asked = {name: made(vars(given)[name]) for name, made in ENGINES.items() if vars(given)[name]}
    engines: dict[str, Engine] = {"murphy": murphy, **asked}
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"{given.repeat} × {given.seconds:g} s, {os.cpu_count()} cores, load {load}; median, least, most")
    print(f"{'rate':>7} {'':<8}{'sent in time':>18}{'cpu ms/request':>22}{'p50 ms':>24}{'p99 ms':>26}{'more s':>18}")
    with trivial() as port:
        for rate in given.rates:
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
            for name in asked:
                pairs = list(zip(seen["murphy"], seen[name], strict=True))
                cpu, p99 = [a.cpu_ms / b.cpu_ms for a, b in pairs], [a.p99_ms / b.p99_ms for a, b in pairs]
                print(f"{'':>7} murphy ÷ {name}: cpu {spread(cpu)}, p99 {spread(p99)}")
    print("a server that stands still for 0.5 s of 1.5 s, at 200/s: p90 should be some 300 ms, p99 500")
    for name, engine in engines.items():
        found = []
        for _ in range(given.repeat):
            with serving(["20", "5", "stall=0.5:0.5"]) as port:
                found.append(engine(port, 200, 2.0))
        slow, slowest = spread([s.p90_ms for s in found]), spread([s.p99_ms for s in found])
        print(f"{name:<8} p90 {slow} ms, p99 {slowest} ms", flush=True)


if __name__ == "__main__":
    main()
