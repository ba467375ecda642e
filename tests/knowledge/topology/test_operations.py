"""Default operations for services that nobody described."""

from __future__ import annotations

from executor.model.probe import Check, HttpProbe, TcpProbe
from executor.model.system import ProcessInstance, Service, System
from executor.model.vocabulary import ServiceKind
from knowledge.topology.operations import with_operations


def part(name: str, *ports: int, kind: ServiceKind = ServiceKind.HTTP, operations: tuple[Check, ...] = ()) -> Service:
    instances = tuple(ProcessInstance(id=f"{name}-{port}", port=port) for port in ports)
    return Service(name=name, kind=kind, instances=instances, operations=operations)


def test_a_service_that_answers_gets_an_operation_and_one_that_does_not_gets_none(server, redis_server, free_port):
    web = free_port()
    server("web", web)
    dead = free_port()
    own = Check(id="home", service="told", probe=TcpProbe(port=web))
    system = System(
        name="x",
        services=(
            part("web", web),
            part("dead", dead),
            part("cache", redis_server, kind=ServiceKind.CACHE),
            part("twins", web, redis_server),
            part("told", web, operations=(own,)),
        ),
    )
    done = with_operations(system)
    assert [len(service.operations) for service in done.services] == [1, 0, 1, 0, 1]
    (answers,) = done.service("web").operations
    assert (answers.id, answers.service, answers.critical) == ("web-answers", "web", False)
    assert isinstance(answers.probe, HttpProbe)
    assert answers.probe.url == f"http://127.0.0.1:{web}/"
    assert done.service("cache").operations[0].probe == TcpProbe(port=redis_server, timeout_ms=3000)
    assert done.service("told").operations == (own,)
    assert with_operations(done) == done
