"""The process that generates load: ``python -m executor.load.helper HOLDER TICKS DEADLINE OUT ORDER``.

It lives by its lease (see ``executor.kernel.child``), and no longer than its profile and the last answer's time-out.
OUT is a file that gets a line ``{"begun": seconds}``, in ``time.monotonic()`` of this machine, a line for each window,
and ``{"ended": "done"}``, or ``"lease"`` if it was cut short.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from executor.kernel import child
from executor.load.generator import Generator
from executor.load.lease import ended, unhindered
from executor.load.profile import Segment, arrivals
from executor.load.recorder import Recorder
from executor.load.request import Request

_LEAD_S = 0.05
"""Until the first request is due: it would be late if it were now."""


async def _load(lease: child.Lease, order: Mapping[str, Any], out: TextIO) -> None:
    profile = [Segment(**segment) for segment in order["profile"]]
    begun, over = asyncio.get_running_loop().time() + _LEAD_S, ended(lease)

    def write(line: str) -> None:
        out.write(line + "\n")
        out.flush()

    write(json.dumps({"begun": begun}))
    recorder = Recorder(
        lambda window: write(window.line()), begun, order["window_s"], good_within_s=order["good_within_s"]
    )
    generator = Generator(
        Request(**order["request"]),
        keep_alive=order["keep_alive"],
        concurrency=order["concurrency"],
        timeout_s=order["timeout_s"],
        catch_up_s=order["catch_up_s"],
        record=recorder,
    )
    chance = None if order["seed"] is None else random.Random(order["seed"])
    flushing = asyncio.create_task(_flush(recorder, order["window_s"]))
    await generator.run(arrivals(profile, chance), begun, over)
    flushing.cancel()
    now = asyncio.get_running_loop().time()
    recorder.flush(now, all_until=now)
    write(json.dumps({"ended": "lease" if over() else "done"}))


async def _flush(recorder: Recorder, window_s: float) -> None:
    while True:
        await asyncio.sleep(window_s / 4)
        recorder.flush(asyncio.get_running_loop().time())


def main() -> None:
    """The helper: send requests, and say what came of them."""
    lease, (out, order) = child.lease(sys.argv[1:])
    unhindered()
    with Path(out).open("w", encoding="ascii") as file:
        child.ready()
        asyncio.run(_load(lease, json.loads(order), file))


if __name__ == "__main__":
    main()
