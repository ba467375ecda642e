"""Servers that packets are sent to, in our network namespace or in one of their own, and what becomes of them."""

from __future__ import annotations

import math
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import psutil

from executor.clock import start_ticks
from executor.drivers.targets import ProcessTarget
from executor.kernel import nft
from executor.model.system import ProcessInstance, Service
from tests.executor.faults.echo import datagrams
from tests.executor.kit import until

ECHO = Path(__file__).with_name("echo.py")
PACKETS = 2000
_Z = 3.29
"""Half-width of the 99.9 % interval, in standard deviations."""
_numbers = count(1)


def no_packet_rules() -> str | None:
    """Why packets cannot be told apart here; ``None`` if they can."""
    return nft.unusable()


def no_networks() -> str | None:
    """Why no network namespace can be made here; ``None`` if one can."""
    return None if os.geteuid() == 0 and shutil.which("ip") else "needs root and iproute2, to make a network"


class Echo:
    """A running server."""

    def __init__(
        self, name: str, address: str = "127.0.0.1", net: Net | None = None, port: int = 0, at: str = ""
    ) -> None:
        """``at`` is the address that it listens at: else the address, or every one of its own network."""
        self.name, self.net = name, net
        self.address = net.inside if net else "127.0.0.1" if address == "0.0.0.0" else address
        before = ["nsenter", f"--net=/run/netns/{net.name}"] if net else []
        self.process = subprocess.Popen(
            [*before, sys.executable, str(ECHO), at or (address if net is None else "0.0.0.0"), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    @property
    def service(self) -> Service:
        return Service(name=self.name, instances=(self.instance,), restarts="by_hand")

    @property
    def instance(self) -> ProcessInstance:
        """Pinned: a process in a network of its own cannot be found by its port."""
        pid = self.process.pid
        return ProcessInstance(id=f"{self.name}-1", port=self.port, pid=pid, start_ticks=start_ticks(pid))

    @property
    def target(self) -> ProcessTarget:
        pid, ticks = self.process.pid, start_ticks(self.process.pid)
        assert ticks is not None
        return ProcessTarget(self.service, f"{self.name}-1", pid, ticks, self.port)

    def connect(self, timeout_s: float = 20.0) -> socket.socket:
        return socket.create_connection((self.address, self.port), timeout=timeout_s)

    def echoes(self, data: bytes = b"hello", timeout_s: float = 20.0) -> bool:
        """Whether a new connection gives back what is sent."""
        with self.connect(timeout_s) as line:
            line.sendall(data)
            got = b""
            while len(got) < len(data) and (more := line.recv(65536)):
                got += more
            return got == data

    def exchange(self, packets: int) -> tuple[int, int]:
        """Send datagrams; how many reached the server, and how many of its answers came back."""
        with datagrams(self.net.outside if self.net else "127.0.0.1") as line:
            self._send(line, packets)
            arrived = 0
            while more := self._drain():
                arrived += len(more)
            answered = 0
            while more := _read(line):
                answered += more
        return arrived, answered

    def descriptors(self) -> int:
        """How many it holds open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def connections(self) -> int:
        """How many it has open, those too whose end it has not heard of yet."""
        held = psutil.Process(self.process.pid).net_connections("tcp")
        return sum(each.status != psutil.CONN_LISTEN for each in held)

    def order(self, packets: int) -> list[int]:
        """Send datagrams with numbers; the numbers in the order in which they arrive, once no more do for a while."""
        with datagrams(self.net.outside if self.net else "127.0.0.1") as line:
            self._send(line, packets)
            arrived, last = self._drain(), time.monotonic()
            while time.monotonic() < last + 0.5:
                if more := self._drain():
                    arrived, last = arrived + more, time.monotonic()
            return arrived

    def _send(self, line: socket.socket, packets: int) -> None:
        for number in range(packets):
            line.sendto(b"%064d" % number, (self.address, self.port))

    def _drain(self) -> list[int]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write("drain\n")
        self.process.stdin.flush()
        return [int(number) for number in self.process.stdout.readline().split()]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            pipe.close()


def _read(line: socket.socket) -> int:
    got = 0
    try:
        while True:
            line.recv(65536)
            got += 1
    except BlockingIOError:
        return got


class Net:
    """A network namespace joined to ours by a cable, with an address at either end."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.name = f"murphy-test-{os.getpid()}-{number}"
        self.cable = f"mu{os.getpid() % 100_000}-{number}"
        block = (os.getpid() * 8 + number * 4) % 2**16 & ~3
        self.outside, self.inside = (f"198.18.{block >> 8}.{(block & 255) + end}" for end in (1, 2))
        _ip("netns", "add", self.name)
        _ip("link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("addr", "add", f"{self.outside}/30", "dev", self.cable)
        _ip("link", "set", self.cable, "up")
        _ip("-n", self.name, "addr", "add", f"{self.inside}/30", "dev", "eth0")
        _ip("-n", self.name, "link", "set", "eth0", "up")
        _ip("-n", self.name, "link", "set", "lo", "up")

    @property
    def number(self) -> int:
        return Path(f"/run/netns/{self.name}").stat().st_ino

    def sent_bytes(self) -> int:
        """Bytes that have gone into it over the cable so far."""
        return int(Path(f"/sys/class/net/{self.cable}/statistics/tx_bytes").read_text())

    def end(self) -> None:
        _ip("netns", "del", self.name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def nets(number: int = 1) -> Iterator[list[Net]]:
    """Namespaces, gone at the end with all that is in them."""
    with ExitStack() as ends:
        made = []
        for _ in range(number):
            made.append(Net())
            ends.callback(made[-1].end)
        yield made


@contextmanager
def echoes(*names: str, **where: object) -> Iterator[list[Echo]]:
    """Servers, which are there."""
    with ExitStack() as ends:
        made = []
        for name in names:
            made.append(Echo(name, **where))  # type: ignore[arg-type]
            ends.callback(made[-1].close)
            until(made[-1].echoes)
        yield made


_LISTEN = """
import socket, sys
port, held = int(sys.argv[1]), []
for address in sys.argv[2:]:
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if ":" in address:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind((address, port))
    server.listen(100)
    held.append(server)
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def listener(port: int, *addresses: str) -> Iterator[ProcessTarget]:
    """A process that listens by TCP alone, at these addresses alone; the kernel takes its connections."""
    command = [sys.executable, "-c", _LISTEN, str(port), *addresses]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"ready\n"
            ticks = start_ticks(process.pid)
            assert ticks is not None
            instance = ProcessInstance(id="listener-1", port=port, pid=process.pid, start_ticks=ticks)
            yield ProcessTarget(Service(name="listener", instances=(instance,)), "listener-1", process.pid, ticks, port)
        finally:
            process.kill()


def connects(address: str, port: int, times: int = 1) -> int:
    """How many of so many connections come about, all held until the last has been tried."""
    made = 0
    with ExitStack() as ends:
        for _ in range(times):
            with suppress(OSError):
                ends.enter_context(socket.create_connection((address, port), timeout=0.5))
                made += 1
    return made


def likely(hits: int, of: int, share: float) -> bool:
    """Whether so many hits may well come of a share: within its 99.9 % interval."""
    return abs(hits - of * share) <= _Z * math.sqrt(of * share * (1 - share)) + 1


def our_tables(mark: str) -> list[str]:
    """Names of the tables that bear a mark, wherever they can be seen."""
    if shutil.which("nft") is None:
        return []
    listed = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if mark in line]
