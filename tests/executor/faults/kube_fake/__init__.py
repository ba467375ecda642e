"""A SIMULATED Kubernetes cluster: a real HTTP server on loopback that keeps objects as an API server does.

It speaks the real paths, lists, watches, merge patches, dry runs, resource versions, preconditions, finalizers, grace
times and evictions, and answers with the real statuses. Controllers, scheduler and kubelets are simulated in a few
lines each; no container runs. ``make test-k8s`` holds it against a real API server.
"""

from __future__ import annotations

from tests.executor.faults.kube_fake.cluster import Cluster
from tests.executor.faults.kube_fake.server import serve
from tests.executor.faults.kube_fake.store import RefusalError, Store

__all__ = ["Cluster", "RefusalError", "Store", "serve"]
