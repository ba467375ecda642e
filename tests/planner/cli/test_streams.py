"""Output that nobody takes stops nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = str(Path(__file__).parents[3])


def murphy(shell: str, directory: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MURPHY_HOME": str(directory / "home"), "PYTHONPATH": ROOT}
    command = f'"{sys.executable}" -m planner.cli.main {shell}'
    return subprocess.run(
        ["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_reader_that_has_gone_ends_nothing() -> None:
    code = (
        "from planner.cli.output import out\n"
        "from planner.cli import streams\n"
        "import sys\n"
        "streams.secure()\n"
        "sys.stdin.readline()\n"  # until the reader has gone
        "for _ in range(1000):\n"
        "    out.print('x' * 1000)\n"
        "assert streams.lost() == ''\n"
        "sys.exit(7)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ROOT},
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert (process.stderr.read(), process.wait(60)) == (b"", 7)


def test_a_full_disk_under_the_output_is_one_sentence(tmp_path: Path) -> None:
    done = murphy("faults > /dev/full", tmp_path)
    assert done.returncode == 2
    assert done.stderr == "murphy: what was to be printed could not be written: No space left on device.\n"


def test_a_command_that_can_say_nothing_at_all_ends_in_order(tmp_path: Path) -> None:
    assert murphy("faults > /dev/full 2>&1", tmp_path).returncode == 2
    assert murphy("evidence nothing > /dev/full 2>&1", tmp_path).returncode == 2


def test_halt_halts_though_it_can_say_nothing(tmp_path: Path) -> None:
    assert murphy("halt > /dev/full 2>&1", tmp_path).returncode == 2
    assert (tmp_path / "home" / "HALTED").exists()
