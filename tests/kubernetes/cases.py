"""All faults on Kubernetes, on a real API server: the contract suite takes them by ``MURPHY_CASES``."""

from __future__ import annotations

from tests.executor.faults.kube_kit import cases
from tests.kubernetes.cluster import real

CASES = tuple(cases(real).values())
