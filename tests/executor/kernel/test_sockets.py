"""Whose sockets are where: the kernel's short answer and its long table say the same."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from executor.kernel import sockdiag, sockets


@pytest.fixture(params=["asked", "read"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the kernel's answer over netlink, and where it gives none, as in some containers."""

    def none(states: int) -> list[sockdiag.Connection]:
        raise FileNotFoundError

    if request.param == "read":
        monkeypatch.setattr(sockdiag, "every", none)
    return str(request.param)


@pytest.fixture
def servers() -> Iterator[dict[str, socket.socket]]:
    """By the address at which each listens."""
    with ExitStack() as open_ones:
        yield {
            "127.0.0.1": open_ones.enter_context(socket.create_server(("127.0.0.1", 0))),
            "::1": open_ones.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6)),
            "::": open_ones.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)),
        }


@pytest.mark.usefixtures("way")
def test_listeners_are_found_by_port_and_by_process(servers: dict[str, socket.socket]) -> None:
    for address, server in servers.items():
        port, inode = server.getsockname()[1], str(os.fstat(server.fileno()).st_ino)
        assert sockets.listeners(port) == {inode: address}
        assert sockets.listeners(port, os.getpid()) == {inode: address}
        assert sockets.listeners_of_all()[inode] == port
        assert inode in sockets.listening(os.getpid())
        assert port in sockets.ports(os.getpid())


@pytest.mark.usefixtures("way")
def test_a_connection_is_no_listener_and_ipv4_is_ipv4(servers: dict[str, socket.socket]) -> None:
    for address, to in (("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")):
        port = servers[address].getsockname()[1]
        with socket.create_connection((to, port), timeout=20) as near:
            accepted, _ = servers[address].accept()
            with accepted:
                own, inode = near.getsockname()[1], str(os.fstat(near.fileno()).st_ino)
                rows = {row.inode: row for row in sockets.calls()}
                assert (rows[inode].local, rows[inode].remote) == ((to, own), (to, port))
                back = rows[str(os.fstat(accepted.fileno()).st_ino)]
                assert (back.local, back.remote) == ((to, port), (to, own))
                assert sockets.connections(os.getpid(), port) == 1
                assert inode not in sockets.listeners_of_all()
                assert not sockets.listeners(own)
