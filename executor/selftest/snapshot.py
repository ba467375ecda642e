"""What a run could leave behind on a host, looked at before and after: the scene, and what bears our marks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from executor.errors import UnavailableError
from executor.kernel import nft, process
from executor.proxy import edges as proxies
from executor.selftest.scene import NAMES, Scene

_CGROUPS = Path("/sys/fs/cgroup")
KILLED = ("crashed",)
"""Services that may be another process afterwards, if they began just once more."""
_HELD = ("helper", "redirect in force", "fault on the proxy")
WATCHDOG = "executor.undo.watchdog"
_TOOL_S = 20.0


@dataclass(frozen=True)
class Snapshot:
    """The scene and the host. ``differs`` names what is not as it was."""

    services: Mapping[str, Mapping[str, Any]]
    """By service: its process, and how it runs; more than one process, or none, is said too."""
    starts: Mapping[str, int]
    """How often each service has been started."""
    host: Mapping[str, tuple[str, ...]]
    """What there is on the host that bears the marks of these runs, by sort."""

    def differs(self, before: Snapshot) -> list[str]:
        """All that is not as it was, in words."""
        return self._left(before, self.host) + self._services(before)

    def faults(self, before: Snapshot) -> list[str]:
        """Faults that are still there; files of ours, empty tables and watchdogs are none."""
        return self.held(before) + self._services(before)

    def held(self, before: Snapshot) -> list[str]:
        """Faults that end by themselves when nobody renews them, and are there."""
        return self._left(before, _HELD)

    def _left(self, before: Snapshot, sorts: Iterable[str]) -> list[str]:
        pairs = ((sort, set(self.host[sort]) - set(before.host[sort])) for sort in sorts)
        return [f"{sort}: {', '.join(sorted(more))}" for sort, more in pairs if more]

    def _services(self, before: Snapshot) -> list[str]:
        return [word for name in NAMES for word in self._changed(name, before, may_restart=name in KILLED)]

    def _changed(self, name: str, before: Snapshot, *, may_restart: bool) -> list[str]:
        then, now = before.services[name], self.services[name]
        began = self.starts[name] - before.starts[name]
        if now["processes"] != then["processes"]:
            return [f"{name}: {now['processes']} processes are it, and it began {began} times"]
        other = then.get("process") != now.get("process")
        words = [
            f"{name}: {key} was {then.get(key)}, is {now.get(key)}"
            for key in sorted(now.keys() - {"process"})
            if then.get(key) != now.get(key)
        ]
        if other and not (may_restart and began == 1):
            words.append(f"{name}: it was {then.get('process')}, is {now.get('process')}, and began {began} times")
        elif began and not other:
            words.append(f"{name}: it began {began} times beside the one that runs")
        return words


def take(scene: Scene, home: Path, run: str, *, beside: int | None = None) -> Snapshot:
    """Look at everything now. ``home`` and ``run`` name what is sought; ``beside`` is a living executor."""
    found = scene.processes()
    held = _held_open(scene, {one.pid for each in found.values() for one in each} | {scene.proxy_pid, beside or 0})
    seen = glance(scene, home, run)
    mark = _mark(run)
    return Snapshot(
        services={name: {**seen.services[name], **_about(found[name]), "connections": held[name]} for name in NAMES},
        starts=seen.starts,
        host={
            **seen.host,
            "qdisc of the loopback": tuple(_qdiscs()),
            "cgroup": tuple(_cgroups(mark)),
            "mount": tuple(_mounts(str(home))),
            "file in scratch": tuple(_scratch(home)),
        },
    )


def glance(scene: Scene, home: Path, run: str) -> Snapshot:
    """The part of it in which faults show, which costs much less."""
    found, work, tables = scene.processes(), workers(home), tuple(_tables(_mark(run)))
    return Snapshot(
        services={name: _service(scene, name, found[name]) for name in NAMES},
        starts={name: _lines(scene.starts(name)) for name in NAMES},
        host={
            "helper": tuple(f"{module} {pid}" for module, pid in work if module != WATCHDOG),
            "watchdog": tuple(f"{module} {pid}" for module, pid in work if module == WATCHDOG),
            "nft table": tables,
            "redirect in force": tuple(table for table in tables if nft.Table(table).live()),
            "fault on the proxy": tuple(_on_proxy(scene, _mark(run))),
        },
    )


def _mark(run: str) -> str:
    return "murphy-" + run.removeprefix("run-")


def workers(home: Path) -> list[tuple[str, int]]:
    """Helpers, launchers and watchdogs that work for a home, as module and pid.

    A process is told by the path of the home among its arguments.
    """
    found = []
    for pid in process.pids():
        arguments = process.command_line(pid)
        if "-m" in arguments[:-1] and any(str(home) in argument for argument in arguments):
            module = arguments[arguments.index("-m") + 1]
            if module.startswith("executor.") and not module.startswith("executor.selftest"):
                found.append((module, pid))
    return found


def _service(scene: Scene, name: str, found: list[process.Found]) -> dict[str, Any]:
    if len(found) != 1:
        return {"processes": len(found)}
    (one,) = found
    return {
        "processes": 1,
        "process": f"process {one.pid} of {one.start_ticks}",
        "stopped": process.state(one.pid, one.start_ticks) in ("T", "t"),
        "answer": scene.answer(name),
    }


def _about(found: list[process.Found]) -> dict[str, Any]:
    """How a service runs."""
    if len(found) != 1:
        return {}
    pid = found[0].pid
    try:
        return {
            "nice": os.getpriority(os.PRIO_PROCESS, pid),
            "cores": sorted(os.sched_getaffinity(pid)),
            "limits": _digest(pid, "limits"),
            "out of memory score": _read(pid, "oom_score_adj").strip(),
            "environment": _digest(pid, "environ"),  # it may hold secrets, and differences are shown
            "cgroup": _digest(pid, "cgroup"),
        }
    except OSError:  # it ended while it was looked at
        return {}


def _digest(pid: int, name: str) -> str:
    return hashlib.sha256(_read(pid, name).encode()).hexdigest()[:12]


def _read(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")


def _held_open(scene: Scene, but: set[int]) -> dict[str, int]:
    """Connections that others than the scene's own processes hold open, by service."""
    open_to = [
        each.raddr[1]
        for each in psutil.net_connections("tcp")
        if each.raddr and each.status == psutil.CONN_ESTABLISHED and each.pid is not None and each.pid not in but
    ]
    return {name: open_to.count(part.port) for name, part in scene.parts.items()}


