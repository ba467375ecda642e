"""A fault in a service's file of settings, which the service reads again on SIGHUP."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ProcessTarget
from executor.model.faults.infrastructure import Config
from executor.model.plan import InstanceTarget
from executor.model.system import ConfigFile, ProcessInstance, Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.kit import free_port, until

PROGRAM = Path(__file__).parents[1] / "configured.py"
TEXT = """\
# how many may be open at once
pool:
    size: 10   # measured in May
    name: "main"
password: canary-of-the-settings
"""


class Configured:
    """One service and its file."""

    def __init__(self, file: Path) -> None:
        self.file, self.port = file, free_port()
        file.write_text(TEXT, encoding="utf-8")
        file.chmod(0o640)
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, str(PROGRAM), str(self.file), str(self.port)])
        until(lambda: self.pool() is not None, what="the service does not answer")

    def pool(self) -> Any:
        """What it goes by; ``None`` if it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                return json.load(answer)
        except OSError:
            return None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


class ConfigSubject:
    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.one, self.other = Configured(directory / "one.yaml"), Configured(directory / "other.yaml")
        file = ConfigFile(path=str(self.one.file), format="yaml", signal="HUP")
        instance = ProcessInstance(id="one-1", port=self.one.port)
        self.system = System(name="s", services=(Service(name="one", instances=(instance,), config=(file,)),))

    def resolved(self) -> ProcessTarget:
        (target,) = resolve(InstanceTarget(service="one"), self.system)
        assert isinstance(target, ProcessTarget)
        return target

    def normal(self) -> bool:
        return bool(self.one.pool() == {"size": 10, "name": "main"})

    def faulted(self) -> bool:
        return bool(self.one.pool() == {"size": 1, "name": "main"})

    def state(self) -> Any:
        found = {}
        for file in sorted(self.one.file.parent.iterdir()):
            about = file.stat()
            found[file.name] = (file.read_bytes(), about.st_mode, about.st_uid, about.st_gid, about.st_mtime_ns)
        return {"files": found, "pids": [self.one.process.pid, self.other.process.pid]}

    def die(self) -> None:
        self.one.end()

    def unharmed(self) -> bool:
        """Whether the service with the file beside it goes by what it did, and that file is as it was."""
        size = self.other.pool()["size"]
        return bool(size == 10 and self.other.file.read_text(encoding="utf-8") == TEXT)

    def size(self) -> str:
        lines = self.one.file.read_text(encoding="utf-8").splitlines()
        differ = sum(one != other for one, other in zip(lines, TEXT.splitlines(), strict=True))
        assert (self.one.pool()["size"], differ) == (1, 1)
        return f"pool.size 1 asked, the service goes by {self.one.pool()['size']}; {differ} of 5 lines differs"


@contextmanager
def opened(bench: Bench) -> Iterator[ConfigSubject]:
    subject = ConfigSubject(bench.path / "etc")
    try:
        yield subject
    finally:
        subject.one.end()
        subject.other.end()


CASES = (Case("infrastructure.config", Config(key="pool.size", value=1), opened),)
