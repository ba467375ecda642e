"""Pids and start times mean something in the namespaces only in which they were written down.

On real ones: two containers on one state directory, or one and its host, are such.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from executor.clock import boot_id, here, own_ticks, seen_at, start_ticks, whereabouts
from executor.errors import SafetyRefusalError
from executor.kernel import locate, process
from executor.model.system import ProcessInstance
from executor.safety.settle import settled
from executor.state import audit, undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from executor.state.rows import ELSEWHERE
from executor.undo.elsewhere import begun_elsewhere
from executor.undo.recover import recover_lapsed, recovery
from tests.executor.kit import until
from tests.missing import missing, not_meant

pytestmark = pytest.mark.root

ROOT = Path(__file__).parents[3]
KINDS = {
    "pid": ("--pid", "--mount-proc"),
    "time": ("--time", "--boottime", "100000"),
}
RUN = """
import signal, subprocess, sys
from pathlib import Path
from executor.clock import start_ticks
from executor.kernel import locate, process
from executor.state import undo_notes
from executor.state.home import Home
from executor.state.journal import Journal
from tests.executor.injections import admit, arm
home = Home.open(Path(sys.argv[1]))
journal = Journal(home.journal)
admit(journal)
home.scratch("run-1")
member = [int(sys.argv[2]), start_ticks(int(sys.argv[2]))]
record = {"pid": member[0], "ticks": member[1], "members": [member]}
armed = arm(journal, record=record, lease_s=100.0)
undo_notes.keep(home, armed, record)
process.send(*member, signal.SIGSTOP)
assert journal.injected(armed.id, record)
print("injected", flush=True)
sys.stdin.read()
"""
CONTAINER = f"""
import json, subprocess, sys
from pathlib import Path
from executor.state.home import Home
from executor.undo.recover import recovery
home, name = sys.argv[1:]
target = subprocess.Popen(["sleep", name])
run = subprocess.Popen([sys.executable, "-c", {RUN!r}, home, str(target.pid)], stdin=subprocess.PIPE, stdout=sys.stdout)
for word in sys.stdin:
    if word == "kill\\n":
        run.kill()
        run.wait()
        print("killed", flush=True)
    else:
        print(json.dumps([each.error for each in recovery(Home(Path(home))).results]), flush=True)
target.kill()
"""
SWEEP = f"""
import signal, subprocess, sys, tempfile
from pathlib import Path
from executor.clock import is_elsewhere, start_ticks
from executor.kernel import child, process
from executor.state.home import Home
from executor.undo.sweep import sweep
from tests.executor.kit import until
assert len(process.pids()) < 10, "this sweeps all that it sees"
home = sys.argv[1]
code = '''
import sys
from pathlib import Path
from executor.kernel import child
child.spawn("executor.faults.resource.memory", ["4096", "0"], Path(sys.argv[1]) / "murphy-inner-1.lease", 100.0)
print("ready", flush=True)
sys.stdin.read()
'''
inner = subprocess.Popen(
    ["unshare", *{KINDS["pid"]!r}, "--fork", "--kill-child", sys.executable, "-c", code, home],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE,
)
assert inner.stdout.readline() == b"ready\\n"
(helper,) = child.helpers()
holder = next(pid for pid in process.pids() if process.parent(pid) == inner.pid)
assert is_elsewhere(holder)
def swept():
    return [(one.outcome, one.text) for one in sweep(Home(Path(home) / "another")) if "inner" in one.text]
