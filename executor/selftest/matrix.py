"""The crash matrix: every case, several side by side, each lane with a scene of its own."""

from __future__ import annotations

import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from executor.errors import UnavailableError
from executor.kernel import child
from executor.selftest.cases import Case

Answer = dict[str, Any]
Cases = Callable[[list[float]], list[Case]]
"""Which cases there are, once it is known when the events of an undisturbed run come, in seconds."""
_WORTH_A_LANE = 8
"""Cases for which it pays to begin one more scene."""
_TRIES = 3
"""How often a case is tried whose run was over before its moment."""
_ROOT_BYTES = 80
"""The longest path of our own directory: a socket's may have 107 bytes, and lies below it."""


@dataclass
class Summary:
    """What a self-test has found."""

    seed: int
    answers: list[Answer] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """What could not be tried here, and why."""
    seconds: float = 0.0

    @property
    def residues(self) -> list[Answer]:
        """Cases after which something was left."""
        return [answer for answer in self.answers if answer["residues"]]

    def counts(self) -> dict[str, int]:
        """Cases by sort; those that came too late to strike are counted apart."""
        sorts = Counter("over before it was struck" if a["missed"] else a["case"]["sort"] for a in self.answers)
        return dict(sorted(sorts.items()))

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "seed": self.seed,
            "cases": self.counts(),
            "residues": len(self.residues),
            "left": [{key: answer[key] for key in ("case", "residues", "place")} for answer in self.residues],
            "left_out": self.left_out,
            "alive": self.alive(),
            "recovered": sum(answer["recovered"] for answer in self.answers),
            "seconds": round(self.seconds, 1),
        }

    def alive(self) -> dict[str, int]:
        """In how many cases a fault of each lease kind was there, or under way, when it was struck."""
        return dict(sorted(Counter(kind for answer in self.answers for kind in answer["alive"]).items()))


class Lane:
    """A process with a scene, which takes one case at a time."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self._words = (directory / "lane.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "executor.selftest.lane", str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            start_new_session=True,
            env=child.environment(),
            cwd="/",
        )

    def left_out(self) -> dict[str, str]:
        """What cannot be tried here, and why; to be asked once, before the first case."""
        return self._hear()

    def take(self, case: Case) -> Answer:
        """Do a case. Raises ``UnavailableError`` if the lane has died, with its last words."""
        assert self._process.stdin is not None
        with suppress(OSError):  # then it says nothing either
            self._process.stdin.write(json.dumps(case.plain()).encode() + b"\n")
            self._process.stdin.flush()
        return self._hear()

    def _hear(self) -> Answer:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            last = child.last_words((self._directory / "lane.log").read_bytes())
            raise UnavailableError(f"a lane of the self-test ended: {last}.", where=str(self._directory))
        answer: Answer = json.loads(line)
        return answer

    def finish(self) -> None:
        """Tell it to end its scene after the case that it is at."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def close(self) -> None:
        """Wait until it has ended its scene."""
        assert self._process.stdout is not None
        self.finish()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._words.close()


def run(
    cases: Cases,
    *,
    seed: int,
    lanes: int,
    artefacts: Path,
    report: Callable[[Answer], None] = lambda _answer: None,
) -> Summary:
    """Carry out an undisturbed run, then the ``cases``, on so many lanes.

    Keeps the directory of each case that left something under ``artefacts``, and removes everything else it made.
    Raises ``UnavailableError`` if a scene cannot be had, or the temporary directory has too long a path.
    """
    begun = time.monotonic()
    summary = Summary(seed)
    root = Path(tempfile.mkdtemp(prefix="murphy-selftest-"))
    try:
        if len(os.fsencode(root)) > _ROOT_BYTES:
            hint = "Set TMPDIR to a directory with a shorter path."
            raise UnavailableError("its path is too long for the sockets of the self-test.", where=str(root), hint=hint)
        _drain(root, cases, lanes, summary, report)
        for answer in summary.residues:
            _keep(answer, artefacts)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    summary.seconds = time.monotonic() - begun
    return summary


def _drain(
    root: Path,
    cases: Cases,
    lanes: int,
    summary: Summary,
    report: Callable[[Answer], None],
) -> None:
    work = _Work(summary, report)
    running: list[Lane] = []
    try:
        running.append(Lane(root / "lane-0"))
        summary.left_out = running[0].left_out()
        first = running[0].take(Case("undisturbed"))
        work.tell(first)
        todo = [case for case in cases(first["events_s"]) if case.trouble not in summary.left_out]
        for number, case in enumerate(todo, start=1):
            work.todo.put(replace(case, number=number))
        running += [Lane(root / f"lane-{n}") for n in range(1, min(lanes, len(todo) // _WORTH_A_LANE))]
        threads = [threading.Thread(target=work.serve, args=(lane, running[0])) for lane in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        work.over = True  # after an interrupt, too: no lane begins another case
        for lane in running:
            lane.finish()
        for lane in running:
            lane.close()
    if work.failed:
        raise work.failed[0]


class _Work:
    """What the lanes share."""

    def __init__(self, summary: Summary, report: Callable[[Answer], None]) -> None:
        self.todo: queue.SimpleQueue[Case] = queue.SimpleQueue()
        self.failed: list[Exception] = []
        self.over = False
        self._summary, self._report = summary, report
        self._lock = threading.Lock()

    def tell(self, answer: Answer) -> None:
        with self._lock:
            self._summary.answers.append(answer)
            self._report(answer)

    def serve(self, lane: Lane, first: Lane) -> None:
        """Cases until there are none, or another lane has failed."""
        try:
            if lane is not first:
                lane.left_out()
            while not self.failed and not self.over:
                try:
                    case = self.todo.get_nowait()
                except queue.Empty:
                    return
                self.tell(_once(lane, case))
        except Exception as error:  # noqa: BLE001 - it is raised by the thread that waits for this one
            self.failed.append(error)


def _once(lane: Lane, case: Case) -> Answer:
    """One case; where the run was over before its moment came it is tried again, sooner."""
    answer = lane.take(case)
    for again in range(1, _TRIES):
        if not answer["missed"] or answer["residues"]:
            break
        case = replace(case.sooner(), number=case.number + again * 100_000)
        answer = lane.take(case)
    return answer


def _keep(answer: Answer, artefacts: Path) -> None:
    kept = artefacts / f"case-{answer['case']['number']}"
    artefacts.mkdir(parents=True, exist_ok=True)
    shutil.copytree(answer["place"], kept, dirs_exist_ok=True, symlinks=True, ignore_dangling_symlinks=True)
    (kept / "case.json").write_text(json.dumps(answer, indent=1), encoding="utf-8")
    answer["place"] = str(kept)


def lanes_for(cores: int | None = None) -> int:
    """How many lanes keep the processors busy: most of a case is waiting."""
    return 4 * (cores or os.cpu_count() or 1)


def any_seed() -> int:
    """A seed that nobody chose."""
    return random.SystemRandom().randrange(2**32)
