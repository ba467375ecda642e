"""Faults by rules of the kernel: whose packets they strike, in whose network, and what is left when either goes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from executor.drivers.targets import ProcessTarget
from executor.errors import FaultGoneError, UnavailableError
from executor.faults.behaviour import Context, Telling, why_not
from executor.faults.registry import behaviour
from executor.kernel import nft
from executor.model.faults import FaultSpec
from executor.model.faults.network import ConnectionLimit, Loss
from executor.model.system import System
from executor.state.home import Home
from executor.undo.sweep import sweep
from tests.executor.faults.cases.packets import served, well
from tests.executor.faults.net_kit import PACKETS, Echo, connects, echoes, likely, listener, nets, no_packet_rules
from tests.executor.kit import free_port, until
from tests.missing import missing

pytestmark = pytest.mark.root
ROOT = Path(__file__).parents[4]
INJECT = """
import json, sys
from executor.faults.registry import behaviour
kind, record = json.load(sys.stdin)
behaviour(kind).inject(record, 60.0)
"""


@pytest.fixture(autouse=True)
def need_rules() -> None:
    if why := no_packet_rules():
        missing(why)


def prepared(server: Echo | ProcessTarget, fault: FaultSpec, scratch: Path) -> tuple[Any, dict[str, Any]]:
    how, target = behaviour(fault.kind), server if isinstance(server, ProcessTarget) else server.target
    assert why_not(how, fault, target) is None
    system = System(name="s", services=(target.service,))
    mark = f"murphy-packets-{os.getpid()}-{target.service.name}"
    return how, json.loads(json.dumps(how.prepare(fault, target, Context(system, mark, str(scratch)))))


@contextmanager
def struck(server: Echo | ProcessTarget, fault: FaultSpec, scratch: Path) -> Iterator[dict[str, Any]]:
    how, record = prepared(server, fault, scratch)
    how.inject(record, 60.0)
    try:
        yield record
    finally:
        how.revert(record)
        assert how.active(record) is False


def test_one_way_loses_nothing_the_other_way(tmp_path: Path) -> None:
    with echoes("struck") as (server,):
        with struck(server, Loss(percent=40, direction="in"), tmp_path):
            arrived, answered = server.exchange(500)
            assert arrived < 500
            assert answered == arrived
        with struck(server, Loss(percent=40, direction="out"), tmp_path):
            arrived, answered = server.exchange(500)
            assert arrived == 500
            assert answered < arrived
        assert well(server)


def told(record: dict[str, Any], kind: str) -> str:
    how = behaviour(kind)
    assert isinstance(how, Telling)
    return how.tells(record)


def test_a_run_is_told_which_share_was_lost(tmp_path: Path) -> None:
    """As the kernel counts it, and no other than what arrives."""
    with echoes("struck") as (server,):
        with struck(server, Loss(percent=30, direction="in"), tmp_path) as record:
            assert told(record, "network.loss") == "30 % of the packets to it asked, none came by"
            arrived, _ = server.exchange(PACKETS)
            share = f"{100 * (PACKETS - arrived) / PACKETS:.1f} % of {PACKETS:,} lost"
            assert told(record, "network.loss") == f"30 % of the packets to it asked, {share}"
        assert told(record, "network.loss") == "", "it is gone, and with it what was counted"


def test_a_run_is_told_how_many_were_turned_away(tmp_path: Path) -> None:
    with echoes("struck") as (server,), struck(server, ConnectionLimit(max=3), tmp_path) as record:
        assert served(server, 10) == 3
        said = "at most 3 connections at once asked, 7 of 10 attempts turned away"
        assert told(record, "network.connection_limit") == said


def test_a_stream_gets_through_by_sending_again(tmp_path: Path) -> None:
    with echoes("struck") as (server,), struck(server, Loss(percent=20), tmp_path):
        before = sent_again()
        for _ in range(10):  # of the few segments of one, by chance none may be lost
            assert server.echoes(b"x" * 500_000, timeout_s=100)
            if sent_again() > before:
                break
        else:
            pytest.fail("nothing was sent again")


def sent_again() -> int:
    """Segments that this machine's TCP has sent more than once."""
    names, values = (
        line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:")
    )
    return int(values[names.index("RetransSegs")])


def test_the_same_port_at_another_address_is_a_bystander(tmp_path: Path) -> None:
    with echoes("struck") as (server,), echoes("beside", address="127.0.0.77", port=server.port) as (other,):
        assert well(other)
        with struck(server, Loss(percent=50), tmp_path):
            assert server.exchange(200)[1] < 200
            assert well(other)


def test_a_listener_at_every_address_is_struck_at_every_address(tmp_path: Path) -> None:
    with echoes("struck", address="0.0.0.0") as (server,), struck(server, Loss(percent=100), tmp_path):
        for server.address in ("127.0.0.1", "127.0.0.77"):
            assert server.exchange(50) == (0, 0)


