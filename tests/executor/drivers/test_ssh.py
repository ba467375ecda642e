"""What is sent to the machine over there can be loaded there: nothing is imported that is not sent along."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

from executor.drivers.ssh.driver import _modules


def test_our_half_has_all_that_it_imports(tmp_path: Path) -> None:
    sent = tmp_path / "sent.zip"
    sent.write_bytes(base64.b64decode(_modules()))
    load = (
        "import pkgutil, importlib, sys; sys.path.insert(0, sys.argv[1]); import executor\n"
        "for each in pkgutil.walk_packages(executor.__path__, 'executor.'): importlib.import_module(each.name)\n"
        "print(executor.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", load, str(sent)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(sent))
