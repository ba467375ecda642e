"""Signals ask a run to end, and only those that somebody wants heeded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from planner.cli.interrupt import stopping


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {
        number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT], ids=lambda n: n.name)
def test_a_signal_asks_once_and_again_and_the_handlers_come_back(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_DFL)
    with stopping() as stop:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert stop.wait(10)
    assert signal.getsignal(number) is signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopping() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.is_set()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_it_is_heeded_while_the_main_thread_stands_still() -> None:
    code = (
        "import hashlib, os, threading, time\n"
        "from planner.cli.interrupt import stopping\n"
        "with stopping() as stop:\n"
        "    threading.Thread(target=lambda: stop.wait() and [time.sleep(2), os._exit(7)]).start()\n"
        "    print('begun', flush=True)\n"
        "    hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)\n"  # looks at no signal for an hour
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        try:
            _, said = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, said.decode().rstrip()) == (7, "\nmurphy: ending: everything is being undone…")


def test_an_interruption_while_the_command_line_loads_is_one_sentence() -> None:
    code = (
        "import sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "from planner.cli import murphy\n"
        "murphy()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "murphy: interrupted.\n")
