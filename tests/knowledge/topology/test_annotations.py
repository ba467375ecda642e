"""The operator's annotations, and system.yaml: what they do and how they say that something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from executor.errors import InputError
from executor.model.system import Dependency, Instance, ProcessInstance, Service, System
from executor.model.vocabulary import Environment, ServiceKind
from knowledge.topology.annotations import annotate, load_annotations, load_system, save_system
from knowledge.topology.live import Scope, discover

COMMANDS = {
    "balancer-8001": "python /srv/balancer.py payment-lb --port 8001",
    "balancer-2-8002": "python /srv/balancer.py catalog-lb --port 8002",
    "python-9001": "python /srv/catalog.py",
    "python-9002": "python /srv/catalog.py",
}


@pytest.fixture
def found() -> System:
    def service(name: str, *ports: int) -> Service:
        return Service(
            name=name, instances=tuple(ProcessInstance(id=f"{name}-{p}", command=f"{name}.py", port=p) for p in ports)
        )

    return System(
        name="local",
        services=(service("balancer", 8001), service("balancer-2", 8002), service("python", 9001, 9002)),
        dependencies=(
            Dependency(caller="balancer-2", callee="python", source=("socket balancer-2 -> 127.0.0.1:9001",)),
        ),
    )


def full_command(instance: Instance) -> str:
    return COMMANDS[instance.id]


@pytest.fixture
def annotated(found: System, tmp_path: Path):
    def apply(text: str) -> System:
        path = tmp_path / "annotations.yaml"
        path.write_text(text, encoding="utf-8")
        return annotate(found, load_annotations(path), full_command)

    return apply


GOOD = """
system: {name: shop, environment: staging}
services:
  catalog-lb:
    match: {command: balancer.py catalog-lb}
    kind: load_balancer
    criticality: 3
  payment-lb:
    match: {port: 8001}
  catalog:
    match: {command: catalog.py, port: 9002}
    restarts: supervised
    operations:
      - id: browse
        service: catalog
        probe: {kind: http, url: "http://127.0.0.1:8002/products"}
        needs: [catalog-lb, catalog]
dependencies:
  - {caller: catalog-lb, callee: catalog, timeout_ms: 900, retries: 2}
  - {caller: payment-lb, callee: catalog, protocol: http}
