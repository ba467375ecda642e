"""Finding processes, and never hitting another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from executor.clock import own_ticks, start_ticks
from executor.errors import UnavailableError
from executor.kernel import locate, process, sockets
from executor.model.system import ProcessInstance
from tests.executor.kit import free_port, until
from tests.missing import not_meant

SLEEPER = "import sys, time; print('up', flush=True); time.sleep(100)"
PREFORK = """
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
parent = os.getpid()
for _ in range(2 if len(sys.argv) == 2 else 0):
    if not os.fork():
        while os.getppid() == parent:
            time.sleep(0.05)
        sys.exit()
print("up", flush=True)
time.sleep(100)
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def begin(code: str, *arguments: str) -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
        running.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        return child

    yield begin
    for child in running:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGCONT)
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def instance(**fields: object) -> ProcessInstance:
    return ProcessInstance.model_validate({"id": "it", **fields})


def ticks(child: subprocess.Popen[bytes]) -> int:
    found = start_ticks(child.pid)
    assert found is not None
    return found


def test_found_by_command_line(start: Start) -> None:
    child = start(SLEEPER, f"alone-{os.getpid()}")
    assert locate.find(instance(command=f"alone-{os.getpid()}")) == process.Found(child.pid, ticks(child))


def test_a_helper_that_is_told_of_a_process_is_not_taken_for_it(start: Start, tmp_path: Path) -> None:
    """What a helper strikes is among its arguments, and so is its deadline file."""
    mark = f"lamp-{os.getpid()}"
    lamp = start(SLEEPER, mark)
    start(SLEEPER, str(tmp_path / "murphy-1.lease"), f'{{"command": "{mark}"}}')
    assert locate.find(instance(command=mark)).pid == lamp.pid


def test_none_and_several_are_refused(start: Start) -> None:
    with pytest.raises(UnavailableError, match="no process that we may look at has 'twice-"):
        locate.find(instance(command=f"twice-{os.getpid()}"))
    children = {start(SLEEPER, f"twice-{os.getpid()}").pid for _ in range(2)}
    with pytest.raises(UnavailableError, match="2 processes fit") as caught:
        locate.find(instance(command=f"twice-{os.getpid()}"))
    assert all(str(pid) in str(caught.value) for pid in children)


def test_what_only_names_a_program_is_not_taken_for_it(begin: Start, tmp_path: Path) -> None:
    """A shell that is told to start it, and somebody who reads it, are bystanders; it is found beside them."""
    path = tmp_path / "worker.py"
    path.write_text(SLEEPER, encoding="utf-8")
    text = subprocess.Popen(["sh", "-c", f"cat; exec {path}"], stdin=subprocess.PIPE)
    reader = subprocess.Popen(["tail", "-f", str(path)], stdout=subprocess.DEVNULL)
    until(lambda: bool(below(text)) and process.command_line(reader.pid)[:1] == ("tail",))
    try:
        with pytest.raises(UnavailableError, match="only names it among what it is told") as none:
            locate.find(instance(command=str(path)))
        assert f"{reader.pid} (tail)" in str(none.value)
        assert f"{text.pid} (sh)" in str(none.value)
        worker = begin("worker.py", SLEEPER)
        assert locate.find(instance(command=str(path))).pid == worker.pid
    finally:
        for child in (reader, text):
            child.kill()
            child.wait()
        assert text.stdin is not None
        text.stdin.close()  # what it reads for ends then


def test_a_program_and_another_that_has_its_name_are_not_told_apart(begin: Start, tmp_path: Path) -> None:
    """Though one is the other's parent: that they fit both does not make one the other's worker."""
    mark = str(tmp_path / "mailer.py")
    (tmp_path / "mailer.py").write_text("import time; time.sleep(100)", encoding="utf-8")
    mother = begin("mother.py", OTHERS, mark)
    until(lambda: any(process.command_line(pid)[-1:] == (mark,) for pid in below(mother)))
    until(lambda: all(process.command_line(pid)[1:2] == (mark,) for pid in below(mother)))
    (mailer,) = below(mother)
    with pytest.raises(UnavailableError, match="2 processes fit") as several:
        locate.find(instance(command=mark))
    assert f"{mother.pid} ({Path(sys.executable).name} mother.py)" in str(several.value)
    assert locate.find(instance(command=f"{sys.executable} {mark}")).pid == mailer


def test_a_server_is_found_and_not_its_workers(start: Start) -> None:
    port = free_port()
    server = start(PREFORK, str(port))
    assert locate.find(instance(port=port)).pid == server.pid
    members = process.members(server.pid, ticks(server))
    assert members[0] == [server.pid, ticks(server)]
    assert len(members) == 3
    assert {process.parent(pid) for pid, _ in members[1:]} == {server.pid}


def test_a_child_with_a_listener_of_its_own_is_another_instance(start: Start) -> None:
    port = free_port()
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {PREFORK!r}, "{port}", "single"])
print("up", flush=True)
time.sleep(100)
"""
    supervisor = start(code)
    until(lambda: sockets.listeners(port))
    try:
        assert process.members(supervisor.pid, ticks(supervisor)) == [[supervisor.pid, ticks(supervisor)]]
    finally:
        found = locate.find(instance(port=port))
        process.send(found.pid, found.start_ticks, signal.SIGKILL)


POOL = """
import multiprocessing, sys, time

if __name__ == "__main__":
    of = multiprocessing.get_context(sys.argv[1])
    for _ in range(2):
        of.Process(target=time.sleep, args=(30,), daemon=True).start()
    print("up", flush=True)
    time.sleep(100)
"""
OTHERS = """
import subprocess, sys, time
for script in sys.argv[1:]:
    subprocess.Popen([sys.executable, script])
