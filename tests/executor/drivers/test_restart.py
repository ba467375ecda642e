"""A process is started again as it ran: same user, limits, environment, outputs; once, and only if it may be."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.clock import start_ticks
from executor.drivers import restart
from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.kernel import locate, process
from executor.model.system import ProcessInstance, Service, System
from tests.executor.kit import until

PROGRAM = """
import json, os, resource, subprocess, sys, time
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
print(json.dumps({
    "ids": [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()], "umask": status["Umask"].strip(),
    "ignored": status["SigIgn"].strip(), "nice": os.nice(0), "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "limits": [line[:-1] for line in open("/proc/self/limits") if not line.startswith("Limit ")],
    "cwd": os.getcwd(), "secret": os.environ["SECRET"], "arguments": sys.argv[1:],
    "oom": open("/proc/self/oom_score_adj").read(), "session": os.getsid(0) == os.getpid(),
    "turns": [os.sched_getscheduler(0), subprocess.check_output(["ionice", "-p", str(os.getpid())], text=True).strip()],
}), flush=True)
time.sleep(100)
"""
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
Begin = Callable[..., tuple[ProcessTarget, "subprocess.Popen[bytes]", Path]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Starts the program with traits of its own, its output to a file."""
    begun: list[str] = []
    children: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="murphy-test-") as name:
        directory = Path(name)
        directory.chmod(0o755)

        def start(mark: str, **fields: Any) -> tuple[ProcessTarget, subprocess.Popen[bytes], Path]:
            output = directory / f"{mark}.log"
            user: dict[str, Any] = {}
            if os.geteuid() == 0 and sys.executable != PYTHON:
                user = {"user": 65534, "group": 65534, "extra_groups": [7, 9]}
            begun.append(mark)
            with output.open("ab") as stream:
                child = subprocess.Popen(
                    [
                        "/bin/sh",
                        "-c",
                        "ulimit -Sn 200; ulimit -Hn 300; prlimit --pid $$ --sigpending=99:999 --msgqueue=4096; "
                        'exec chrt -b 0 ionice -c 3 "$@"',
                        "sh",
                        PYTHON,
                        "-c",
                        PROGRAM,
                        mark,
                        "--password=canary",
                        "",
                    ],
                    stdout=stream,
                    stderr=subprocess.DEVNULL,
                    cwd="/usr",
                    env={"SECRET": "canary=with = signs", "PATH": os.environ["PATH"]},
                    umask=0o037,
                    start_new_session=True,
                    **user,
                )
                children.append(child)
            until(lambda: output.read_bytes().endswith(b"\n"))
            instance = ProcessInstance(id="it-1", command=mark)
            service = Service(name="it", instances=(instance,), **({"restarts": "by_hand"} | fields))
            found = locate.find(instance)
            return ProcessTarget(service, "it-1", found.pid, found.start_ticks, None), child, output

        yield start
        for child in children:
            end(child)
        for mark in begun:
            for pid in locate.heads_of(ProcessInstance(id="it", command=mark)):
                ticks = start_ticks(pid) or 0
                process.send(pid, ticks, signal.SIGKILL)
                process.wait_gone(pid, ticks, 10)


def keep(target: ProcessTarget, path: Path, by: str = "murphy") -> dict[str, Any]:
    kept = restart.record(
        target, Context(System(name="s", services=(target.service,)), "murphy-restart-1", str(path)), by=by
    )
    return dict(json.loads(json.dumps(kept)))


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()


def test_comes_back_as_it_ran(begin: Begin, tmp_path: Path) -> None:
    target, child, output = begin(f"asitran-{os.getpid()}")
    kept = keep(target, tmp_path)
    assert "canary" not in json.dumps(kept)
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600, 0o600]
    restart.ensure(kept)
    assert child.poll() is None, "it was running and was started again"
    kept = keep(target, tmp_path)
    end(child)
    assert restart.back(kept) is False
    restart.ensure(kept)
    assert restart.back(kept) is True
    first, second = (json.loads(line) for line in until(lambda: lines(output, 2)))
    assert first["files"] == [200, 300]
    assert first["turns"] == [os.SCHED_BATCH, "idle"]
    assert second == first
    secret = [file for file in tmp_path.iterdir() if file.suffix != ".started"]
    assert [file.stat().st_mode & 0o777 for file in secret] == [0o600, 0o600]


