"""What searches for a capacity have written down, kept with the run: one file each, beside the observations."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hdrh.codec import HdrCookieException, HdrLengthException
from pydantic import TypeAdapter

from executor.errors import InputError
from executor.load.window import latencies
from executor.measure.capacity.steps import Step
from executor.model.base import why_not
from executor.model.plan import Experiment
from executor.state.durable import sync_directory
from executor.state.reading import regular

_DIRECTORY = "searches"
_STEP = TypeAdapter(Step)
Searches = dict[tuple[str, str], list[Step]]
"""By action and instance."""


def keep(directory: Path, experiment: str, trial: int, action: str, instance: str, written: Path) -> None:
    """Keep a file that a fault has written in its scratch. Raises ``OSError``; one that wrote none has none."""
    kept = _place(directory, experiment, trial, action) / f"{instance}.jsonl"
    with suppress(FileNotFoundError):
        if written.stat().st_size:
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(written, kept)
            sync_directory(kept.parent)


def load(directory: Path, experiment: Experiment, trial: int) -> Searches:
    """The steps of all searches of one trial. Raises ``InputError`` if a file is damaged."""
    found: Searches = {}
    for action in experiment.actions:
        place = _place(directory, experiment.id, trial, action.id)
        for path in sorted(place.glob("*.jsonl")) if place.is_dir() else ():
            try:
                found[action.id, path.stem] = list(_steps(path))
            except (OSError, ValueError, zlib.error, HdrLengthException, HdrCookieException) as error:
                raise InputError(f"the steps of a search cannot be read: {why_not(error)}.", where=str(path)) from error
    return found


def _place(directory: Path, experiment: str, trial: int, action: str) -> Path:
    return directory / _DIRECTORY / experiment / str(trial) / action


def _steps(path: Path) -> Iterator[Step]:
    with regular(path) as lines:
        for line in lines:
            if line.endswith(b"\n") and not line.startswith(b'{"ended"'):  # else it was cut off in the middle
                step = _STEP.validate_json(line)
                latencies(step.windows)  # they are decoded where they are needed, which has no answer to damaged ones
                yield step
