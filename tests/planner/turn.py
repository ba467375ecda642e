"""One whole turn of the loop on real processes: planned by the offline council, approved, run, learned from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from executor.model.evidence import Event
from executor.model.system import System
from executor.state.home import Home
from experts.brief import Constraints
from experts.roster import council
from planner.session import Outcome, Session
from tests.executor.kit import LIMITS, Shelf, approve, proxied

GOAL = "Does <script>alert('front')</script> stand | without base?"
WANTED = Constraints(
    experiments_max=1, seconds_max=60, allowed_faults=("service.dependency_failure", "service.error", "network.latency")
)


@dataclass(frozen=True)
class Turn:
    """What it began with, and what it gave. The services still run."""

    home: Home
    system: System
    running: list[Shelf]
    session: Session
    stages: tuple[str, ...]
    """The graph's steps, as its progress told them, each once."""
    outcome: Outcome
    events: tuple[Event, ...]
    """As they were told live."""


def begin(home: Home, system: System, *, goal: str = GOAL, stages: list[str] | None = None) -> Session:
    """A session with the offline council."""
    seen = stages if stages is not None else []
    return Session.begin(
        home,
        system,
        goal=goal,
        constraints=WANTED,
        limits=LIMITS,
        experts=council(),
        proposer="tester",
        on_progress=lambda stage, _text: seen.append(stage),
    )


@contextmanager
def turned(directory: Path) -> Iterator[Turn]:
    """``front`` asks ``base`` over a managed proxy, and should do without it, but does not.

    On a busy machine a run may find nothing out; then there is another, up to twice.
    """
    with proxied(directory) as (running, found):
        system = _described(found)
        for number in range(3):
            home = Home.open(directory / f"home-{number}")
            stages: list[str] = []
            events: list[Event] = []
            session = begin(home, system, stages=stages)
            outcome = session.carry_out(approve(home, session.plan, LIMITS), limits=LIMITS, report=events.append)
            if outcome.findings:
                break
        yield Turn(home, system, running, session, tuple(dict.fromkeys(stages)), outcome, tuple(events))


def _described(system: System) -> System:
    """As live discovery and the system's owner would: what each operation uses, and what it needs."""
    told = {
        "base": {"needs": ("base",), "exercises": ()},
        "front": {"needs": ("front",), "exercises": ("front->base",), "critical": True},
    }
    services = [
        {**s.model_dump(), "operations": [{**c.model_dump(), **told[c.id]} for c in s.operations]}
        for s in system.services
    ]
    return System.model_validate({**system.model_dump(), "services": services})
