"""What every service of the shop shares: its port, a bounded number of threads, and an end without delay."""

from __future__ import annotations

import argparse
import logging
import os
import signal
from collections.abc import Callable
from types import FrameType

import urllib3
import waitress
from flask import Flask


def serve(app: Flask, *, threads: int, on_stop: Callable[[], None] = lambda: None) -> None:
    """Answer on 127.0.0.1 and the port of ``--port`` with so many threads until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", nargs="?")
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        on_stop()
        os._exit(0)  # threads may be stuck in calls that never end; nobody is to wait for them

    signal.signal(signal.SIGTERM, stop)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    # connections cost little and threads are what is scarce, so idle callers must not be able to fill it up
    waitress.serve(app, host="127.0.0.1", port=port, threads=threads, connection_limit=2000, asyncore_use_poll=True)


def client() -> urllib3.PoolManager:
    """An HTTP client that keeps connections and, unless a call says so, neither retries nor follows redirects."""
    return urllib3.PoolManager(num_pools=8, maxsize=32, retries=False)
