"""A directory of the test's own in which calls fail, and what is asked of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from executor.faults.behaviour import Context
from executor.faults.registry import behaviour
from executor.kernel import volume
from executor.model.faults.resource import IoError
from tests.executor.faults.cases.volumes import DATA, Failing, directories, no_fuse
from tests.executor.faults.hungry_kit import pair
from tests.missing import missing

HOW = behaviour("resource.io_error")
_MARK = "murphy-larder-1"
Begin = Callable[..., dict[str, Any]]


@contextmanager
def beginning(scratch: Path) -> Iterator[Begin]:
    """Makes the fault; undone afterwards."""
    if reason := no_fuse():
        missing(reason)
    with directories(), pair(Failing) as subject:
        made = []

        def inject(**fields: Any) -> dict[str, Any]:
            context = Context(subject.system, _MARK, str(scratch))
            record = HOW.prepare(IoError(**{"path": str(DATA), **fields}), subject.resolved(), context)
            made.append(record)
            return {**record, **HOW.inject(record, 60)}

        try:
            yield inject
        finally:
            for record in made:
                HOW.revert(record)
            assert not volume.mounted_on(DATA)
            for path in DATA.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def failing(how: Callable[[], Any]) -> int:
    """Its number."""
    with pytest.raises(OSError) as caught:
        how()
    return caught.value.errno or 0
