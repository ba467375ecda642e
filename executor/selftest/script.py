"""What is done to the scene in a self-test: one plan that holds faults of every lease kind at once, and its limits."""

from __future__ import annotations

from executor.clock import SYSTEM_CLOCK
from executor.faults.registry import behaviour
from executor.model.approval import Approval
from executor.model.criteria import SteadyState
from executor.model.digest import digest
from executor.model.faults import Fault
from executor.model.faults.resource import Connections
from executor.model.faults.service import Crash, DependencyFailure, Hang, Slowdown
from executor.model.plan import Action, EdgeTarget, Experiment, Hypothesis, InstanceTarget, Plan, Prediction, Stage
from executor.model.probe import Check, HttpProbe
from executor.model.system import System
from executor.model.vocabulary import Weakness
from executor.safety.approval import installation_of, make_grant
from executor.safety.limits import BlastRadius, Guard, Limits
from executor.safety.signing import create_key, sign_grant
from executor.selftest.scene import CALLS, Scene
from executor.state.home import Home

LIMITS = Limits(
    blast_radius=BlastRadius(**dict.fromkeys(BlastRadius.model_fields, 100)),
    concurrent_faults_max=20,
    fault_s_max=10,
    run_s_max=120,
    lease_s=1,
    state_free_mib_min=1,
    guard=Guard(cpu_percent_max=100, memory_free_percent_min=0, unplanned_services_max=8),
)
"""The self-test's own; the operator's are for the operator's systems."""
PATIENT = Limits.model_validate({**LIMITS.model_dump(), "lease_s": 10})
"""For a run that is to complete: on a busy machine a lease of a second may lapse by itself, and rightly so."""
KEY = "selftest"
_FAULT_S = 2.0
_STRIKES: dict[str, Fault] = {
    "hung": Hang(),
    "slowed": Slowdown(cpu_percent=50),
    "crashed": Crash(restart="murphy"),
    "crowded": Connections(count=5),
    "front": DependencyFailure(mode="error"),
    "caller": DependencyFailure(mode="error"),
}
FAULTS = len(_STRIKES)
"""Faults of one run; each is armed, injected and reverted once."""


def plan_for(scene: Scene, system: System) -> Plan:
    """Every fault at once, each on a service of its own: none that reaches the whole machine, and so all of them."""
    port = scene.parts["asked"].port
    check = Check(
        id="asked", service="asked", probe=HttpProbe(url=f"http://127.0.0.1:{port}/", timeout_ms=5000), rate_hz=20
    )
    hypothesis = Hypothesis(
        id="h",
        weakness=Weakness.SINGLE_POINT_OF_FAILURE,
        place="asked",
        statement="asked keeps answering",
        criteria=(SteadyState(checks=("asked",), availability_min=0.5),),
        prediction=Prediction(probability_breaks=0.1),
    )
    experiment = Experiment(
        id="everything",
        title="every fault at once",
        hypotheses=(hypothesis,),
        checks=(check,),
        actions=tuple(_action(name, fault) for name, fault in _STRIKES.items() if _possible(name, system)),
        abort_conditions="none",
        baseline_s=0.5,
        recovery_deadline_s=10,
    )
    return Plan(
        id="selftest",
        system_name=system.name,
        system_digest=digest(system),
        environment=system.environment,
        proposer="selftest",
        stages=(Stage(experiments=(experiment,)),),
    )


def approve(home: Home, plan: Plan, limits: Limits) -> Approval:
    """By a key that was made for it and trusts nothing but this home."""
    create_key(home, KEY)
    grant = make_grant(
        plan,
        limits,
        approver=KEY,
        basis="person",
        valid_s=3600,
        now=SYSTEM_CLOCK.now(),
        installation=installation_of(home),
    )
    return sign_grant(home, KEY, grant)


def lease_kinds(plan: Plan, system: System) -> dict[str, str]:
    """The lease kind of each action: what ends its fault when nobody renews it."""
    kinds: dict[str, str] = {}
    for action in plan.actions:
        kind: str = behaviour(action.fault.kind).lease
        if isinstance(action.target, EdgeTarget):
            way = system.dependency(action.target.caller, action.target.callee).interception
            kind = "kernel" if way is not None and way.kind == "kernel_redirect" else kind
        kinds[action.id] = kind
    return kinds


def _possible(name: str, system: System) -> bool:
    return name not in CALLS or any(edge.caller == name for edge in system.dependencies)


def _action(name: str, fault: Fault) -> Action:
    target = EdgeTarget(caller=name, callee=CALLS[name]) if name in CALLS else InstanceTarget(service=name)
    return Action(id=name, fault=fault, target=target, duration_s=_FAULT_S)
