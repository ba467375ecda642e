"""What the contract suite does not show of ending processes of other machines: who starts them again when we cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from executor.drivers.driver import Ends, able
from executor.drivers.resolve import everyone, found
from executor.drivers.ssh.driver import DRIVER
from executor.drivers.targets import SshTarget
from executor.errors import FaultGoneError, SafetyRefusalError, UnavailableError
from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.kernel import locate, process, sockets
from executor.model.faults.infrastructure import Zone
from executor.model.faults.service import Crash, RestartLoop, Stop
from executor.model.system import Service, SshInstance, System
from executor.model.vocabulary import Scope
from executor.run.engine import run
from executor.safety.processes import refuse_above_protected, refuse_same_process
from executor.state.home import Home
from executor.state.journal import Journal
from planner.possible import possible
from tests.executor import kit
from tests.executor.faults.remote_machine import Sshd
from tests.executor.injections import arm
from tests.executor.kit import LIMITS, Shelf, approve, experiment_on, plan_of, until

pytestmark = pytest.mark.slow
CRASH: Any = behaviour("service.crash")
STOP: Any = behaviour("service.stop")
LOOP: Any = behaviour("service.restart_loop")
CANARY = "canary-over-ssh"
ROOT = Path(__file__).parents[4]
INJECT = """
import json, sys, time
from executor.faults.registry import behaviour
kind, record = json.load(sys.stdin)
behaviour(kind).inject(record, 3.0)
print("done", flush=True)
time.sleep(120)
"""
STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(100)
"""


@contextmanager
def shelf_of(*, supervised: bool = False) -> Iterator[Shelf]:
    made = Shelf("books", supervised=supervised)
    try:
        until(made.answers, what="it does not answer")
        yield made
    finally:
        made.end()


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """A service with a secret in its environment."""
    monkeypatch.setenv("BOOKS_PASSWORD", CANARY)
    with shelf_of() as made:
        monkeypatch.delenv("BOOKS_PASSWORD")
        yield made


def target(shelf: Shelf, sshd: Sshd, restarts: str = "by_hand", **fields: Any) -> SshTarget:
    instance = sshd.instance(shelf)
    service = Service.model_validate({"name": shelf.name, "instances": (instance,), "restarts": restarts, **fields})
    made = found(service, instance)
    assert isinstance(made, SshTarget)
    return made


def prepared(fault: Any, struck: SshTarget, path: Path, mark: str = "murphy-own-1") -> dict[str, Any]:
    how = behaviour(fault.kind)
    assert why_not(how, fault, struck) is None
    system = System(name="library", services=(struck.service,))
    return dict(json.loads(json.dumps(how.prepare(fault, struck, Context(system, mark, str(path))))))


def gone(shelf: Shelf) -> bool:
    return shelf.found() is None and not shelf.answers()


def test_it_is_started_again_as_it_ran_and_no_secret_is_recorded(books: Shelf, sshd: Sshd, tmp_path: Path) -> None:
    record = prepared(Crash(), target(books, sshd), tmp_path)
    before = psutil.Process(record["processes"][0][0])
    ran = (before.cmdline(), before.environ(), before.cwd(), before.uids(), before.nice())
    assert CANARY not in json.dumps(record)
    assert CANARY in (tmp_path / "murphy-own-1.environ").read_text()
    assert [file.stat().st_mode & 0o777 for file in tmp_path.iterdir()] == [0o600, 0o600]
    CRASH.inject(record, 60.0)
    assert gone(books)
    assert CRASH.active(record) is True
    (keeper,) = sshd.keepers()
    assert CANARY not in " ".join(process.command_line(keeper[0]))
    assert CANARY.encode() not in Path(f"/proc/{keeper[0]}/environ").read_bytes()
    CRASH.revert(record)
    assert CRASH.active(record) is False
    until(books.answers)
    served = books.found()
    assert served is not None
    after = psutil.Process(served.pid)
    assert (after.cmdline(), after.environ(), after.cwd(), after.uids(), after.nice()) == ran
    assert after.ppid() in (1, *(p.pid for p in psutil.process_iter(["name"]) if p.info["name"] == "systemd"))
    assert not sshd.keepers()


