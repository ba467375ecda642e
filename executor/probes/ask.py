"""One entry for every kind of probe: ``async with open_client(hosts) as client: await ask(probe, client)``."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

import anyio

from executor.model.data_check import Access, SqlQuery
from executor.model.probe import HttpProbe, Probe, TcpProbe
from executor.probes import http, sql, tcp
from executor.probes.answer import Answer, Outcome
from executor.probes.hosts import refuse_foreign

if TYPE_CHECKING:
    import httpx

LONGEST_S = 600.0
"""No probe may wait longer; each has its own, shorter, time-out."""


@dataclass(frozen=True)
class Client:
    """What probes are asked through: one shared HTTP client, and the hosts it may reach."""

    http: httpx.AsyncClient
    hosts: frozenset[str]


@asynccontextmanager
async def open_client(hosts: frozenset[str] = frozenset()) -> AsyncIterator[Client]:
    """A client for loopback and ``hosts``; see ``executor.probes.hosts.allowed_hosts``.

    Every asking opens a fresh connection. A kept connection may have been closed by the server a moment ago, and that
    error looks like a failure of the system; repeating the request would hide resets that are real. A fresh one is
    also what a new user has. Proxies of the environment are not used and redirects are not followed: both lead away
    from the host that was checked. Cookies are not kept either: one from a balancer would lead all askings to the same
    instance, and one from a service would be sent to others on its host.
    """
    import httpx

    none = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        limits=limits, timeout=LONGEST_S, trust_env=False, follow_redirects=False, verify=_tls(), cookies=none
    ) as client:
        yield Client(http=client, hosts=hosts)


async def ask(probe: Probe | Access, client: Client, *, writes: bool = False) -> Answer:
    """Ask once, for at most the probe's ``timeout_ms``. A failure of any kind is an answer that is not ok.

    A query runs in a transaction that can only read, unless it ``writes``. Raises ``SafetyRefusalError`` for a host
    that is neither loopback nor among the client's; whoever declares a query names its host by that.
    """
    if not isinstance(probe, SqlQuery):
        refuse_foreign(probe, client.hosts)
    start = time.monotonic()
    outcome = Outcome(False, None, f"no answer within {probe.timeout_ms:g} ms")
    with anyio.move_on_after(probe.timeout_ms / 1000):
        if isinstance(probe, HttpProbe):
            outcome = await http.ask(probe, client.http)
        elif isinstance(probe, TcpProbe):
            outcome = Outcome(*await tcp.ask(probe))
        elif isinstance(probe, SqlQuery):
            outcome = await sql.ask(probe, writes=writes)
        else:
            outcome = Outcome(*await probe.ask())
    latency_ms = (time.monotonic() - start) * 1000
    return Answer(
        ok=outcome.ok,
        latency_ms=latency_ms,
        status=outcome.status,
        error=outcome.error,
        by=outcome.by,
        body=outcome.body,
    )


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # tens of milliseconds: once, not at every trial
