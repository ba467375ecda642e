"""Faults on a SIMULATED Kubernetes cluster; ``make test-k8s`` runs all that there are against a real API server."""

from __future__ import annotations

from executor.model.faults.kubernetes import ChaosMesh
from executor.model.faults.network import Latency
from tests.executor.faults.kube_kit import BY_CHAOS_MESH, case, cases, simulated, with_chaos_mesh

_EVERY_DAY = ("scale", "drain", "empty", "policy", "wrong")
"""One of each kind that only Kubernetes has."""
_LATE = ChaosMesh(fault=Latency(delay_ms=200), duration_s=120)
CASES = (
    *(case for name, case in cases(simulated).items() if name in _EVERY_DAY),
    case(with_chaos_mesh, "latency", _LATE, BY_CHAOS_MESH),
)
