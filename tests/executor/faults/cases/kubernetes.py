"""Faults on a SIMULATED Kubernetes cluster; ``make test-k8s`` runs all that there are against a real API server."""

from __future__ import annotations

from tests.executor.faults.kube_kit import cases, simulated

_EVERY_DAY = ("crash", "scale", "drain", "empty", "policy", "wrong")
"""One of each kind: the others have tests of their own (``infrastructure/test_kubernetes.py``)."""
CASES = tuple(case for name, case in cases(simulated).items() if name in _EVERY_DAY)
