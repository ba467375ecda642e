"""Infrastructure layer, on Kubernetes: nodes, workloads, services, secrets and policies of a cluster change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import Field, StringConstraints

from executor.model.base import Line, Seconds
from executor.model.faults import network, resource, service
from executor.model.faults.base import FaultSpec, TargetKind
from executor.model.vocabulary import FaultType, Scope
from executor.model.wording import duration

if TYPE_CHECKING:
    from executor.model.system import Service

ObjectName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
_NODE: Final = {
    "cordon": "let no new pod onto its node",
    "drain": "let no new pod onto its node, and evict {pods} from it as budgets allow",
    "taint": "taint its node ({effect})",
    "delete_pods": "delete {pods} of its node",
}


class Node(FaultSpec):
    """A Kubernetes node takes no new pods, is drained or tainted, or loses its pods."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE, Scope.MACHINE)
    differs: ClassVar[str] = (
        "The node stays up and well: pods are asked to end, not cut off, and what they keep in an emptyDir is lost."
    )
    usual: ClassVar[dict[str, Any]] = {"how": "drain"}
    kind: Literal["infrastructure.node"] = "infrastructure.node"
    how: Literal["cordon", "drain", "taint", "delete_pods"]
    pods: Literal["service", "node"] = "service"
    """Whose pods are evicted or deleted: only those of the target's own workload on that node, or all but daemons."""
    effect: Literal["NoSchedule", "NoExecute"] = "NoSchedule"
    """Of the taint; ``NoExecute`` drives away every pod that does not tolerate it, and needs ``pods: node``."""
    grace_s: Annotated[Seconds, Field(le=10)] = 5
    """Time that each pod gets to end."""

    def looks(self) -> FaultType:
        """By its parameters."""
        gone = self.how in ("drain", "delete_pods") or (self.how == "taint" and self.effect == "NoExecute")
        return FaultType.STOPPED if gone else FaultType.UNPLACEABLE

    def reaches(self) -> tuple[Scope, ...]:
        """Which of the service's pods are on the node shows only when it is looked at; others count if all may go."""
        if self.looks() is not FaultType.STOPPED:
            return (Scope.TARGET,)
        return self.scope if self.pods == "node" else (Scope.SERVICE,)

    def words(self) -> str:
        """What is done."""
        whose = "all pods" if self.pods == "node" else "the service's pods"
        return _NODE[self.how].format(pods=whose, effect=self.effect)


class Scale(FaultSpec):
    """A workload has one pod fewer for each instance that is struck."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "The controller chooses which pod goes, not necessarily the one that is named; it goes in good order."
    )
    look: ClassVar[FaultType] = FaultType.STOPPED
    kind: Literal["infrastructure.scale"] = "infrastructure.scale"

    def words(self) -> str:
        """What is done."""
        return "take one replica away, and put it back unless somebody else has scaled it by then"


class NetworkPolicy(FaultSpec):
    """A pod is cut off by a NetworkPolicy."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "Only where the cluster's network plugin enforces policies; its own node still reaches it, so probes of the"
        " kubelet go on, and connections that are open already may live."
    )
    look: ClassVar[FaultType] = FaultType.SILENT
    kind: Literal["infrastructure.network_policy"] = "infrastructure.network_policy"
    direction: Literal["ingress", "egress", "both"] = "both"

    def words(self) -> str:
        """What is done."""
        what = {"ingress": "what comes in", "egress": "what goes out", "both": "everything, both ways"}
        return f"drop {what[self.direction]}, by a NetworkPolicy on this pod alone"