def test_struck_once_more_after_it_was_undone_it_comes_back_again(begin: Begin, tmp_path: Path) -> None:
    """An executor that hung before it struck goes on, after the watchdog has undone its fault."""
    target, child, _ = begin(f"late-{os.getpid()}")
    kept = keep(target, tmp_path)
    restart.ensure(kept)
    end(child)
    assert restart.back(kept) is False
    restart.ensure(kept)
    assert restart.back(kept) is True


def lines(output: Path, count: int) -> list[str]:
    said = output.read_text().splitlines()
    return said if len(said) == count else []


@pytest.mark.skipif(os.geteuid() != 0 or sys.executable == PYTHON, reason="only root starts it as another user")
def test_its_output_leads_root_to_no_file_that_the_process_may_not_write(begin: Begin, tmp_path: Path) -> None:
    """The process may have put a link in its output's place; a file of its own there, as after a rotation, is taken."""
    target, child, output = begin(f"output-{os.getpid()}")
    kept = keep(target, tmp_path)
    end(child)
    secret = output.with_name("secret")
    secret.write_text("")
    secret.chmod(0o644)
    output.unlink()
    output.symlink_to(secret)
    restart.ensure(kept)
    (back,) = restart.heads(kept)
    assert Path(f"/proc/{back}/fd/1").readlink() == Path(os.devnull)
    ticks = start_ticks(back) or 0
    process.send(back, ticks, signal.SIGKILL)
    process.wait_gone(back, ticks, 10)
    assert secret.read_text() == ""
    output.unlink()
    output.touch()
    os.chown(output, 65534, 65534)
    restart.ensure(kept)
    lines(output, 1)


def test_a_cgroup_that_went_with_it_is_told(begin: Begin, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As that of a systemd unit does, with all its limits."""
    target, child, output = begin(f"unit-{os.getpid()}")
    kept = keep(target, tmp_path)
    kept["how"]["cgroups"].append("/sys/fs/cgroup/gone.service")
    end(child)
    restart.ensure(kept)
    lines(output, 2)
    assert "it-1: started again outside of /sys/fs/cgroup/gone.service, which went with it" in caplog.text


def test_a_process_under_way_is_not_started_twice(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs, and what tells that it is back has not come yet: the next attempt waits for it."""
    target, child, output = begin(f"underway-{os.getpid()}")
    kept = keep(target, tmp_path) | {"count": 2}
    monkeypatch.setattr(restart, "BACK_S", 0.3)
    end(child)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="is not back yet"):
            restart.ensure(kept)
    assert len(locate.heads_of(ProcessInstance(id="it", command=f"underway-{os.getpid()}"))) == 1
    restart.ensure(kept | {"count": 1})
    assert len(until(lambda: lines(output, 2))) == 2


