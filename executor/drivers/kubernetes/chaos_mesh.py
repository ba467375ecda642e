"""Murphy's faults as Chaos Mesh resources: pure functions, one for each kind of fault. Standard library only.

Source: the resource definitions of Chaos Mesh (``config/crd/bases``), and its documentation for units and directions.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from executor.errors import UnavailableError

Json = dict[str, Any]
Fault = Mapping[str, Any]
"""A fault's parameters, with its ``kind``."""
VERSION: Final = "chaos-mesh.org/v1alpha1"
_QUEUE_BYTES: Final = 20 * 2**20
_LEAST_BUFFER: Final = 10_000
_PER_BYTE: Final = 8


@dataclass(frozen=True)
class Where:
    """The pod that is struck, and what is at the other end."""

    namespace: str
    pod: str
    duration_s: float
    """After this Chaos Mesh ends it, whatever has become of Murphy."""
    port: int | None = None
    """TCP port on which the pod is called."""
    towards: Mapping[str, str] | None = None
    """Labels of the pods, in the same namespace, between which and it the network is struck; ``None``: all."""


def compiled(fault: Fault, where: Where) -> Json:
    """The resource without its metadata. Raises ``UnavailableError`` for what Chaos Mesh cannot do, and says what."""
    try:
        kind, make = _KINDS[fault["kind"]]
    except KeyError:
        raise UnavailableError(f"Chaos Mesh makes no {fault['kind']}.") from None
    spec = {
        "mode": "all",
        "selector": {"namespaces": [where.namespace], "pods": {where.namespace: [where.pod]}},
        **make(fault, where),
        "duration": seconds(where.duration_s),
    }
    return {"apiVersion": VERSION, "kind": kind, "spec": spec}


def path(kind: str, namespace: str) -> str:
    """Where resources of a kind are."""
    return f"/apis/{VERSION}/namespaces/{namespace}/{kind.lower()}"


def over(found: Mapping[str, Any]) -> bool:
    """Whether its duration has passed and everything is as before."""
    return _phase(found) == "Stop" and _says(found, "AllRecovered")


def begun(found: Mapping[str, Any]) -> bool:
    """Whether it is in force wherever it is meant to be."""
    return _says(found, "AllInjected")


def _phase(found: Mapping[str, Any]) -> str:
    return str(((found.get("status") or {}).get("experiment") or {}).get("desiredPhase") or "")


def _says(found: Mapping[str, Any], kind: str) -> bool:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def seconds(value: float) -> str:
    """A length of time as Go reads it: ``90s``, ``-0.5s``."""
    return f"{value:.3f}".rstrip("0").rstrip(".") + "s"


def _no(what: str) -> UnavailableError:
    return UnavailableError(f"Chaos Mesh {what}.")


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _on_network(action: str, how: Json, where: Where, direction: str) -> Json:
    """Without pods at the other end only what leaves the pod can be struck."""
    if where.towards is None:
        if direction != "to":
            raise _no("strikes what comes in only from pods that are named; name their labels (towards)")
        return {"action": action, "direction": "to", **how}
    other = {"mode": "all", "selector": {"namespaces": [where.namespace], "labelSelectors": dict(where.towards)}}
    return {"action": action, "direction": direction, "target": other, **how}


def _latency(fault: Fault, where: Where) -> Json:
    if fault["distribution"] != "uniform":
        raise _no("spreads delays evenly and no other way")
    delay = {"latency": seconds(fault["delay_ms"] / 1000), "jitter": seconds(fault["jitter_ms"] / 1000)}
    return _on_network("delay", {"delay": {**delay, "correlation": "0"}}, where, "to")


def _loss(fault: Fault, where: Where) -> Json:
    lost = {"loss": {"loss": _percent(fault["percent"]), "correlation": "0"}}
    return _on_network("loss", lost, where, {"in": "from", "out": "to", "both": "both"}[fault["direction"]])


def _corruption(fault: Fault, where: Where) -> Json:
    spoilt = {"corrupt": {"corrupt": _percent(fault["percent"]), "correlation": "0"}}
    return _on_network("corrupt", spoilt, where, _ANSWERS[fault["direction"]])


def _duplicate(fault: Fault, where: Where) -> Json:
    twice = {"duplicate": {"duplicate": _percent(fault["duplicate_percent"]), "correlation": "0"}}
    late = {"latency": seconds(fault["delay_ms"] / 1000)}
    order = {"reorder": {"reorder": _percent(fault["reorder_percent"]), "gap": 1, "correlation": "0"}}
    both = {**twice, "delay": {**late, **order}} if fault["reorder_percent"] else twice
    return _on_network("netem" if fault["reorder_percent"] else "duplicate", both, where, "to")


def _bandwidth(fault: Fault, where: Where) -> Json:
    rate = f"{max(1, round(fault['rate_kbps'] * 1000 / _PER_BYTE))}bps"  # as tc has it: bytes a second
    width = {"rate": rate, "limit": _QUEUE_BYTES, "buffer": max(_LEAST_BUFFER, fault["burst_bytes"])}
    return _on_network("bandwidth", {"bandwidth": width}, where, _ANSWERS[fault["direction"]])


