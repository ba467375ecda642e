"""The look before and after notices everything that a run could leave behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.clock import start_ticks
from executor.faults import held
from executor.kernel import nft, process, redirect
from executor.proxy import edges as proxies
from executor.selftest.scene import EDGE, Scene
from executor.selftest.snapshot import take
from tests.executor.faults.edge_kit import need_redirect
from tests.executor.kit import until

RUN = f"run-{os.getpid():012d}"
MARK = RUN.replace("run-", "murphy-") + "-1"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("scene"))
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "runs" / RUN / "scratch").mkdir(parents=True)
    return tmp_path


def only(scene: Scene, name: str) -> process.Found:
    (found,) = scene.processes()[name]
    return found


def test_a_scene_that_nothing_has_befallen_is_as_it_was(scene: Scene, home: Path) -> None:
    assert take(scene, home, RUN).differs(take(scene, home, RUN)) == []


def test_a_stopped_service_is_a_fault_until_it_goes_on(scene: Scene, home: Path) -> None:
    before, hung = take(scene, home, RUN), only(scene, "hung")
    process.send(hung.pid, hung.start_ticks, signal.SIGSTOP)
    until(lambda: process.state(hung.pid, hung.start_ticks) == "T")
    assert any("hung: stopped was False, is True" in word for word in take(scene, home, RUN).faults(before))
    process.send(hung.pid, hung.start_ticks, signal.SIGCONT)
    until(lambda: not take(scene, home, RUN).differs(before))


def test_a_service_that_runs_otherwise_than_before_is_noticed(scene: Scene, home: Path) -> None:
    before, slowed = take(scene, home, RUN), only(scene, "slowed")
    os.setpriority(os.PRIO_PROCESS, slowed.pid, 5)
    assert take(scene, home, RUN).differs(before) == ["slowed: nice was 0, is 5"]
    with socket.create_connection(("127.0.0.1", scene.parts["crowded"].port)):
        code = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).recv(1)"
        child = subprocess.Popen([sys.executable, "-c", code, str(scene.parts["crowded"].port)])
        until(lambda: "crowded: connections was 0, is 2" in take(scene, home, RUN).differs(before))
        child.kill()
        child.wait()


def test_a_service_that_began_twice_or_not_at_all_is_noticed(scene: Scene, home: Path) -> None:
    before, asked, crashed = take(scene, home, RUN), only(scene, "asked"), only(scene, "crashed")
    process.send(crashed.pid, crashed.start_ticks, signal.SIGKILL)
    process.wait_gone(crashed.pid, crashed.start_ticks, 10)
    assert "crashed: 0 processes are it, and it began 0 times" in take(scene, home, RUN).faults(before)
    with scene.starts("asked").open("a") as file:
        file.write("1\n")
    assert "asked: it began 1 times beside the one that runs" in take(scene, home, RUN).differs(before)
    assert only(scene, "asked") == asked


def test_what_bears_our_marks_is_noticed(scene: Scene, home: Path) -> None:
    before = take(scene, home, RUN)
    scratch = home / "runs" / RUN / "scratch"
    record = {"deadline": str(scratch / f"{MARK}.lease")}
    held.start("executor.faults.resource.cpu", ["0", "0.01"], record, 60)
    proxies.put(scene.control, EDGE, MARK, {"kind": "error", "status": 503, "seed": 1}, 60)
    found = take(scene, home, RUN)
    try:
        assert [word.split(":")[0] for word in found.held(before)] == ["helper", "fault on the proxy"]
        assert any(word.startswith("file in scratch: ") for word in found.differs(before))
        assert any("front: answer was asked, is " in word for word in found.faults(before))
    finally:
        held.end(record)
        proxies.drop(scene.control, MARK)
    assert take(scene, home, RUN).held(before) == []


@pytest.mark.root
def test_a_redirect_is_a_fault_while_it_lives_and_a_trace_after(scene: Scene, home: Path) -> None:
    need_redirect()
    before, table = take(scene, home, RUN), nft.Table(nft.name_of(MARK))
    redirect.lead(table, [redirect.Way(scene.parts["below"].port, (), ())], scene.parts["asked"].port, 60)
    try:
        assert f"redirect in force: {table.name}" in take(scene, home, RUN).held(before)
        table.let_go()
        assert take(scene, home, RUN).held(before) == []
        assert take(scene, home, RUN).differs(before) == [f"nft table: {table.name}"]
    finally:
        table.remove()


def test_a_scene_ends_with_the_process_that_made_it(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from executor.selftest.scene import Scene\n"
    code += (
        "scene = Scene(Path(sys.argv[1]))\n"
        "print(scene.proxy_pid, *(f.pid for e in scene.processes().values() for f in e), flush=True)\n"
    )
    code += "input()"
    root = str(Path(__file__).parents[3])
    maker = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert maker.stdout is not None
    assert maker.stdin is not None
    proxy, *pids = (int(word) for word in maker.stdout.readline().split())
    assert len(pids) == 8
    ticks = start_ticks(proxy)
    assert ticks is not None
    maker.kill()
    maker.communicate()
    try:
        until(lambda: all(start_ticks(pid) is None for pid in pids))
    finally:
        process.send(proxy, ticks, signal.SIGKILL)  # it is like any user's, and serves on