def _lines(file: Path) -> int:
    return len(file.read_text(encoding="ascii").splitlines())


def _tables(mark: str) -> list[str]:
    prefix = f"murphy_{mark.replace('-', '_')}_"
    listed = _tool("nft", "--json", "list", "tables")["nftables"] if os.geteuid() == 0 and shutil.which("nft") else []
    names = [item.get("table", {}).get("name", "") for item in listed]
    return [name for name in names if name.startswith(prefix)]


def _qdiscs() -> list[str]:
    if shutil.which("tc") is None:
        return []
    return [f"{item['kind']} {item.get('handle', '')}" for item in _tool("tc", "-j", "qdisc", "show", "dev", "lo")]


def _tool(*command: str) -> Any:
    done = subprocess.run(command, capture_output=True, timeout=_TOOL_S, check=True)
    return json.loads(done.stdout or b"[]")


def _cgroups(mark: str) -> list[str]:
    return [where for where, names, _ in os.walk(_CGROUPS) for name in names if mark in name]


def _mounts(home: str) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split()[4] for line in lines if line.split()[4].startswith(f"{home}/")]


def _scratch(home: Path) -> list[str]:
    return [str(path.relative_to(home)) for path in home.glob("runs/*/scratch/*")]


def _on_proxy(scene: Scene, mark: str) -> list[str]:
    """Faults on the managed proxy. It is asked for each mark a run of this size can have."""
    try:
        return [f"{mark}-{n}" for n in range(1, 2 * len(NAMES)) if proxies.active(scene.control, f"{mark}-{n}")]
    except UnavailableError as error:
        return [str(error)]
