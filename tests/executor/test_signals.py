"""A signal goes through a pidfd, by one way, and never to a process that merely got a pid again."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import executor
from tests.executor import pid_reuse
from tests.missing import missing

PACKAGE = Path(executor.__file__).parent
DIRECT = {"kill", "killpg", "send_signal", "terminate", "tgkill", "pthread_kill", "raise_signal"}
ARGUED = {
    # ``Popen.kill`` of a child that the self-test has started and not waited for: until then its pid is its own.
    ("selftest/matrix.py", "kill"),
    ("selftest/ordeal.py", "kill"),
    ("selftest/scene.py", "kill"),
    # A thread of its own process, which the self-test ends at a moment of its choice.
    ("selftest/moments.py", "pthread_kill"),
    # The group of a child that is not waited for yet, so it is nobody else's; there is no pidfd of a group.
    ("safety/backup.py", "killpg"),
    # The capability to end an instance, whose drivers do it by a pidfd or by asking an engine, a monitor or a server.
    ("drivers/vm/driver.py", "kill"),
    ("drivers/local.py", "kill"),
    ("drivers/ssh/jobs.py", "kill"),
    ("faults/infrastructure/container.py", "kill"),
    ("faults/infrastructure/vm.py", "kill"),
    ("faults/infrastructure/vm.py", "terminate"),
    ("faults/service/crash.py", "kill"),
    ("faults/service/restart_loop.py", "kill"),
    # An engine is asked to, by the container's id.
    ("drivers/container/driver.py", "kill"),
    ("drivers/container/aside.py", "kill"),
    # The group of a command that is not waited for yet, and a thread of its own process.
    ("servers/reload.py", "killpg"),
    ("faults/resource/passthrough.py", "pthread_kill"),
    # Sessions of a database, ended by its server.
    ("faults/data/connection_failure.py", "terminate"),
}
THROUGH_PIDFD = {("kernel/process.py", "pidfd_send_signal")}


def calls(names: set[str]) -> Iterator[tuple[str, str]]:
    """File and name of every use of a function or method with one of these names."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name in names:
                yield str(file.relative_to(PACKAGE)), name


def test_nothing_is_signalled_by_its_pid() -> None:
    assert set(calls(DIRECT)) <= ARGUED


def test_there_is_one_way_to_signal() -> None:
    assert set(calls({"pidfd_send_signal"})) == THROUGH_PIDFD


@pytest.mark.root
def test_a_pid_that_was_given_again_is_nobody_we_know(tmp_path: Path) -> None:
    """In a pid namespace of its own, where the next pid can be chosen."""
    why = "" if os.geteuid() == 0 and shutil.which("unshare") else "needs root and unshare, for a pid namespace"
    if why:
        missing(why)
    inside = [sys.executable, "-m", pid_reuse.__name__, str(tmp_path)]
    said = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", *inside],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.split() == [check.__name__ for check in pid_reuse.CHECKS]
