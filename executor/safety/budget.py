"""The error budget: no run begins, and none goes on, while too little of it is left or nobody can tell."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from executor.errors import MurphyError, SafetyRefusalError, UnavailableError
from executor.model.probe import HttpProbe
from executor.probes.hosts import host_of, refuse_foreign
from executor.safety.guard import Violation
from executor.safety.limits import ErrorBudget
from executor.state.reading import read

EVERY_S = 5.0
"""How often the guard of a run reads it."""
READ_S = 5.0
"""Longest that one reading may take."""
_BODY_BYTES_MAX = 1024 * 1024
_RULE = "error budget"


async def left(budget: ErrorBudget) -> float:
    """The share of the error budget that is left; below 0 where it is overdrawn.

    Asks no host but the source's own: proxies of the environment are not used and redirects are not followed. Raises
    ``UnavailableError`` for an answer that does not come in time, or is not one number of at most 1.
    """
    where = budget.source
    try:
        with anyio.fail_after(READ_S):
            text = await (_fetched(budget) if budget.remote else _read(Path(where)))
        found = _prometheus(json.loads(text)) if budget.query else _plain(json.loads(text))
    except TimeoutError:
        raise UnavailableError(f"no answer within {READ_S:g} s.", where=where) from None
    except (OSError, ValueError, TypeError, LookupError, RecursionError) as error:
        raise UnavailableError(f"not an error budget: {type(error).__name__}: {error}."[:300], where=where) from error
    if not math.isfinite(found) or found > 1:
        raise UnavailableError(f"{found:g} is no share of an error budget.", where=where)
    return found


async def refuse_spent(budget: ErrorBudget) -> None:
    """Raise ``SafetyRefusalError`` unless enough of the budget is left. Without a source nothing is asked."""
    if budget.source and (why := await _why_not(budget)):
        hint = f"Wait until the service has been well for longer, or mend {budget.source}."
        raise SafetyRefusalError(_RULE, measured=why, limit=_limit(budget), hint=hint)


class BudgetGuard:
    """Reads the budget during a run. A reading that fails may be followed by a good one, for ``silent_s`` seconds."""

    def __init__(self, budget: ErrorBudget, silent_s: float) -> None:
        self._budget, self._silent_s = budget, silent_s
        self._read_s = anyio.current_time()

    async def look(self) -> Violation | None:
        """Whether too little is left, or it has been unreadable for too long."""
        try:
            share = await left(self._budget)
        except MurphyError as error:
            silent_s = anyio.current_time() - self._read_s
            if silent_s <= self._silent_s:
                return None
            return Violation(
                "guard readable", f"the error budget was not read for {silent_s:.0f} s: {error}", "readable"
            )
        self._read_s = anyio.current_time()
        return Violation(_RULE, _words(share), _limit(self._budget)) if share < self._budget.floor else None


async def _why_not(budget: ErrorBudget) -> str:
    try:
        share = await left(budget)
    except MurphyError as error:
        return f"it cannot be read ({error})"
    return _words(share) if share < budget.floor else ""


def _words(share: float) -> str:
    return f"{share * 100:.3g} % is left"


def _limit(budget: ErrorBudget) -> str:
    return f"at least {budget.floor * 100:g} % (error_budget.floor in limits.toml)"


async def _read(file: Path) -> bytes:
    return await anyio.to_thread.run_sync(read, file, abandon_on_cancel=True)  # a dead network disk may never answer


async def _fetched(budget: ErrorBudget) -> bytes:
    import httpx

    source = HttpProbe(url=budget.source)
    refuse_foreign(source, frozenset({host_of(source)}))  # link-local addresses are refused even so
    url, asked = (
        (f"{budget.source.rstrip('/')}/api/v1/query", {"query": budget.query}) if budget.query else (source.url, None)
    )
    body = bytearray()
    try:
        async with (
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=READ_S) as client,
            client.stream("GET", url, params=asked) as answer,
        ):
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > _BODY_BYTES_MAX:
                    raise ValueError(f"over {_BODY_BYTES_MAX} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
    if answer.status_code != 200:
        raise OSError(f"it answered with status {answer.status_code}")
    return bytes(body)


def _prometheus(answer: Any) -> float:
    """The one value of an instant query.

    Source: https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries
    """
    if answer["status"] != "success":
        raise ValueError("the query failed")
    kind, result = answer["data"]["resultType"], answer["data"]["result"]
    if kind == "scalar":
        return float(result[1])
    if kind != "vector" or len(result) != 1:
        raise ValueError(f"the query gives a {kind} of {len(result)} values, and one is needed")
    return float(result[0]["value"][1])


def _plain(document: Any) -> float:
    found = document["left"] if isinstance(document, dict) else document
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError("neither a number nor an object with the number left")
    return float(found)
