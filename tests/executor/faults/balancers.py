"""HAProxy, Caddy and nginx on ports of their own, each before three real members and, apart from them, one other."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.executor.kit import free_ports, until

BACKENDS = Path(__file__).with_name("backends.py")
_HAPROXY = """\
global
    stats socket {control} mode 600 level admin
defaults
    mode http
    retries 0
    timeout connect 2s
    timeout client 5s
    timeout server 5s
frontend front
    bind 127.0.0.1:{front}
    default_backend app
frontend side
    bind 127.0.0.1:{side}
    default_backend other
backend app
    balance roundrobin
    server m1 127.0.0.1:{0}
    server m2 127.0.0.1:{1}
    server m3 127.0.0.1:{2}
backend other
    server o1 127.0.0.1:{3}
backend odd
    server d1 unix@{directory}/none.sock
    server d2 127.0.0.1
    server d3 127.0.0.1:{3} check inter 3600s
    server d4 127.0.0.1:+1000
    server d5 127.0.0.1:-10
backend follows
    server f1 127.0.0.1:{3} track odd/d3
"""
_NGINX = """\
# as deployed {{ in May; }}
error_log {directory}/error.log;
pid {directory}/nginx.pid;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    {temporary}
    upstream app {{
        server 127.0.0.1:{0} max_fails=0;   # the old one;
        server 127.0.0.1:{1};
        server "127.0.0.1:{2}"  weight=1;
    }}
    upstream other {{ server 127.0.0.1:{3}; }}
    server {{ listen 127.0.0.1:{front}; location / {{ proxy_pass http://app; proxy_next_upstream off; }} }}
    server {{ listen 127.0.0.1:{side}; location / {{ proxy_pass http://other; }} }}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Balancer:
    """One balancer, which can be ended and started again."""

    process: subprocess.Popen[bytes]

    def __init__(self, make: str, directory: Path, members: tuple[int, ...]) -> None:
        self.make, self.directory, self.members = make, directory, members
        self.front, self.side, self.odd, admin = free_ports(4)
        places = {"front": self.front, "side": self.side, "directory": directory}
        self.file = directory / f"{make}.conf"
        self.control = {
            "haproxy": str(directory / "haproxy.sock"),
            "caddy": f"http://127.0.0.1:{admin}",
            "nginx": str(self.file),
        }[make]
        if make == "haproxy":
            self.file.write_text(_HAPROXY.format(*members, control=self.control, **places))
            self.command = ["/usr/sbin/haproxy", "-f", str(self.file), "-db"]
        elif make == "nginx":
            temporary = " ".join(f"{name}_temp_path {directory}/{name};" for name in _TEMPORARY)
            self.file.write_text(_NGINX.format(*members, temporary=temporary, **places))
            self.command = ["/usr/sbin/nginx", "-c", str(self.file), "-g", "daemon off;"]
        else:
            self.file.write_text(json.dumps(self._caddy(admin)))
            self.command = [str(Path(sys.executable).with_name("caddy")), "run", "--config", str(self.file)]
        self.start()

    def _caddy(self, admin: int) -> dict[str, Any]:
        def server(port: int, members: tuple[int, ...], **more: Any) -> dict[str, Any]:
            upstreams = [{"dial": f"127.0.0.1:{member}"} for member in members]
            handler = {"handler": "reverse_proxy", "upstreams": upstreams, **more}
            listen = {"listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}}
            return {**listen, "routes": [{"handle": [handler]}]}

        turns = {"selection_policy": {"policy": "round_robin"}}
        servers = {
            "front": server(self.front, self.members[:3], load_balancing=turns, **{"@id": "app"}),
            "side": server(self.side, self.members[3:]),
            "odd one": server(self.odd, self.members[3:], **{"@id": "odd"}),
        }
        quiet = {"logs": {"default": {"writer": {"output": "discard"}}}}
        return {"admin": {"listen": f"127.0.0.1:{admin}"}, "apps": {"http": {"servers": servers}}, "logging": quiet}

    def start(self) -> None:
        places = {"XDG_CONFIG_HOME": str(self.directory), "XDG_DATA_HOME": str(self.directory)}
        null = subprocess.DEVNULL
        environment = {**os.environ, **places}
        self.process = subprocess.Popen(self.command, stdin=null, stdout=null, stderr=null, env=environment)
        until(lambda: ask(self.side) == self.members[3], what=f"{self.make} does not answer")

    def end(self) -> None:
        """By force, with its workers."""
        workers = psutil.Process(self.process.pid).children() if self.process.poll() is None else []
        self.process.kill()
        self.process.wait()
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        psutil.wait_procs(workers, timeout=10)

    def shares(self, asked: int = 60) -> Counter[int]:
        """Who answers how many of the requests; 0: nobody."""
        return Counter(ask(self.front) for _ in range(asked))

    def even(self) -> bool:
        """Whether each member gets its turn."""
        return set(self.shares(9)) == set(self.members[:3])


def ask(port: int) -> int:
    """Which member answers; 0 if none does."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return int(answer.read())
    except OSError:  # also an answer with an error
        return 0


def lacking(make: str) -> str | None:
    """Why there is no such balancer on this machine."""
    places = {"caddy": Path(sys.executable).with_name("caddy")}
    program = places.get(make, Path(f"/usr/sbin/{make}"))
    return None if shutil.which(program) else f"{make} is not installed ({program})"


@contextmanager
def members() -> Iterator[tuple[int, ...]]:
    """Three members and another server, in one process."""
    ports = tuple(free_ports(4))
    running = subprocess.Popen([sys.executable, str(BACKENDS), *map(str, ports)])
    try:
        for port in ports:
            until(lambda port=port: ask(port) == port, what="a member does not answer")
        yield ports
    finally:
        running.kill()
        running.wait()


@contextmanager
def balancer(make: str, directory: Path, ports: tuple[int, ...]) -> Iterator[Balancer]:
    """A balancer before these."""
    directory.mkdir()
    made = Balancer(make, directory, ports)
    try:
        yield made
    finally:
        made.end()
