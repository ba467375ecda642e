"""What helpers that send requests have in common: until when they may go on, and what must not hold them up."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

from executor.kernel import child


def ended(lease: child.Lease) -> Callable[[], bool]:
    """Watches a lease in a thread; whether it is over."""
    over = threading.Event()

    def watch() -> None:
        while lease.wait(1.0):
            pass
        over.set()

    threading.Thread(target=watch, daemon=True).start()
    return over.is_set


def unhindered() -> None:
    """Once, before the first request: as many connections as may be, and no pauses."""
    child.raise_descriptor_limit()
    gc.collect()
    gc.freeze()  # a collection that looks at every module again would make requests late
