"""Emergency restoration of a Kubernetes cluster: undo whatever carries our mark, from the cluster alone.

``murphy recover --sweep --cluster KUBECONFIG``. A cluster does not know which runs live, here or elsewhere: nothing is
spared, so it is done only where somebody names the cluster. Standard library and behaviours only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from executor.drivers.kubernetes import changes
from executor.drivers.kubernetes.api import AbsentError, Api, connect
from executor.errors import MurphyError, words_of
from executor.faults.infrastructure import secret
from executor.faults.infrastructure.on_objects import OURS, put_back
from executor.undo.swept import Swept

_CHANGED: Final = (
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/statefulsets",
    "/apis/apps/v1/replicasets",
    "/api/v1/nodes",
    "/api/v1/services",
    "/api/v1/pods",
)
"""What faults change, with a stamp on it."""
_MADE: Final = (
    "/apis/networking.k8s.io/v1/networkpolicies",
    *(
        f"/apis/chaos-mesh.org/v1alpha1/{kind}chaos"
        for kind in ("pod", "network", "stress", "io", "time", "dns", "http")
    ),
)
"""What faults make, with their label on it."""


def sweep_cluster(kubeconfig: str, context: str = "") -> list[Swept]:
    """Undo and remove all of ours in a cluster; returns what was found. Blocks for seconds.

    Raises ``UnavailableError`` if the cluster does not answer; what it cannot undo is ``owed``.
    """
    where = {"kubeconfig": kubeconfig, "context": context}
    api = connect(where)
    return [*_stamps(api), *_secrets(api, where), *_made(api)]


def _stamps(api: Api) -> Iterator[Swept]:
    for kind in _CHANGED:
        for found in _all(api, kind):
            path = _path(kind, found)
            if kind.endswith("/replicasets") and found["metadata"].get("ownerReferences"):
                continue  # its stamp is a copy of its deployment's
            for mark in changes.stamps_of(found):
                yield _tried(f"{mark} on {path}", lambda path=path, mark=mark: put_back(api, path, mark))


def _secrets(api: Api, where: dict[str, str]) -> Iterator[Swept]:
    """By the copies that we have made: each says of which Secret."""
    for copy in _all(api, "/api/v1/secrets", labels=OURS):
        path = _path("/api/v1/secrets", copy)
        record = {"cluster": where, **secret.of_copy(copy, path)}
        yield _tried(f"{copy['metadata']['name']} on {record['secret']}", lambda r=record: secret.Secret().revert(r))


def _made(api: Api) -> Iterator[Swept]:
    for kind in _MADE:
        for found in _all(api, kind, labels=OURS):
            path = _path(kind, found)
            yield _tried(f"what we have made: {path}", lambda path=path: api.delete(path))


def _all(api: Api, kind: str, *, labels: str = "") -> list[Any]:
    """None of a kind that the cluster does not know."""
    try:
        return api.all(kind, labels=labels)
    except AbsentError:
        return []


def _path(kind: str, found: Any) -> str:
    about = found["metadata"]
    group, _, plural = kind.rpartition("/")
    space = f"/namespaces/{about['namespace']}" if about.get("namespace") else ""
    return f"{group}{space}/{plural}/{about['name']}"


def _tried(what: str, undo: Any) -> Swept:
    try:
        undo()
    except MurphyError as error:
        return Swept("owed", f"{what}: {words_of(error).rstrip('.')}")
    return Swept("done", f"undone: {what}")
