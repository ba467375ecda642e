"""What is particular to load balancers of each make; the rest is in the contract suite."""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from executor.drivers.targets import ProcessTarget
from executor.errors import UnavailableError
from executor.faults.behaviour import Context
from executor.faults.infrastructure import balancer_nginx
from executor.faults.registry import behaviour
from executor.model.faults.infrastructure import LoadBalancer
from executor.model.system import Service
from executor.servers import haproxy, nginx
from tests.executor.faults.balancers import Balancer, balancer, lacking
from tests.executor.faults.cases.balancers import BalancerSubject
from tests.executor.kit import until
from tests.missing import missing

HOW = behaviour("infrastructure.load_balancer")
HOWS = ("member_down", "drain", "weight", "wrong_upstream", "all_down")
MAKES = ("haproxy", "caddy", "nginx")


@pytest.fixture(scope="module")
def running(members: tuple[int, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Balancer]]:
    """One of each make, for all that ends none."""
    if reason := next(filter(None, map(lacking, MAKES)), None):
        missing(reason)
    path = tmp_path_factory.mktemp("balancers")
    with (
        balancer("haproxy", path / "haproxy", members) as first,
        balancer("caddy", path / "caddy", members) as second,
        balancer("nginx", path / "nginx", members) as third,
    ):
        yield {"haproxy": first, "caddy": second, "nginx": third}


def fault_for(made: Balancer, how: str, **more: Any) -> LoadBalancer:
    return LoadBalancer.model_validate({"how": how, "backend": "app", **more})


def prepared(subject: BalancerSubject, path: Path) -> dict[str, Any]:
    mark = f"murphy-balancer-{os.getpid()}"
    return HOW.prepare(subject.fault, subject.resolved(), Context(subject.system, mark, str(path)))


def why(made: Balancer, fault: LoadBalancer, **service: Any) -> str:
    target = BalancerSubject(made, fault).resolved()
    altered = Service(**{**dict(target.service), **service})
    elsewhere = ProcessTarget(altered, target.instance, target.pid, target.start_ticks, target.port)
    reason = HOW.unsupported(fault, elsewhere)
    assert reason is not None
    return reason


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("make", MAKES)
def test_each_way_shows_and_is_undone(make: str, how: str, running: dict[str, Balancer], tmp_path: Path) -> None:
    subject = BalancerSubject(running[make], fault_for(running[make], how))
    if how == "drain" and make != "haproxy":
        assert "knows no drain" in why(running[make], subject.fault)
        return
    before = subject.state()
    record = prepared(subject, tmp_path)
    HOW.inject(record, 60)
    assert HOW.active(record) is True
    until(subject.faulted)
    assert subject.unharmed()
    HOW.revert(record)
    assert HOW.active(record) is False
    assert subject.state() == before
    until(subject.normal)


@pytest.mark.parametrize("make", MAKES)
def test_started_anew_meanwhile_it_is_as_its_file_says(make: str, members: tuple[int, ...], tmp_path: Path) -> None:
    """HAProxy and Caddy have lost the fault with their process; nginx reads it again from its file."""
    if reason := lacking(make):
        missing(reason)
    with balancer(make, tmp_path / make, members) as made:
        subject = BalancerSubject(made, fault_for(made, "all_down"))
        before, record = subject.state(), prepared(subject, tmp_path)
        HOW.inject(record, 60)
        made.end()
        made.start()
        assert HOW.active(record) is (make == "nginx")
        HOW.revert(record)
        assert HOW.active(record) is False
        assert subject.state() == before
        until(subject.normal)


def test_a_caddy_that_goes_on_with_what_it_was_told_is_owed_until_it_runs(
    members: tuple[int, ...], tmp_path: Path
) -> None:
    with balancer("caddy", tmp_path / "caddy", members) as made:
        made.end()
        made.command.append("--resume")
        made.start()
        subject = BalancerSubject(made, fault_for(made, "all_down"))
        before, record = subject.state(), prepared(subject, tmp_path)
        HOW.inject(record, 60)
        made.end()
        assert HOW.active(record) is None
        with pytest.raises(UnavailableError, match="no Caddy answers"):
            HOW.revert(record)
        made.start()
        assert HOW.active(record) is True, "it would have had the fault for ever"
        HOW.revert(record)
        assert HOW.active(record) is False
        assert subject.state() == before


def test_what_the_operator_has_set_since_stays(running: dict[str, Balancer], tmp_path: Path) -> None:
    made = running["haproxy"]
    subject = BalancerSubject(made, fault_for(made, "weight", member="m1"))
    record = prepared(subject, tmp_path)
    HOW.inject(record, 60)
    haproxy.ask(made.control, "set weight app/m1 3")
    HOW.revert(record)
    assert haproxy.servers(made.control)["app"]["m1"]["weight"] == 3
    haproxy.ask(made.control, "set weight app/m1 1")


