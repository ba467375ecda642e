"""Starts the shop, keeps it running, and leaves nothing behind: ``python start.py [--run-dir D] [--base-port N]``.

It is ready once ``state.json`` is in its run directory. It ends with SIGTERM, SIGINT, or the process that started it.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fleet
from servers import HERE, Postgres, proxy_command, redis_command
from supervisor import Supervisor, Task, is_well

READY_S = 60
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
"""Of the starter's own environment; the shop has no business with the rest."""


class Shop:
    """One shop in one run directory."""

    def __init__(self, run: Path, base: int, *, proxied: bool, keep: bool) -> None:
        self.run = run
        self.base = base
        self.proxied = proxied
        self.ending = False
        self._parent = os.getppid()
        self._inherited = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self._supervisor = Supervisor(run, changed=self._write_state)
        self._sweeper = self._start_sweeper(keep=keep)

    def start(self) -> None:
        """Start all and wait until all are well. Raises ``RuntimeError`` naming those that are not."""
        (self.run / "logs").mkdir()
        if self.proxied:
            self._start_server("proxy", proxy_command(self.run, self.base), restart=False)
        self._start_server("redis", redis_command(self.run, self.base))
        self._start_members(needs_database_first=False)
        postgres = Postgres(self.run, self.base)
        postgres.prepare()
        self._start_server("postgres", postgres.command(), user=postgres.user)
        postgres.fill(deadline=time.monotonic() + READY_S)
        self._start_members(needs_database_first=True)
        self._wait_until_well()
        self._write_annotations()
        self._write_state()

    def keep(self) -> str | None:
        """Keep it running until it is to end; names the process whose end ended it, if one did."""
        return self._supervisor.keep(self._is_over)

    def stop(self) -> None:
        """End every process and remove what they left."""
        self._supervisor.stop()
        assert self._sweeper.stdin
        self._sweeper.stdin.close()
        self._sweeper.wait()

    def end(self, *_: object) -> None:
        """Ask it to end; also a signal handler."""
        self.ending = True

    def _is_over(self) -> bool:
        return self.ending or os.getppid() != self._parent

    def _start_sweeper(self, *, keep: bool) -> subprocess.Popen[bytes]:
        argv = [sys.executable, str(HERE / "sweeper.py"), str(self.run), *(["--keep"] if keep else [])]
        return subprocess.Popen(argv, env=self._inherited, cwd="/", stdin=subprocess.PIPE, start_new_session=True)

    def _start_members(self, *, needs_database_first: bool) -> None:
        for member in fleet.FLEET:
            if member.program and member.needs_database_first == needs_database_first:
                port = self.base + member.offset
                role = [member.role] if member.role else []
                told = fleet.environment(member, self.base, proxied=self.proxied)
                self._supervisor.start(
                    Task(
                        name=member.instance,
                        argv=[sys.executable, str(HERE / member.program), *role, "--port", str(port)],
                        environment=self._inherited | told | {"LEASE_FILE": str(self.run / "inventory.lease")},
                        health=f"http://127.0.0.1:{port}{member.health}",
                        restart=member.restart,
                        unhealthy_s=member.unhealthy_s,
                    )
                )

    def _start_server(
        self, name: str, argv: list[str], *, restart: bool = True, user: pwd.struct_passwd | None = None
    ) -> None:
        # PostgreSQL ends its clients' sessions on SIGINT; on SIGTERM it would wait for them
        number = signal.SIGINT if name == "postgres" else signal.SIGTERM
        uid, gid = (user.pw_uid, user.pw_gid) if user else (None, None)
        self._supervisor.start(Task(name, argv, self._inherited, restart=restart, stop_signal=number, uid=uid, gid=gid))

    def _wait_until_well(self) -> None:
        deadline = time.monotonic() + READY_S
        waiting = list(self._supervisor.tasks.values())
        while waiting:
            if self._is_over():
                raise RuntimeError("was told to end while it was starting")
            dead = [task.name for task in waiting if not task.running]
            if dead or time.monotonic() > deadline:
                names = dead or [task.name for task in waiting]
                raise RuntimeError("\n".join([f"did not come up: {', '.join(names)}", *map(self._log_tail, names)]))
            waiting = [task for task in waiting if not is_well(task)]
            time.sleep(0.03)

    def _log_tail(self, name: str) -> str:
        return (self.run / "logs" / f"{name}.log").read_text(errors="replace")[-1500:]

    def _write_annotations(self) -> None:
        """What the operator says of the shop, with the ports of this one."""
        text = (HERE / "annotations.yaml").read_text(encoding="utf-8")

        def moved(found: re.Match[str]) -> str:
            return f"127.0.0.1:{int(found[1]) - fleet.DEFAULT_BASE_PORT + self.base}"

        (self.run / "annotations.yaml").write_text(re.sub(r"127\.0\.0\.1:(\d+)", moved, text), encoding="utf-8")

    def _write_state(self) -> None:
        offsets = {member.instance: member for member in fleet.FLEET}
        processes: dict[str, Any] = {}
        for name, task in self._supervisor.tasks.items():
            member = offsets.get(name)
            processes[name] = {
                "service": member.service if member else name,
                "pid": task.process.pid if task.process else None,
                "port": self.base + member.offset if member else None,
            }
        database = self.base + fleet.member_of("postgres").offset
        state = {
            "run_dir": str(self.run),
            "base_port": self.base,
            "starter": os.getpid(),
            "proxied": self.proxied,
            "processes": processes,
            "control": str(self.run / "proxy.sock") if self.proxied else None,
            "annotations": str(self.run / "annotations.yaml"),
            "environment": {
                "SHOP_DATABASE_URL": f"postgresql://postgres@127.0.0.1:{database}/shop",
                "SHOP_REDIS_URL": f"redis://127.0.0.1:{self.base + fleet.member_of('redis').offset}/0",
            },
        }
        fresh = self.run / "state.json.new"
        fresh.write_text(json.dumps(state, indent=1), encoding="utf-8")
        fresh.replace(self.run / "state.json")