def test_a_lost_machine_starts_it_again_after_the_lease(books: Shelf, own: Sshd, tmp_path: Path) -> None:
    record = prepared(Crash(restart="murphy"), target(books, own), tmp_path)
    CRASH.inject(record, 3.0)
    assert gone(books)
    own.end()
    assert CRASH.active(record) is None, "a machine that does not answer counts as free of the fault"
    with pytest.raises(UnavailableError):
        CRASH.revert(record)
    until(books.answers, what="it stays down for good")
    until(lambda: not own.keepers(), what="the keeper stays")
    own.begin()
    CRASH.revert(record)
    assert CRASH.active(record) is False
    assert len(locate.heads_of(books.instance)) == 1, "it was started twice"


def test_our_connection_is_killed_in_the_middle(books: Shelf, sshd: Sshd, tmp_path: Path) -> None:
    record = prepared(Stop(grace_s=1), target(books, sshd), tmp_path)
    STOP.inject(record, 60.0)
    assert gone(books)
    process.send_all(until(sshd.clients, what="no connection is kept"), signal.SIGKILL)
    until(lambda: not sshd.clients())
    STOP.renew(record, 60.0)
    assert STOP.active(record) is True
    STOP.revert(record)
    assert books.answers()


def test_an_executor_that_is_killed_needs_nobody_here(books: Shelf, sshd: Sshd, tmp_path: Path) -> None:
    record = prepared(Crash(), target(books, sshd), tmp_path)
    executor = subprocess.Popen([sys.executable, "-c", INJECT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert executor.stdin is not None
    assert executor.stdout is not None
    with executor.stdin, executor.stdout:
        executor.stdin.write(json.dumps(["service.crash", record]).encode())
        executor.stdin.close()
        assert executor.stdout.readline() == b"done\n"
        assert gone(books)
        executor.kill()
        executor.wait()
    until(books.answers, what="it stays down for good")
    until(lambda: not sshd.keepers(), what="the keeper stays")


def test_an_order_that_comes_too_late_is_soon_undone(books: Shelf, sshd: Sshd, tmp_path: Path) -> None:
    """Its executor died when it had asked, and others had undone what was not there yet."""
    record = prepared(Crash(), target(books, sshd), tmp_path)
    CRASH.revert(record)
    able(record, Ends).kill(record, "KILL")
    assert gone(books)
    until(books.answers, what="it stays down for good")
    until(lambda: not sshd.keepers(), what="the keeper stays")


def test_its_supervisor_comes_first(sshd: Sshd, tmp_path: Path) -> None:
    with shelf_of(supervised=True) as shelf:
        struck = target(shelf, sshd, "supervised")
        record = prepared(Crash(), struck, tmp_path)
        CRASH.inject(record, 60.0)
        assert CRASH.struck(record) is True
        until(shelf.answers)
        CRASH.renew(record, 60.0)
        assert sshd.keepers(), "nobody would see it back if its supervisor gave up"
        CRASH.revert(record)
        assert len(locate.heads_of(shelf.instance)) == 1
        served = shelf.found()
        assert served is not None
        assert process.parent(served.pid) == shelf.started.pid, "it was not its supervisor that started it"
        assert not sshd.keepers()


def test_without_its_supervisor_it_is_started_after_a_while(sshd: Sshd, tmp_path: Path) -> None:
    with shelf_of(supervised=True) as shelf:
        record = prepared(Crash(), target(shelf, sshd, "supervised"), tmp_path)
        shelf.started.kill()
        shelf.started.wait()
        CRASH.inject(record, 60.0)
        assert gone(shelf)
        CRASH.revert(record)
        assert shelf.answers()


COUNTING = """
import subprocess, sys
for _ in range(30):
    with open({log!r}, "a") as log:
        log.write("started\\n")
    subprocess.run([sys.executable, *sys.argv[2:]], check=False)
"""


def test_in_a_loop_whoever_comes_is_killed_and_the_last_is_left_alone(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    monkeypatch.setattr(kit, "SUPERVISOR", COUNTING.format(log=str(log)))

    def starts() -> int:
        return len(log.read_text(encoding="ascii").splitlines())

    with shelf_of(supervised=True) as shelf:
        record = prepared(RestartLoop(every_s=0.5, times=3), target(shelf, sshd, "supervised"), tmp_path)
        LOOP.inject(record, 120.0)
        until(lambda: starts() == 4, 100, what="it is not killed three times")
        until(shelf.answers)
        assert LOOP.active(record) is True
        LOOP.revert(record)
        assert LOOP.active(record) is False
        assert starts() == 4
        assert shelf.answers()


def test_only_what_has_a_supervisor_is_killed_in_a_loop(books: Shelf, sshd: Sshd) -> None:
    assert "nobody is known to start" in str(why_not(LOOP, RestartLoop(), target(books, sshd)))


@pytest.mark.parametrize("fault", [Crash(), Stop(), RestartLoop()], ids=lambda fault: fault.kind)
def test_a_pid_of_another_process_or_boot_is_never_signalled(
    fault: Any, books: Shelf, sshd: Sshd, tmp_path: Path
) -> None:
    struck = target(books, sshd, "supervised")
    record, how = prepared(fault, struck, tmp_path), behaviour(fault.kind)
    (pid, ticks), *_ = record["processes"]
    for wrong in ({"processes": [[pid, ticks - 1]]}, {"boot": "of then"}):
        with pytest.raises(UnavailableError, match="gone"):
            how.inject(record | wrong, 60.0)
        how.revert(record | wrong)
        assert how.active(record | wrong) is False
        assert books.found() == process.Found(pid, ticks)
        assert not sshd.keepers()


def test_one_that_died_before_is_no_fault_of_ours(books: Shelf, sshd: Sshd, tmp_path: Path) -> None:
    record = prepared(Stop(grace_s=1, restart="murphy"), target(books, sshd), tmp_path)
    process.send(*record["processes"][0], signal.SIGKILL)
    books.started.wait()
    with pytest.raises(UnavailableError, match="the process is gone"):
        STOP.inject(record, 60.0)
    assert not sshd.keepers()
    STOP.revert(record)
    assert books.answers(), "what is owed for an injection that failed is done as for a process of this machine"


def test_a_keeper_that_is_asked_to_end_starts_it_first(books: Shelf, sshd: Sshd, tmp_path: Path) -> None:
    record = prepared(Crash(), target(books, sshd), tmp_path)
    CRASH.inject(record, 60.0)
    process.send_all(sshd.keepers(), signal.SIGTERM)
    until(books.answers, what="it stays down for good")
    until(lambda: not sshd.keepers())
    with pytest.raises(FaultGoneError, match="undid the fault"):
        CRASH.renew(record, 60.0)


def test_a_keeper_that_is_killed_is_noticed_and_its_work_done_from_here(
    books: Shelf, sshd: Sshd, tmp_path: Path
) -> None:
    record = prepared(Crash(), target(books, sshd), tmp_path)
    CRASH.inject(record, 60.0)
    process.send_all(sshd.keepers(), signal.SIGKILL)
    until(lambda: not sshd.keepers())
    with pytest.raises(FaultGoneError):
        CRASH.renew(record, 60.0)
    assert gone(books)
    assert CRASH.active(record) is True
    lost = record | {"files": dict.fromkeys(record["files"], str(tmp_path / "none"))}
    with pytest.raises(UnavailableError, match="how it was started is lost"):
        CRASH.revert(lost)
    CRASH.revert(record)
    assert books.answers()


@pytest.fixture
def deaf() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A process that heeds no SIGTERM, and the text that tells it."""
    mark = f"deaf-{os.getpid()}"
    made = subprocess.Popen([sys.executable, "-c", STUBBORN, mark], stdout=subprocess.PIPE)
    assert made.stdout is not None
    with made.stdout:
        assert made.stdout.readline() == b"deaf\n"
        yield made, mark
    made.kill()
    made.wait()
    for pid in psutil.pids():
        with suppress(psutil.Error):
            one = psutil.Process(pid)
            if one.cmdline()[-1:] == [mark]:
                one.kill()


def by_command(sshd: Sshd, mark: str) -> SshTarget:
    instance = sshd.named("deaf-1", command=mark)
    made = found(Service(name="deaf", instances=(instance,), restarts="by_hand"), instance)
    assert isinstance(made, SshTarget)
    return made


def test_one_that_does_not_end_in_time_is_ended(
    deaf: tuple[subprocess.Popen[bytes], str], sshd: Sshd, tmp_path: Path
) -> None:
    child, mark = deaf
    record = prepared(Stop(grace_s=0.5), by_command(sshd, mark), tmp_path)
    STOP.inject(record, 60.0)
    assert child.wait(10) == -signal.SIGKILL
    assert STOP.active(record) is True
    STOP.revert(record)
    assert STOP.active(record) is False


def test_a_keeper_that_is_killed_while_it_waits_leaves_none_that_ends_later(
    deaf: tuple[subprocess.Popen[bytes], str], sshd: Sshd, tmp_path: Path
) -> None:
    """It has asked the process to end, which may do so at any time, for good."""
    child, mark = deaf
    record = prepared(Stop(grace_s=5), by_command(sshd, mark), tmp_path)
    failed: list[Exception] = []

    def strike() -> None:
        try:
            STOP.inject(record, 60.0)
        except UnavailableError as error:
            failed.append(error)

    thread = threading.Thread(target=strike)
    thread.start()

    def keeper() -> list[list[int]]:
        """It holds the socket, and so does whoever began it, for a moment."""
        table = Path("/proc/net/unix").read_text(encoding="ascii", errors="replace").splitlines()
        inodes = {line.split()[6] for line in table if line.endswith(f"@{record['keeper']}")}
        holders = [[pid, ticks] for pid, ticks in sshd.keepers() if inodes & sockets.held(pid)]
        return [
            one for one in holders if process.command_line(process.parent(one[0]) or 0) == process.command_line(one[0])
        ]

    process.send_all(until(keeper, what="no keeper begins"), signal.SIGKILL)
    thread.join(60)
    assert failed
    assert child.wait(10) == -signal.SIGKILL
    assert STOP.active(record) is False, "nobody started it again"
    STOP.revert(record)


def test_what_cannot_be_done_by_ssh_says_why(books: Shelf, sshd: Sshd) -> None:
    struck = target(books, sshd)
    reasons = possible(System(name="library", services=(struck.service,)), "books")
    can = {"service.crash", "service.stop", "service.hang", "service.slowdown"}
    assert {kind for kind, why in reasons.items() if not why} == can
    assert "nobody is known to start books-1 again" in reasons["service.restart_loop"]
    assert reasons["resource.cpu"] == (
        "books-1 is a process of another machine, and this fault needs a process of this machine; by ssh it can only be"
        " stopped, slowed, ended and started again: run Murphy on its machine, or choose another fault or instance."
    )
    assert "and not something that Kubernetes runs; by ssh it can only" in reasons["infrastructure.scale"]
    assert "has packets that can be told apart here; by ssh it can only" in reasons["network.loss"]


def test_a_restart_command_must_be_there(books: Shelf, sshd: Sshd, tmp_path: Path) -> None:
    lost = target(books, sshd, restart_command=("/nowhere/restart", "books"))
    assert "needs /nowhere/restart, which is no program there" in str(why_not(CRASH, Crash(), lost))
    by_hand = (sys.executable, *psutil.Process(lost.pid).cmdline()[1:], "9")
    record = prepared(Crash(restart="murphy"), target(books, sshd, restart_command=by_hand), tmp_path)
    CRASH.inject(record, 60.0)
    CRASH.revert(record)
    served = books.found()
    assert served is not None
    assert process.command_line(served.pid)[-1] == "9"


@pytest.mark.parametrize("way", ["stop", "pause"])
def test_the_loss_of_a_zone_is_renewed_there(way: Any, books: Shelf, sshd: Sshd, tmp_path: Path) -> None:
    instance = SshInstance(**{**dict(sshd.instance(books)), "zone": "a"})
    struck = found(Service(name="books", instances=(instance,), restarts="by_hand"), instance)
    assert isinstance(struck, SshTarget)
    zone: Any = behaviour("infrastructure.zone")
    record = prepared(Zone(zone="a", how=way), struck, tmp_path)
    zone.inject(record, 60.0)
    assert not books.answers()
    zone.renew(record, 0.2)
    until(books.answers, what="it outlives its lease")
    with pytest.raises(FaultGoneError):
        zone.renew(record, 60.0)
    zone.revert(record)


def test_one_process_by_two_ways_is_not_two_targets(books: Shelf, sshd: Sshd) -> None:
    struck = target(books, sshd)
    here = Service(name="store", instances=(books.instance.model_validate({**dict(books.instance), "id": "store-1"}),))
    system = System(name="library", services=(struck.service, here))
    with pytest.raises(SafetyRefusalError, match="books-1 and store-1 are one process"):
        refuse_same_process({"a1": (struck,)}, everyone(system))


def test_nothing_above_a_protected_service_is_struck_there_either(sshd: Sshd) -> None:
    with shelf_of(supervised=True) as shelf:
        below = Service(name="books", instances=(sshd.instance(shelf),), protected=True)
        above = sshd.named("above-1", command=shelf.supervisor)
        service = Service(name="above", instances=(above,))
        struck = found(service, above)
        assert isinstance(struck, SshTarget)
        assert struck.pid == shelf.started.pid
        both = System(name="library", services=(below, service))
        assert DRIVER.beside(struck, Scope.TARGET, Crash(), everyone(both)).instances == {"above-1", "books-1"}
        with pytest.raises(SafetyRefusalError, match="under which books-1 runs"):
            refuse_above_protected({"a1": (struck,)}, everyone(both), LIMITS)


def murphy(home: Home, *arguments: str) -> tuple[int, str]:
    """A command in a process of its own: its exit code and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "planner.cli.main", *arguments],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "MURPHY_HOME": str(home.path)},
        check=False,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_recover_owes_what_it_cannot_reach_and_undoes_it_later(
    home: Home, journal: Journal, books: Shelf, own: Sshd
) -> None:
    record = prepared(Crash(restart="murphy"), target(books, own), home.scratch("run-1"))
    armed = arm(journal, kind="service.crash", subject="books-1", record=record)
    CRASH.inject(record, 60.0)
    assert journal.injected(armed.id, record)
    journal.finish("run-1", "interrupted")  # its executor is gone
    process.send_all(own.keepers(), signal.SIGKILL)  # and so is all that would undo it there
    own.end()
    code, said = murphy(home, "recover")
    assert code == 4
    assert "127.0.0.1" in said
    assert gone(books)
    assert [each.state for each in journal.pending()] == ["owed"]
    own.begin()
    assert murphy(home, "recover")[0] == 0
    assert books.answers()
    assert journal.pending() == []


def test_a_whole_run(home: Home, books: Shelf, sshd: Sshd, quick: None) -> None:
    service = Service(**{**dict(books.service()), "instances": (sshd.instance(books),), "restarts": "by_hand"})
    system = System(name="library", services=(service,))
    plan = plan_of(system, (experiment_on(system, service.name, Crash(restart="murphy")),))
    evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
    checks = [check for result in evidence.results for check in result.reverts]
    assert evidence.outcome == "completed"
    assert checks
    assert all(check.reverted and check.verified for check in checks)
    until(lambda: not sshd.keepers(), what="the keeper stays")
    kept = [file for file in home.path.rglob("*") if file.is_file() and CANARY.encode() in file.read_bytes()]
    assert kept == [], "a secret outlives the run"
