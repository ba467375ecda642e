"""What faults on edges share: each puts one of the fault proxy's faults on the edges of its target.

An edge with a managed proxy is reached through that proxy's control socket; the proxy ends the fault when nobody renews
it. Any other is reached, with root and nftables, by a helper of ours to which the kernel leads new connections to the
callee's port while a time-out in the kernel runs; the helper strikes the caller's and carries the others. If it is
killed, the others find nobody there either, until the next renewal or the time-out. Standard library only.
"""

from __future__ import annotations

import json
import logging
import zlib
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from executor.drivers.targets import EdgeTargets, Resolved
from executor.errors import FaultGoneError, UnavailableError
from executor.faults import held
from executor.faults.behaviour import Context, LeaseKind, Record
from executor.faults.interception import unreachable, ways
from executor.kernel import child, nft, redirect
from executor.proxy import edges as proxies

if TYPE_CHECKING:
    from executor.model.faults.service import HttpMatch
    from executor.model.system import Dependency

log = logging.getLogger(__name__)

_READY_S = 20.0
_END_S = 12.0
"""The helper strikes nobody any more, and carries what others have under way for 8 s; a revert may take 20 s."""


class EdgeFault(ABC):
    """A fault on edges. A kind of fault says what the proxy is to do, and on which of the edges."""

    kind: str
    lease: LeaseKind = "server"
    unclaimed = True

    @abstractmethod
    def wanted(self, fault: Any) -> dict[str, Any]:
        """The fault as the proxy takes it."""

    def meant(self, fault: Any, target: EdgeTargets) -> tuple[Dependency, ...]:  # noqa: ARG002 - for those who choose
        """The edges it strikes."""
        return target.edges

    def unsupported(self, fault: Any, target: Resolved) -> str | None:
        """Every edge must be interceptable, and speak what the fault needs."""
        assert isinstance(target, EdgeTargets)
        edges = self.meant(fault, target)
        if not edges:
            return "the system knows no edge in that direction; choose the other, or both."
        reasons = (unreachable(edge, target.callers.get(edge.caller, ()), self.wanted(fault)) for edge in edges)
        return next(filter(None, reasons), None)

    def prepare(self, fault: Any, target: Resolved, context: Context) -> dict[str, Any]:
        """Record where the fault goes. Raises ``UnavailableError`` if an edge cannot be intercepted."""
        assert isinstance(target, EdgeTargets)
        managed: list[dict[str, str]] = []
        redirected: list[dict[str, Any]] = []
        for edge in self.meant(fault, target):
            if edge.interception is None:
                raise UnavailableError("nothing intercepts this edge.", where=edge.place)
            if edge.interception.kind == "managed_proxy":
                managed.append({"control": edge.interception.control, "edge": edge.interception.edge})
            else:
                found = ways(edge, target.callers.get(edge.caller, ()), context.system)
                if not all(way["users"] for way in found):  # for none means any: everybody would be led along
                    raise UnavailableError(f"no process of {edge.caller} runs here any more.", where=edge.place)
                redirected += found
        return {
            "mark": context.mark,
            "fault": {**self.wanted(fault), "seed": zlib.crc32(context.mark.encode())},
            "managed": managed,
            "redirected": redirected,
            "table": nft.name_of(context.mark),
            **held.record(context),
        }

    def inject(self, record: Record, lease_s: float) -> dict[str, Any]:
        """Put the fault on every edge."""
        for place in record["managed"]:
            proxies.put(place["control"], place["edge"], record["mark"], record["fault"], lease_s)
        if record["redirected"]:
            if other := redirect.taken(_ports(record), besides=record["table"]):
                raise UnavailableError(
                    f"another fault ({other}) redirects the same port already.",
                    hint="Faults on one port by redirect can only follow each other.",
                )
            job = {name: record[name] for name in ("table", "mark", "fault")} | {"edges": record["redirected"]}
            return held.start("executor.proxy.transparent", [json.dumps(job)], record, lease_s, ready_s=_READY_S)
        return {}

    def renew(self, record: Record, lease_s: float) -> None:
        """Push the leases on. Where the helper has died, nobody is led to its dead end any more.

        Raises ``FaultGoneError`` where a proxy or the helper is gone, or was started anew; the others are renewed.
        """
        gone = []
        for control in _controls(record):
            with suppress(proxies.ProxyGoneError):
                if proxies.renew(control, record["mark"], lease_s):
                    continue
            gone.append(f"the fault proxy at {control}")
        if record["redirected"]:
            if held.whole(record):
                held.renew(record, lease_s)
                _table(record).renew(_ports(record), lease_s)
            else:
                _table(record).remove()
                gone.append("the helper that carried it")
        if gone:
            raise FaultGoneError(f"the fault went with {' and '.join(gone)}.")

    def active(self, record: Record) -> bool | None:
        """Whether it is in force on any edge: asked of the proxies and of the kernel."""
        answers = [_in_force(control, record["mark"]) for control in _controls(record)]
        if record["redirected"]:
            answers.append(held.alive(record) or _led_away(_table(record)))
        return True if True in answers else None if None in answers else False

    def tells(self, record: Record) -> str:
        """What was asked and what the proxies and the helper have counted; of a narrow line they count nothing."""
        seen: dict[str, dict[str, Any]] = {}
        for control in _controls(record):
            with suppress(UnavailableError):  # it may be of an earlier version, too
                seen |= proxies.tally(control, record["mark"])
        if record["redirected"]:
            with suppress(OSError, ValueError):
                seen |= json.loads(child.tally_of(Path(record["deadline"])).read_text(encoding="utf-8"))
        return "; ".join(f"{edge}: {_size(record['fault'], seen[edge])}" for edge in sorted(seen) if seen[edge]["of"])

    def revert(self, record: Record) -> str | None:
        """Take it away everywhere. A managed proxy that is gone took the fault with it: that is returned then."""
        failed: list[UnavailableError] = []
        gone = []
        for control in _controls(record):
            try:
                proxies.drop(control, record["mark"])
            except proxies.ProxyGoneError as error:
                log.warning("%s Its faults went with it.", error.message)
                gone.append(f"the fault proxy at {control}")
            except UnavailableError as error:
                failed.append(error)
        if record["redirected"]:
            if held.lost(record):
                gone.append("the helper that carried it")
            held.end(record, grace_s=_END_S)
            _table(record).remove()
        if failed:
            raise failed[0]
        return " and ".join(gone)