"""


def test_services_and_edges_are_renamed_and_fields_set(annotated):
    system = annotated(GOOD)
    assert (system.name, system.environment) == ("shop", Environment.STAGING)
    assert [service.name for service in system.services] == ["payment-lb", "catalog-lb", "catalog"]
    balancer = system.service("catalog-lb")
    assert (balancer.kind, balancer.criticality) == (ServiceKind.LOAD_BALANCER, 3)
    assert balancer.instances[0].id == "catalog-lb-8002"
    catalog = system.service("catalog")
    assert [instance.port for instance in catalog.instances] == [9001, 9002]
    assert catalog.restarts == "supervised"
    assert catalog.operations[0].needs == ("catalog-lb", "catalog")


def test_a_known_edge_gets_fields_and_an_unknown_one_is_added_and_both_say_so(annotated):
    known, added = annotated(GOOD).dependencies
    assert (known.place, known.timeout_ms, known.retries) == ("catalog-lb->catalog", 900, 2)
    assert known.source == ("socket catalog-lb -> 127.0.0.1:9001", "the operator's annotations")
    assert (added.place, added.protocol, added.source) == (
        "payment-lb->catalog",
        "http",
        ("the operator's annotations",),
    )


def test_an_empty_file_changes_nothing(annotated, found: System):
    assert annotated("{}") == found


def test_services_can_swap_names(annotated):
    system = annotated("services: {balancer: {match: {port: 8002}}, balancer-2: {match: {port: 8001}}}")
    assert system.dependency("balancer", "python").callee == "python"
    assert system.service("balancer-2").instances[0].port == 8001


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "services: {shop: {match: {command: shop.py}}}",
            "services.shop: command containing 'shop.py' fits no discovered service. Found were: "
            "balancer (port 8001, python /srv/balancer.py payment-lb --port 8001); "
            "balancer-2 (port 8002, python /srv/balancer.py catalog-lb --port 8002); "
            "python (port 9001 and 9002, python /srv/catalog.py). Widen with --port or --command.",
        ),
        (
            "services: {lb: {match: {command: balancer.py}}}",
            "services.lb: command containing 'balancer.py' fits several discovered services: "
            "balancer (port 8001, python /srv/balancer.py payment-lb --port 8001); "
            "balancer-2 (port 8002, python /srv/balancer.py catalog-lb --port 8002). "
            "Make match more exact, for instance with a port.",
        ),
        (
            "services: {catalog: {criticality: 3}}",
            "services.catalog: the name catalog fits no discovered service.",
        ),
        (
            "services: {a: {match: {port: 8001}}, b: {match: {port: 8001}}}",
            "services.b: means the same discovered service as services.a.",
        ),
        (
            "services: {python: {match: {port: 8001}}}",
            "services.python: another discovered service already has this name: python (port 9001 and 9002,",
        ),
        (
            "dependencies: [{caller: balancer, callee: pithon}]",
            "annotations: dependency balancer->pithon: no service is named pithon.",
        ),
        (
            "services: {python: {operations: [{id: a, service: pyton, probe: {kind: tcp, port: 9001}}]}}",
            "annotations: services.python.operations.a.service: no service is named pyton. Did you mean python?",
        ),
        (
            "services: {python: {operations: [{id: a, service: python, needs: [db], probe: {kind: tcp, port: 1}}]}}",
            "annotations: services.python.operations.a.needs: no service is named db.",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_was_found(annotated, text: str, message: str):
    with pytest.raises(InputError) as caught:
        annotated(text)
    assert str(caught.value).startswith(message)


BOMB = "x: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("services:\n  a:\n    critical: 3\n", ":3", "unknown field services.a.critical. Did you mean criticality?"),
        ("services:\n  a:\n    match: {comand: x}\n", ":3", "unknown field services.a.match.comand."),
        ("services:\n  a:\n    match: {}\n", ":3", "services.a.match: give command, port or both."),
        ("services:\n  a:\n    kind: htp\n", ":3", "services.a.kind: Input should be 'http', 'grpc'"),
        ("services:\n  A b:\n    criticality: 3\n", ":2", "services.A b is not a name that can be used here"),
        ("services:\n  a:\n    criticality: 9\n", ":3", "services.a.criticality: Input should be less than or equal"),
        ("services:\n  a: {}\n  a: {}\n", ":3", "a is there twice."),
        ("services: [\n", ":2", "is not valid YAML"),
        ("- a\n", "", "must be a YAML mapping. Allowed: dependencies, services, system."),
        ("dependencies:\n  - caller: a\n", ":2", "dependencies[0].callee is missing."),
        ("services: &a [*a]\n", "", "refers to itself, or is nested too deeply."),
        (f"services: {'[' * 5000}\n", "", "refers to itself, or is nested too deeply."),
        (BOMB, "", "holds over 1000000 values once its aliases are followed."),
    ],
)
def test_a_file_that_is_wrong_is_told_by_line_and_field(tmp_path: Path, text: str, place: str, message: str):
    path = tmp_path / "annotations.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load_annotations(path)
    assert str(caught.value).startswith(f"{path}{place}: {message}")


def test_a_value_that_is_nearly_right_is_suggested(tmp_path: Path):
    path = tmp_path / "system.yaml"
    path.write_text("name: x\nservices:\n  - name: a\n    health: {kind: htp, url: 'http://x'}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r":4: services\[0\].health: .*did you mean http\?"):
        load_system(path)


def test_a_system_comes_back_from_its_file_as_it_went(annotated, tmp_path: Path):
    system = annotated(GOOD)
    path = tmp_path / "system.yaml"
    save_system(system, path)
    assert load_system(path) == system
    assert [file.name for file in tmp_path.iterdir() if "system" in file.name] == ["system.yaml"]


def test_a_system_file_that_names_what_it_has_not_is_refused(tmp_path: Path):
    path = tmp_path / "system.yaml"
    path.write_text(
        "name: x\nservices:\n- name: a\n  operations:\n"
        "  - {id: o, service: a, exercises: ['a->b'], probe: {kind: tcp, port: 1}}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError, match="no edge is named a->b"):
        load_system(path)


def test_a_file_that_cannot_be_written_is_said_plainly(annotated, tmp_path: Path):
    with pytest.raises(InputError, match="cannot be written: No such file"):
        save_system(annotated(GOOD), tmp_path / "nowhere" / "system.yaml")


def test_a_missing_file_is_said_plainly(tmp_path: Path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_system(tmp_path / "nowhere.yaml")


def test_the_whole_command_line_of_a_running_process_can_be_matched(server, free_port, tmp_path: Path):
    one, two = free_port(), free_port()
    server("node", one, "http://127.0.0.1:1/first")
    server("node", two, "http://127.0.0.1:1/second")
    system = discover(Scope(command=str(tmp_path)), window_s=0)
    path = tmp_path / "annotations.yaml"
    path.write_text(f"services: {{nodes: {{match: {{command: '{tmp_path}/node.py {two}'}}}}}}", encoding="utf-8")
    assert [service.name for service in annotate(system, load_annotations(path)).services] == ["nodes"]


KEPT = """
services:
  catalog:
    match: {command: catalog.py}
    signals:
      - id: listed
        service: catalog
        instance: %s
        probe: {kind: http, url: "http://127.0.0.1:1/members", expect_text: catalog}
    data_checks:
      - id: kept
        service: %s
        write: {kind: http, method: POST, url: "http://127.0.0.1:1/", json_body: '{"id": "{id}"}'}
        read: {kind: postgresql, dsn: "env:CATALOG_DSN", query: "SELECT id FROM goods"}
"""


def test_a_data_check_and_a_signal_of_one_instance_are_told_of_what_is_found(annotated: Any) -> None:
    catalog = annotated(KEPT % ("catalog-9001", "catalog")).service("catalog")
    assert [(s.id, s.instance) for s in catalog.signals] == [("listed", "catalog-9001")]
    assert [(c.id, c.service, c.read.kind) for c in catalog.data_checks] == [("kept", "catalog", "postgresql")]


@pytest.mark.parametrize(
    ("instance", "service", "why"),
    [
        ("catalog-9003", "catalog", "signals.listed.instance: no instance is named catalog-9003"),
        ("catalog-9001", "katalog", "data_checks.kept.service: no service is named katalog"),
    ],
)
def test_what_they_speak_of_must_be_there(instance: str, service: str, why: str, annotated: Any) -> None:
    with pytest.raises(InputError, match=why):
        annotated(KEPT % (instance, service))


def test_the_example_of_the_guide_is_read(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "resilience.md").read_text(encoding="utf-8")
    example = next(each for each in guide.split("```yaml\n")[1:] if "data_checks" in each).partition("```")[0]
    path = tmp_path / "system.yaml"
    path.write_text(f"name: shop\n{example}", encoding="utf-8")
    orders = load_system(path).service("orders")
    assert orders.data_checks[0].invariants
    assert orders.signals[1].instance == "orders-1"