def test_an_address_is_known_however_it_is_written(running: dict[str, Balancer], tmp_path: Path) -> None:
    """HAProxy keeps it as ::1, and says so."""
    made = running["haproxy"]
    subject = BalancerSubject(made, fault_for(made, "wrong_upstream", member="m1", upstream="[0:0:0:0:0:0:0:1]:9"))
    before, record = subject.state(), prepared(subject, tmp_path)
    HOW.inject(record, 60)
    assert haproxy.servers(made.control)["app"]["m1"]["address"] == "::1"
    assert HOW.active(record) is True
    HOW.revert(record)
    assert HOW.active(record) is False
    assert subject.state() == before
    until(subject.normal)


def test_what_haproxy_made_of_an_order_that_it_did_not_follow_is_taken_back(
    running: dict[str, Balancer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = running["haproxy"]
    subject = BalancerSubject(made, fault_for(made, "wrong_upstream", member="m1", upstream="[::1]:9"))
    before, record = subject.state(), prepared(subject, tmp_path)
    monkeypatch.setattr(haproxy, "same", lambda *_: False)
    with pytest.raises(UnavailableError, match="did not do what it was told"):
        HOW.inject(record, 60)
    assert subject.state() == before
    until(subject.normal)


@pytest.mark.parametrize("upstream", ["127.0.0.01:9", "[:::]:9", "127.0.0.1:0", "127.0.0.1:65536", "1.2.3.256:9"])
def test_what_can_be_no_address_is_no_upstream(upstream: str) -> None:
    with pytest.raises(ValidationError, match="upstream"):
        LoadBalancer(how="wrong_upstream", upstream=upstream)


def test_a_server_that_drained_before_drains_again(running: dict[str, Balancer], tmp_path: Path) -> None:
    made = running["haproxy"]
    subject = BalancerSubject(made, fault_for(made, "member_down", member="m2"))
    haproxy.ask(made.control, "set server app/m2 state drain")
    before, record = subject.state(), prepared(subject, tmp_path)
    HOW.inject(record, 60)
    HOW.revert(record)
    assert subject.state() == before
    haproxy.ask(made.control, "set server app/m2 state maint")
    assert "m2 is down or that way already" in why(made, subject.fault)
    haproxy.ask(made.control, "set server app/m2 state ready")
    until(subject.normal)


def test_another_part_of_the_handler_that_was_changed_meanwhile_stays(
    running: dict[str, Balancer], tmp_path: Path
) -> None:
    made = running["caddy"]
    subject = BalancerSubject(made, fault_for(made, "member_down"))
    before, record = subject.state(), prepared(subject, tmp_path)
    HOW.inject(record, 60)
    set_handler(made, "flush_interval", "PUT", 1_000_000)
    HOW.revert(record)
    assert HOW.active(record) is False
    assert subject.state() != before
    set_handler(made, "flush_interval", "DELETE")
    assert subject.state() == before


@pytest.mark.parametrize("how", ["all_down", "weight"])
def test_a_handler_that_has_moved_meanwhile_is_found(running: dict[str, Balancer], tmp_path: Path, how: str) -> None:
    """Somebody has put a route before its own."""
    made = running["caddy"]
    subject = BalancerSubject(made, fault_for(made, how))
    before, record = subject.state(), prepared(subject, tmp_path)
    HOW.inject(record, 60)
    route = {"match": [{"path": ["/none"]}], "handle": [{"handler": "static_response"}]}
    set_route(made, "PUT", route)
    assert HOW.active(record) is True
    HOW.revert(record)
    assert HOW.active(record) is False
    set_route(made, "DELETE")
    assert subject.state() == before
    until(subject.normal)


def set_route(made: Balancer, method: str, content: Any = None) -> None:
    body = None if content is None else json.dumps(content).encode()
    url = f"{made.control}/config/apps/http/servers/front/routes/0"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    urllib.request.urlopen(request, timeout=5).close()


def set_handler(made: Balancer, part: str, method: str, content: Any = None) -> None:
    body = None if content is None else json.dumps(content).encode()
    url = f"{made.control}/id/app/{part}"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
    urllib.request.urlopen(request, timeout=5).close()


def test_a_handler_that_was_changed_before_the_fault_is_left_alone(
    running: dict[str, Balancer], tmp_path: Path
) -> None:
    made = running["caddy"]
    subject = BalancerSubject(made, fault_for(made, "member_down"))
    record = prepared(subject, tmp_path)
    upstreams = [{"dial": f"127.0.0.1:{member}"} for member in made.members[:3]]
    set_handler(made, "upstreams", "PATCH", upstreams[::-1])
    with pytest.raises(UnavailableError, match="was changed by somebody since it was looked at; nothing is done"):
        HOW.inject(record, 60)
    HOW.revert(record)
    set_handler(made, "upstreams", "PATCH", upstreams)
    until(subject.normal)


def test_a_file_that_nginx_does_not_take_is_said_and_undone(
    running: dict[str, Balancer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has been broken by somebody and not been read since: nginx goes on with what it had."""
    made = running["nginx"]
    monkeypatch.setattr(balancer_nginx, "_TAKES_S", 0.5)
    subject = BalancerSubject(made, fault_for(made, "member_down"))
    sound = made.file.read_text()
    made.file.write_text(f"{sound}nonsense on;\n")
    record = prepared(subject, tmp_path)
    with pytest.raises(UnavailableError, match="nginx does not take the file"):
        HOW.inject(record, 60)
    assert HOW.active(record) is True
    with pytest.raises(UnavailableError, match="nginx does not take the file"):
        HOW.revert(record)
    made.file.write_text(sound)
    monkeypatch.undo()
    HOW.revert(record)
    assert HOW.active(record) is False
    until(subject.normal)


def test_what_is_not_supported_is_said(running: dict[str, Balancer], tmp_path: Path) -> None:
    for made in running.values():
        assert "takes orders nowhere" in why(made, fault_for(made, "all_down"), control=None)
        assert "is not known here; haproxy, caddy, nginx are" in why(
            made, fault_for(made, "all_down"), technology="traefik"
        )
        assert "nobody" in why(made, fault_for(made, "all_down", backend="nobody"))
        assert "nobody" in why(made, fault_for(made, "member_down", member="nobody"))
    first, second, third = running.values()
    assert "no HAProxy answers" in why(first, fault_for(first, "all_down"), control=str(tmp_path / "none"))
    assert "is no address of Caddy's admin API" in why(second, fault_for(second, "all_down"), control="/run/caddy.sock")
    for member in ("d1", "d2", "d4", "d5"):
        assert "which could not be put back" in why(
            first, fault_for(first, "wrong_upstream", backend="odd", member=member)
        )
    for how in ("member_down", "drain", "all_down"):
        assert "follows/f1 would go with odd/d3" in why(first, fault_for(first, how, backend="odd", member="d3"))
    assert "has a space in the name of its server" in why(second, fault_for(second, "all_down", backend="odd"))
    elsewhere = f"http://127.0.0.1:{first.front}"
    assert "does not lead to process" in why(second, fault_for(second, "all_down"), control=elsewhere)
    assert "leads to another HAProxy" in why_of_another(first, second)
    assert "choose all_down" in why(second, fault_for(second, "member_down", backend="side"))
    assert "choose all_down" in why(third, fault_for(third, "weight", backend="other"))
    assert "is that way already" in why(
        third, fault_for(third, "weight", member=f'"127.0.0.1:{third.members[2]}"', weight=1)
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a process another file")
def test_a_file_that_is_another_to_nginx_is_not_touched(members: tuple[int, ...], tmp_path: Path) -> None:
    """In a container it has its own in the place of this machine's."""
    with balancer("nginx", tmp_path / "nginx", members) as made:
        made.end()
        its = tmp_path / "its.conf"
        its.write_text(made.file.read_text())
        mounted = f'mount --bind {its} {made.file} && exec "$@"'
        made.command[:0] = ["unshare", "-m", "sh", "-c", mounted, "sh"]
        made.start()
        assert f"is another file to process {made.process.pid}" in why(made, fault_for(made, "all_down"))


def why_of_another(made: Balancer, other: Balancer) -> str:
    fault = fault_for(made, "all_down")
    ours, theirs = BalancerSubject(made, fault).resolved(), BalancerSubject(other, fault).resolved()
    return str(HOW.unsupported(fault, ProcessTarget(ours.service, "lb-1", theirs.pid, theirs.start_ticks, None)))


def test_nginx_files_are_read_as_nginx_reads_them() -> None:
    text = """
# upstream old { server a; }
upstream 'no' { }
upstream app {
    least_conn;  # server x;
    server unix:/run/a.sock weight=5 down; server [::1]:80
        max_fails=1;
}
server { server_name "{;}"; location / { proxy_pass http://app; } }
"""
    found = nginx.upstreams(text)
    assert {name: [m.address.text for m in members] for name, members in found.items()} == {
        "'no'": [],
        "app": ["unix:/run/a.sock", "[::1]:80"],
    }
    first, second = found["app"]
    assert nginx.without_traffic(text, found["app"]) == text.replace("max_fails=1;", "max_fails=1 down;")
    assert nginx.weighted(text, first, 7) == text.replace("weight=5", "weight=7")
    assert nginx.weighted(text, second, 7) == text.replace("max_fails=1;", "max_fails=1 weight=7;")
    assert nginx.led(text, second, "127.0.0.1:9") == text.replace("[::1]:80", "127.0.0.1:9")
