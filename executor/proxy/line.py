"""A bad line: what is sent over it takes its time, and comes out with bits flipped."""

from __future__ import annotations

import asyncio
from typing import Final

from executor.proxy.faults import LINE_KINDS, Fault, delayed
from executor.proxy.wire import Wire

SEGMENT_BYTES: Final = 1460
"""As much as a TCP segment carries over Ethernet; damage is thrown for each."""


async def send(wire: Wire, data: bytes, faults: list[Fault], way: str) -> None:
    """Send to one end, ``way`` being ``calls`` or ``answers``, as the faults in force let it through.

    Raises ``ConnectionResetError`` if the connection is gone.
    """
    if not any(_strikes(fault, way) for fault in faults):
        await wire.send(data)
        return
    loop = asyncio.get_running_loop()
    for start in range(0, len(data), SEGMENT_BYTES):
        piece = data[start : start + SEGMENT_BYTES]
        for fault in (fault for fault in faults if _strikes(fault, way)):
            if fault.spec.kind == "corrupt":
                piece = fault.flipped(piece)
            elif wait_s := fault.through_s(way, len(piece), loop.time()):
                await delayed([fault], wait_s)
        await wire.send(piece)


def _strikes(fault: Fault, way: str) -> bool:
    return fault.spec.kind in LINE_KINDS and fault.spec.way in ("both", way) and not fault.ended.is_set()
