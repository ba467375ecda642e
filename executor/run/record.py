"""What a run writes down at its end, and how: a crash leaves the old file or the new one, never half of it."""

from __future__ import annotations

import platform
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from executor.errors import UnavailableError
from executor.model.base import Contract
from executor.model.digest import digest
from executor.model.evidence import Evidence
from executor.state.durable import write

if TYPE_CHECKING:
    from executor.run.course import Course

_MEASURES = ("murphy-chaos", "anyio", "httpx", "pydantic")
"""Packages whose version can move what is measured."""


class Meter:
    """What the run cost this process, from the meter's making on."""

    def __init__(self) -> None:
        self._begun_s = self._cpu_s()

    def cpu_s(self) -> float:
        """CPU seconds used since then, by all threads; children apart."""
        return self._cpu_s() - self._begun_s

    @staticmethod
    def peak_bytes() -> int:
        """Most memory that this process ever held in memory at once."""
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    @staticmethod
    def _cpu_s() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime


def evidence_of(course: Course, owed: list[str], meter: Meter) -> Evidence:
    """Put a run's evidence together. Every experiment must have been judged."""
    results = []
    for experiment in course.plan.experiments:
        ran = course.ran[experiment.id]
        assert ran.judgement is not None
        results.append(ran.judgement.result(experiment, len(ran.bounds), ran.reverts))
    return Evidence(
        run=course.run,
        plan_id=course.plan.id,
        plan_digest=digest(course.plan),
        limits_digest=digest(course.limits),
        system_digest=digest(course.system),
        environment=course.plan.environment,
        approver=course.approval.grant.approver,
        started=course.started,
        duration_s=course.now_s(),
        outcome=course.ending.outcome if course.ending else "completed",
        timeline=tuple(sorted(course.timeline, key=lambda event: event.at_s)),
        targets=tuple(course.targets),
        results=tuple(results),
        owed=tuple(line[:400] for line in owed),
        observation_count=course.log.count,
        versions=versions(),
        cost={
            "cpu_s": round(meter.cpu_s(), 3),
            "guard_cpu_s": round(course.guard_cpu_s, 3),
            "peak_rss_bytes": meter.peak_bytes(),
            "probes_sent": course.log.probes,
        },
    )


def versions() -> dict[str, str]:
    """What the run was made with."""
    found = {"python": platform.python_version(), "kernel": platform.release()}
    for package in _MEASURES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def write_atomically(path: Path, value: Contract) -> None:
    """Write a value as JSON; on disk on return. Raises ``UnavailableError``; the file is then as it was."""
    try:
        write(path, value.model_dump_json(indent=1).encode())
    except OSError as error:
        raise UnavailableError(f"cannot be written: {error.strerror}.", where=str(path)) from error
