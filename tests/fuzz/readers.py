"""Every file that Murphy reads, and the functions that the command line reads it with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

from rich.console import Console

from executor.model.approval import Approval
from executor.model.digest import digest
from executor.model.plan import Plan
from executor.proxy import config
from executor.run import engine
from executor.run.observations import COLUMNS, LINES, load
from executor.run.rejudge import FILE, differences
from executor.safety.halt import halted
from executor.safety.limits import Limits, load_limits, to_toml
from executor.safety.policy import approve_under
from executor.safety.rules import refusals
from executor.safety.signing import create_key, sign_grant
from executor.safety.trust import trusted_keys
from executor.secrets import reveal
from executor.state import anchor, audit, undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.undo.recover import recover
from knowledge.ledger import Ledger
from knowledge.resilience.measures import Dimension, Measure
from knowledge.resilience.score import score
from knowledge.resilience.scoring import Scoring
from knowledge.topology.annotations import annotate, load_annotations, load_system, save_system
from planner import files
from planner.again import once_more
from planner.cli import plan_view, results_view
from planner.cli.output import THEME
from planner.report.write import write
from planner.session import Session
from tests.executor.kit import LIMITS, approve, plan_of
from tests.executor.measure.records import BACK, STEADY, dead, experiment, observations
from tests.fuzz.ground import REACH, RUN, Ground, left_by_the_dead, note, note_file
from tests.planner.systems import bazaar


@dataclass(frozen=True)
class Reader:
    """One kind of file."""

    name: str
    content: Callable[[Ground], bytes]
    read: Callable[[Ground, Path], object]
    place: Callable[[Ground], Path] = lambda ground: ground.home.path / "file"
    """Where it is: it may have to be in the home."""
    form: str = "json"
    """Or ``text`` or ``bytes``."""
    kept: bool = True
    """Whether reading it leaves it as it was."""


def quiet() -> Console:
    return Console(file=StringIO(), width=100, theme=THEME)


def _show_and_approve(ground: Ground, path: Path) -> None:
    plan = files.load_plan(path)
    plan_view.show(plan, quiet())
    quiet().print(plan_view.overview(plan))
    list(refusals(plan, ground.system, LIMITS))
    approve(ground.home, plan)


def _run_plan(ground: Ground, path: Path) -> None:
    plan = files.load_plan(path)
    if plan != ground.plan:
        _run(ground, plan, ground.approval)


def _run_approved(ground: Ground, path: Path) -> None:
    approval = files.load_approval(path)
    if approval != ground.approval:
        _run(ground, ground.plan, approval)


def _run(ground: Ground, plan: Plan, approval: Approval, limits: Limits = LIMITS) -> None:
    engine.run(plan, approval, system=ground.system, limits=limits, home=ground.home)
    raise AssertionError("a plan ran that nobody has approved")


def _limits(ground: Ground, path: Path) -> None:
    limits = load_limits(path)
    digest(limits)
    list(refusals(ground.plan, ground.system, limits))
    _run(ground, ground.plan, ground.approval, limits)


def _system(_ground: Ground, path: Path) -> None:
    system = load_system(path)
    digest(system)
    save_system(system, path.with_name("again.yaml"))
    list(refusals(plan_of(bazaar(), (experiment(STEADY, BACK),)), system, LIMITS))


def _annotations(_ground: Ground, path: Path) -> None:
    system = annotate(bazaar(), load_annotations(path), lambda _instance: "")
    digest(system)
    save_system(system, path.with_name("again.yaml"))


def _policy(ground: Ground, _path: Path) -> None:
    approve_under(ground.home, ground.plan, ground.system, LIMITS, "drills", datetime.now(UTC))


def _past(ground: Ground, path: Path) -> None:
    found = engine.load_evidence(ground.home, RUN)
    if found is None:
        return
    results_view.verdicts(found, quiet())
    results_view.recovery(found, quiet())
    results_view.outcome(found, quiet())
    try:
        write(ground.home, RUN, path.with_name("report.html"))
    finally:
        differences(ground.home, found)


def _again(ground: Ground, _path: Path) -> None:
    once_more(ground.home, bazaar(), f"{RUN}/e1", "tester")
    _past(ground, ground.home.run_dir(RUN) / "plan.json")


def _key(ground: Ground, _path: Path) -> None:
    sign_grant(ground.home, "operator", ground.approval.grant)


def _trust(ground: Ground, _path: Path) -> None:
    trusted_keys(ground.home)
    create_key(ground.home, "operator")


def _halt(ground: Ground, path: Path) -> None:
    assert halted(ground.home) is not None or not path.exists(), "a damaged flag lets runs begin"


def _note(ground: Ground, _path: Path) -> None:
    for found in (*undo_notes.left(ground.home), *undo_notes.left(ground.home, RUN)):
        assert found.held in (True, False)
    undo_notes.unreadable(ground.home)


def _anchor(ground: Ground, _path: Path) -> None:
    try:
        audit.verify(ground.home)
    finally:
        with closing(Journal(ground.home.journal)) as journal:
            journal.note("fuzz", "looked")


def _trail(ground: Ground) -> bytes:
    return "".join(f"{line}\n" for line in audit.export(ground.home)).encode()


def _sessions(_ground: Ground, path: Path) -> None:
    Session.find(Home(path.parent), "plan-1")


def _ledger(_ground: Ground, path: Path) -> None:
    with Ledger(path) as ledger:
        for ask in (ledger.runs, ledger.past, ledger.predictions, ledger.findings):
            ask()
        for run in ledger.runs():
            for measures in ledger.measures(run.system).values():
                score(run.system, measures, Scoring())


def _scoring(_ground: Ground, path: Path) -> None:
    scoring = files.load_scoring(path)
    scoring.words()
    measured = Measure(Dimension.RECOVERY, "web", "e1", "home", 3.0, 2.0, 4.0, None, 1.0, 3, critical=True)
    score("shop", (measured,), scoring)


def _journal(ground: Ground, path: Path) -> None:
    home = Home.open(path.parent)
    try:
        for ask in (lambda: recover(home), lambda: audit.verify(home), lambda: audit.entries(home)):
            ask()
    finally:
        with closing(Journal(home.journal)) as journal:
            journal.note("fuzz", "looked")
            journal.admit(
                "run-1",
                nonce="0" * 32,
                plan_digest="",
                environment="",
                reach=REACH,
                check=lambda _rows: None,
                detail={},
            )


def _other(name: str) -> Callable[[Ground], Path]:
    def place(ground: Ground) -> Path:
        path = ground.home.path / "other" / name
        path.parent.mkdir(exist_ok=True)
        return path

    return place


def _of_run(name: str) -> Callable[[Ground], Path]:
    return lambda ground: ground.home.run_dir(RUN) / name


def _there(place: Callable[[Ground], Path]) -> Callable[[Ground], bytes]:
    return lambda ground: place(ground).read_bytes()


def _seen_by_the_killed(_: Ground, path: Path) -> None:
    with suppress(FileNotFoundError):  # a link to nowhere
        load(path.parent, "e1")


def _killed(ground: Ground) -> Path:
    return ground.home.run_dir("run-killed") / LINES


def _lines(_: Ground) -> bytes:
    return "".join(o.model_dump_json() + "\n" for o in observations("front", dead)).encode()


def _system_text(ground: Ground) -> bytes:
    path = ground.home.path / "system.yaml"
    save_system(bazaar(), path)
    return path.read_bytes()


_SCORING = b"floor = 0.02\nrecovery_s = 20\ncriticality = [0, 1, 2, 3]\n[weights]\nrecovery = 5\nlatency = 0\n"
_PROXY = {
    "control": "/tmp/c",
    "edges": [{"edge": "a->b", "listen": 9101, "upstream": "127.0.0.1:1", "protocol": "tcp"}],
}
_NOTES = {
    "system": {"name": "x"},
    "services": {"web": {"criticality": 3, "match": {"port": 9000}, "restart_command": ["true"]}},
    "dependencies": [{"caller": "web", "callee": "lb", "timeout_ms": 100, "source": ["somebody"]}],
}
_TRUST: Callable[[Ground], Path] = lambda ground: ground.home.keys / "trusted.json"  # noqa: E731
_DRILLS: Callable[[Ground], Path] = lambda ground: ground.home.keys / "policies" / "drills.json"  # noqa: E731
_ANCHOR: Callable[[Ground], Path] = lambda ground: anchor.place(ground.home.journal)  # noqa: E731
_PEM: Callable[[Ground], Path] = lambda ground: ground.home.keys / "operator.pem"  # noqa: E731


def _readers() -> Iterator[Reader]:
    yield Reader("plan shown", lambda g: g.plan.model_dump_json().encode(), _show_and_approve)
    yield Reader("plan run", lambda g: g.plan.model_dump_json().encode(), _run_plan)
    yield Reader("approval", lambda g: g.approval.model_dump_json().encode(), _run_approved)
    yield Reader("limits", lambda _: to_toml(Limits()).encode(), _limits, form="text")
    yield Reader("scoring", lambda _: _SCORING, _scoring, form="text")
    yield Reader("system", _system_text, _system, form="text")
    yield Reader("system as json", lambda _: bazaar().model_dump_json().encode(), _system)
    yield Reader("annotations", lambda _: json.dumps(_NOTES).encode(), _annotations)
    yield Reader("trusted keys", _there(_TRUST), _trust, _TRUST)
    yield Reader("policy", _there(_DRILLS), _policy, _DRILLS)
    yield Reader("private key", _there(_PEM), _key, _PEM, form="bytes")
    for name in ("evidence.json", FILE):
        yield Reader(name, _there(_of_run(name)), _past, _of_run(name))
    yield Reader("observations", _there(_of_run(COLUMNS)), _past, _of_run(COLUMNS), "bytes")
    yield Reader("observations of the killed", _lines, _seen_by_the_killed, _killed, "text")
    yield Reader("past plan", _there(_of_run("plan.json")), _again, _of_run("plan.json"))
    flag = json.dumps({"since": "now", "reason": "a drill", "by": "me"}).encode()
    yield Reader("halt flag", lambda _: flag, _halt, lambda g: g.home.halt_file)
    yield Reader("proxy", lambda _: json.dumps(_PROXY).encode(), lambda _, path: config.load(path))
    yield Reader("secret", lambda _: b"redis://x", lambda _, path: reveal(f"file:{path}"), form="text")
    yield Reader("ledger", _there(lambda g: g.home.ledger), _ledger, _other("ledger.db"), "bytes", kept=False)
    journal = _other("journal.db")
    yield Reader("journal", lambda g: left_by_the_dead(journal(g)), _journal, journal, "bytes", kept=False)
    yield Reader("anchor", _there(_ANCHOR), _anchor, _ANCHOR, "bytes", kept=False)
    yield Reader("exported trail", _trail, lambda _, path: audit.verify_file(path), form="text")
    yield Reader("undo note", lambda g: note(g.home), _note, lambda g: note_file(g.home))
    yield Reader("sessions", _there(lambda g: g.home.sessions), _sessions, _other("sessions.db"), "bytes", kept=False)


READERS = tuple(_readers())