print([outcome for outcome, text in swept()])
process.send(holder, start_ticks(holder), signal.SIGSTOP)
until(lambda: process.state(holder, start_ticks(holder)) == "T")
print(swept())
print(process.alive(helper.found.pid, helper.found.start_ticks))
inner.kill()
inner.wait()
"""


def unshare(*options: str) -> list[str]:
    """Skips the test where that is not permitted."""
    command = ["unshare", *options, "--fork", "--kill-child"]
    tried = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if not tried or tried.returncode:
        why = f"no namespaces of its own ({options[0]}): {tried.stderr if tried else 'there is no unshare'}"
        missing(why)
    return command


class Container:
    """A run that has stopped a target, both in a namespace of their own."""

    def __init__(self, home: Home, kind: str) -> None:
        name = f"{os.getpid()}.{own_ticks()}"
        self.process = subprocess.Popen(
            [*unshare(*KINDS[kind]), sys.executable, "-c", CONTAINER, str(home.path), name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "injected"
        (pid,) = (pid for pid in process.pids() if process.command_line(pid) == ("sleep", name))
        self.target = pid, start_ticks(pid) or 0
        until(self.stands_still)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def says(self, word: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self._line()

    def stands_still(self) -> bool:
        return process.state(*self.target) == "T"

    def end(self) -> None:
        self.process.kill()
        process.send(*self.target, signal.SIGKILL)
        process.wait_gone(*self.target, 10.0)
        self.process.communicate()


@contextmanager
def container(home: Home, kind: str) -> Iterator[Container]:
    made = Container(home, kind)
    try:
        yield made
    finally:
        made.end()


def held(home: Home) -> tuple[list[str], list[str], list[str]]:
    """Faults with their states, runs, and notes."""
    with closing(Journal(home.journal)) as journal:
        runs = [row.run for row in journal.running()]
        return [each.state for each in journal.pending()], runs, [note.mark for note in undo_notes.left(home)]


UNTOUCHED = (["injected"], ["run-1"], ["m1"])


def lapse(home: Home) -> None:
    with closing(Journal(home.journal)) as journal:
        journal.renew("run-1", 0.0)
        undo_notes.renew(home, journal.pending(), 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_in_another_namespace_is_neither_dead_nor_undone(home: Home, kind: str) -> None:
    with container(home, kind) as other:
        (result,) = recovery(home).results
        assert result.error.endswith(ELSEWHERE)
        with closing(Journal(home.journal)) as journal:  # as a run does that begins
            assert [each.reverted for each in recover_lapsed(journal, home)] == [False]
            (row,) = journal.running()
            assert (row.alive, row.elsewhere) == (False, True)
            assert not journal.altered()
        assert [error.endswith(ELSEWHERE) for error in settled(home, grace_s=0.1, making_s=0.1)] == [True]
        assert held(home) == UNTOUCHED
        assert (home.run_dir("run-1") / "scratch").is_dir()
        assert other.stands_still()


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_run_has_left_that_died_there_is_undone_there(home: Home, kind: str) -> None:
    with container(home, kind) as other:
        assert other.says("kill") == "killed"
        (result,) = recovery(home).results
        assert result.error.endswith(ELSEWHERE)
        assert held(home) == UNTOUCHED
        assert json.loads(other.says("recover")) == [""]
        assert not other.stands_still()
        assert held(home) == ([], [], [])


def test_nobody_is_left_in_a_namespace_that_has_ended(home: Home) -> None:
    """As only the namespace can tell that sees every process."""
    with container(home, "pid"):
        pass
    (note,) = undo_notes.left(home)
    if Path("/proc/self/ns/pid").stat().st_ino != 0xEFFFFFFC:
        assert whereabouts(note.boot_id) == "elsewhere"
        not_meant("we are in a pid namespace ourselves, from where it cannot be told")
    until(lambda: whereabouts(note.boot_id) == "gone")  # its first process is to be waited for by ours
    assert [result.error for result in recovery(home).results] == [""]
    assert held(home) == ([], [], [])


@pytest.mark.slow
def test_a_container_that_is_gone_is_taken_for_gone_at_somebodys_word(home: Home) -> None:
    """As after every start of a container on the directory of the one before."""

    def recovered(*words: str) -> tuple[int, str]:
        command = [*unshare(*KINDS["pid"]), sys.executable, "-m", "planner.cli.main", "recover", *words]
        environment = {**os.environ, "MURPHY_HOME": str(home.path)}
        null = subprocess.DEVNULL
        done = subprocess.run(
            command, cwd=ROOT, env=environment, stdin=null, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    with container(home, "pid"):
        code, said = recovered("--gone", "--yes")
        assert (code, "was renewed a short while ago" in said) == (3, True), said
    lapse(home)
    assert recovered()[0] == 4
    code, said = recovered("--gone")
    assert (code, "no terminal to ask a person on" in said) == (3, True), said
    assert held(home) == UNTOUCHED
    code, said = recovered("--gone", "--yes")
    assert (code, said.startswith("Undone: ")) == (0, True), said
    assert held(home) == ([], [], [])
    assert audit.verify(home).intact
    (word,) = (row for row in audit.entries(home) if row.what == "declared_gone")
    assert "the run run-1, begun by process" in word.detail["of"][0]
    assert recovered("--gone")[0] == 0, "there is nothing to ask about"


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_of_which_a_process_is_seen_is_not_taken_for_gone(home: Home, kind: str) -> None:
    """One that is paused, or whose executor was killed, say: what it has struck still stands still there."""
    with container(home, kind) as other:
        assert other.says("kill") == "killed"
        lapse(home)
        with pytest.raises(SafetyRefusalError, match="is seen where the run run-1"):
            begun_elsewhere(home)
    (note,) = undo_notes.left(home)
    until(lambda: not seen_at(note.boot_id))
    assert [*begun_elsewhere(home)] == ([note.boot_id] if note.elsewhere else [])
    home.journal.write_bytes(b"no journal" * 1000)
    assert [*begun_elsewhere(home)] == ([note.boot_id] if note.elsewhere else []), "the note says so too"


def test_a_later_namespace_with_the_number_of_an_earlier_one_is_not_that(home: Home) -> None:
    """The next container gets the lowest number that is free, often the very one of the container before."""
    ask = "import sys; from executor.clock import *; print(here(), *map(whereabouts, (here(), *sys.argv[1:])))"
    with container(home, "pid") as other:
        (note,) = undo_notes.left(home)
        boot, namespace, clock = note.boot_id.split(":")
        number, since = namespace.split("@")
        before, untold = f"{boot}:{number}@{int(since) - 1}:{clock}", f"{boot}:{number}:{clock}"
        inside = ["nsenter", "--target", str(other.target[0]), "--pid", "--mount", sys.executable, "-c", ask]
        said = subprocess.check_output([*inside, before, untold], cwd=ROOT, text=True).split()
        assert said == [note.boot_id, "here", "elsewhere", "here"]
        assert (whereabouts(note.boot_id), other.target[0] in seen_at(note.boot_id)) == ("elsewhere", True)
        assert seen_at(before) == []
        if Path("/proc/self/ns/pid").stat().st_ino == 0xEFFFFFFC:
            assert whereabouts(before) == "gone"


CRASHED = """
import sys
from pathlib import Path
from executor.model.faults.service import Crash
from tests.crash.conftest import Scene
from tests.executor.kit import Shelf, until
shelf = Shelf("base")
until(shelf.answers)
scene = Scene(Path(sys.argv[1]), shelf)
scene.plan(Crash(), duration_s=50.0)
scene.start().says("injected")
print(shelf.port, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_what_ended_with_its_namespace_is_not_started_outside(tmp_path: Path) -> None:
    command = [*unshare(*KINDS["pid"]), sys.executable, "-c", CRASHED, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as inside:
        assert inside.stdout is not None
        port = int(inside.stdout.readline())
        inside.kill()
    home = Home(tmp_path / "home")
    (note,) = undo_notes.left(home)
    if Path("/proc/self/ns/pid").stat().st_ino != 0xEFFFFFFC:
        not_meant("we are in a pid namespace ourselves, from where it cannot be told that it has ended")
    until(lambda: whereabouts(note.boot_id) == "gone")
    assert [result.error for result in recovery(home).results] == [""]
    started = locate.heads_of(ProcessInstance(id="base-1", port=port))
    for pid in started:
        process.send(pid, start_ticks(pid) or 0, signal.SIGKILL)
    assert started == []
    assert held(home) == ([], [], [])


ASK = """
import sys
from pathlib import Path
from executor.clock import here
from executor.safety.halt import halt
from executor.safety.settle import settled
from executor.state.home import Home
from executor.undo.recover import recovery
from executor.undo.sweep import sweep
from executor.errors import UnavailableError
home = Home(Path(sys.argv[1]))
halt(home, "a drill")
for ask in (recovery, settled, sweep, lambda _home: here()):
    try:
        print("said nothing:", ask(home))
    except UnavailableError as error:
        assert "that of another pid namespace" in error.message, error
print("said", flush=True)
"""


@pytest.mark.parametrize("entered", ["--pid", "--mount"])
def test_half_entered_nothing_is_undone_nor_taken_for_undone(home: Home, entered: str) -> None:
    """As ``nsenter -p`` without ``-m`` does: each pid is one process's in ``/proc``, and another's to a signal."""
    with container(home, "pid") as other:
        assert other.says("kill") == "killed"
        (first,) = (pid for pid in process.pids() if process.parent(pid) == other.process.pid)
        inside = ["nsenter", "--target", str(first), entered, sys.executable, "-c", ASK, str(home.path)]
        assert subprocess.check_output(inside, cwd=ROOT, text=True, timeout=60) == "said\n"
        assert held(home) == UNTOUCHED
        assert other.stands_still()
        assert json.loads(other.says("recover")) == [""]
        assert not other.stands_still()


def test_helpers_of_another_namespace_are_not_swept(tmp_path: Path) -> None:
    """Their holder's pid is one of theirs. If it goes on, that is seen from above."""
    own = unshare("--pid", "--net", "--mount-proc")
    script = 'mount -t tmpfs x /run && mount -t tmpfs x /sys/fs/cgroup && exec "$@"'
    said = subprocess.run(
        [*own, "sh", "-c", script, "sh", sys.executable, "-c", SWEEP, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "DOCKER_HOST": "unix:///nowhere"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert said.returncode == 0, said.stderr
    going_on, stopped, alive = said.stdout.splitlines()
    assert going_on == "['spared']"
    assert stopped.startswith("[('unwatched'")
    assert ELSEWHERE in stopped
    assert alive == "True"


def test_where_that_is_as_earlier_versions_wrote_it() -> None:
    assert whereabouts(boot_id()) == whereabouts(here()) == "here"
    assert whereabouts("of then") == whereabouts("of then:1:2") == "gone"
    assert whereabouts(f"{boot_id()}:{os.getpid()}:1") != "here"
