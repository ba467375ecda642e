"""Who reads a plan sees the very processes that it means, and which of them are not there."""

from __future__ import annotations

import io
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from executor.model.plan import Plan
from executor.model.system import ProcessInstance, Service, System
from planner.cli import struck_view
from planner.cli.output import THEME
from tests.executor.safety.examples import edge, hang, plan, slow, system

SECRET = "--password=hunter2"
WAITS = "import sys; print(flush=True); sys.stdin.read()"


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    script = tmp_path / f"{tmp_path.name}.py"
    script.write_text(WAITS)
    command = [sys.executable, str(script), SECRET]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        started.stdout.readline()
        yield started
        started.kill()


def seen(of: Plan, on: System) -> list[list[str]]:
    page = Console(file=io.StringIO(), width=400, theme=THEME)
    struck_view.show(of, on, page)
    assert isinstance(page.file, io.StringIO)
    return [line.split() for line in page.file.getvalue().splitlines()[2:]]


def test_every_process_that_is_meant_is_shown_once(process: subprocess.Popen[str], tmp_path: Path) -> None:
    web = Service(name="web", instances=(ProcessInstance(id="web-1", command=f"{tmp_path.name}.py"),))
    gone = Service(name="gone", instances=(ProcessInstance(id="gone-1", command="there-is-no-such-program"),))
    on = system(web, gone, edges=[edge("web", "gone")])
    struck, missing, calls = seen(plan(on, hang("web"), hang("gone"), slow("web", "gone"), hang("web", id="more")), on)
    script = str(tmp_path / f"{tmp_path.name}.py")
    about = [
        "web-1",
        str(process.pid),
        pwd.getpwuid(os.getuid()).pw_name,
        str(tmp_path),
        sys.executable,
        script,
        "(+1)",
    ]
    assert struck == ["struck", *about]
    assert calls == ["its", "calls", *about]
    assert missing[:3] == ["struck", "gone-1", "none"]
    assert "'there-is-no-such-program'" in missing
    assert SECRET not in str([struck, calls, missing])
