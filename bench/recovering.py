"""A service whose outage is written down beforehand: ``python -m bench.recovering``.

Its first line on standard output is its port. A line of JSON on standard input, as of ``Script``, begins the outage; it
answers with the moment at which that began, in seconds of the monotonic clock, which all processes of a machine share.
What it does at any moment follows from that clock alone, so its true times are exact. Only when a backlog was served is
noted as it happens, and written as a second line: the arrival of the first request that was again served in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import dataclass, field

SLOW_S = 0.8
"""While it warms up, every answer takes so long."""
SERVING_S = 0.03
"""One request of a backlog takes so long."""
BASELINE_S = 0.01
"""When all is well an answer takes so long."""
PROMISED_S = 0.4
"""Answers that take longer are bad."""


@dataclass(frozen=True)
class Script:
    """Seconds since the outage began."""

    detected_s: float
    """From here on ``/health`` says unwell."""
    back_s: float
    """And from here on it says well."""
    reached_s: float
    """From here on requests are answered."""
    quick_s: float
    """From here on they are answered at once."""
    piles_up: bool = False
    """Whether requests wait during the outage and are served one after another, or are refused with 503."""


@dataclass
class Recovering:
    """The service. All times are seconds of the monotonic clock."""

    script: Script | None = None
    began_s: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    served: bool = False
    """Whether all of a backlog was."""
    in_time_s: float | None = None
    """When the first request of a backlog arrived since which all were served in time."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            ok = self._well() if head.startswith(b"GET /health ") else await self._answer()
            word = "200 OK" if ok else "503 Service Unavailable"
            writer.write(f"HTTP/1.1 {word}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    def begin(self, script: Script) -> float:
        self.began_s, self.script = time.monotonic(), script
        return self.began_s

    def _now_s(self) -> float:
        return time.monotonic() - self.began_s

    def _well(self) -> bool:
        return self.script is None or not self.script.detected_s <= self._now_s() < self.script.back_s

    async def _answer(self) -> bool:
        script = self.script
        if script is None:
            await asyncio.sleep(BASELINE_S)
            return True
        if script.piles_up and not self.served:
            return await self._queued(script)
        if self._now_s() < script.reached_s:
            return False
        await asyncio.sleep(SLOW_S if self._now_s() < script.quick_s else BASELINE_S)
        return True

    async def _queued(self, script: Script) -> bool:
        self.waiting += 1
        arrived_s = time.monotonic()
        async with self.turn:
            await asyncio.sleep(max(0.0, script.reached_s - self._now_s()))
            await asyncio.sleep(SERVING_S)
            self.waiting -= 1
            if time.monotonic() - arrived_s > PROMISED_S:
                self.in_time_s = None
            elif self.in_time_s is None:
                self.in_time_s = arrived_s
            if not self.waiting and self.in_time_s is not None:
                self.served = True
                print(json.dumps({"in_time": self.in_time_s}), flush=True)
            return True


async def main() -> None:
    service = Recovering()
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    line = await asyncio.to_thread(sys.stdin.readline)
    if line:
        print(json.dumps({"began": service.begin(Script(**json.loads(line)))}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)  # its end is ours
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
