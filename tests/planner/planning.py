"""A process that plans, or carries a plan out, and may die on the way.

``planning.py DIRECTORY begin|carry_out [MOMENT [APPROVAL]]``. Its experts write down each time they are asked. It
prints every event of a run, and ``done …`` or ``refused …`` at its end.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver

from executor.errors import MurphyError
from executor.model.approval import Approval
from executor.model.faults.service import Hang
from executor.model.plan import Experiment, InstanceTarget
from executor.model.system import System
from executor.model.vocabulary import Weakness
from executor.safety.limits import Limits
from executor.state.home import Home
from experts.brief import Brief
from experts.expert import proposal_key
from experts.proposal import Critique, Proposal
from planner import shelf
from planner.graph import ORDER
from planner.nodes import check, learn, run
from planner.session import Session

NAMES = ("one", "two", "three", "four")
answering = threading.local()
"""``what`` is the question that this thread has just put to an expert; empty where the answer was kept already."""


class Counting:
    """Suspects every service of being a single point of failure, and keeps count of who asks."""

    model = "counting"

    def __init__(self, name: str, calls: Path) -> None:
        self.name = name
        self.notes: list[str] = []
        self._calls = calls

    def propose(self, brief: Brief) -> list[Proposal]:
        self._asked("propose")
        return [
            Proposal(
                expert=self.name,
                weakness=Weakness.SINGLE_POINT_OF_FAILURE,
                place=service.name,
                fault=Hang(),
                target=InstanceTarget(service=service.name),
                probability=0.5,
                rationale=f"{self.name} thinks so.",
            )
            for service in brief.system.services
        ]

    def critique(self, proposals: Sequence[Proposal], _brief: Brief) -> list[Critique]:
        self._asked("critique")
        return [Critique(expert=self.name, proposal=proposal_key(p), probability=0.4) for p in proposals]

    def predict(self, _experiment: Experiment, _brief: Brief) -> list[tuple[str, float]]:
        return []

    def _asked(self, what: str) -> None:
        answering.what = f"{what} {self.name}"
        write(self._calls, f"asked {answering.what}")


def write(path: Path, line: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, f"{line}\n".encode())
    os.close(handle)


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def keep_count(calls: Path, last: int | None) -> None:
    """Note each answer that has been asked for and kept; die with the ``last`` one.

    One asks at a time: an answer that was kept beside the last one could die before it is noted.
    """
    real: Callable[..., str] = shelf.Shelf.answer
    turn = threading.Lock()
    kept = 0

    def answer(self: shelf.Shelf, key: str, ask: Callable[[], str]) -> str:
        nonlocal kept
        with turn:
            answering.what = ""
            given = real(self, key, ask)
            if answering.what:
                write(calls, f"kept {answering.what}")
                kept += 1
                if kept == last:
                    die()
        return given

    shelf.Shelf.answer = answer  # type: ignore[method-assign]


def die_at(moment: str) -> None:
    """Die before the step does its work."""
    owner: Any
    owner, name = {"check": (check, "refusals"), "run": (run.engine, "run"), "learn": (learn, "findings")}[moment]
    setattr(owner, name, die)


def die_after(node: str) -> None:
    """Die once the step's result is on disk: before the next one begins, or at the very end."""
    real = SqliteSaver.put

    def put(self: SqliteSaver, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
        given = real(self, config, checkpoint, metadata, versions)
        if metadata["step"] == ORDER.index(node) + 1:  # 0 is what was asked for
            die()
        return given

    SqliteSaver.put = put  # type: ignore[method-assign]


def main() -> None:
    directory, command, moment = Path(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else ""
    signed = sys.argv[4] if len(sys.argv) > 4 else "approval.json"
    calls = directory / "calls"
    keep_count(calls, int(moment) if moment.isdecimal() else None)
    if moment.startswith("after-"):
        die_after(moment.removeprefix("after-"))
    elif moment.isalpha():
        die_at(moment)
    home = Home.open(directory / "home")
    limits = Limits.model_validate_json((directory / "limits.json").read_bytes())
    try:
        if command == "begin":
            session = Session.begin(
                home,
                System.model_validate_json((directory / "system.json").read_bytes()),
                limits=limits,
                experts=[Counting(name, calls) for name in NAMES],
                proposer="tester",
            )
            print(f"done {session.plan.id}", flush=True)
        else:
            approval = Approval.model_validate_json((directory / signed).read_bytes())
            found = Session.find(home, (directory / "plan_id").read_text())
            assert found is not None
            outcome = found.carry_out(approval, limits=limits, report=lambda event: print(event.kind.value, flush=True))
            print(f"done {outcome.evidence.outcome}", flush=True)
    except MurphyError as error:
        print(f"refused {error}", flush=True)


if __name__ == "__main__":
    main()
