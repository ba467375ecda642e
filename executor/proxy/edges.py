"""The client of a managed proxy's control socket. Standard library only: the watchdog drops faults through it."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from executor.errors import UnavailableError

if TYPE_CHECKING:
    from executor.model.system import Dependency

ANSWER_S = 3.0
"""How long the proxy may take to answer, seconds."""


class ProxyGoneError(UnavailableError):
    """No proxy listens on the control socket: whatever was on its edges went with it."""


class ProxyRefusedError(UnavailableError):
    """The proxy understood and will not; nothing has changed."""


def count_calls(edge: Dependency) -> int | None:
    """Calls of the edge's caller that have arrived so far; ``None`` if nothing counts them. Never raises."""
    if edge.interception is None or edge.interception.kind != "managed_proxy":
        return None
    try:
        answer = _ask(edge.interception.control, {"do": "counters", "edge": edge.interception.edge})
    except UnavailableError:
        return None
    return int(answer["calls"])


def served(control: str) -> dict[str, dict[str, str]]:
    """The proxy's edges by name, each with its ``protocol`` and ``upstream``."""
    edges: dict[str, dict[str, str]] = _ask(control, {"do": "edges"})["edges"]
    return edges


def put(control: str, edge: str, mark: str, fault: Mapping[str, Any], lease_s: float) -> None:
    """Put a fault on an edge; without renewal it goes by itself after ``lease_s`` seconds."""
    _ask(control, {"do": "put", "edge": edge, "mark": mark, "fault": dict(fault), "lease_s": lease_s})


def renew(control: str, mark: str, lease_s: float) -> list[str]:
    """Let the mark's faults live ``lease_s`` seconds from now. Returns the edges where there still was one."""
    return list(_ask(control, {"do": "renew", "mark": mark, "lease_s": lease_s})["edges"])


def drop(control: str, mark: str) -> list[str]:
    """Take the mark's faults away, now and for good. Returns the edges where there was one."""
    return list(_ask(control, {"do": "drop", "mark": mark})["edges"])


def active(control: str, mark: str) -> list[str]:
    """The edges on which the mark's fault is in force now."""
    return list(_ask(control, {"do": "active", "mark": mark})["edges"])


def tally(control: str, mark: str) -> dict[str, dict[str, Any]]:
    """By edge, what the mark's fault has met, struck and held up there so far.

    Raises ``ProxyRefusedError`` too where the proxy is of an earlier version.
    """
    edges: dict[str, dict[str, Any]] = _ask(control, {"do": "tally", "mark": mark})["edges"]
    return edges


def _ask(control: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """One command and its answer.

    Raises ``ProxyGoneError`` if nobody listens, ``ProxyRefusedError`` with the proxy's sentence, and
    ``UnavailableError`` if it does not answer in time or not sensibly.
    """
    hint = "Start it with murphy proxy --config FILE."
    try:
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER_S)
            line.connect(control)
            line.sendall(json.dumps(request).encode() + b"\n")
            with line.makefile("rb") as lines:
                answer = json.loads(lines.readline())
    except (FileNotFoundError, ConnectionError) as error:
        raise ProxyGoneError(f"no fault proxy answers ({error.strerror}).", where=control, hint=hint) from None
    except TimeoutError:
        raise UnavailableError(f"the fault proxy does not answer within {ANSWER_S:g} s.", where=control) from None
    except (OSError, ValueError) as error:
        raise UnavailableError(f"the fault proxy cannot be asked ({error}).", where=control) from None
    if not isinstance(answer, dict) or "ok" not in answer:
        why = answer.get("error", "it answers nonsense") if isinstance(answer, dict) else "it answers nonsense"
        raise ProxyRefusedError(f"the fault proxy will not: {why}.", where=control)
    return answer
