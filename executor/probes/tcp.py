"""A connection that must be accepted."""

from __future__ import annotations

import anyio

from executor.model.probe import TcpProbe


async def ask(probe: TcpProbe) -> tuple[bool, None, str]:
    """Connect and close: (good, None, why not). Bounded by the caller's time-out."""
    try:
        stream = await anyio.connect_tcp(probe.host, probe.port)
    except OSError as error:
        return False, None, f"{type(error).__name__}: {error}"[:200]
    await stream.aclose()
    return True, None, ""
