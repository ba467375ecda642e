"""Generators of load that others keep, each asked to make one rate and to say what came of it: ``bench.load`` compares.

hey and Locust send at a rate as long as answers come; wrk knows no rate and sends as fast as its connections allow. All
three wait for an answer before they send the next request, and count latency from when it was sent.
"""

from __future__ import annotations

import csv
import json
import math
import re
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 20
"""As many of a closed loop as may wait at once."""
LOCUSTFILE = """
from locust import FastHttpUser, constant_throughput, task

class User(FastHttpUser):
    wait_time = constant_throughput({0})

    @task
    def ask(self):
        self.client.get("/")
"""


@dataclass(frozen=True)
class Seen:
    """What a generator did and says."""

    reached: float
    """Share of the requests due that were sent and, where it tells, not late; not a number where it knows no rate."""
    cpu_ms: float
    """Its processor time for a request, start and end left in."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    over_s: float
    """How much longer than the load the whole of it took."""


Engine = Callable[[int, float, float], Seen]
"""Port of 127.0.0.1, requests a second, seconds."""


def cpu_s() -> float:
    """Processor time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def _told() -> Iterator[Callable[[list[str]], tuple[str, Path, float, float]]]:
    """Runs a command in a scratch directory. Gives what it printed, where, and its seconds: of processor, in all."""
    with tempfile.TemporaryDirectory() as scratch:

        def tell(words: list[str]) -> tuple[str, Path, float, float]:
            before, begun = cpu_s(), time.monotonic()
            done = subprocess.run(words, check=True, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            return done.stdout.decode(), Path(scratch), cpu_s() - before, time.monotonic() - begun

        yield tell


def k9(command: str) -> Engine:
    """k9-load: open loop, as k6."""

    def run(port: int, rate: float, seconds: float) -> Seen:
        load = {"executor": "constant-arrival-rate", "rate": rate, "timeUnit": "1s", "duration": f"{seconds}s"}
        options = {
            "scenarios": {"load": {**load, "preAllocatedVUs": 100, "maxVUs": 2000}},
            "summaryTrendStats": ["med", "p(90)", "p(99)"],
        }
        plan = {"options": options, "flows": {"default": [{"request": {"url": f"http://127.0.0.1:{port}/"}}]}}
        with _told() as tell, tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            file.write(json.dumps(plan))
            file.flush()
            words = [command, "run", "--quiet", "--summary-export", "summary.json", file.name]
            _, scratch, used_s, took_s = tell(words)
            metrics = json.loads((scratch / "summary.json").read_text())["metrics"]
        sent, took = metrics["http_reqs"]["count"], metrics["iteration_duration_corrected"]
        told = (took[name] for name in ("med", "p(90)", "p(99)"))
        return Seen(sent / (rate * seconds), 1000 * used_s / sent, *told, took_s - seconds)

    return run


def hey(command: str) -> Engine:
    """hey: closed loop, each of its workers held to its part of the rate."""

    def run(port: int, rate: float, seconds: float) -> Seen:
        each = f"{rate / CONNECTIONS:g}"
        words = [command, "-z", f"{seconds}s", "-c", str(CONNECTIONS), "-q", each, f"http://127.0.0.1:{port}/"]
        with _told() as tell:
            said, _, used_s, took_s = tell(words)
        sent = sum(int(n) for n in re.findall(r"^\s*\[\d+\]\s+(\d+) responses", said, re.MULTILINE))
        told = (1000 * float(re.findall(rf"{q}% in ([\d.]+) secs", said)[0]) for q in (50, 90, 99))
        return Seen(sent / (rate * seconds), 1000 * used_s / sent, *told, took_s - seconds)

    return run


_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def wrk(command: str) -> Engine:
    """wrk: closed loop, as fast as it goes; the rate is not minded."""

    def run(port: int, rate: float, seconds: float) -> Seen:
        del rate
        length = f"{math.ceil(seconds)}s"
        words = [command, "-t1", f"-c{CONNECTIONS}", f"-d{length}", "--latency", f"http://127.0.0.1:{port}/"]
        with _told() as tell:
            said, _, used_s, took_s = tell(words)
        sent = int(re.findall(r"(\d+) requests in", said)[0])
        quantiles = re.findall(r"\b(?:50|90|99)%\s+([\d.]+)(us|ms|s)", said)
        told = (float(number) * _UNITS[unit] for number, unit in quantiles)
        return Seen(math.nan, 1000 * used_s / sent, *told, took_s - math.ceil(seconds))

    return run


def locust(command: str) -> Engine:
    """Locust: closed loop, each of its users held to its part of the rate."""

    def run(port: int, rate: float, seconds: float) -> Seen:
        with _told() as tell, tempfile.NamedTemporaryFile("w", suffix=".py") as file:
            file.write(LOCUSTFILE.format(rate / CONNECTIONS))
            file.flush()
            users, length = str(CONNECTIONS), f"{math.ceil(seconds)}s"
            words = [command, "-f", file.name, "--headless", "--host", f"http://127.0.0.1:{port}", "-u", users]
            words += ["-r", users, "-t", length, "--csv", "it", "--only-summary"]
            _, scratch, used_s, took_s = tell(words)
            with (scratch / "it_stats.csv").open(encoding="utf-8") as stats:
                whole = next(row for row in csv.DictReader(stats) if row["Name"] == "Aggregated")
        sent = int(whole["Request Count"])
        told = (float(whole[q]) for q in ("50%", "90%", "99%"))
        reached = sent / (rate * math.ceil(seconds))
        return Seen(reached, 1000 * used_s / sent, *told, took_s - math.ceil(seconds))

    return run


ENGINES: dict[str, Callable[[str], Engine]] = {"k9": k9, "hey": hey, "wrk": wrk, "locust": locust}
"""By name, made from the command that starts them."""
