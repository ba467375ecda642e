"""Looking at TCP connections and cutting them from outside, without ever touching anything else."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from executor.kernel import sockdiag, sockets
from tests.executor.faults.edge_kit import need_redirect

Pair = tuple[socket.socket, socket.socket, socket.socket]


@pytest.fixture(params=[("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)], ids=["ipv4", "ipv6"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """A listener and both ends of one connection to it."""
    host, family = request.param
    with (
        socket.create_server((host, 0), family=family) as listener,
        socket.create_connection(listener.getsockname()[:2], timeout=20) as near,
    ):
        far, _ = listener.accept()
        with far:
            yield listener, near, far


def _ends(one: socket.socket) -> tuple[sockdiag.Address, sockdiag.Address]:
    return one.getsockname()[:2], one.getpeername()[:2]


def _still_listens(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname()[:2], timeout=20) as one:
        accepted, _ = listener.accept()
        with accepted:
            accepted.sendall(b"1")
            assert one.recv(1) == b"1"


def test_a_connection_is_found_by_its_ends_and_belongs_to_us(pair: Pair) -> None:
    listener, near, _ = pair
    local, remote = _ends(near)
    found = sockdiag.find(local, remote)
    assert found is not None
    assert (found.local, found.remote) == (local, remote)
    assert str(found.inode) in sockets.held(os.getpid())
    assert found in sockdiag.to_port(remote[1])
    assert sockdiag.find(listener.getsockname()[:2], (local[0], 1)) is None


@pytest.mark.root
def test_cutting_resets_that_connection_only(pair: Pair) -> None:
    need_redirect()
    listener, near, _ = pair
    found = sockdiag.find(*_ends(near))
    assert found is not None
    assert sockdiag.cut(found)
    with pytest.raises(ConnectionResetError):
        near.recv(1)
    assert not sockdiag.cut(found)
    _still_listens(listener)


@pytest.mark.root
def test_a_connection_whose_far_end_is_gone_never_costs_the_listener(pair: Pair) -> None:
    need_redirect()
    listener, near, far = pair
    found = sockdiag.find(*_ends(near))
    assert found is not None
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    sockdiag.cut(found)
    _still_listens(listener)