def test_one_that_cannot_be_noted_is_not_started_twice(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full or read-only disk: here there is no directory for the file."""
    target, child, output = begin(f"unnoted-{os.getpid()}")
    kept = keep(target, tmp_path) | {"count": 2, "started": str(tmp_path / "none" / "it.started")}
    monkeypatch.setattr(restart, "BACK_S", 0.3)
    end(child)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="is not back yet"):
            restart.ensure(kept)
    assert len(locate.heads_of(ProcessInstance(id="it", command=f"unnoted-{os.getpid()}"))) == 1
    restart.ensure(kept | {"count": 1})
    assert len(until(lambda: lines(output, 2))) == 2


def test_siblings_count(begin: Begin, tmp_path: Path) -> None:
    """Of two alike one is ended: the other does not stand for it."""
    target, child, _ = begin(f"sibling-{os.getpid()}")
    other = subprocess.Popen([PYTHON, "-c", "import time; time.sleep(100)", f"sibling-{os.getpid()}"])
    try:
        until(lambda: len(locate.heads_of(ProcessInstance(id="it", command=f"sibling-{os.getpid()}"))) == 2)
        kept = keep(target, tmp_path)
        end(child)
        assert restart.back(kept) is False
        restart.ensure(kept)
        assert len(locate.heads_of(ProcessInstance(id="it", command=f"sibling-{os.getpid()}"))) == 2
    finally:
        end(other)


def test_what_cannot_be_started_is_said(begin: Begin, tmp_path: Path) -> None:
    target, child, _ = begin(f"nowhere-{os.getpid()}")
    kept = keep(target, tmp_path)
    kept["how"]["program"] = "/nowhere/at/all"
    end(child)
    with pytest.raises(UnavailableError, match=r"cannot be started again: .*No such file"):
        restart.ensure(kept)


def test_a_process_that_hides_its_command_line_is_refused(begin: Begin) -> None:
    target, _, _ = begin(f"hidden-{os.getpid()}")
    assert restart.impossible(target) is None
    code = "import os, sys; os.execv(sys.executable, ['worker: masked', '-c', 'import time; time.sleep(100)'])"
    child = subprocess.Popen([PYTHON, "-c", code])
    try:
        instance = ProcessInstance(id="it-1", command="worker: masked")
        until(lambda: process.command_line(child.pid)[:1] == ("worker: masked",))
        for fields, possible in (({}, False), ({"restarts": "supervised"}, True), ({"restart_command": ("it",)}, True)):
            service = Service.model_validate({"name": "it", "instances": (instance,), **fields})
            found = locate.find(instance)
            reason = restart.impossible(ProcessTarget(service, "it-1", found.pid, found.start_ticks, None))
            assert (reason is None) is possible
    finally:
        end(child)


def test_what_a_start_would_not_find_is_not_ended(tmp_path: Path) -> None:
    """A release that was taken away under it, or a script named from a directory that it has left."""
    release = tmp_path / "release"
    release.mkdir()
    (release / "worker.py").write_text(
        "import os, sys, time; os.chdir(sys.argv[1]); print('up', flush=True); time.sleep(100)"
    )
    for goes_to, what in ((release, None), (tmp_path, "runs worker.py, which is not there"), (release, "is gone")):
        child = subprocess.Popen([PYTHON, "worker.py", str(goes_to)], cwd=release, stdout=subprocess.PIPE)
        try:
            assert child.stdout is not None
            with child.stdout:
                assert child.stdout.readline() == b"up\n"
            if what == "is gone":
                shutil.rmtree(release)
            service = Service(name="it", restarts="by_hand")
            target = ProcessTarget(service, "it-1", child.pid, start_ticks(child.pid) or 0, None)
            assert (what or "None") in str(restart.impossible(target))
            by_command = ProcessTarget(
                Service(name="it", restart_command=("true",)), "it-1", target.pid, target.start_ticks, None
            )
            assert (restart.impossible(by_command) is None) is (what != "is gone")
            if what:
                with pytest.raises(UnavailableError, match=what):
                    keep(target, tmp_path)
                keep(target, tmp_path, by="supervisor")
        finally:
            end(child)


@pytest.mark.parametrize("looker", [[PYTHON, "looker.py"], ["sort", "-", "-o", "/dev/null"]])
def test_what_looks_at_its_script_meanwhile_is_not_its_return(looker: list[str], tmp_path: Path) -> None:
    name = f"it{os.getpid()}.py"
    (tmp_path / name).write_text("import time; time.sleep(100)")
    (tmp_path / "looker.py").write_text("import time; time.sleep(100)")
    child = subprocess.Popen([PYTHON, name], cwd=tmp_path)
    other: subprocess.Popen[bytes] | None = None
    kept: dict[str, Any] = {}
    try:
        until(lambda: process.command_line(child.pid)[1:] == (name,))
        service = Service(name="it", restarts="by_hand")
        kept = keep(ProcessTarget(service, "it-1", child.pid, start_ticks(child.pid) or 0, None, name), tmp_path)
        end(child)
        other = subprocess.Popen([*looker, name], cwd=tmp_path, stdin=subprocess.PIPE)
        until(lambda: name in process.command_line(other.pid))
        assert not restart.back(kept)
        restart.ensure(kept)
        (back,) = restart.heads(kept)
        assert process.command_line(back) == (PYTHON, name)
    finally:
        end(child)
        if other and other.stdin:
            other.stdin.close()
            end(other)
        for pid in restart.heads(kept) if kept else ():
            os.kill(pid, signal.SIGKILL)


SLEEPS = "import time; print('up', flush=True); time.sleep(100)"
LESS = [
    (["setpriv", "--no-new-privs"], "NoNewPrivs 1"),
    (["setpriv", "--bounding-set=-net_raw", "--inh-caps=-all"], "CapBnd "),
    (["setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+kill", "--ambient-caps=+kill"], "CapAmb "),
    (["unshare", "--uts"], "namespaces of its own"),
    ([], "a root directory of its own (/usr)"),
    (["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"', "sh"], "a listening socket that it was handed"),
]


def run(*command: str, **about: Any) -> tuple[ProcessTarget, subprocess.Popen[bytes]]:
    """A process of its own, and the target that it is to a service that is started by hand."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/", **about)
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"up\n"
    service = Service(name="it", restarts="by_hand")
    return ProcessTarget(service, "it-1", child.pid, start_ticks(child.pid) or 0, None), child


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can confine like this")
@pytest.mark.parametrize(("before", "what"), LESS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_runs_confined_is_not_started_free(before: list[str], what: str, tmp_path: Path) -> None:
    """It would have more than before, or less: its user is asked to say how it is done."""
    code = SLEEPS if before else f"import os; os.chroot('/usr'); {SLEEPS}"
    target, child = run(*before, PYTHON, "-c", code)
    try:
        reason = restart.impossible(target) or ""
        assert reason.startswith(f"it-1 runs with {what}")
        assert reason.endswith("as it would not if Murphy started it; say how that is done in restart_command.")
        with pytest.raises(UnavailableError, match="restart_command"):
            keep(target, tmp_path)
        by_command = target.service.model_validate({"name": "it", "restart_command": ("true",)})
        assert restart.impossible(ProcessTarget(by_command, "it-1", target.pid, target.start_ticks, None)) is None
    finally:
        end(child)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can confine like this")
def test_what_its_supervisor_does_not_start_is_not_started_free_either(tmp_path: Path) -> None:
    target, child = run("setpriv", "--no-new-privs", PYTHON, "-c", SLEEPS, f"free-{os.getpid()}")
    kept = keep(target, tmp_path, by="supervisor") | {"patience_s": 0.0}
    end(child)
    with pytest.raises(UnavailableError, match="is not back, and ran with NoNewPrivs 1"):
        restart.ensure(kept)
    assert not restart.heads(kept)


def test_what_was_handed_its_listener_is_not_started_without() -> None:
    """Its opener holds it too; what a process gives its own workers counts for nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = str(listener.fileno())
        target, child = run(PYTHON, "-c", SLEEPS, number, pass_fds=[listener.fileno()])
        try:
            assert "a listening socket that it was handed" in (restart.impossible(target) or "")
        finally:
            end(child)
    forks = f"import os, socket; l = socket.create_server(('127.0.0.1', 0)); os.fork() or time.sleep(100); {SLEEPS}"
    target, child = run(PYTHON, "-c", f"import time; {forks}", start_new_session=True)
    try:
        assert restart.impossible(target) is None
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        end(child)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root opens such a port and becomes another user")
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_what_opened_its_port_before_it_became_another_user_is_not_ended(kind: str) -> None:
    """Started as that user it could not open it, and would never be back."""
    port = next(port for port in range(1023, 600, -1) if free(port))
    program = (
        f"import os, socket, time; s = socket.socket(type=socket.{kind}); s.bind(('127.0.0.1', {port}));"
        f" {'s.listen();' if kind == 'SOCK_STREAM' else ''} os.setgroups([]); os.setgid(65534); os.setuid(65534);"
        " print('up', flush=True); time.sleep(100)"
    )
    target, child = run(PYTHON, "-c", program)
    try:
        why = restart.impossible(target) or ""
        assert f"port {port}, which it opened with rights that it has given up" in why
    finally:
        end(child)


def free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def test_a_pid_is_nobodys_before_the_next_one_starts(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock file that holds it is still good as long as nobody has asked how the process ended."""
    target, child, output = begin(f"collected-{os.getpid()}")
    kept = keep(target, tmp_path)
    monkeypatch.setattr(restart, "_COLLECTED_S", 10.0)
    collecting = threading.Timer(0.2, child.wait)
    child.kill()
    assert process.wait_gone(target.pid, target.start_ticks, 10)
    collecting.start()
    began: list[bool] = []
    restart.see_back(
        kept,
        coming=lambda: False,
        start=lambda: began.append(Path(f"/proc/{target.pid}").exists()) or restart._start(kept),
    )
    collecting.join()
    assert began == [False]
    assert len(until(lambda: lines(output, 2))) == 2


def test_one_that_others_start_while_its_end_is_awaited_is_not_started_twice(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, child, _ = begin(f"once-{os.getpid()}")
    kept = keep(target, tmp_path)
    end(child)
    waits, goes_on, real = threading.Event(), threading.Event(), restart._see_collected

    def slow(members: Any) -> None:
        if threading.current_thread() is first:
            waits.set()
            assert goes_on.wait(60)
        real(members)

    monkeypatch.setattr(restart, "_see_collected", slow)
    first = threading.Thread(target=restart.ensure, args=(kept,), daemon=True)
    first.start()
    assert waits.wait(60)
    restart.ensure(kept)
    goes_on.set()
    first.join(60)
    assert len(restart.heads(kept)) == 1
