"""A Kubernetes API server through the official client, which is loaded only when one is asked.

Objects are plain JSON, read and patched whole, so that nothing is lost which the client's models do not know. Whatever
changes an object says which version of it was read, and is refused by the server if somebody else was quicker.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from executor import extras
from executor.errors import UnavailableError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Json = dict[str, Any]
_CONNECT_S, _ANSWER_S = 3.0, 10.0
_WHO_ARE_YOU = 401
_TRIES = 10
"""At an object that others keep changing."""
_MERGE: Final = "application/merge-patch+json"


class RefusedError(UnavailableError):
    """The server answered with a status that is no success."""

    def __init__(self, status: int, message: str, *, where: str) -> None:
        super().__init__(message, where=where)
        self.status = status


class AbsentError(RefusedError):
    """There is no such object, or no such kind of object."""


class ConflictError(RefusedError):
    """The object is not as it was read, or is there already."""


class BusyError(RefusedError):
    """Not now: too many requests, or a PodDisruptionBudget that would be broken."""


_STATUS: Final = {404: AbsentError, 409: ConflictError, 429: BusyError}
_open: dict[tuple[str, str], Api] = {}


class Api:
    """One API server. Every method raises ``UnavailableError`` if it does not answer, and ``RefusedError`` as it says.

    Paths are those of the API: ``/api/v1/namespaces/shop/pods/shop-1``.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def read(self, path: str) -> Json:
        """One object."""
        return self._ask("GET", path)

    def find(self, path: str) -> Json | None:
        """One object; ``None`` if there is none."""
        try:
            return self.read(path)
        except AbsentError:
            return None

    def all(self, path: str, *, labels: str = "", fields: str = "") -> list[Json]:
        """The objects of a kind that the selectors choose."""
        chosen = [("labelSelector", labels), ("fieldSelector", fields)]
        items: list[Json] = self._ask("GET", path, query=[(name, text) for name, text in chosen if text])["items"]
        return items

    def create(self, path: str, body: Json, *, dry: bool = False) -> Json:
        """A new object, or ``dry`` whether there may be one. Raises ``ConflictError`` if there is one of that name."""
        return self._ask("POST", path, body, dry=dry)

    def require(self, verb: str, resource: str, namespace: str) -> None:
        """Raise ``UnavailableError`` unless we may: asked, not tried.

        A delete is never tried as a dry run: the server heeds that only in the body, and deletes if it is elsewhere.
        """
        resource, _, part = resource.partition("/")
        wanted = {"verb": verb, "resource": resource, "subresource": part, "namespace": namespace}
        group = "authorization.k8s.io/v1"
        review = {"apiVersion": group, "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": wanted}}
        if not self.create(f"/apis/{group}/selfsubjectaccessreviews", review)["status"].get("allowed"):
            raise UnavailableError(f"we may not {verb} {resource}{part and '/'}{part}.", where=namespace)

    def delete(self, path: str, *, uid: str = "", grace_s: int | None = None) -> None:
        """Delete it, the one with that uid if given. Idempotent; raises ``ConflictError`` if it is another one."""
        options: Json = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        try:
            self._ask("DELETE", path, options)
        except AbsentError:
            return

    def change(self, path: str, edit: Callable[[Json], Json | None], *, dry: bool = False) -> Json:
        """Read it, patch it with what ``edit`` makes of it, and begin anew if somebody else was quicker.

        ``edit`` returns a JSON merge patch (RFC 7386), or ``None`` to leave it. Returns the object as it is then, or
        would be: ``dry`` asks the server only whether it would take it.
        """
        for _ in range(_TRIES):
            found = self.read(path)
            patch = edit(found)
            if patch is None:
                return found
            about = found["metadata"]
            same = {"resourceVersion": about["resourceVersion"], "uid": about["uid"]}
            try:
                return self._ask("PATCH", path, {**patch, "metadata": {**patch.get("metadata", {}), **same}}, dry=dry)
            except ConflictError as error:
                last = error
        raise last

    def _ask(
        self, method: str, path: str, body: Json | None = None, query: Sequence[tuple[str, str]] = (), dry: bool = False
    ) -> Json:
        import urllib3
        from kubernetes.client import ApiException

        kind = _MERGE if method == "PATCH" else "application/json"
        request = self._client.param_serialize(
            method,
            path,
            query_params=[*query, *([("dryRun", "All")] if dry else [])],
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=(_CONNECT_S, _ANSWER_S))
            text = answer.read()  # type: ignore[no-untyped-call]
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            why = type(error).__name__
            raise UnavailableError(f"the API server does not answer ({why}).", where=self.where) from None
        if answer.status == _WHO_ARE_YOU:  # credentials may have been renewed: the next to connect reads them anew
            for wanted in [wanted for wanted, api in _open.items() if api is self]:
                _open.pop(wanted, None)
        if not 200 <= answer.status < 300:
            raise _refusal(answer.status, text, path)
        try:
            found: Json = json.loads(text)
        except ValueError:
            raise UnavailableError("what answers is no API server.", where=self.where) from None
        return found

    @property
    def where(self) -> str:
        """The server's address."""
        return str(self._client.configuration.host)


