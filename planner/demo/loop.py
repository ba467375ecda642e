"""One turn of the loop on a system that runs here: discover, plan, sign under a policy, run, learn."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from executor.clock import SYSTEM_CLOCK
from executor.model.approval import Approval
from executor.model.system import System
from executor.model.vocabulary import Environment
from executor.safety.limits import BlastRadius, Limits
from executor.safety.policy import Policy, approve_under, sign_policy
from executor.safety.signing import create_key
from executor.safety.trust import trusted_keys
from executor.state.home import Home
from experts.brief import Constraints
from experts.roster import from_environment
from knowledge.topology.annotations import annotate, load_annotations
from knowledge.topology.exercise import observe_exercises
from knowledge.topology.live import Scope, discover
from planner.session import Session

OPERATOR = "demo-operator"
POLICY = "demo"
LIMITS = Limits(
    blast_radius=BlastRadius(instances_percent=25, services_percent=25, traffic_percent=100), concurrent_faults_max=2
)
"""The shop is there to be broken: two things at a time, where neither can be felt by what the other judges."""
GOAL = "Find out what breaks before users do."


def look(starter: int, annotations: Path, tell: Callable[[str], None]) -> System:
    """The running system below a starter's pid, with what its operator says of it."""
    tell("watching processes and sockets")
    found = annotate(discover(Scope(tree_of=starter), name="shop"), load_annotations(annotations))
    tell("asking each operation, to see which edges it uses")
    return observe_exercises(found)


def think(
    home: Home, system: System, *, experiments: int, seconds: float, experts: str | None, tell: Callable[[str], None]
) -> Session:
    """A plan, made by the council from all that earlier runs have taught."""
    return Session.begin(
        home,
        system,
        goal=GOAL,
        constraints=Constraints(experiments_max=experiments, seconds_max=seconds),
        limits=LIMITS,
        experts=from_environment(experts),
        proposer="demo",
        on_progress=lambda stage, text: tell(f"{stage}: {text}"),
    )


def sign(home: Home, session: Session) -> Approval:
    """Approve the plan under the demo's own policy, which its own operator's key has signed.

    Raises ``SafetyRefusalError`` for a plan outside the policy.
    """
    if OPERATOR not in trusted_keys(home):
        create_key(home, OPERATOR)
    now = SYSTEM_CLOCK.now()
    policy = Policy(
        name=POLICY,
        systems=(session.system.name,),
        environments=(Environment.DEVELOPMENT,),
        allowed_faults=("service.*", "network.*", "resource.*", "data.*"),
        blast_radius=LIMITS.blast_radius,
        valid_until=now + timedelta(hours=1),
    )
    sign_policy(home, policy, OPERATOR)
    return approve_under(home, session.plan, session.system, session.limits, POLICY, now)
