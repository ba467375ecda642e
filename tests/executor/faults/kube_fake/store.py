"""Objects by kind, namespace and name, with versions, finalizers and a history to watch."""

from __future__ import annotations

import copy
import re
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

Json = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for what has none) and name."""
KINDS: dict[str, dict[str, tuple[str, bool]]] = {
    "v1": {
        "pods": ("Pod", True),
        "services": ("Service", True),
        "endpoints": ("Endpoints", True),
        "secrets": ("Secret", True),
        "nodes": ("Node", False),
        "namespaces": ("Namespace", False),
    },
    "apps/v1": {
        "deployments": ("Deployment", True),
        "replicasets": ("ReplicaSet", True),
        "statefulsets": ("StatefulSet", True),
        "daemonsets": ("DaemonSet", True),
    },
    "policy/v1": {"poddisruptionbudgets": ("PodDisruptionBudget", True)},
    "networking.k8s.io/v1": {"networkpolicies": ("NetworkPolicy", True)},
    "autoscaling/v1": {"horizontalpodautoscalers": ("HorizontalPodAutoscaler", True)},
    "apiextensions.k8s.io/v1": {"customresourcedefinitions": ("CustomResourceDefinition", False)},
}
"""Kinds by group and version, and by their name in a path: whether they live in a namespace."""
REMEMBERED = 2000
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


class RefusalError(Exception):
    """What the API answers when it does not do as asked."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


