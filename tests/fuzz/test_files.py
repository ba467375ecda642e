"""Whatever is in a file, or in its place: it is read, or it is one sentence. Never a trace, an injection, or a wait."""

from __future__ import annotations

import os
import re
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from executor.clock import start_ticks
from executor.errors import MurphyError
from executor.kernel import process
from executor.model.system import ProcessInstance, Service, System
from executor.state.journal import Journal
from tests.fuzz.effort import effort
from tests.fuzz.ground import Ground, lay_out
from tests.fuzz.mutations import KINDS, mutated
from tests.fuzz.readers import READERS, Reader
from tests.planner.systems import check

MEMORY = 2**30
"""What reading one file may take, bytes of address space."""
WORDS = 2000
"""Characters of a sentence that a person still reads."""


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    sleeper = subprocess.Popen(["sleep", "6000"])
    try:
        ticks = start_ticks(sleeper.pid)
        pinned = ProcessInstance(id="sleeper-1", pid=sleeper.pid, start_ticks=ticks)
        service = Service(name="sleeper", instances=(pinned,), operations=(check("sleeper", "sleeper"),))
        yield lay_out(tmp_path_factory.mktemp("fuzz"), System(name="bed", services=(service,)))
        assert process.state(sleeper.pid, ticks or 0) == "S"
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def clean(work: Callable[[], object]) -> None:
    """It succeeds, or fails in one sentence with a documented exit code."""
    try:
        work()
    except MurphyError as error:
        assert error.exit_code in (2, 3, 4)
        assert re.fullmatch(r"[^\r\n]*\S[^\r\n]*", str(error))
        assert len(str(error)) < WORDS


def untouched(ground: Ground) -> None:
    """Nothing has begun."""
    if not ground.home.halt_file.exists():
        with closing(Journal(ground.home.journal)) as journal:
            assert [*journal.running(), *journal.pending()] == []


@pytest.fixture
def placed(ground: Ground, request: pytest.FixtureRequest) -> Iterator[tuple[Reader, Path, bytes]]:
    """A file's kind, its place, and its content; what was there is there again afterwards."""
    reader: Reader = request.param
    path = reader.place(ground)
    content = reader.content(ground)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
    yield reader, path, content
    remove(path)
    if mode:
        path.write_bytes(content)
        path.chmod(mode)
    if reader.name == "halt flag":
        path.unlink()


def remove(path: Path) -> None:
    for each in (path, *path.parent.glob(f"{path.name}-*")):  # a database's log
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink(missing_ok=True)


every_reader = pytest.mark.parametrize("placed", READERS, ids=lambda reader: reader.name, indirect=True)


@every_reader
@effort(40, HealthCheck.function_scoped_fixture)
@given(data=st.data())
def test_a_spoilt_file(ground: Ground, placed: tuple[Reader, Path, bytes], data: st.DataObject) -> None:
    reader, path, content = placed
    spoilt = data.draw(mutated(content, reader.form))
    remove(path)
    path.write_bytes(spoilt)
    path.chmod(0o600)
    clean(lambda: reader.read(ground, path))
    if reader.kept:
        assert path.read_bytes() == spoilt
    if reader.name == "halt flag":
        path.unlink()
    untouched(ground)


@every_reader
@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_file_in_its_place(ground: Ground, placed: tuple[Reader, Path, bytes], kind: str) -> None:
    reader, path, _ = placed
    remove(path)
    KINDS[kind](path)
    before = os.lstat(path)
    clean(lambda: reader.read(ground, path))
    with suppress(FileNotFoundError):
        assert os.lstat(path).st_mode == before.st_mode
