"""What faults have made on this machine and named by their mark: cgroups, mounts, files that fill a volume.

It is found without a journal and without notes, whoever made it. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from executor.kernel import cgroup, child, fill, volume


@dataclass(frozen=True)
class Leftover:
    """One thing that was found. What is held belongs to a run that goes on."""

    mark: str
    text: str
    held: bool
    remove: Callable[[], None]
    """Undo it. Idempotent. Raises ``UnavailableError`` or ``OSError``."""


def leftovers() -> Iterator[Leftover]:
    """All of them. Cgroups and mounts are root's to see and to undo."""
    for group in cgroup.made():
        undo = partial(cgroup.dissolve, group.directory, group.origin)
        yield Leftover(group.directory.name, f"cgroup {group.directory}", group.held, undo)
    serving = {word for helper in child.helpers() if helper.lease.held for word in helper.arguments}
    for mount in volume.sources(cgroup.PREFIX):
        if mount.kind == "fuse.murphy":
            held = mount.source in serving
            yield Leftover(mount.source, f"mount on {mount.point}", held, partial(volume.unmount, mount.point))
    for file in fill.made():
        path = fill.file_of(file.directory, file.mark)
        yield Leftover(file.mark, f"file {path}", file.held, partial(fill.release, file.directory, file.mark))
