"""Whenever a session's process is killed, another takes it up: no finished model call and no run is ever repeated."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from executor.model.probe import Check
from executor.model.system import Service, System
from executor.model.vocabulary import Verdict
from executor.run.engine import load_evidence
from executor.state.home import Home
from executor.state.store import Store
from knowledge.ledger import Ledger
from planner.cli.results_view import outcome
from planner.graph import ORDER
from planner.history import sessions, steps
from planner.session import Session
from tests.executor.kit import LIMITS, Shelf, approve, shelves, until
from tests.planner.planning import NAMES

ROOT = Path(__file__).parents[2]


class Scene:
    """A real service, a home, and processes that plan for it."""

    def __init__(self, directory: Path, shelf: Shelf) -> None:
        self.directory, self.shelf = directory, shelf
        self.home = Home.open(directory / "home")
        asked = Check.model_validate({**shelf.service().operations[0].model_dump(), "critical": True})
        service = Service.model_validate({**shelf.service().model_dump(), "operations": (asked,)})
        self.system = System(name="library", services=(service,))
        (directory / "system.json").write_text(self.system.model_dump_json(), encoding="utf-8")
        (directory / "limits.json").write_text(LIMITS.model_dump_json(), encoding="utf-8")

    def start(self, command: str, moment: str = "", signed: str = "approval.json") -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "tests.planner.planning", str(self.directory), command, moment, signed]
        return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def tell(self, command: str, moment: str = "") -> str:
        """Run it to its end; its last word, empty if it was killed."""
        with self.start(command, moment) as process:
            said, _ = process.communicate(timeout=100)
        assert process.returncode == (-9 if moment else 0)
        return said.splitlines()[-1] if said and not moment else ""

    def calls(self, of: str) -> list[str]:
        return [line for line in (self.directory / "calls").read_text().splitlines() if line.startswith(of)]

    def approved(self, plan_id: str = "") -> str:
        """Approve the plan of a session, or of a new one; returns the run's name."""
        plan_id = plan_id or self.tell("begin").removeprefix("done ")
        session = Session.find(self.home, plan_id)
        assert session is not None
        approval = approve(self.home, session.plan, LIMITS)
        (self.directory / "plan_id").write_text(plan_id)
        (self.directory / "approval.json").write_text(approval.model_dump_json(), encoding="utf-8")
        return f"run-{approval.grant.nonce[:12]}"

    def runs(self) -> list[tuple[str, str]]:
        """Every run that the journal has ever seen, with its outcome."""
        if not self.home.journal.exists():
            return []
        store = Store(self.home.journal)
        try:
            return [(row["run"], row["outcome"]) for row in store.read("SELECT run, outcome FROM runs")]
        finally:
            store.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with shelves("base") as (base,):
        yield Scene(tmp_path, base)


@pytest.mark.slow
def test_no_finished_model_call_is_repeated(scene: Scene) -> None:
    """Killed after the second proposal, after the first critique of the next process, and among the rules."""
    questions = sorted(f"{what} {name}" for what in ("propose", "critique") for name in NAMES)
    for moment, kept in (("2", 2), (str(len(NAMES) - 1), len(NAMES) + 1), ("check", 2 * len(NAMES))):
        scene.tell("begin", moment)
        assert len(scene.calls("kept")) == kept
    assert scene.tell("begin").startswith("done plan-")
    assert sorted(line.removeprefix("asked ") for line in scene.calls("asked")) == questions
    assert sorted(line.removeprefix("kept ") for line in scene.calls("kept")) == questions


@pytest.mark.slow
def test_a_session_that_has_come_to_its_plan_is_not_taken_up_by_planning_anew(scene: Scene) -> None:
    plans = {scene.tell("begin"), scene.tell("begin")}
    assert len(plans) == 2
    assert len(scene.calls("asked")) == 4 * len(NAMES)