def test_others_with_the_same_port_are_bystanders(tmp_path: Path) -> None:
    """By another protocol, in the other family, and where they are bound more exactly; each of them is this process."""
    with ExitStack() as ends:
        ours = ends.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        ours.bind(("127.0.0.1", 0))
        ours.settimeout(5)
        port = ours.getsockname()[1]
        for address in ("::1", "127.0.0.77"):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            beside = ends.enter_context(socket.socket(family))
            beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # only so can both have the port
            beside.bind((address, port))
            beside.listen(100)
        target = ends.enter_context(listener(port, "0.0.0.0"))
        with struck(target, Loss(percent=100), tmp_path):
            assert [connects(at, port) for at in ("127.0.0.1", "127.0.0.88", "127.0.0.77", "::1")] == [0, 0, 1, 1]
            ours.sendto(b"to ourselves", ours.getsockname())
            assert ours.recv(100) == b"to ourselves"
        with struck(target, ConnectionLimit(max=1), tmp_path):
            assert [connects(at, port, 3) for at in ("127.0.0.1", "127.0.0.77", "::1")] == [1, 3, 3]


def test_one_whose_packets_cannot_be_told_from_others_is_refused() -> None:
    with socket.socket() as beside:
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        beside.bind(("127.0.0.1", 0))
        beside.listen()
        port = beside.getsockname()[1]
        with listener(port, "127.0.0.1") as target:
            for fault in (Loss(percent=1), ConnectionLimit(max=1)):
                why = str(why_not(behaviour(fault.kind), fault, target))
                assert f"tcp 127.0.0.1 port {port} by process {os.getpid()} is listened on too" in why


def test_a_target_in_a_network_of_its_own(tmp_path: Path, home: Home) -> None:
    """Struck there and nowhere else, on the same port too; what nobody undid a sweep finds there."""
    with nets() as (net,), echoes("struck", net=net) as (server,), echoes("beside", port=server.port) as (beside,):
        assert well(server)
        with struck(server, Loss(percent=30), tmp_path) as record:
            assert record["net"] == net.number
            arrived, answered = server.exchange(PACKETS)
            assert likely(PACKETS - arrived, PACKETS, 0.3)
            assert likely(arrived - answered, arrived, 0.3)
            assert well(beside)
            assert not [table for table in nft.tables() if table.name == record["table"]]
        assert well(server)
        assert nft.tables(net.number) == []
        subprocess.run(
            [sys.executable, "-c", INJECT], input=json.dumps(["network.loss", record]).encode(), cwd=ROOT, check=True
        )
        assert server.exchange(200)[1] < 200
        said = [one for one in sweep(home) if record["table"] in one.text]
        assert [(one.outcome, one.text) for one in said] == [
            ("done", f"removed: nftables table {record['table']} in network namespace {net.number}")
        ]
        assert well(server)


def test_a_network_that_is_gone_took_the_fault_with_it(tmp_path: Path) -> None:
    with nets() as (net,), echoes("struck", net=net) as (server,):
        how, record = prepared(server, Loss(percent=30), tmp_path)
        how.inject(record, 60.0)
        server.kill()
        assert how.active(record) is True  # it is known by name still
    assert how.active(record) is False
    with pytest.raises(FaultGoneError):
        how.renew(record, 60.0)
    how.revert(record)


def test_nothing_is_put_where_the_target_no_longer_is(tmp_path: Path) -> None:
    with echoes("struck") as (server,):
        how, record = prepared(server, Loss(percent=30), tmp_path)
        server.kill()
        with pytest.raises(UnavailableError):
            how.inject(record, 60.0)
        assert how.active(record) is False


def test_connections_from_before_stay_and_do_not_count(tmp_path: Path) -> None:
    with echoes("struck") as (server,), server.connect() as before:
        with struck(server, ConnectionLimit(max=3), tmp_path):
            assert served(server, 6) == 3
            until(lambda: served(server, 6) == 3, what="what has ended must make room")
            before.sendall(b"still")
            assert before.recv(5, socket.MSG_WAITALL) == b"still"
        assert served(server, 6) == 6


def test_a_limit_is_one_for_all_addresses(tmp_path: Path) -> None:
    port = free_port()
    with (
        listener(port, "127.0.0.1", "::1") as target,
        struck(target, ConnectionLimit(max=3), tmp_path),
        socket.create_connection(("127.0.0.1", port), timeout=20),
    ):
        assert connects("::1", port, 6) == 2


def test_one_too_many_that_is_dropped_hears_nothing(tmp_path: Path) -> None:
    with echoes("struck") as (server,), struck(server, ConnectionLimit(max=1, how="drop"), tmp_path):
        first = server.connect()
        with first, pytest.raises(TimeoutError):
            server.connect(timeout_s=0.3)


def test_a_port_that_is_not_known_is_told(tmp_path: Path) -> None:
    with echoes("struck") as (server,):
        server.port += 1
        assert "does not listen on port" in str(why_not(behaviour("network.loss"), Loss(percent=1), server.target))
