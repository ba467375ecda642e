"""A server whose capacity is known by construction: ``python -m tests.executor.load.bounded PORT WORKERS SERVICE_MS``.

So many workers take each request for a fixed time, first come, first served: workers ÷ time requests/s, and no more.
Each worker's time is reckoned from when the last request was to be done with, not from when the event loop got round to
it, so that a busy machine makes answers late but takes nothing from the capacity. Further words: ``queue=N`` refuses
with 503 what finds N waiting; ``stall=AT:FOR`` answers nothing for a while, in seconds after the first request;
``worn=N`` takes three times as long for what finds N waiting, as work does whose cache has gone cold or whose users ask
again. ``usl=SIGMA:KAPPA`` takes, without a queue, longer the more are under way, as the Universal Scalability Law says.
``open=N:FOR`` refuses everything for a while, in seconds, once one finds N waiting, as a circuit breaker does.
``close=N`` closes a connection silently after its Nth answer, once it is idle. ``burn=1`` computes for as long as it
says it works, on its one core; ``files=N`` may have so many descriptors open; ``hold=BYTES`` holds so much memory for
each request under way.
"""

from __future__ import annotations

import asyncio
import heapq
import resource
import sys
import time

HEAD = b"\r\n\r\n"


class Pool:
    def __init__(self, workers: int, service_s: float, options: dict[str, str]) -> None:
        self.free_at = [0.0] * workers
        self.service_s = service_s
        self.queue_max = int(options.get("queue", "1000000"))
        self.worn_from = int(options.get("worn", "1000000"))
        self.usl = [float(each) for each in options["usl"].split(":")] if "usl" in options else []
        self.under_way = 0
        self.burn = "burn" in options
        self.hold = int(options.get("hold", "0"))
        self.close_after = int(options.get("close", "1000000000"))
        self.stall = [float(each) for each in options["stall"].split(":")] if "stall" in options else []
        self.opens = [float(each) for each in options["open"].split(":")] if "open" in options else []
        self.refuses_until = 0.0
        self.first: float | None = None

    def take(self, now: float) -> float | None:
        """When a request that comes now is done with; ``None`` if it is refused."""
        if self.first is None:
            self.first = now
        if self.usl:
            n = self.under_way
            return now + self.service_s * (1 + self.usl[0] * (n - 1) + self.usl[1] * n * (n - 1))
        begin = max(now, self.free_at[0])
        if self.stall and self.first + self.stall[0] <= begin < self.first + sum(self.stall):
            begin = self.first + sum(self.stall)
        waiting = (begin - now) * len(self.free_at) / self.service_s
        if self.opens and waiting > self.opens[0] and now >= self.refuses_until:
            self.refuses_until = now + self.opens[1]
        if waiting > self.queue_max or now < self.refuses_until:
            return None
        done = begin + self.service_s * (3 if waiting > self.worn_from else 1)
        heapq.heapreplace(self.free_at, done)
        return done


class Conversation(asyncio.Protocol):
    def __init__(self, pool: Pool) -> None:
        self.pool, self.got, self.answered = pool, b"", 0
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got += data
        while HEAD in self.got:
            _, _, self.got = self.got.partition(HEAD)
            self.pool.under_way += 1
            done = self.pool.take(self.loop.time())
            if done is None:
                self.answer(b"503 Busy")
            elif self.pool.burn:
                until = time.thread_time() + self.pool.service_s
                while time.thread_time() < until:
                    pass
                self.answer(b"200 OK")
            else:
                held = b"x" * self.pool.hold
                self.loop.call_at(done, self.answer, b"200 OK", held)

    def answer(self, status: bytes, held: bytes = b"") -> None:  # noqa: ARG002 - held until now
        self.pool.under_way -= 1
        if self.transport.is_closing():
            return
        self.transport.write(b"HTTP/1.1 %b\r\nContent-Length: 2\r\n\r\nok" % status)
        self.answered += 1
        if self.answered >= self.pool.close_after:
            self.loop.call_later(0.005, self.transport.close)


async def serve(port: int, pool: Pool, *, quiet: bool) -> None:
    loop = asyncio.get_running_loop()
    if (
        quiet
    ):  # asyncio tells of every connection that it cannot accept, backlog times a second: that is all it would do
        loop.set_exception_handler(lambda _, __: None)
    server = await loop.create_server(lambda: Conversation(pool), "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    port, workers, service_ms, *rest = sys.argv[1:]
    given = dict(each.split("=") for each in rest)
    if "files" in given:
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(given["files"]), int(given["files"])))
    asyncio.run(serve(int(port), Pool(int(workers), float(service_ms) / 1000, given), quiet="files" in given))