def free_base_port(wanted: int) -> int:
    """``wanted``, or if that is 0 any base port below the range the kernel hands out itself, if all ports are free.

    Raises ``RuntimeError`` naming the port that is taken.
    """
    tries = [wanted] if wanted else [random.randrange(20_000, 32_000, fleet.PORTS) for _ in range(200)]
    for base in tries:
        taken = next((base + offset for offset in range(fleet.PORTS) if not _is_free(base + offset)), None)
        if taken is None:
            return base
    raise RuntimeError(f"port {taken} is in use; choose another --base-port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def make_run_directory(wanted: Path | None) -> Path:
    """The run directory, which must be new or empty. Others may pass through it, since PostgreSQL may not be root."""
    run = Path(tempfile.mkdtemp(prefix="shop-")) if wanted is None else wanted.absolute()
    run.mkdir(parents=True, exist_ok=True)
    if any(run.iterdir()):
        raise RuntimeError(f"{run} is not empty")
    run.chmod(0o711)
    return run


def main() -> int:
    """Run until told to end; 0 if it was, 1 if it could not start or lost a part it cannot do without."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run-dir", type=Path, help="new or empty directory, removed at the end; default: under /tmp")
    parser.add_argument("--base-port", type=int, default=fleet.DEFAULT_BASE_PORT, help="0: any free range")
    parser.add_argument("--no-proxy", action="store_true", help="services reach each other directly")
    parser.add_argument("--keep", action="store_true", help="keep the run directory with its logs")
    options = parser.parse_args()
    try:
        base = free_base_port(options.base_port)
        run = make_run_directory(options.run_dir)
    except RuntimeError as error:
        print(f"The shop cannot start: {error}", file=sys.stderr)
        return 1
    shop = Shop(run, base, proxied=not options.no_proxy, keep=options.keep)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, shop.end)
    try:
        return open_shop(shop)
    finally:
        shop.stop()


def open_shop(shop: Shop) -> int:
    """Start it and stay until it ends; the process's exit code."""
    began = time.monotonic()
    try:
        shop.start()
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        if not shop.ending:
            print(f"The shop cannot start: {error}", file=sys.stderr)
        return 0 if shop.ending else 1
    print(f"The shop is open after {time.monotonic() - began:.1f} s: {shop.run / 'state.json'}", flush=True)
    lost = shop.keep()
    if lost:
        print(f"The shop closes: {lost} ended and is not to be restarted.", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
