"""A container put aside: ended, and under a name of ours, so that to whoever looks for it it has been removed.

Nothing of it can get lost that way: neither what it has written, nor its configuration, in which there may be secrets.
Standard library only at import.
"""

from __future__ import annotations

from executor.drivers.container import notes
from executor.drivers.container.driver import DRIVER
from executor.drivers.container.engine import engine, inspected
from executor.drivers.container.state import asking, settle, within
from executor.drivers.driver import Record
from executor.errors import UnavailableError

_ENDS_WITHIN_S = 10.0


def put_aside(record: Record) -> None:
    """End it, and give it the record's name ``aside``. Raises ``UnavailableError`` if it is gone, or stays."""
    with asking(record) as client:
        notes.put(record, "removal")
        client.kill(record["container"])
        if not within(_ENDS_WITHIN_S, lambda: DRIVER.ended(record)):
            raise UnavailableError("the container does not end.", where=record["instance"])
        client.rename(record["container"], record["aside"])


def bring_back(record: Record) -> None:
    """Its own name, and see that it runs. Idempotent, after any part of ``put_aside`` too.

    One that its supervisor has replaced meanwhile is removed, as it would have been all along; its volumes stay.
    Raises ``UnavailableError`` if somebody else has taken the name.
    """
    settle(record, lambda: DRIVER.ended(record))
    seen = inspected(record["engine"], record["container"])
    if seen is not None and seen["Name"] == f"/{record['aside']}":
        if inspected(record["engine"], record["name"]) is None:
            with engine(record["engine"]) as client:
                client.rename(record["container"], record["name"])
        elif record["replaced"]:
            with engine(record["engine"]) as client:
                client.remove_container(record["container"])
        else:
            why = f"another container is called {record['name']} now; ours is kept as {record['aside']}."
            raise UnavailableError(why, where=record["instance"], hint="Remove one of them and give ours its name.")
    DRIVER.start(record)
    notes.drop(record, "removal")


def aside(record: Record) -> bool | None:
    """Whether it is away, or ended. ``None``: cannot tell."""
    try:
        seen = inspected(record["engine"], record["container"])
    except UnavailableError:
        return None
    return (seen is not None and seen["Name"] == f"/{record['aside']}") or DRIVER.down(record)
