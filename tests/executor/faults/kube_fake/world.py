"""A small system to strike: a deployment of three pods on two nodes, and a bystander on the same nodes."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from tests.executor.faults.kube_fake.selecting import chosen
from tests.executor.faults.kube_fake.store import Store

Json = dict[str, Any]
SPACE = "shop"
REPLICAS = 3
PASSWORD = "canary-password"


def manifests() -> list[tuple[str, Json]]:
    """Each object with the name of its kind in a path; the namespace comes first."""
    found: list[tuple[str, Json]] = [("namespaces", _object("v1", "Namespace", SPACE))]
    found += [("nodes", _object("v1", "Node", name, spec={})) for name in ("node-a", "node-b")]
    for app, replicas in (("web", REPLICAS), ("other", 1)):
        containers = [{"name": app, "image": f"example/{app}:1", "ports": [{"containerPort": 8000}]}]
        template = {"metadata": {"labels": {"app": app}}, "spec": {"containers": containers}}
        labels = {"matchLabels": {"app": app}}
        spec = {"replicas": replicas, "selector": labels, "template": template}
        ports = [{"port": 80, "targetPort": 8000, "protocol": "TCP"}]
        login = "login" if app == "web" else "other"
        found += [
            ("deployments", _object("apps/v1", "Deployment", app, spec=spec)),
            ("services", _object("v1", "Service", app, spec={"selector": {"app": app}, "ports": ports})),
            ("secrets", _object("v1", "Secret", login, data={"password": b64encode(PASSWORD.encode()).decode()})),
        ]
    budget = {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    return [*found, ("poddisruptionbudgets", _object("policy/v1", "PodDisruptionBudget", "web", spec=budget))]


def furnish(store: Store) -> None:
    """Put them in."""
    for plural, body in manifests():
        store.create(plural, body, space_of(plural))


def space_of(plural: str) -> str:
    """The namespace of its objects."""
    return "" if plural in ("namespaces", "nodes") else SPACE


def admits(policies: list[Json], pod: Json) -> bool:
    """Whether calls reach a pod: one that policies choose gets only what one of them lets through."""
    spaces = [each["spec"] for each in policies if each["metadata"]["namespace"] == pod["metadata"]["namespace"]]
    over = [spec for spec in spaces if chosen(pod, spec["podSelector"]) and "Ingress" in spec["policyTypes"]]
    return not over or any(spec.get("ingress") for spec in over)


def _object(version: str, kind: str, name: str, **parts: Any) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **parts}