class Endpoints(FaultSpec):
    """A Kubernetes Service leads to no pod at all, or to a port where nobody listens."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE,)
    differs: ClassVar[str] = (
        "Every caller of the Kubernetes Service is hurt, whichever instance is named; connections that are open"
        " already go on."
    )
    look: ClassVar[FaultType] = FaultType.REFUSED
    kind: Literal["infrastructure.endpoints"] = "infrastructure.endpoints"
    how: Literal["empty", "wrong_port"] = "empty"
    service: ObjectName | None = None
    """Name of the Kubernetes Service; by default the only one that leads to the pod."""

    def words(self) -> str:
        """What is done."""
        which = f"the Kubernetes Service {self.service}" if self.service else "its Kubernetes Service"
        return f"leave {which} without endpoints" if self.how == "empty" else f"lead {which} to a port that is closed"


class Secret(FaultSpec):
    """A Kubernetes Secret holds a wrong value, or lacks it."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.SERVICE, Scope.SETTINGS)
    differs: ClassVar[str] = (
        "The value is wrong while what it opens stays as it is. Pods that have it in a volume read it within a minute"
        " or two, those that have it in their environment when they start anew."
    )
    lacks: ClassVar[str] = "no secret is known; name one, and which of its keys."
    look: ClassVar[FaultType] = FaultType.MISCONFIGURED
    usual: ClassVar[dict[str, Any]] = {"secret": "login", "key": "password"}
    kind: Literal["infrastructure.secret"] = "infrastructure.secret"
    secret: ObjectName
    """Its name, in the pod's namespace."""
    key: Annotated[Line, StringConstraints(pattern=r"^[A-Za-z0-9._-]+$")]
    """Which of its values."""
    how: Literal["wrong", "missing"] = "wrong"
    """``wrong``: random, as long as the right one."""

    @classmethod
    def typical(cls, service: Service) -> Self | None:  # noqa: ARG003 - no service says which secrets it has
        """Nothing: which is meant has to be said."""
        return None

    def words(self) -> str:
        """What is done."""
        return {
            "wrong": f"put a random value for {self.key} into the Secret {self.secret}",
            "missing": f"take {self.key} out of the Secret {self.secret}",
        }[self.how]


ByChaosMesh = Annotated[
    service.Crash
    | service.Stop
    | service.Error
    | service.Timeout
    | service.CorruptResponse
    | network.Latency
    | network.Loss
    | network.Corruption
    | network.DuplicateReorder
    | network.Bandwidth
    | network.Partition
    | network.Dns
    | resource.Cpu
    | resource.Memory
    | resource.IoError
    | resource.ClockSkew,
    Field(discriminator="kind"),
]
"""Faults that have a Chaos Mesh resource of their own."""


class ChaosMesh(FaultSpec):
    """Chaos Mesh makes one of Murphy's faults in a pod, and ends it by itself after a time."""

    target_kind: ClassVar[TargetKind] = "instances"
    scope: ClassVar[tuple[Scope, ...]] = (Scope.TARGET,)
    differs: ClassVar[str] = (
        "As Chaos Mesh makes it: the network is struck by packets, not by requests; a stopped pod has another image for"
        " the time; and of an edge's fault it is the pod that is struck, for all its callers unless some are named."
    )
    usual: ClassVar[dict[str, Any]] = {"fault": network.Latency(delay_ms=3000)}
    kind: Literal["infrastructure.chaos_mesh"] = "infrastructure.chaos_mesh"
    fault: ByChaosMesh
    """What is to go wrong."""
    towards: Annotated[str, StringConstraints(pattern=r"^([\w./-]+=[\w.-]*(,[\w./-]+=[\w.-]*)*)?$", max_length=400)] = (
        ""
    )
    """Labels of the pods between which and this one the network is struck: ``app=orders``; empty: all that it sends."""
    duration_s: Annotated[Seconds, Field(ge=1, le=7200)] = 300
    """After this Chaos Mesh ends it, whatever has become of Murphy; longer than the action."""

    def looks(self) -> FaultType:
        """As the fault that it makes."""
        return self.fault.looks()

    def words(self) -> str:
        """What is done."""
        towards = f", towards {self.towards}" if self.towards else ""
        return f"let Chaos Mesh {self.fault.words()}{towards}, for {duration(self.duration_s)} at most"


SPECS: Final[tuple[type[FaultSpec], ...]] = (Node, Scale, NetworkPolicy, Endpoints, Secret, ChaosMesh)
