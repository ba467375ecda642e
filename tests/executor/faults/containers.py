"""A real engine of containers, in a directory and a network namespace of its own, and containers that answer."""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from signal import SIGKILL
from typing import Any, TypeVar

from executor.clock import start_ticks
from executor.model.system import ContainerInstance
from tests.executor.kit import until

IMAGE = "murphy-test"
NETWORK = "shop"
_PREFIX = "murphy-engine-"
_PATH = f"{os.environ['PATH']}:/usr/lib/podman"
"""Podman's helpers are in none of the usual places."""
_BUSYBOX = Path("/bin/busybox")
_PROGRAMS = ("runc", "iptables", "ip", "nsenter", "setpriv")
_CLONE_NEWNET = 0x40000000
_SERVE = "trap '{}' TERM; httpd -p 80 -h /www; while :; do sleep 1000 & wait $!; done"
"""The first process of a container is a shell, as behind many an entry point; the server is another one."""
T = TypeVar("T")


def lacking(kind: type[Engine] | None = None) -> str | None:
    """Why there is no such engine (``Engine`` if left out) on this machine; ``None`` if there can be one."""
    if os.geteuid() != 0:
        return "an engine of containers needs root"
    programs = (*_PROGRAMS, *(kind or Engine).programs)
    absent = [name for name in programs if shutil.which(name, path=_PATH) is None]
    absent += [] if _BUSYBOX.exists() else ["busybox"]
    return f"not installed: {', '.join(absent)}" if absent else None


class Engine:
    """A ``dockerd`` of our own. Its containers publish their ports in its network namespace."""

    programs: tuple[str, ...] = ("dockerd", "containerd")
    fleeting: tuple[str, ...] = ("EndpointID",)
    """What a container's place in a network is given anew each time that it starts."""

    def __init__(self) -> None:
        _clear_stale()
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self.name = self.path.name
        self.net = Path("/run/netns") / self.name
        self.url = f"unix://{self.path}/engine.sock"
        self.version = "auto"
        _run("ip", "netns", "add", self.name)
        _run("ip", "-n", self.name, "link", "set", "lo", "up")
        command = ["nsenter", f"--net={self.net}", *self.command()]
        with (self.path / "log").open("wb") as log:
            command = ["setpriv", "--pdeathsig", "TERM", *command]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.path)
        try:
            until((self.path / "engine.sock").exists, what="the engine does not start")
            with self.client() as client:
                until(lambda: client.ping(), what="the engine does not answer")
                client.import_image_from_data(_image(), repository=IMAGE)
                client.create_network(NETWORK)
        except BaseException:
            self.end()
            raise

    def command(self) -> list[str]:
        """What starts it, its settings written."""
        files = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "deprecated-key-path": "key.json"}
        settings = {"hosts": [self.url], "cgroup-parent": f"/{self.name}", "storage-driver": "overlay2"}
        config = self.path / "daemon.json"
        config.write_text(json.dumps(settings | {name: str(self.path / file) for name, file in files.items()}))
        return ["dockerd", "--config-file", str(config)]

    @contextmanager
    def client(self) -> Iterator[Any]:
        from docker import APIClient

        with APIClient(self.url, version=self.version, timeout=30) as client:
            self.version = client.api_version
            yield client

    def end(self) -> None:
        """Its containers, itself, and all that it made on this machine."""
        with suppress(Exception), self.client() as client:
            for container in client.containers(all=True):  # the newest first: others may depend on an older one
                client.remove_container(container["Id"], force=True)
        self.process.terminate()
        self.process.wait()
        _clear(self.path)

    def inside(self, task: Callable[[], T]) -> T:
        """Run a task in a thread that is in the engine's network namespace."""
        said: list[T] = []

        def enter() -> None:
            with self.net.open("rb") as door:
                assert ctypes.CDLL(None, use_errno=True).setns(door.fileno(), _CLONE_NEWNET) == 0
            said.append(task())

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        return said[0]


class Podman(Engine):
    """A Podman of our own that answers as Docker would, where it sees no other's files.

    There is no daemon: its containers would outlive whoever answers.
    """

    programs = ("podman", "conmon", "netavark", "aardvark-dns", "unshare")
    fleeting = ("EndpointID", "IPAddress", "MacAddress")

    def command(self) -> list[str]:
        (self.path / "containers.conf").write_text(_PODMAN_SETTINGS.format(path=self.path))
        for shared in _PODMAN_SHARES:
            shared.mkdir(parents=True, exist_ok=True)
        hidden = [f"mount -t tmpfs murphy {shared}" for shared in _PODMAN_SHARES]
        begin = " && ".join((*hidden, 'exec "$@"'))
        settings = [f"PATH={_PATH}", f"CONTAINERS_CONF={self.path}/containers.conf"]
        where = [part for name in ("root", "runroot", "tmpdir") for part in (f"--{name}", str(self.path / name))]
        podman = ["podman", *where, "--storage-driver", "overlay", "system", "service", "--time", "0", self.url]
        return ["unshare", "--mount", "sh", "-c", begin, "sh", "env", *settings, *podman]


