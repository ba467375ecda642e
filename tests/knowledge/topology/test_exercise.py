"""Which edges an operation uses, on real servers and through the real proxy."""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from executor.model.probe import Check, HttpProbe, TcpProbe
from executor.model.system import Dependency, ManagedProxy, ProcessInstance, Service, System
from executor.proxy.edges import count_calls
from knowledge.topology.exercise import Pace, observe_exercises

QUICK = Pace(ambient_s=0.4, settle_s=0.05, pause_s=0.05)


def operation(name: str, port: int, path: str, service: str = "front") -> Check:
    return Check(id=name, service=service, probe=HttpProbe(url=f"http://127.0.0.1:{port}{path}", timeout_ms=8000))


def part(name: str, port: int, *operations: Check) -> Service:
    return Service(name=name, instances=(ProcessInstance(id=f"{name}-1", port=port),), operations=operations)


def exercises(system: System) -> dict[str, tuple[str, ...] | None]:
    return {check.id: check.exercises for service in system.services for check in service.operations}


@pytest.fixture
def shop(server, start, until, free_port, tmp_path: Path) -> System:
    """front → stock through a managed proxy that counts."""
    front, proxy, stock = free_port(), free_port(), free_port()
    control, config = tmp_path / "c.sock", tmp_path / "edges.json"
    edge = {"edge": "front->stock", "listen": f"127.0.0.1:{proxy}", "upstream": f"127.0.0.1:{stock}"}
    config.write_text(json.dumps({"control": str(control), "edges": [{**edge, "protocol": "http"}]}), encoding="utf-8")
    start([sys.executable, "-m", "executor.proxy", "--config", str(config)], {"PYTHONPATH": str(Path.cwd())})
    server("stock", stock)
    server("front", front, f"http://127.0.0.1:{proxy}")
    through = Dependency(
        caller="front", callee="stock", interception=ManagedProxy(control=str(control), edge="front->stock")
    )
    until(lambda: count_calls(through) is not None, "the proxy to answer")
    operations = (
        operation("home", front, "/"),
        operation("about", front, "/alone"),
        operation("list", front, "/cached"),
        operation("stock-level", stock, "/", "stock"),
    )
    return System(
        name="shop", services=(part("front", front, *operations), part("stock", stock)), dependencies=(through,)
    )


@pytest.fixture
def traffic() -> Iterator[Callable[[str, float], None]]:
    """Asks an address every so many seconds until the test ends."""
    stop = threading.Event()
    threads = []

    def ask(url: str, every_s: float) -> None:
        def loop() -> None:
            while not stop.wait(every_s):
                urllib.request.urlopen(url, timeout=20).close()

        threads.append(threading.Thread(target=loop))
        threads[-1].start()

    yield ask
    stop.set()
    for thread in threads:
        thread.join(timeout=30)


EXPECTED = {"home": ("front->stock",), "about": (), "list": (), "stock-level": ()}


def test_only_operations_that_call_each_time_exercise_an_edge(shop: System):
    assert exercises(observe_exercises(shop, pace=QUICK)) == EXPECTED


@pytest.mark.slow
def test_other_traffic_is_not_taken_for_the_operations(shop: System, traffic):
    url = shop.services[0].operations[0].probe.url  # type: ignore[union-attr]
    traffic(url, 0.07)
    settling = Pace(ambient_s=0.6, settle_s=0.2, pause_s=0.05)  # other calls alone are enough to claim the edge
    assert exercises(observe_exercises(shop, pace=settling)) == EXPECTED


def test_where_much_other_traffic_leaves_it_open_none_is_claimed_and_that_is_told(server, free_port):
    front = free_port()
    server("front", front)
    system = System(
        name="shop",
        services=(part("front", front, operation("home", front, "/")), part("stock", 1)),
        dependencies=(Dependency(caller="front", callee="stock"),),
    )
    told: list[str] = []
    much = Pace(ambient_s=0.1, settle_s=0.0, pause_s=0.0)
    seen = observe_exercises(system, lambda _: int(time.monotonic() * 10_000), much, told.append)
    assert exercises(seen) == {"home": ()}
    assert told == ["other traffic leaves it open whether operation home uses front->stock; taken as not used"]


def test_an_edge_that_cannot_be_counted_is_claimed_where_its_caller_is_reached(server, free_port):
    front, stock = free_port(), free_port()
    server("stock", stock)
    server("front", front, f"http://127.0.0.1:{stock}")
    edges = [("front", "stock"), ("stock", "base"), ("other", "base")]
    system = System(
        name="shop",
        services=(
            part("front", front, operation("home", front, "/"), operation("level", stock, "/", "stock")),
            part("stock", stock),
            part("base", 1),
            part("other", 2),
        ),
        dependencies=tuple(Dependency(caller=a, callee=b) for a, b in edges),
    )
    seen = exercises(observe_exercises(system, pace=QUICK))
    assert seen == {"home": ("front->stock", "stock->base"), "level": ("stock->base",)}


def test_a_connection_alone_uses_no_edge_that_cannot_be_counted(server, free_port):
    front = free_port()
    server("front", front)
    connects = Check(id="front-accepts", service="front", probe=TcpProbe(port=front))
    system = System(
        name="shop",
        services=(part("front", front, connects), part("stock", 1)),
        dependencies=(Dependency(caller="front", callee="stock"),),
    )
    assert exercises(observe_exercises(system, pace=QUICK)) == {"front-accepts": ()}


def test_an_operation_that_fails_keeps_what_it_had_and_is_told(free_port):
    check = operation("home", free_port(), "/")
    kept = Check(**{**{key: getattr(check, key) for key in Check.model_fields}, "exercises": ("front->stock",)})
    system = System(
        name="shop",
        services=(part("front", 1, kept), part("stock", 2)),
        dependencies=(Dependency(caller="front", callee="stock"),),
    )
    told: list[str] = []
    assert observe_exercises(system, pace=QUICK, tell=told.append) == system
    assert len(told) == 1
    assert told[0].startswith("operation home does not answer well: ConnectError")


def test_nothing_else_of_the_system_is_changed(shop: System):
    seen = observe_exercises(shop, pace=QUICK)
    assert seen.dependencies == shop.dependencies
    assert seen.model_dump(exclude={"services": {"__all__": {"operations": {"__all__": {"exercises"}}}}}) == (
        shop.model_dump(exclude={"services": {"__all__": {"operations": {"__all__": {"exercises"}}}}})
    )
