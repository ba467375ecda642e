"""What is noted in engines of containers and in QEMUs of this machine is undone, whoever noted it, without a journal.

A part of ``murphy recover --sweep``. Standard library and drivers only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from executor.drivers.container import aside, network
from executor.drivers.container import notes as container_notes
from executor.drivers.container.driver import DRIVER as CONTAINERS
from executor.drivers.noted import Noted
from executor.drivers.vm import notes as vm_notes
from executor.drivers.vm.driver import DRIVER as MACHINES
from executor.errors import MurphyError, UnavailableError
from executor.undo.swept import Swept, left_alone, line

_DOCKER: Final = "unix:///var/run/docker.sock"
_ON_CONTAINERS: Final[dict[str, container_notes.Undo]] = {
    "pause": CONTAINERS.thaw,
    "end": CONTAINERS.start,
    "removal": aside.bring_back,
    "disconnection": network.join,
}
_ON_MACHINES: Final[dict[str, vm_notes.Undo]] = {"pause": MACHINES.thaw, "removal": MACHINES.put_back}
BLIND: Final = (
    "what no mark of ours can show where it is: processes stopped by a signal; frozen or exchanged volumes, and such as"
    " were mounted anew; settings, rows, keys and users of databases, caches, queues and balancers; edited files;"
    " machines in a cloud but for what --system names; whatever is behind ssh; other engines than {engine}, and"
    " clusters that --cluster does not name"
)
"""Said of each sweep; docs/safety.md says more of it."""


def engine() -> str:
    """The one that is looked at: ``DOCKER_HOST``, or the usual socket."""
    return os.environ.get("DOCKER_HOST") or _DOCKER


def sweep_managers() -> Iterator[Swept]:
    """Undo what is noted there and nobody holds; what cannot be asked was not seen."""
    url = engine()
    if not url.startswith("unix://") or Path(url.removeprefix("unix://")).exists():
        yield from _undone(f"the containers of {url}", partial(container_notes.found, url, _ON_CONTAINERS))
    for path in vm_notes.sockets():
        yield from _undone(f"the machine behind {path}", partial(vm_notes.found, path, _ON_MACHINES))


def _undone(where: str, look: Callable[[], Iterator[Noted]]) -> Iterator[Swept]:
    try:
        notes = list(look())
    except UnavailableError as error:
        yield Swept("unseen", f"{where}: {line(error)}")
        return
    for note in notes:
        hold, pid = note.hold()
        if left := left_alone(hold, note.text, f"process {pid}"):
            yield left
            continue
        try:
            note.undo()
            yield Swept("done", f"undone: {note.text}")
        except MurphyError as error:
            yield Swept("owed", f"{note.text} cannot be undone: {line(error)}")