def matching(fault: HttpMatch) -> dict[str, Any]:
    """The part of a fault that says which requests are meant."""
    return {"probability": fault.probability, "method": fault.method, "path": fault.path}


def _size(fault: dict[str, Any], seen: dict[str, Any]) -> str:
    """How big it was to be and how big it was, in words."""
    share = fault["damage"] if fault["kind"] == "corrupt" else fault.get("probability", 1.0)
    asked = f"all {seen['of']}" if share >= 1 else f"{100 * share:g} % of the {seen['of']}"
    came = f"{seen['struck']:,} of {seen['met']:,} struck"
    if share < 1 and seen["met"]:
        came = f"{100 * seen['struck'] / seen['met']:.1f} %, {came}"
    if seen["waits"]:
        came += f"; {fault['delay_ms']:g} ms late asked, {1000 * seen['waited_s'] / seen['waits']:.0f} ms in the mean"
    return f"{asked} asked, {came}"


def _controls(record: Record) -> list[str]:
    return sorted({place["control"] for place in record["managed"]})


def _ports(record: Record) -> set[int]:
    return {each["port"] for each in record["redirected"]}


def _in_force(control: str, mark: str) -> bool | None:
    try:
        return bool(proxies.active(control, mark))
    except proxies.ProxyGoneError:
        return False
    except UnavailableError:
        return None


def _table(record: Record) -> nft.Table:
    return nft.Table(record["table"])


def _led_away(table: nft.Table) -> bool | None:
    try:
        return bool(table.live())
    except UnavailableError:
        return None
