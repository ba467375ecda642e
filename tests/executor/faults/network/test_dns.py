"""network.dns: each way a look-up can go wrong, whose look-ups they are, and what is left when the helper dies."""

from __future__ import annotations

import itertools
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from executor.errors import FaultGoneError, UnavailableError
from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.kernel import child, nft, process, sockets
from executor.model.faults.network import Dns
from executor.model.system import System
from tests.executor.faults.dns_kit import RIGHT, RIGHT6, SERVER, Asker, asking, naming, right
from tests.executor.faults.net_kit import nets, no_packet_rules
from tests.executor.kit import until
from tests.missing import missing

pytestmark = pytest.mark.root
HOW = behaviour("network.dns")
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    if why := no_packet_rules():
        missing(why)
    with naming():
        yield


@pytest.fixture(scope="module")
def asker() -> Iterator[Asker]:
    with asking("struck") as made:
        yield made


def prepared(asker: Asker, fault: Dns, scratch: Path) -> dict[str, Any]:
    assert why_not(HOW, fault, asker.target) is None
    system = System(name="s", services=(asker.service,))
    mark = f"murphy-dns-{os.getpid()}-{next(NUMBERS)}"
    found: dict[str, Any] = json.loads(
        json.dumps(HOW.prepare(fault, asker.target, Context(system, mark, str(scratch))))
    )
    return found


@contextmanager
def struck(asker: Asker, fault: Dns, scratch: Path) -> Iterator[dict[str, Any]]:
    record = prepared(asker, fault, scratch)
    HOW.inject(record, 60.0)
    try:
        assert HOW.active(record) is True
        yield record
    finally:
        HOW.revert(record)
        assert HOW.active(record) is False


def dns(mode: str, **more: Any) -> Dns:
    return Dns(mode=mode, resolvers=(SERVER,), **more)  # type: ignore[arg-type]


def test_it_fails_without_a_trace_in_caches(asker: Asker, tmp_path: Path) -> None:
    with struck(asker, dns("servfail"), tmp_path):
        assert asker.ask("shop.test", SERVER)["code"] == "SERVFAIL"
    assert right(asker.ask("shop.test", SERVER))


def test_another_address(asker: Asker, tmp_path: Path) -> None:
    with struck(asker, dns("wrong_address", address="192.0.2.9"), tmp_path):
        assert asker.ask("shop.test", SERVER)["data"] == ["192.0.2.9"]
        assert asker.ask("shop.test", SERVER, kind="AAAA") | {"s": 0} == {"code": "NOERROR", "data": [], "s": 0}
        assert asker.ask("shop.test", SERVER, kind="TXT")["data"] == ['"a text"']
    with struck(asker, dns("wrong_address", address="2001:db8::9"), tmp_path):
        assert asker.ask("shop.test", SERVER, kind="AAAA")["data"] == ["2001:db8::9"]
    assert asker.ask("shop.test", SERVER, kind="AAAA")["data"] == [RIGHT6]


def test_no_answer_at_all(asker: Asker, tmp_path: Path) -> None:
    with struck(asker, dns("timeout", names=("shop.test",)), tmp_path):
        assert asker.ask("shop.test", SERVER, timeout_s=0.3)["code"] == "TimeoutError"
        assert right(asker.ask("not.shop.test", SERVER))


def test_late_by_what_is_asked_and_at_once_when_the_fault_ends(asker: Asker, tmp_path: Path) -> None:
    with struck(asker, dns("slow", delay_ms=300), tmp_path):
        late = asker.ask("shop.test", SERVER)
        assert right(late)
        assert late["s"] >= 0.3
    with struck(asker, dns("slow", delay_ms=600_000, names=("late.test",)), tmp_path):
        asker.begin("late.test", SERVER, timeout_s=100)
        until(lambda: waiting(asker))
    assert right(asker.outcome())


def waiting(asker: Asker) -> bool:
    """Whether it has a look-up under way."""
    return any(what.startswith("socket:") for _, what in sockets.descriptors(asker.process.pid))


