"""Discovery of real local processes."""

from __future__ import annotations

import json
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from executor.errors import InputError, UnavailableError
from executor.model.digest import digest
from executor.model.system import ManagedProxy
from executor.model.vocabulary import ServiceKind
from knowledge.topology.live import Scope, discover

Ports = Callable[[], int]


@pytest.fixture
def traffic() -> Iterator[Callable[[str], None]]:
    """Asks an address again and again, each time over a connection of its own, until the test ends."""
    stop = threading.Event()
    threads = []

    def ask(url: str) -> None:
        def loop() -> None:
            while not stop.wait(0.005):
                urllib.request.urlopen(url, timeout=5).close()

        threads.append(threading.Thread(target=loop))
        threads[-1].start()

    yield ask
    stop.set()
    for thread in threads:
        thread.join(timeout=10)


def test_a_chain_is_found_from_connections_that_live_for_milliseconds(server, free_port, traffic, tmp_path):
    back, front = free_port(), free_port()
    (tmp_path / "address").write_text(f"http://127.0.0.1:{back}", encoding="utf-8")
    server("stock", back)
    server("front", front, str(tmp_path / "address"))
    traffic(f"http://127.0.0.1:{front}/")
    system = discover(Scope(command=str(tmp_path)), window_s=1.5)
    assert {service.name for service in system.services} == {"stock", "front"}
    edge = system.dependency("front", "stock")
    assert edge.port == back
    assert edge.protocol == "http"
    assert edge.source == (f"socket front -> 127.0.0.1:{back}",)
    assert system.service("stock").kind is ServiceKind.HTTP
    assert system.service("stock").technology == "http.server"


def test_an_address_in_the_environment_gives_an_edge_but_never_its_value(server, free_port, tmp_path):
    back, front = free_port(), free_port()
    server("stock", back)
    server("front", front, environment={"STOCK_URL": f"http://user:canary-secret@127.0.0.1:{back}/v1"})
    system = discover(Scope(command=str(tmp_path)), window_s=0)
    assert system.dependency("front", "stock").source == ("environment STOCK_URL",)
    assert "canary-secret" not in system.model_dump_json()


def test_an_environment_that_everybody_inherits_makes_no_edges(server, free_port, tmp_path):
    one, two = free_port(), free_port()
    shared = {"ONE_URL": f"http://127.0.0.1:{one}", "TWO_URL": f"http://127.0.0.1:{two}"}
    server("one", one, environment=shared)
    server("two", two, environment=shared)
    assert discover(Scope(command=str(tmp_path)), window_s=0).dependencies == ()


def test_one_program_on_two_ports_is_one_service_with_two_instances(server, free_port, tmp_path):
    ports = sorted((free_port(), free_port()))
    for port in ports:
        server("catalog", port)
    (service,) = discover(Scope(command=str(tmp_path)), window_s=0).services
    assert service.name == "catalog"
    assert [instance.port for instance in service.instances] == ports
    assert all(instance.command == "catalog.py" and instance.pid is None for instance in service.instances)


def test_the_local_server_that_a_process_in_scope_calls_is_taken_in(server, free_port, redis_server, tmp_path):
    server("cart", free_port(), environment={"CACHE": f"redis://127.0.0.1:{redis_server}/0"})
    system = discover(Scope(command=f"*{tmp_path}/cart.py*"), window_s=0)
    edge = system.dependency("cart", "redis-server")
    assert (edge.protocol, edge.port) == ("redis", redis_server)
    assert system.service("redis-server").kind is ServiceKind.CACHE
    assert system.service("redis-server").technology == "redis"


PREFORK = """
import ctypes, os, signal, socket, sys
die_with_parent = lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL)
die_with_parent()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
for _ in range(3):
    if os.fork() == 0:
        die_with_parent()
        signal.pause()
signal.pause()
"""
STARTER = """
import subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]])
"""


def test_forked_workers_belong_to_their_listener_and_the_starter_is_no_service(start, until, free_port, tmp_path):
    port = free_port()
    (tmp_path / "prefork.py").write_text(PREFORK, encoding="utf-8")
    (tmp_path / "starter.py").write_text(STARTER, encoding="utf-8")
    starter = start([sys.executable, str(tmp_path / "starter.py"), str(tmp_path / "prefork.py"), str(port)])
    until(lambda: len(psutil.Process(starter.pid).children(recursive=True)) == 4, "three workers")
    (service,) = discover(Scope(tree_of=starter.pid), window_s=0).services
    assert service.name == "prefork"
    assert [instance.port for instance in service.instances] == [port]


def test_a_second_look_gives_the_same_digest(server, free_port, traffic, tmp_path):
    back, front = free_port(), free_port()
    server("stock", back)
    server("front", front, f"http://127.0.0.1:{back}")
    traffic(f"http://127.0.0.1:{front}/")
    scope = Scope(command=str(tmp_path))
    assert digest(discover(scope, window_s=1)) == digest(discover(scope, window_s=1))


def test_a_managed_proxy_is_a_way_through_and_no_service(server, start, free_port, tmp_path):
    back, proxy, front = free_port(), free_port(), free_port()
    control = tmp_path / "c.sock"
    config = tmp_path / "edges.json"
    config.write_text(
        json.dumps(
            {
                "control": str(control),
                "edges": [
                    {"edge": "front->stock", "listen": proxy, "upstream": f"127.0.0.1:{back}", "protocol": "http"}
                ],
            }
        ),
        encoding="utf-8",
    )
    start([sys.executable, "-m", "executor.proxy", "--config", str(config)], {"PYTHONPATH": str(Path.cwd())})
    server("stock", back)
    server("front", front, environment={"NEXT_URL": f"http://127.0.0.1:{proxy}"})
    system = discover(Scope(command=str(tmp_path)), window_s=0)
    assert {service.name for service in system.services} == {"stock", "front"}
    edge = system.dependency("front", "stock")
    assert edge.port == back
    assert edge.interception == ManagedProxy(control=str(control), edge="front->stock")
    assert "environment NEXT_URL through managed proxy" in edge.source


def test_nothing_in_scope_is_said_plainly(tmp_path: Path):
    with pytest.raises(UnavailableError, match="no service was found"):
        discover(Scope(command=str(tmp_path / "nobody")), window_s=0)
    with pytest.raises(UnavailableError, match="no process"):
        discover(Scope(tree_of=2**22 + 1), window_s=0)
    with pytest.raises(InputError, match="not a TCP port"):
        discover(Scope(ports=(70000,)), window_s=0)
