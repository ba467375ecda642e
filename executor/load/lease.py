"""Until when a helper that runs an event loop may go on."""

from __future__ import annotations

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
