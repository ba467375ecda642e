"""What a search sees of the resources of its instance."""

from __future__ import annotations

import subprocess
import sys

import pytest

from executor.clock import start_ticks
from executor.faults.service.usage import Meter
from executor.kernel import cgroup
from tests.executor.faults.cases.memory import LIMIT
from tests.executor.faults.hungry_kit import no_cgroup, scratch_cgroup
from tests.missing import missing

EATS = "held = []\nwhile True: held.append(bytes(bytearray(b'x') * 2**20))"


@pytest.mark.root
@pytest.mark.parametrize("shared", [True, False])
def test_a_neighbour_that_ran_out_of_memory_is_not_the_instance(shared: bool) -> None:
    if reason := no_cgroup("memory"):
        missing(reason)
    with scratch_cgroup("memory") as directory:
        next(directory / name for name in LIMIT if (directory / name).exists()).write_text(str(32 * 2**20))
        target = subprocess.Popen(["sleep", "60"])
        try:
            cgroup.enter(directory, target.pid)
            other = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
            if shared:
                cgroup.enter(directory, other.pid)
            ticks = start_ticks(target.pid)
            assert ticks is not None
            meter = Meter(target.pid, ticks)
            hungry = subprocess.Popen([sys.executable, "-c", f"input()\n{EATS}"], stdin=subprocess.PIPE)
            cgroup.enter(directory, hungry.pid)
            hungry.communicate(b"\n", timeout=20)
            other.communicate()
            seen = meter.look(1.0)
            assert (seen.alive, seen.out_of_memory) == (True, not shared)
        finally:
            target.kill()
            target.wait()
