"""Servers to load, each a process of its own on a loopback port of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.executor.kit import free_port

Serve = Callable[..., int]


@contextmanager
def serving(words: list[str]) -> Iterator[int]:
    port = free_port()
    command = [sys.executable, "-m", "tests.executor.load.bounded", str(port), *words]
    started = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        yield port
    finally:
        started.kill()
        started.communicate()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a bounded server: workers, service time in ms, options; returns its port."""
    with ExitStack() as servers:
        yield lambda *words: servers.enter_context(serving([str(word) for word in words]))
