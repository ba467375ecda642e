"""A system in which everything is secret: real databases with passwords, and processes that are told secrets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import yaml

from executor.clock import start_ticks
from executor.kernel import process
from executor.model.faults import Fault
from executor.model.faults.data import CacheFlush, ConnectionFailure, Lock
from executor.model.faults.service import Crash
from executor.model.plan import Action, Experiment, InstanceTarget, Plan
from executor.model.system import ProcessInstance, Service, System
from executor.state.home import Home
from knowledge.topology.annotations import load_system, save_system
from tests.executor.faults.servers import Postgres, Redis
from tests.executor.kit import experiment_on, free_port, plan_of, until
from tests.planner.canaries import Canaries

ROOT = Path(__file__).parents[2]
LEAKY = Path(__file__).with_name("leaky.py")


class Guarded(Redis):
    def __init__(self, root: Path, password: str) -> None:
        self.password = password
        super().__init__(root)


def close(postgres: Postgres, password: str) -> None:
    """Let nobody in without a password but the superuser."""
    rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
    (postgres.data / "pg_hba.conf").write_text(rules, encoding="ascii")
    with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as session:
        session.execute(f"ALTER ROLE shop PASSWORD '{password}'")
        session.execute("SELECT pg_reload_conf()")

    def shut() -> bool:
        try:
            psycopg.connect(postgres.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return True
        return False

    until(shut)


class Vault:
    """A system in which everything is secret, and a place to work on it from."""

    def __init__(self, directory: Path, postgres: Postgres, redis: Redis, canaries: Canaries) -> None:
        self.directory, self.postgres, self.redis, self.canaries = directory, postgres, redis, canaries
        self.work, self.home = directory / "work", Home.open(directory / "home")
        self.work.mkdir()
        self.said: list[bytes] = []
        plant = canaries.plant
        reference = directory / "redis-url"
        reference.write_text(redis.url)
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if "KEY" not in name},
            "VAULT_DSN": postgres.url().replace("shop@", f"shop:{plant('dsn')}@"),
            "OPENAI_API_KEY": f"sk-{plant('openai key')}",
            "ANTHROPIC_API_KEY": f"sk-ant-{plant('anthropic key')}",
            "MURPHY_HOME": str(self.home.path),
            "MURPHY_EXPERTS": "offline",
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }
        cwd = directory / "cwd"
        cwd.mkdir()
        (cwd / ".env").write_text(f"PASSWORD={plant('file of its directory')}\n")
        url = f"postgresql://u:{plant('environment')}@127.0.0.1:{postgres.port}/shop"
        theirs = {"DATABASE_URL": url, "SECRET_KEY": plant("environment"), "ANSWER_SECRET": plant("answer")}
        told = [
            f"--password={plant('option')}",
            "--api-token",
            plant("option"),
            f"http://u:{plant('option')}@localhost/",
        ]
        start = [sys.executable, str(LEAKY)]
        null = subprocess.DEVNULL
        self.processes = [
            subprocess.Popen([*start, port, *told], cwd=cwd, env={**os.environ, **theirs}, stdout=null, stderr=null)
            for port in (str(self.port), "0")
        ]
        (directory / "annotations.yaml").write_text(yaml.safe_dump(self._annotations(reference)), encoding="utf-8")

    def _annotations(self, reference: Path) -> dict[str, object]:
        at = f"http://127.0.0.1:{self.port}"
        page = {"id": "web", "service": "web", "probe": {"kind": "http", "url": f"{at}/", "expect_text": "token="}}
        alarm = {"id": "alarm", "service": "web", "probe": {"kind": "http", "url": f"{at}/broken"}}
        database = {"technology": "postgresql", "dsn": "env:VAULT_DSN", "tables": ["goods"], "disposable": True}
        cache = {"technology": "redis", "dsn": f"file:{reference}", "disposable": True}
        web = {"operations": [page | {"needs": ["web"]}], "signals": [alarm]}
        ports = {"web": self.port, "db": self.postgres.port, "cache": self.redis.port}
        notes: dict[str, dict[str, Any]] = {"web": web, "db": database, "cache": cache}
        return {"services": {name: note | {"match": {"port": ports[name]}} for name, note in notes.items()}}

    def begin(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """``murphy ARGUMENTS``, not waited for."""
        return subprocess.Popen(
            [sys.executable, "-m", "planner.cli.main", *arguments],
            cwd=self.work,
            env={**self.environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def murphy(self, *arguments: str, codes: tuple[int, ...] = (0,), **more: str) -> bytes:
        """What it printed; what it said besides is kept too."""
        out, err = (running := self.begin(*arguments, **more)).communicate(timeout=300)
        self.said += [out, err]
        assert running.returncode in codes, (arguments, running.returncode, err.decode())
        return out

    def plans(self) -> tuple[Plan, Plan]:
        """Every fault that needs a secret, on the system as discovered and a worker that nothing but its pid tells.

        In the second plan without that worker, which another process has replaced by then.
        """
        worker = self.processes[1].pid
        pinned = ProcessInstance(id="worker-1", pid=worker, start_ticks=start_ticks(worker))
        found = load_system(self.work / "system.yaml")
        worker_service = Service(name="worker", instances=(pinned,), restarts="by_hand")
        system = System(**{**dict(found), "services": (*found.services, worker_service)})
        save_system(system, self.work / "system.yaml")
        kinds: list[tuple[str, Fault]] = [("db", Lock(table="goods")), ("cache", CacheFlush(pattern="*"))]
        kinds += [("worker", Crash(restart="murphy")), ("db", ConnectionFailure()), ("cache", ConnectionFailure())]
        long = [self._experiment(system, number, *kind, 40) for number, kind in enumerate(kinds[:3])]
        short = [self._experiment(system, number, *kind, 2) for number, kind in enumerate(kinds) if kind[0] != "worker"]
        return plan_of(system, tuple(long)), plan_of(system, tuple(short[:2]), tuple(short[2:]))

    def _experiment(self, system: System, number: int, service: str, fault: Fault, duration_s: float) -> Experiment:
        """Judged by the page of ``web``, whatever is struck."""
        web = experiment_on(system, "web", number=number, recovery_deadline_s=4, signals=system.service("web").signals)
        action = Action(id=f"a{number}", fault=fault, target=InstanceTarget(service=service), duration_s=duration_s)
        return Experiment(**{**dict(web), "checks": system.service("web").operations, "actions": (action,)})

    def end(self) -> None:
        for started in self.processes:
            started.kill()
            started.wait()
        for pid in process.pids():  # the worker that was started again
            if (
                str(LEAKY) in (line := process.command_line(pid))
                and f"--password={self.canaries.known['option']}" in line
            ):
                process.send(pid, start_ticks(pid) or 0, signal.SIGKILL)
