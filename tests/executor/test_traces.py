"""What bears our mark is found, whatever it is; what does not is left out."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys

import pytest

from executor.traces import traces

SERVER = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); s.accept()"


def test_processes_and_their_listeners_are_found_until_they_end() -> None:
    mark = f"murphy-{secrets.token_hex(6)}"
    assert traces((mark,)) == ()
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], env={**os.environ, "MARK": mark}, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        found = traces((mark, "murphy-no-such-thing"))
        assert len(found) == 2
        assert found[0] == f"listener of process {server.pid} on TCP port {port}"
        assert found[1].startswith(f"process {server.pid}: ")
        server.kill()
    assert traces((mark,)) == ()


def test_the_looker_itself_does_not_count() -> None:
    assert not any(f"process {os.getpid()}:" in trace for trace in traces((sys.executable,)))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft")
def test_a_table_is_found_under_its_mark_with_underscores() -> None:
    mark = f"murphy-{secrets.token_hex(6)}-1"
    table = f"murphy_test_{mark.replace('-', '_')}"
    subprocess.run(["nft", "add", "table", "inet", table], check=True)
    try:
        assert traces((mark,)) == (f"nftables table inet {table}",)
    finally:
        subprocess.run(["nft", "delete", "table", "inet", table], check=True)
    assert traces((mark,)) == ()