@pytest.mark.slow
def test_a_run_is_not_begun_twice_whenever_its_process_dies(scene: Scene) -> None:
    run = scene.approved()
    asked = len(scene.calls("asked"))
    scene.tell("carry_out", "run")
    assert scene.runs() == []
    scene.tell("carry_out", "learn")
    assert scene.runs() == [(run, "completed")]
    assert scene.tell("carry_out") == "done completed"
    assert scene.runs() == [(run, "completed")]
    assert scene.tell("carry_out").startswith("refused refused by single use")
    assert len(scene.calls("asked")) == asked
    with Ledger.open(scene.home) as ledger:
        assert [(row.run, row.verdict) for row in ledger.past()] == [(run, Verdict.BREAKS)]
        assert [finding.run for finding in ledger.findings()] == [run]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_after_each_step_planning_goes_on_with_the_next(scene: Scene) -> None:
    """A process for each step: it takes the session up, does one step, and dies."""
    planning = ORDER[: ORDER.index("approve")]
    for node in planning:
        scene.tell("begin", f"after-{node}")
        (past,) = sessions(scene.home)
        kept = [step.node for step in steps(scene.home, past.session)]
        assert kept == ["start", *planning[: planning.index(node) + 1]]
    questions = sorted(f"asked {what} {name}" for what in ("propose", "critique") for name in NAMES)
    assert sorted(scene.calls("asked")) == questions


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_killed_after_each_step_of_carrying_out_nothing_is_done_twice(scene: Scene) -> None:
    run = scene.approved()
    for node in ORDER[ORDER.index("approve") :]:
        scene.tell("carry_out", f"after-{node}")
        assert scene.runs() == ([] if node == "approve" else [(run, "completed")])
    (past,) = sessions(scene.home)
    assert [step.node for step in steps(scene.home, past.session)] == ["start", *ORDER]
    assert past.stands == f"carried out: {run}"
    assert scene.tell("carry_out").startswith("refused refused by single use")
    assert scene.runs() == [(run, "completed")]
    assert len(scene.calls("asked")) == 2 * len(NAMES)
    with Ledger.open(scene.home) as ledger:
        assert [finding.run for finding in ledger.findings()] == [run]


@pytest.mark.slow
def test_two_approvals_carried_out_by_two_processes_at_once_run_once(scene: Scene) -> None:
    """Whichever comes second is refused, however late: who signed it did not know of the other."""
    run = scene.approved()
    session = Session.find(scene.home, (scene.directory / "plan_id").read_text())
    assert session is not None
    second = approve(scene.home, session.plan, LIMITS)
    (scene.directory / "second.json").write_text(second.model_dump_json(), encoding="utf-8")
    said = []
    for process in [scene.start("carry_out", "", signed) for signed in ("approval.json", "second.json")]:
        out, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        said.append(out.splitlines()[-1])
    (refused,) = (words for words in said if words.startswith("refused"))
    assert "done completed" in said
    assert "one at a time" in refused or "one run" in refused
    for signed in ("approval.json", "second.json"):  # and nothing more comes of either
        with scene.start("carry_out", "", signed) as process:
            out, _ = process.communicate(timeout=100)
        assert "refused by single use" in out or "refused by one run: the plan was carried out under another" in out
    ((only, outcome),) = scene.runs()
    assert outcome == "completed"
    assert only in (run, f"run-{second.grant.nonce[:12]}")
    until(scene.shelf.answers)


@pytest.mark.slow
def test_one_approval_carried_out_by_two_processes_at_once_runs_once(scene: Scene) -> None:
    run = scene.approved()
    both = [scene.start("carry_out") for _ in range(2)]
    said = []
    for process in both:
        out, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        said.append(out.splitlines()[-1])
    (done,) = (words for words in said if words.startswith("done"))
    (refused,) = (words for words in said if words.startswith("refused"))
    assert done == "done completed"
    assert "one at a time" in refused or "single use" in refused  # the second came during the run, or after it
    assert scene.runs() == [(run, "completed")]
    until(scene.shelf.answers)


def test_a_run_killed_in_mid_fault_is_brought_to_its_end_and_never_begun_again(scene: Scene) -> None:
    run = scene.approved()
    said: list[str] = []
    with scene.start("carry_out") as process:
        assert process.stdout is not None
        reader = threading.Thread(
            target=lambda: said.extend(line.strip() for line in process.stdout or ()), daemon=True
        )
        reader.start()
        until(lambda: "injected" in said, within_s=60)
        assert scene.shelf.stopped()
        process.kill()
        process.wait()
        reader.join(10)
    assert scene.tell("carry_out") == "done interrupted"
    assert scene.runs() == [(run, "interrupted")]
    assert not scene.shelf.stopped()
    until(scene.shelf.answers)
    evidence = load_evidence(scene.home, run)
    assert evidence is not None
    assert evidence.owed == ()
    reverts = [check for result in evidence.results for check in result.reverts]
    assert [(check.reverted, check.verified) for check in reverts] == [(True, True)]
    assert reverts[0].detail.startswith("service.hang on base-1, undone by ")  # the watchdog, or whoever came first
    page = io.StringIO()
    outcome(evidence, Console(file=page, width=200))
    assert f"Run {run} interrupted; 1 fault undone, each asked for and found gone." in page.getvalue()
    assert [h.verdict for result in evidence.results for h in result.hypotheses] == [Verdict.ABORTED]
    assert scene.tell("carry_out").startswith("refused refused by single use")
    assert scene.runs() == [(run, "interrupted")]
