"""What faults have made on this machine and named by their mark: cgroups, mounts, files that fill a volume.

It is found without a journal and without notes, whoever made it. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from executor.kernel import cgroup, child, fill, holding, volume
from executor.kernel.holding import Hold


@dataclass(frozen=True)
class Leftover:
    """One thing that was found."""

    mark: str
    text: str
    hold: Hold
    """Whether a run that goes on holds it."""
    remove: Callable[[], None]
    """Undo it. Idempotent. Raises ``UnavailableError`` or ``OSError``."""


def leftovers(leases: Mapping[str, float]) -> Iterator[Leftover]:
    """All of them. Cgroups and mounts are root's to see and to undo.

    ``leases``: by mark the seconds that are left of a lease, as far as it is known: these things themselves show none.
    """
    for group in cgroup.made():
        undo = partial(cgroup.dissolve, group.directory, group.origin)
        mark = group.directory.name
        yield Leftover(mark, f"cgroup {group.directory}", holding.hold(*group.holder, leases.get(mark)), undo)
    serving = {word for helper in child.helpers() if helper.lease.held for word in helper.arguments}
    for mount in volume.sources(cgroup.PREFIX):
        if mount.kind == "fuse.murphy":
            hold: Hold = "held" if mount.source in serving else "nobody"  # it lives by its helper's lease
            yield Leftover(mount.source, f"mount on {mount.point}", hold, partial(volume.unmount, mount.point))
    for file in fill.made():
        path = fill.file_of(file.directory, file.mark)
        hold = file.hold(leases.get(file.mark))
        yield Leftover(file.mark, f"file {path}", hold, partial(fill.release, file.directory, file.mark))