_PODMAN_SHARES = (Path("/run/containers"), Path("/run/netns"), Path("/var/lib/containers"))
"""What all of this machine have in common, whatever they are told."""
_PODMAN_SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
[network]
network_backend = "netavark"
network_config_dir = "{path}/networks"
"""


class Served:
    """A container that answers on a port, which is made once and started again when it is wanted."""

    def __init__(
        self, engine: Engine, name: str, port: int, *, policy: str = "no", trap: str = "exit 0", **host: Any
    ) -> None:
        self.engine, self.name, self.port = engine, name, port
        with engine.client() as client:
            config = client.create_host_config(
                port_bindings={80: ("127.0.0.1", port)},
                restart_policy={"Name": policy},
                network_mode=NETWORK,
                cgroup_parent=f"/{engine.name}",
                **host,
            )
            client.create_container(
                IMAGE,
                ["/bin/sh", "-c", _SERVE.format(trap)],
                name=name,
                ports=[80],
                host_config=config,
                environment={"PASSWORD": "canary-container"},
                labels={"shop": name},
                networking_config=client.create_networking_config(
                    {NETWORK: client.create_endpoint_config(aliases=[f"{name}-alias"])}
                ),
            )

    @property
    def instance(self) -> ContainerInstance:
        return ContainerInstance(id=f"{self.name}-1", container=self.name, engine=self.engine.url, port=self.port)

    def start(self) -> None:
        """See that it runs and answers."""
        with self.engine.client() as client:
            client.start(self.name)
        until(self.answers, what=f"container {self.name} does not answer")

    def end(self) -> None:
        """By force, whatever state it is in."""
        seen = self.seen()
        if seen and seen["State"]["Running"]:
            with self.engine.client() as client:
                client.kill(self.name)
            until(lambda: not (self.seen() or {"State": {"Running": False}})["State"]["Running"])

    def seen(self) -> dict[str, Any] | None:
        from docker.errors import NotFound

        with self.engine.client() as client:
            try:
                found: dict[str, Any] = client.inspect_container(self.name)
            except NotFound:
                return None
            return found

    def body(self, within_s: float = 0.3) -> bytes:
        """What it answers, from within the engine's network; empty if it does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=within_s)
        try:
            connection.request("GET", "/")
            return connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return b""
        finally:
            connection.close()

    def answered(self, of: int = 1, within_s: float = 0.3) -> int:
        """How many of so many requests are answered in time."""
        return self.engine.inside(lambda: sum(self.body(within_s) != b"" for _ in range(of)))

    def answers(self) -> bool:
        return self.answered() == 1


@dataclass(frozen=True)
class Yard:
    """An engine, a container that is struck, and one beside it."""

    engine: Engine
    target: Served
    neighbour: Served


@contextmanager
def yard(kind: type[Engine] = Engine) -> Iterator[Yard]:
    """One of our own, gone with all that it made at the end."""
    engine = kind()
    try:
        yield Yard(engine, Served(engine, "web", 8080), Served(engine, "neighbour", 8081))
    finally:
        engine.end()


def _clear(path: Path) -> None:
    """All that an engine has left on this machine."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{path}/")), reverse=True):
        _run("umount", mount)
    with suppress(subprocess.CalledProcessError):
        found = subprocess.run(["ip", "netns", "pids", path.name], check=True, capture_output=True, text=True).stdout
        _end(found.split())  # Podman's name server, say, where nobody could end it with the last container
        _run("ip", "netns", "del", path.name)
    for group in Path("/sys/fs/cgroup").glob(f"*/{path.name}"):
        for directory in sorted((group, *(p for p in group.rglob("*") if p.is_dir())), reverse=True):
            until(lambda directory=directory: _emptied(directory), what=f"somebody lives in {directory}")
            directory.rmdir()
    shutil.rmtree(path)


def _emptied(group: Path) -> bool:
    """End who is in a cgroup of ours; whether nobody is."""
    _end(found := (group / "cgroup.procs").read_text(encoding="ascii").split())
    return not found


def _end(pids: list[str]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(int(pid), SIGKILL)


def _clear_stale() -> None:
    """What is left of a test run that was killed; its engine ended with it."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if start_ticks(int(path.name.removeprefix(_PREFIX).partition("-")[0])) is None:
            until(lambda path=path: not _runs(path), what=f"an engine of nobody's runs in {path}")
            _clear(path)


def _runs(path: Path) -> bool:
    """Whether the engine of that directory lives; one that was killed leaves its pid file, which may name another."""
    try:
        command = Path("/proc", (path / "pid").read_text(encoding="ascii").strip(), "cmdline").read_bytes()
    except OSError:
        return False
    return str(path).encode() in command


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _image() -> bytes:
    """busybox and one page."""
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        tar.add(_BUSYBOX, "bin/busybox")
        for name in ("sh", "httpd", "sleep"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        page = tarfile.TarInfo("www/index.html")
        page.size = 5
        tar.addfile(page, BytesIO(b"well\n"))
    return made.getvalue()
