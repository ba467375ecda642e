"""What a helper lives by, when it may open nothing more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_WAITS = """
import os, resource, sys
from pathlib import Path
from executor.clock import own_ticks
from executor.kernel import child
deadline = Path(sys.argv[1])
child.extend(deadline, 0.5, create=True)
lease = child.Lease(os.getpid(), own_ticks(), deadline)
resource.setrlimit(resource.RLIMIT_NOFILE, (3 + int(sys.argv[2]),) * 2)
print(lease.wait(0.1), lease.wait(30))
"""


def test_a_lease_lapses_for_a_helper_that_has_no_descriptor_left_too(tmp_path: Path) -> None:
    """None to open its holder by, or none to read what that is."""
    for left in ("0", "1"):
        command = [sys.executable, "-c", _WAITS, str(tmp_path / "lease"), left]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert done.stdout == "True False\n", done.stderr