def now(after_s: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=after_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


class Store:
    """Every method holds the lock; a change wakes those who watch."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 100
        self.kinds = {group: dict(kinds) for group, kinds in KINDS.items()}
        self.objects: dict[str, dict[Key, Json]] = {}
        self.history: deque[tuple[int, str, str, Json]] = deque(maxlen=REMEMBERED)
        self.forgotten = 0
        """Versions up to this one cannot be watched from any more."""

    def all(self, plural: str, namespace: str = "") -> list[Json]:
        with self.lock:
            found = self.objects.get(plural, {})
            return [copy.deepcopy(each) for key, each in sorted(found.items()) if namespace in ("", key[0])]

    def get(self, plural: str, name: str, namespace: str = "") -> Json:
        with self.lock:
            try:
                return copy.deepcopy(self.objects[plural][namespace, name])
            except KeyError:
                raise RefusalError(404, "NotFound", f'{plural} "{name}" not found') from None

    def find(self, plural: str, name: str, namespace: str = "") -> Json | None:
        try:
            return self.get(plural, name, namespace)
        except RefusalError:
            return None

    def create(self, plural: str, body: Json, namespace: str = "", *, dry: bool = False) -> Json:
        with self.lock:
            about = body.setdefault("metadata", {})
            if not about.get("name") and about.get("generateName"):
                about["name"] = about["generateName"] + uuid.uuid4().hex[:5]
            name = about.get("name", "")
            if not _NAME.fullmatch(name):
                raise RefusalError(422, "Invalid", f'{plural} "{name}" is invalid: metadata.name')
            self._refuse_labels(plural, body)
            if (namespace, name) in self.objects.get(plural, {}):
                raise RefusalError(409, "AlreadyExists", f'{plural} "{name}" already exists')
            about |= {"uid": str(uuid.uuid4()), "creationTimestamp": now(), "generation": 1}
            if namespace:
                about["namespace"] = namespace
            if plural == "customresourcedefinitions" and not dry:
                self._define(body["spec"])
            return self._write(plural, "ADDED", body, dry=dry)

    def update(self, plural: str, body: Json, namespace: str = "", *, dry: bool = False, status: bool = False) -> Json:
        """Replace it. What has a version is taken only if that is the present one."""
        with self.lock:
            about = body["metadata"]
            before = self.get(plural, about["name"], namespace)
            was = before["metadata"]
            for part in ("resourceVersion", "uid"):
                if about.get(part) and about[part] != was[part]:
                    message = f'Operation cannot be fulfilled on {plural} "{was["name"]}": the object has been modified'
                    raise RefusalError(409, "Conflict", message)
            if status:
                body = {**copy.deepcopy(before), "status": body.get("status", {})}
            self._refuse_labels(plural, body)
            _refuse_fixed(plural, before, body)
            for part in ("uid", "creationTimestamp", "namespace", "deletionTimestamp", "deletionGracePeriodSeconds"):
                body["metadata"].pop(part, None)
                if part in was:
                    body["metadata"][part] = was[part]
            generation = was.get("generation", 1) + (body.get("spec") != before.get("spec"))
            body["metadata"]["generation"] = generation
            body["metadata"]["resourceVersion"] = was["resourceVersion"]
            if _tidy(body) == _tidy(before):
                return copy.deepcopy(before)
            written = self._write(plural, "MODIFIED", body, dry=dry)
            if not dry:
                self._gone_if_done(plural, written)
            return written

    def patch(
        self, plural: str, name: str, patch: Json, namespace: str = "", *, dry: bool = False, status: bool = False
    ) -> Json:
        """An RFC 7386 merge patch."""
        with self.lock:
            body = self.get(plural, name, namespace)
            version = (patch.get("metadata") or {}).get("resourceVersion")
            merged: Json = merge(body, patch)
            if version is None:
                merged["metadata"].pop("resourceVersion", None)
            return self.update(plural, merged, namespace, dry=dry, status=status)

    def delete(self, plural: str, name: str, namespace: str = "", options: Json | None = None) -> Json:
        """At once, or after its finalizers and, for a pod on a node, its grace time."""
        options = options or {}
        with self.lock:
            found = self.get(plural, name, namespace)
            about = found["metadata"]
            for part, wanted in (options.get("preconditions") or {}).items():
                if about[part] != wanted:
                    raise RefusalError(409, "Conflict", f"Precondition failed: {part} in precondition: {wanted}")
            grace = 0
            if plural == "pods" and found["spec"].get("nodeName"):
                usual = found["spec"].get("terminationGracePeriodSeconds", 30)
                grace = options.get("gracePeriodSeconds", usual)
                grace = usual if grace is None else grace
            if options.get("dryRun"):
                return found
            if grace or about.get("finalizers"):
                known = about.get("deletionGracePeriodSeconds")
                if "deletionTimestamp" not in about or (known is not None and grace < known):
                    about["deletionTimestamp"] = now(grace)
                    about["deletionGracePeriodSeconds"] = grace
                    return self._write(plural, "MODIFIED", found)
                return found
            return self.remove(plural, found)

    def remove(self, plural: str, found: Json) -> Json:
        """It is no more."""
        with self.lock:
            about = found["metadata"]
            del self.objects[plural][about.get("namespace", ""), about["name"]]
            return self._write(plural, "DELETED", found)

    def _gone_if_done(self, plural: str, found: Json) -> None:
        about = found["metadata"]
        if "deletionTimestamp" in about and not about.get("finalizers") and not about.get("deletionGracePeriodSeconds"):
            self.remove(plural, found)

    def _write(self, plural: str, event: str, body: Json, *, dry: bool = False) -> Json:
        written = _tidy(body)
        about = written["metadata"]
        if dry:
            return written
        self.version += 1
        about["resourceVersion"] = str(self.version)
        if event != "DELETED":
            self.objects.setdefault(plural, {})[about.get("namespace", ""), about["name"]] = written
        if len(self.history) == REMEMBERED:
            self.forgotten = self.history[0][0]
        self.history.append((self.version, plural, event, copy.deepcopy(written)))
        self.changed.notify_all()
        return copy.deepcopy(written)

    def events(self, plural: str, since: int, until: Callable[[], bool]) -> Iterator[tuple[str, Json] | None]:
        """What happens after a version; ``None`` now and then while nothing does. Raises ``RefusalError`` 410."""
        if since < self.forgotten:
            raise RefusalError(410, "Expired", f"too old resource version: {since} ({self.forgotten})")
        while not until():
            with self.lock:
                new = [each for each in self.history if each[0] > since]
                if not new:
                    self.changed.wait(0.1)
            for version, of, event, body in new:
                since = version
                if of == plural:
                    yield event, body
            if not new:
                yield None

    def _define(self, spec: Json) -> None:
        """Serve the kind that a definition defines."""
        kind = (spec["names"]["kind"], spec["scope"] == "Namespaced")
        for version in spec["versions"]:
            self.kinds.setdefault(f"{spec['group']}/{version['name']}", {})[spec["names"]["plural"]] = kind

    def _refuse_labels(self, plural: str, body: Json) -> None:
        for name, value in (body["metadata"].get("labels") or {}).items():
            if not isinstance(value, str) or not _LABEL.fullmatch(value) or not _LABEL.fullmatch(name.split("/")[-1]):
                raise RefusalError(422, "Invalid", f"{plural} is invalid: metadata.labels: {name}: {value}")
        replicas = body.get("spec", {}).get("replicas", 0)
        if plural in ("deployments", "statefulsets", "replicasets") and (not isinstance(replicas, int) or replicas < 0):
            raise RefusalError(422, "Invalid", f"{plural} is invalid: spec.replicas: {replicas}")


def _refuse_fixed(plural: str, before: Json, body: Json) -> None:
    if plural == "secrets" and before.get("immutable") and before.get("data") != body.get("data"):
        raise RefusalError(422, "Invalid", "data: Forbidden: field is immutable when `immutable` is set")
    if plural in ("deployments", "statefulsets") and before["spec"]["selector"] != body["spec"]["selector"]:
        raise RefusalError(422, "Invalid", "spec.selector: Invalid value: field is immutable")


def merge(value: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for name, part in patch.items():
        if part is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), part)
    return merged


def _tidy(body: Json) -> Json:
    """A copy without what the API leaves out when it is empty."""
    body = copy.deepcopy(body)
    for part, names in (
        ("metadata", ("annotations", "labels", "finalizers", "ownerReferences")),
        ("spec", ("taints",)),
    ):
        for name in names:
            if isinstance(body.get(part), dict) and body[part].get(name) in ({}, [], None):
                body[part].pop(name, None)
    if body.get("data") == {}:
        del body["data"]
    if isinstance(body.get("spec"), dict) and body["spec"].get("unschedulable") in (False, None):
        body["spec"].pop("unschedulable", None)
    return body
