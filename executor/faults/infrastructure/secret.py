"""infrastructure.secret: a Kubernetes Secret holds a wrong value, or lacks it."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any, Final

from executor.drivers.kubernetes.api import Api, ConflictError, Json, connect
from executor.drivers.kubernetes.driver import look
from executor.drivers.targets import PodTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Record
from executor.faults.infrastructure.on_objects import OURS, OnObjects, label, log

if TYPE_CHECKING:
    from executor.model.faults.kubernetes import Secret as Spec

_SWAPPED: Final = "murphy-chaos/swapped"
"""Annotation on the Secret: name of the copy that holds the right value."""
_KEPT: Final = "murphy-chaos/kept"
"""Annotation on the copy: which key of which Secret it holds, and the digest of what stands there instead."""


class Secret(OnObjects):
    """The right value never leaves the cluster: it is kept there in a Secret of ours until it is put back."""

    kind = "infrastructure.secret"

    def look(self, api: Api, fault: Spec, target: PodTarget, mark: str) -> dict[str, Any]:
        """The Secret must have the key, and may be changed."""
        look(target)
        space = f"/api/v1/namespaces/{target.namespace}/secrets"
        found = api.read(f"{space}/{fault.secret}")
        if fault.key not in (found.get("data") or {}):
            raise UnavailableError(f"has no key {fault.key}.", where=fault.secret)
        if found.get("immutable"):
            raise UnavailableError("is immutable, and cannot be changed.", where=fault.secret)
        if _SWAPPED in (found["metadata"].get("annotations") or {}):
            raise UnavailableError("another fault holds it already.", where=fault.secret)
        api.change(f"{space}/{fault.secret}", lambda _: _swap(fault.key, "", mark), dry=True)
        return {
            "secret": f"{space}/{fault.secret}",
            "uid": found["metadata"]["uid"],
            "copy": f"{space}/{label(mark)}",
            "key": fault.key,
            "how": fault.how,
        }

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:  # noqa: ARG002 - the watchdog holds the lease
        """Keep a copy, then swap the very value that was kept. Raises ``UnavailableError`` if it was changed since."""
        api, key = connect(record["cluster"]), record["key"]
        found = api.read(record["secret"])
        value = (found.get("data") or {}).get(key)
        if found["metadata"]["uid"] != record["uid"] or value is None:
            raise UnavailableError("has changed since it was looked at.", where=record["secret"])
        wrong = "" if record["how"] == "missing" else _wrong(value)
        _keep(api, record, value, wrong)

        def swap(now: Json) -> Json | None:
            if _SWAPPED in (now["metadata"].get("annotations") or {}):
                return None
            if (now.get("data") or {}).get(key) != value:
                raise UnavailableError("has changed since it was looked at.", where=record["secret"])
            return _swap(key, wrong, record["mark"])

        api.change(record["secret"], swap)
        return {}

    def active(self, record: Record) -> bool | None:
        """Whether the value stands wrong, or a copy of the right one is still there."""
        try:
            api = connect(record["cluster"])
            return _ours(api.find(record["secret"]), record) or api.find(record["copy"]) is not None
        except UnavailableError:
            return None

    def revert(self, record: Record) -> None:
        """Put the right value back, unless somebody has put another there meanwhile; then forget the copy."""
        api = connect(record["cluster"])
        copy = api.find(record["copy"])
        if _ours(api.find(record["secret"]), record):
            if copy is None:
                raise UnavailableError(
                    "holds a wrong value, and the copy of the right one is gone.", where=record["secret"]
                )
            api.change(record["secret"], lambda now: _restored(now, copy, record))
        if copy is not None:
            api.delete(record["copy"], uid=copy["metadata"]["uid"])


def of_copy(copy: Json, path: str) -> Json:
    """A record that suffices for ``revert``, from the copy alone."""
    swapped, _, _ = copy["metadata"]["annotations"][_KEPT].partition(" ")
    (key,) = copy["data"]
    return {"secret": swapped, "copy": path, "key": key}


def _wrong(value: str) -> str:
    """Random text as long as the right value."""
    length = max(1, len(b64decode(value)))
    return b64encode(secrets.token_hex(length)[:length].encode()).decode()


def _digest(value: str | None) -> str:
    return hashlib.sha256((value or "").encode()).hexdigest()


def _swap(key: str, wrong: str, mark: str) -> Json:
    return {"metadata": {"annotations": {_SWAPPED: label(mark)}}, "data": {key: wrong or None}}


def _keep(api: Api, record: Record, value: str, wrong: str) -> None:
    """The copy; one that is left of a first try is made anew, since what it is to be compared with is another."""
    space, _, name = record["copy"].rpartition("/")
    about = {"name": name, "labels": {OURS: name}, "annotations": {_KEPT: f"{record['secret']} {_digest(wrong)}"}}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": about, "data": {record["key"]: value}}
    try:
        api.create(space, body)
    except ConflictError:
        if _ours(api.find(record["secret"]), record):
            raise
        api.delete(record["copy"])
        api.create(space, body)


def _ours(found: Json | None, record: Record) -> bool:
    """Whether the Secret bears this fault's annotation."""
    name = record["copy"].rpartition("/")[2]
    return found is not None and (found["metadata"].get("annotations") or {}).get(_SWAPPED) == name


def _restored(now: Json, copy: Json, record: Record) -> Json | None:
    if not _ours(now, record):
        return None
    patch: Json = {"metadata": {"annotations": {_SWAPPED: None}}}
    digest = copy["metadata"]["annotations"][_KEPT].rpartition(" ")[2]
    if _digest((now.get("data") or {}).get(record["key"])) == digest:
        return {**patch, "data": {record["key"]: copy["data"][record["key"]]}}
    log.warning("%s: %s was changed by somebody else meanwhile, and is left so.", record["secret"], record["key"])
    return patch