print("up", flush=True)
time.sleep(100)
"""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Start]:
    """Starts a script of that name; whatever it has started is ended with it."""
    running: list[subprocess.Popen[bytes]] = []

    def started(name: str, code: str, *arguments: str) -> subprocess.Popen[bytes]:
        (tmp_path / name).write_text(code, encoding="utf-8")
        child = subprocess.Popen(
            [sys.executable, str(tmp_path / name), *arguments], stdout=subprocess.PIPE, start_new_session=True
        )
        running.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        return child

    yield started
    for child in running:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


def below(child: subprocess.Popen[bytes]) -> list[int]:
    return [pid for pid in process.pids() if process.parent(pid) == child.pid]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_the_processes_of_a_pool_are_workers(begin: Start, method: str) -> None:
    server = begin("server.py", POOL, method)
    until(lambda: len(below(server)) >= (3 if method == "spawn" else 2))
    members = {pid for pid, _ in process.members(server.pid, ticks(server))}
    assert {*below(server)} <= members
    assert len(members) >= 3


def test_another_script_of_the_same_interpreter_is_no_worker(begin: Start, tmp_path: Path) -> None:
    """Its own script started again is one; another service that it has started is none, though it listens nowhere."""
    (tmp_path / "mailer.py").write_text("import time; time.sleep(100)", encoding="utf-8")
    again = "import sys, time\nif sys.argv[1:] == []: time.sleep(100)\n"
    mother = begin("mother.py", again + OTHERS, str(tmp_path / "mother.py"), str(tmp_path / "mailer.py"))
    until(lambda: len(below(mother)) == 2)
    until(lambda: all(process.command_line(pid)[1:] != process.command_line(mother.pid)[1:] for pid in below(mother)))
    (same,) = [pid for pid in below(mother) if process.command_line(pid)[-1].endswith("mother.py")]
    assert [pid for pid, _ in process.members(mother.pid, ticks(mother))] == [mother.pid, same]


def test_a_forked_worker_under_a_title_of_its_own_counts(begin: Start) -> None:
    titled = """
import ctypes, os, time
parent = os.getpid()
if not os.fork():
    line = open("/proc/self/cmdline", "rb").read()
    fields = open("/proc/self/stat").read().rsplit(")", 1)[1].split()
    ctypes.memmove(int(fields[45]), b"app: worker".ljust(len(line), b"\\0"), len(line))
    print("up", flush=True)
    while os.getppid() == parent:
        time.sleep(0.05)
    os._exit(0)
time.sleep(100)
"""
    server = begin("server.py", titled)
    (worker,) = below(server)
    assert process.command_line(worker)[0] == "app: worker"
    assert [pid for pid, _ in process.members(server.pid, ticks(server))] == [server.pid, worker]


def test_a_pinned_process_that_is_gone_is_refused_though_another_fits(start: Start) -> None:
    first = start(SLEEPER, f"pinned-{os.getpid()}")
    pin = instance(command=f"pinned-{os.getpid()}", pid=first.pid, start_ticks=ticks(first))
    assert locate.find(pin).pid == first.pid
    first.kill()
    first.wait()
    start(SLEEPER, f"pinned-{os.getpid()}")
    with pytest.raises(UnavailableError, match="gone, or its pid is another process's now"):
        locate.find(pin)


def test_nothing_is_sent_to_a_process_with_another_start_time(start: Start) -> None:
    child = start(SLEEPER)
    since = ticks(child)
    other = since - 1
    assert process.send(child.pid, other, signal.SIGKILL) is False
    assert process.wait_gone(child.pid, other, 0.0) is True
    assert process.state(child.pid, other) is None
    assert child.poll() is None
    with pytest.raises(UnavailableError):
        process.members(child.pid, other)
    assert process.send(child.pid, since, signal.SIGKILL) is True
    assert process.wait_gone(child.pid, since, 10.0) is True


def test_a_zombie_counts_as_gone(start: Start) -> None:
    child = start(SLEEPER)
    since = ticks(child)
    child.kill()
    until(lambda: not process.alive(child.pid, since))
    assert process.send(child.pid, since, signal.SIGCONT) is False


def test_murphy_and_its_ancestors_are_out_of_bounds(start: Start) -> None:
    assert process.forbidden(os.getpid(), own_ticks())
    parent = os.getppid()
    assert process.forbidden(parent, start_ticks(parent) or 0)
    assert process.forbidden(1, start_ticks(1) or 0)
    child = start(SLEEPER)
    assert process.forbidden(child.pid, ticks(child)) is None
    assert "gone" in (process.forbidden(child.pid, ticks(child) - 1) or "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_users_process_is_refused(start: Start) -> None:
    child = start(SLEEPER)
    code = f"""
import os
from executor.kernel import process
os.setgid(65534); os.setuid(65534)
print(process.forbidden({child.pid}, {ticks(child)}))
"""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=_ROOT)
    assert "another user's" in asked.stdout, asked.stderr


_ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(("bound", "reached"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "::1")])
def test_where_a_listener_is_reached(bound: str, reached: str) -> None:
    import socket

    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    with socket.socket(family) as listener:
        try:
            listener.bind((bound, 0))
        except OSError:
            not_meant(f"this machine has no {bound}")
        listener.listen()
        port = listener.getsockname()[1]
        assert [sockets.reachable(address) for address in sockets.listeners(port).values()] == [reached]
        with socket.create_connection((reached, port)):
            assert sockets.connections(os.getpid(), port) == 1


def test_a_pid_that_is_a_threads_by_now_is_nobodys() -> None:
    with ThreadPoolExecutor(1) as pool:
        number = pool.submit(threading.get_native_id).result()
        assert number != os.getpid()
        assert not process.send(number, -1, signal.SIGCONT)
