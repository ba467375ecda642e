"""What faults share that change a Kubernetes cluster's objects for a time. Standard library only."""

from __future__ import annotations

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from executor import extras
from executor.drivers.kubernetes import changes
from executor.drivers.kubernetes.api import AbsentError, Api, ConflictError, connect
from executor.drivers.targets import PodTarget, Resolved
from executor.errors import UnavailableError
from executor.faults.behaviour import Context, LeaseKind, Record

log = logging.getLogger(__name__)

OURS = "murphy-chaos/mark"
"""Label of every object that a fault makes: which fault."""
_ASKING = "murphy-asking"


class OnObjects(ABC):
    """Changes fields of objects that are there, each stamped with what undoes it, and makes objects of its own.

    Undone from the record, or from the stamps; what somebody else has changed meanwhile is left, and said in the log.
    """

    kind: str
    lease: LeaseKind = "watchdog"
    needs = PodTarget

    @abstractmethod
    def look(self, api: Api, fault: Any, target: PodTarget, mark: str) -> dict[str, Any]:
        """What is to be changed and made, as ``change`` and ``making`` say it. Touches nothing.

        Raises ``UnavailableError`` that says why it cannot be done there, and what to do about it.
        """

    def lacking(self) -> str | None:
        """The client of Kubernetes."""
        return extras.lacking("kubernetes")

    def unsupported(self, fault: Any, target: Resolved) -> str | None:
        """Why not, as a look says."""
        assert isinstance(target, PodTarget)
        try:
            self._looked(fault, target, _ASKING)
        except UnavailableError as error:
            return str(error)
        return None

    def prepare(self, fault: Any, target: Resolved, context: Context) -> dict[str, Any]:
        """Record what is to change; the server is asked whether it would allow it (a dry run)."""
        assert isinstance(target, PodTarget)
        return self._looked(fault, target, context.mark)

    def _looked(self, fault: Any, target: PodTarget, mark: str) -> dict[str, Any]:
        api = connect(target.cluster)
        found = {"cluster": target.cluster, "mark": mark, "changes": [], "made": []}
        record = found | self.look(api, fault, target, mark)
        for each in record["made"]:
            api.create(each["path"], each["body"], dry=True)
        for each in record["changes"]:
            changes.make(api, each["path"], each["uid"], mark, each["fields"], dry=True)
        return record

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Make the objects, then change the others. Raises ``UnavailableError`` if one has changed since."""
        api = connect(record["cluster"])
        for each in record["made"]:
            _create(api, each["path"], each["body"])
        for each in record["changes"]:
            changes.make(api, each["path"], each["uid"], record["mark"], each["fields"])
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether anything of it is there; ``None`` if the cluster does not answer."""
        try:
            api = connect(record["cluster"])
            return any(api.find(place) is not None for place in _places(record)) or any(
                changes.made(api, each["path"], record["mark"]) for each in record["changes"]
            )
        except UnavailableError:
            return None

    def revert(self, record: Record) -> None:
        """Put back what is still as we left it, and delete what is ours. Raises ``UnavailableError`` if it cannot."""
        api = connect(record["cluster"])
        for each in record["changes"]:
            put_back(api, each["path"], record["mark"])
        for place in _places(record):
            api.delete(place)


def change(found: dict[str, Any], path: str, *fields: changes.Field) -> dict[str, Any]:
    """An object that is to be changed, as a record keeps it."""
    return {"path": path, "uid": found["metadata"]["uid"], "fields": list(fields)}


def making(path: str, body: dict[str, Any], mark: str) -> dict[str, Any]:
    """An object that is to be made under the mark's name, as a record keeps it."""
    about = {"name": label(mark), "labels": {OURS: label(mark)}}
    return {"path": path, "body": {**body, "metadata": about}}


def label(mark: str) -> str:
    """A mark as names and labels may be."""
    return re.sub(r"[^a-z0-9-]", "-", mark.lower())[:63].strip("-")


def put_back(api: Api, path: str, mark: str) -> None:
    """Undo our change of an object; one that is gone took it along."""
    try:
        left = changes.undo(api, path, mark)
        if "/deployments/" in path:
            changes.forget_copies(api, path)
    except AbsentError:
        return
    if left:
        log.warning("%s: %s was changed by somebody else meanwhile, and is left so.", path, ", ".join(left))


def _create(api: Api, path: str, body: dict[str, Any]) -> None:
    try:
        api.create(path, body)
    except ConflictError:
        found = api.find(f"{path}/{body['metadata']['name']}")
        if found is None or (found["metadata"].get("labels") or {}).get(OURS) != body["metadata"]["labels"][OURS]:
            raise


def _places(record: Record) -> Iterator[str]:
    """Paths of what we make: nobody else uses a mark as a name."""
    return (f"{each['path']}/{each['body']['metadata']['name']}" for each in record["made"])