def test_a_socket_that_is_used_again_and_again_is_struck_and_let_go(tmp_path: Path) -> None:
    """The kernel remembers where it led a pair of sockets; that must not outlive the fault, nor keep it away."""
    with asking("keeps") as asker:
        for _ in range(2):
            assert right(asker.ask("shop.test", SERVER, keep=True))
            with struck(asker, dns("nxdomain"), tmp_path):
                assert asker.ask("shop.test", SERVER, keep=True)["code"] == "NXDOMAIN"
            assert right(asker.ask("shop.test", SERVER, keep=True))


def test_who_is_started_again_is_struck_too(tmp_path: Path) -> None:
    with asking("again") as first, struck(first, dns("nxdomain"), tmp_path):
        assert first.ask("shop.test", SERVER)["code"] == "NXDOMAIN"
        first.process.kill()
        first.process.wait()
        with asking("again") as second:
            until(lambda: second.ask("shop.test", SERVER)["code"] == "NXDOMAIN")


def test_another_user_is_not_even_led_along(asker: Asker, tmp_path: Path) -> None:
    with asking("nobody", user=65534) as other, struck(asker, dns("nxdomain"), tmp_path) as record:
        stopped = helper(record)
        process.send(stopped.pid, stopped.start_ticks, signal.SIGSTOP)
        try:
            assert right(other.ask("shop.test", SERVER))
            assert asker.ask("shop.test", SERVER, timeout_s=0.2)["code"] == "TimeoutError"
        finally:
            process.send(stopped.pid, stopped.start_ticks, signal.SIGCONT)


def helper(record: dict[str, Any]) -> process.Found:
    (found,) = child.living(Path(record["deadline"]))
    return found


def test_a_helper_that_was_killed_leads_nobody_on(asker: Asker, tmp_path: Path) -> None:
    record = prepared(asker, dns("nxdomain"), tmp_path)
    HOW.inject(record, 60.0)
    dead = helper(record)
    process.send(dead.pid, dead.start_ticks, signal.SIGKILL)
    assert process.wait_gone(dead.pid, dead.start_ticks, 10)
    assert HOW.active(record) is True
    with pytest.raises(FaultGoneError):
        HOW.renew(record, 60.0)
    assert HOW.active(record) is False
    assert right(asker.ask("shop.test", SERVER))
    HOW.revert(record)


def test_a_second_one_in_the_same_network_is_refused(asker: Asker, tmp_path: Path) -> None:
    with asking("second") as second, struck(asker, dns("nxdomain"), tmp_path):
        record = prepared(second, dns("nxdomain"), tmp_path)
        with pytest.raises(UnavailableError, match="has the look-ups of this network already"):
            HOW.inject(record, 60.0)
        HOW.revert(record)
        assert asker.ask("shop.test", SERVER)["code"] == "NXDOMAIN"


def test_in_a_network_of_its_own(asker: Asker, tmp_path: Path) -> None:
    with nets() as (net,), naming(net.outside), asking("inside", net=net) as inside:
        until(lambda: right(inside.ask("shop.test", net.outside)))
        fault = Dns(mode="nxdomain", names=("*.test",), resolvers=(net.outside,))
        with struck(inside, fault, tmp_path) as record:
            assert record["net"] == net.number
            assert inside.ask("shop.test", net.outside)["code"] == "NXDOMAIN"
            assert inside.ask("shop.example", net.outside)["data"] == [RIGHT]
            assert right(asker.ask("shop.test", net.outside))
        assert right(inside.ask("shop.test", net.outside))
        assert nft.tables(net.number) == []


def test_the_servers_in_its_own_resolv_conf_are_meant(asker: Asker, tmp_path: Path) -> None:
    named = [line.split()[1] for line in Path("/etc/resolv.conf").read_text().splitlines() if "nameserver" in line]
    if named:
        assert prepared(asker, Dns(), tmp_path)["resolvers"] == named
    else:
        assert "names no server" in str(why_not(HOW, Dns(), asker.target))


def test_what_is_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="does not appear to be an IPv4 or IPv6 address"):
        Dns(resolvers=("localhost",))