def connect(cluster: Mapping[str, str]) -> Api:
    """The API server of a kubeconfig (``""``: the usual one, or a pod's own account) and context (``""``: its current).

    Raises ``UnavailableError`` if the client is not installed, or the kubeconfig is not there or says too little.
    """
    wanted = (cluster.get("kubeconfig", ""), cluster.get("context", ""))
    if wanted not in _open:
        _open[wanted] = Api(_client(*wanted))
    return _open[wanted]


def _client(kubeconfig: str, context: str) -> ApiClient:
    try:
        from kubernetes import client, config
    except ImportError:
        raise UnavailableError(extras.absent("kubernetes")) from None
    settings = client.Configuration()
    with tempfile.TemporaryDirectory(
        prefix="murphy-kube-"
    ) as place:  # the client writes certificates and keys to files
        try:
            if kubeconfig or Path(config.KUBE_CONFIG_DEFAULT_LOCATION.split(":")[0]).expanduser().exists():
                file = str(Path(kubeconfig).expanduser()) if kubeconfig else None
                load = partial(config.load_kube_config, file, context or None)
                load(client_configuration=settings, persist_config=False, temp_file_path=place)
            else:
                config.load_incluster_config(settings)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError, ValueError) as error:
            where = kubeconfig or "the kubeconfig"
            raise UnavailableError(f"cannot be used: {_line(error)}.", where=where) from None
        settings.retries = False  # what is asked again, and when, is decided here
        made = client.ApiClient(settings)
        _keep_certificates(made)
    return made


def _keep_certificates(made: ApiClient) -> None:
    """Read them into memory, so that the files can go: a killed process would leave them behind."""
    import ssl  # with the client, or the watchdog would hold it for nothing

    kept = made.rest_client.pool_manager.connection_pool_kw
    if not made.configuration.host.startswith("https"):
        return
    context = ssl.create_default_context(cafile=kept.pop("ca_certs", None), cadata=kept.pop("ca_cert_data", None))
    if kept.get("cert_reqs") == ssl.CERT_NONE:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = kept.pop("cert_file", None), kept.pop("key_file", None)
    if certificate:
        context.load_cert_chain(certificate, key)
    kept["ssl_context"] = context


def _refusal(status: int, text: bytes, path: str) -> RefusedError:
    """What the server says; of a secret only the reason, since the words may quote it."""
    try:
        said = json.loads(text)
        reason = str(said.get("reason") or "")
        message = reason if "/secrets" in path else str(said.get("message") or reason)
    except (ValueError, AttributeError):
        message = ""
    words = message.rstrip(".") or f"status {status}"
    return _STATUS.get(status, RefusedError)(status, f"the API server says: {words}.", where=path)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def selector_text(selector: Mapping[str, Any]) -> str:
    """A workload's or service's selector as the API takes it in a query."""
    parts = [f"{name}={value}" for name, value in sorted((selector.get("matchLabels") or {}).items())]
    for each in selector.get("matchExpressions") or ():
        values = ",".join(sorted(each.get("values") or ()))
        name, how = each["key"], each["operator"]
        parts.append({"Exists": name, "DoesNotExist": f"!{name}"}.get(how, f"{name} {how.lower()} ({values})"))
    return ",".join(parts)
