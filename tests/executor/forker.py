"""A process that carries out runs in children of its own, which begin at once: ``python -m tests.executor.forker``.

It reads ``DIRECTORY`` lines, forks, and answers with the child's pid. The child runs what lies in the directory
(``plan.json``, ``approval.json``, ``system.json``, ``limits.json``) in the home beside it, and says in the directory's
``said`` what happens: each event's kind and detail, then ``outcome …`` or ``refused …``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from executor.errors import MurphyError
from executor.model.base import Contract
from executor.probes.ask import open_client as open_client  # what a run would else load at its beginning
from executor.selftest.parts import carry_out, put
from executor.state.home import Home

SAID = "said"


class Forker:
    """The parent's side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.executor.forker"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def run(self, home: Home, directory: Path, **parts: Contract) -> int:
        """Begin to carry out ``plan`` under ``approval`` in that home; the pid of the process that does."""
        directory.mkdir()
        (directory / "home").symlink_to(home.path)
        put(directory, **parts)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{directory}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it. Its children are the caller's to end."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(30)


def said(directory: Path) -> list[str]:
    """What a child has said so far."""
    file = directory / SAID
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _become(directory: Path) -> NoReturn:
    code = 5
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        words = os.open(directory / SAID, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        for number in (1, 2):
            os.dup2(words, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = _carry_out(directory)
    except BaseException as error:  # noqa: BLE001 - a forked child must never return into its parent's code
        _say(f"failed {type(error).__name__}: {error}")
    finally:
        os._exit(code)


def _carry_out(directory: Path) -> int:
    try:
        evidence = carry_out(
            directory,
            Home.open(directory / "home"),
            report=lambda event: _say(f"{event.kind.value} {event.detail}"),
        )
    except MurphyError as error:
        _say(f"refused {error}")
        return error.exit_code
    _say(f"outcome {evidence.outcome}")
    return 0


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode("utf-8", "replace"))


def main() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children that end leave no zombie
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(Path(line.rstrip("\n")))
        print(child, flush=True)


if __name__ == "__main__":
    main()