def _partition(fault: Fault, where: Where) -> Json:
    if fault["how"] != "drop":
        raise _no("drops what it cuts, and rejects nothing; choose how: drop")
    if where.towards is None:
        raise _no("cuts a pod off from others that are named; name their labels (towards)")
    return _on_network("partition", {}, where, "both" if fault["direction"] == "both" else "to")


def _dns(fault: Fault, where: Where) -> Json:
    del where
    actions = {"servfail": "error", "wrong_address": "random"}
    if fault["mode"] not in actions:
        raise _no(f"makes names fail (servfail) or lead astray (wrong_address), not {fault['mode']}")
    if any("*" in name[:-1] for name in fault["names"]):
        raise _no("takes a * only at the end of a name")
    return {"action": actions[fault["mode"]], "patterns": list(fault["names"])}


def _cpu(fault: Fault, where: Where) -> Json:
    del where
    return {"stressors": {"cpu": {"workers": fault["cores"], "load": round(fault["load_percent"])}}}


def _memory(fault: Fault, where: Where) -> Json:
    del where
    if fault["grow_bytes_per_s"]:
        raise _no("takes memory at once; leave grow_bytes_per_s at 0")
    if fault["bytes"] is None:
        raise _no("takes an amount of memory and does not fill it to a level; choose bytes")
    return {"stressors": {"memory": {"workers": 1, "size": f"{max(1, round(fault['bytes'] / 2**20))}MiB"}}}


def _io_error(fault: Fault, where: Where) -> Json:
    del where
    volume = fault["path"].rstrip("/")
    return {
        "action": "fault",
        "volumePath": volume,
        "path": f"{volume}/**/{fault['files']}",
        "errno": getattr(errno, fault["errno"]),
        "percent": max(1, round(fault["probability"] * 100)),
        "methods": [method for each in fault["operations"] for method in _METHODS.get(each, (each,))],
    }


def _clock(fault: Fault, where: Where) -> Json:
    del where
    return {"timeOffset": seconds(fault["offset_s"])}


def _crash(fault: Fault, where: Where) -> Json:
    del where
    if fault["signal"] != "KILL":
        raise _no(f"sends no SIG{fault['signal']}; choose KILL")
    return {"action": "pod-kill", "gracePeriod": 0}


def _stop(fault: Fault, where: Where) -> Json:
    del fault, where
    return {"action": "pod-failure"}


def _requests(fault: Fault, where: Where, target: str) -> Json:
    if where.port is None:
        raise _no("must know the port on which the pod is called; name it in system.yaml (port)")
    if fault["probability"] < 1:
        raise _no("strikes every request; leave probability at 1")
    only = {} if fault["method"] == "*" else {"method": fault["method"]}
    return {"target": target, "port": where.port, "path": fault["path"], **only}


def _error(fault: Fault, where: Where) -> Json:
    if fault["grpc_status"]:
        raise _no("answers with statuses of HTTP only; choose status")
    return {**_requests(fault, where, "Response"), "replace": {"code": fault["status"]}}


def _timeout(fault: Fault, where: Where) -> Json:
    if fault["after_bytes"]:
        raise _no("holds requests up, and no answer in its middle; leave after_bytes at 0")
    return {**_requests(fault, where, "Request"), "delay": seconds(where.duration_s)}


def _corrupt_response(fault: Fault, where: Where) -> Json:
    if fault["how"] != "wrong_content_type":  # an empty body is no body to the API server, and refused
        raise _no("leaves the bodies of answers whole; choose wrong_content_type")
    instead = {"headers": {"Content-Type": "application/octet-stream"}}
    return {**_requests(fault, where, "Response"), "replace": instead}


_METHODS: Final = {"sync": ("fsync",), "list": ("readdir",), "remove": ("unlink", "rmdir")}
"""Calls as Chaos Mesh names them, where that differs."""
_ANSWERS: Final = {"answers": "to", "calls": "from", "both": "both"}
_KINDS: Final[dict[str, tuple[str, Callable[[Fault, Where], Json]]]] = {
    "service.crash": ("PodChaos", _crash),
    "service.stop": ("PodChaos", _stop),
    "service.error": ("HTTPChaos", _error),
    "service.timeout": ("HTTPChaos", _timeout),
    "service.corrupt_response": ("HTTPChaos", _corrupt_response),
    "network.latency": ("NetworkChaos", _latency),
    "network.loss": ("NetworkChaos", _loss),
    "network.corruption": ("NetworkChaos", _corruption),
    "network.duplicate_reorder": ("NetworkChaos", _duplicate),
    "network.bandwidth": ("NetworkChaos", _bandwidth),
    "network.partition": ("NetworkChaos", _partition),
    "network.dns": ("DNSChaos", _dns),
    "resource.cpu": ("StressChaos", _cpu),
    "resource.memory": ("StressChaos", _memory),
    "resource.io_error": ("IOChaos", _io_error),
    "resource.clock_skew": ("TimeChaos", _clock),
}
KINDS: Final = tuple(_KINDS)
"""Kinds of faults that can be compiled."""
