"""One server has one address, by whichever way of this machine it is reached."""

from __future__ import annotations

import socket

import psutil
import pytest

from executor.servers.address import address_of


def addresses(url: str, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, int]]:
    monkeypatch.setenv("TEST_ADDRESS", url)
    return address_of("env:TEST_ADDRESS")


def test_ways_to_one_server_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    own = [each.address for found in psutil.net_if_addrs().values() for each in found if each.family == socket.AF_INET]
    hosts = ("127.0.0.1", "localhost", *own)
    urls = [f"postgresql://shop@{host}:5499/shop" for host in hosts]
    urls += ["postgresql:///shop?host=/run/postgresql&port=5499", "dbname=shop port=5499"]
    assert {frozenset(addresses(url, monkeypatch)) for url in urls} == {frozenset({("here", 5499)})}
    caches = {frozenset(addresses(f"redis://{host}/0", monkeypatch)) for host in hosts}
    assert caches == {frozenset({("here", 6379)})}


def test_others_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    here = addresses("postgresql://shop@127.0.0.1:5499/shop", monkeypatch)
    assert not here & addresses("postgresql://shop@127.0.0.1:5498/shop", monkeypatch)
    assert addresses("postgresql://shop@192.0.2.1:5499/shop", monkeypatch) == {("192.0.2.1", 5499)}
    assert addresses("unix:///run/redis.sock?db=3", monkeypatch) == {("/run/redis.sock", 0)}
