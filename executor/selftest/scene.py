"""The scene of a self-test: a few real services on loopback, with a real fault proxy before one of them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from executor.clock import own_ticks, start_ticks
from executor.errors import UnavailableError
from executor.kernel import child, process, redirect
from executor.model.system import (
    Dependency,
    Interception,
    KernelRedirect,
    ManagedProxy,
    ProcessInstance,
    Service,
    System,
)
from executor.model.vocabulary import ServiceKind
from executor.proxy import edges as proxies

NAMES = ("hung", "slowed", "crashed", "asked", "below", "crowded", "front", "caller")
"""Named after what befalls them; ``front`` and ``caller`` lose ``asked`` and ``below``, which nothing befalls."""
_BY_PORT = ("crashed", "crowded")
CALLS = {"front": "asked", "caller": "below"}
EDGE = "front->asked"
_BEGIN_S = 60.0
_TRIES = 3
_ASK_S = 2.0


def until(condition: Callable[[], bool], within_s: float, *, every_s: float = 0.02) -> bool:
    """Ask every ``every_s`` seconds until it is true, ``within_s`` seconds at most; whether it was."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True


@dataclass(frozen=True)
class Part:
    """One service as it was started."""

    name: str
    port: int
    command: str
    """Text that its command line has and no other."""


class Scene:
    """Services, a fault proxy, and how to reach them. Ends with the process that made it, or on ``close``."""

    def __init__(self, directory: Path) -> None:
        """Begin to serve, on ports of this machine's own choice. Raises ``UnavailableError`` if that cannot be."""
        self.directory = directory
        self.control = str(directory / "proxy.sock")
        self.by_kernel = redirect.unavailable()
        """Why the kernel cannot lead connections away here; ``None`` if it can."""
        self._started: list[subprocess.Popen[bytes]] = []
        for _ in range(_TRIES):  # somebody else may take a port that was free a moment ago
            ports = _free_ports(len(NAMES) + 1)
            self._listen = ports.pop()
            self.parts = {name: Part(name, port, f"{name} {port} ") for name, port in zip(NAMES, ports, strict=True)}
            try:
                self._begin()
                if until(lambda: self._serves() or self._broken(), _BEGIN_S) and not self._broken():
                    return
            except BaseException:
                self.close()
                raise
            self.close()
        raise UnavailableError("the scene of the self-test does not begin to serve.", where=str(directory))

    def _begin(self) -> None:
        edge = {"edge": EDGE, "listen": self._listen, "upstream": f"127.0.0.1:{self.parts['asked'].port}"}
        config = self.directory / "proxy.json"
        config.write_text(
            json.dumps({"control": self.control, "edges": [edge | {"protocol": "http"}]}), encoding="utf-8"
        )
        self._start("executor.proxy", "--config", str(config))
        for part in self.parts.values():
            self._start("executor.selftest.service", part.name, str(part.port), *self._rest(part.name))

    def _rest(self, name: str) -> list[str]:
        called = self._listen if name == "front" else self.parts[CALLS[name]].port if name in CALLS else 0
        return [str(called), str(os.getpid()), str(own_ticks()), str(self.starts(name))]

    def _start(self, module: str, *arguments: str) -> None:
        null = subprocess.DEVNULL
        command = [sys.executable, "-P", "-m", module, *arguments]
        self._started.append(
            subprocess.Popen(
                command,
                stdin=null,
                stdout=null,
                stderr=null,
                env=child.environment(),
                cwd="/",
                start_new_session=True,
            )
        )

    def _broken(self) -> bool:
        return any(started.poll() is not None for started in self._started)

    def _serves(self) -> bool:
        try:
            proxies.served(self.control)
        except UnavailableError:
            return False
        return all(self.answer(name) == CALLS.get(name, name) for name in NAMES)

    def starts(self, name: str) -> Path:
        """The file with one line for each time the service was started."""
        return self.directory / f"{name}.starts"

    def answer(self, name: str) -> str | None:
        """What the service says now: its name, or that of the service it calls; ``None`` if it does not answer."""
        way = "via" if name in CALLS else ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.parts[name].port}/{way}", timeout=_ASK_S) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def instance(self, name: str) -> ProcessInstance:
        """How the executor finds the service."""
        part = self.parts[name]
        port = part.port if name in _BY_PORT else None  # the kernel takes long to list sockets, and each look costs it
        return ProcessInstance(id=f"{name}-1", command=part.command.strip(), port=port)

    def processes(self) -> dict[str, list[process.Found]]:
        """Every process that is a service now, by service: one each, if all is well."""
        lines = [(pid, " ".join(process.command_line(pid))) for pid in process.pids()]
        found: dict[str, list[process.Found]] = {name: [] for name in self.parts}
        for pid, line in lines:
            for name, part in self.parts.items():
                ticks = start_ticks(pid) if part.command in line else None
                if ticks is not None:
                    found[name].append(process.Found(pid, ticks))
        return found

    @property
    def proxy_pid(self) -> int:
        """The managed proxy's process."""
        return self._started[0].pid

    def system(self) -> System:
        """The scene as a plan sees it."""
        managed = ManagedProxy(control=self.control, edge=EDGE)
        ways: list[tuple[str, Interception]] = [("front", managed)]
        if self.by_kernel is None:
            ways.append(("caller", KernelRedirect()))
        return System(
            name="selftest",
            services=tuple(
                Service(name=name, kind=ServiceKind.HTTP, instances=(self.instance(name),), restarts="by_hand")
                for name in NAMES
            ),
            dependencies=tuple(
                Dependency(
                    caller=name,
                    callee=CALLS[name],
                    protocol="http",
                    port=self.parts[CALLS[name]].port,
                    interception=interception,
                )
                for name, interception in ways
            ),
        )

    def close(self) -> None:
        """End every process of the scene, those too that were started again."""
        for one in (one for each in self.processes().values() for one in each):
            process.send(one.pid, one.start_ticks, signal.SIGKILL)
        for started in self._started:
            started.kill()
            started.wait()
        self._started.clear()


def _free_ports(count: int) -> list[int]:
    listeners = [socket.socket() for _ in range(count)]
    try:
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [int(listener.getsockname()[1]) for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
