"""Servers that tests of faults share, and the bench on which cases build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from executor.drivers.ssh import driver as ssh
from tests.executor.faults import balancers, containers, libvirt_machine, remote_machine, servers
from tests.executor.faults.amazon import Amazon
from tests.executor.faults.amazon import amazon as amazon_server
from tests.executor.faults.cases import Bench
from tests.executor.faults.servers import Postgres, Publisher, Redis, Replica, Subscriber


@pytest.fixture(scope="session")
def server_root() -> Iterator[Path]:
    with servers.directory() as path:
        yield path


@pytest.fixture(scope="session")
def cluster(server_root: Path) -> Path:
    return servers.cluster_in(server_root)


@pytest.fixture(scope="session")
def shared_postgres(server_root: Path, cluster: Path) -> Iterator[Postgres]:
    server = Postgres(server_root, cluster)
    yield server
    server.end()


@pytest.fixture(scope="session")
def shared_replica(server_root: Path, cluster: Path, shared_postgres: Postgres) -> Iterator[Replica]:
    """Of ``shared_postgres``."""
    server = Replica(server_root, cluster, shared_postgres)
    yield server
    server.end()


@pytest.fixture(scope="session")
def other_replica(server_root: Path, cluster: Path, shared_postgres: Postgres) -> Iterator[Replica]:
    """Another one of ``shared_postgres``, which no fault strikes."""
    server = Replica(server_root, cluster, shared_postgres)
    yield server
    server.end()


@pytest.fixture(scope="session")
def shared_subscriber(server_root: Path, cluster: Path) -> Iterator[Subscriber]:
    """Of a publisher of its own."""
    publisher = Publisher(server_root, cluster)
    server = Subscriber(server_root, cluster, publisher)
    yield server
    server.end()
    publisher.end()


@pytest.fixture(scope="session")
def shared_redis(server_root: Path) -> Iterator[Redis]:
    server = Redis(server_root)
    yield server
    server.end()


@pytest.fixture(scope="session")
def amazon() -> Iterator[Amazon]:
    with amazon_server() as server:
        yield server


@pytest.fixture(scope="session")
def yard() -> Iterator[containers.Yard]:
    """An engine of containers, with two of them."""
    with containers.yard() as made:
        yield made


@pytest.fixture(scope="session")
def podman_yard() -> Iterator[containers.Yard]:
    """The same on Podman."""
    with containers.yard(containers.Podman) as made:
        yield made


@pytest.fixture(scope="session")
def sshd() -> Iterator[remote_machine.Sshd]:
    """A machine that ssh reaches."""
    with remote_machine.machine() as made, _patience():
        yield made


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[libvirt_machine.Libvirtd]:
    """A libvirt of our own."""
    with libvirt_machine.libvirtd() as made:
        yield made


@pytest.fixture
def own() -> Iterator[remote_machine.Sshd]:
    """A machine that ssh reaches, and that a test may lose."""
    with remote_machine.machine() as made, _patience():
        yield made


@contextmanager
def _patience() -> Iterator[None]:
    """The machine that runs the tests may be busy: no answer is given up early."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssh, "_ANSWERS_WITHIN_S", 60.0)
        patch.setattr(ssh, "_RENEWS_WITHIN_S", 60.0)
        yield


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Shared servers."""
    for variable in ("TEST_POSTGRES", "TEST_REDIS", "TEST_ADMIN"):
        monkeypatch.setenv(variable, "")
    return Bench(
        tmp_path,
        request.getfixturevalue,
        lambda: request.getfixturevalue("shared_postgres"),
        lambda: request.getfixturevalue("shared_redis"),
    )


@pytest.fixture
def own_bench(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Servers that a test may end."""
    made: list[Postgres | Redis] = []
    root: Path = request.getfixturevalue("server_root")

    def postgres() -> Postgres:
        made.append(Postgres(root, request.getfixturevalue("cluster")))
        return made[-1]  # type: ignore[return-value]

    def redis() -> Redis:
        made.append(Redis(root))
        return made[-1]  # type: ignore[return-value]

    yield Bench(bench.path, bench.fixture, postgres, redis)
    for server in made:
        server.end()


@pytest.fixture(scope="session")
def members() -> Iterator[tuple[int, ...]]:
    """Ports of three members for a load balancer, and of another server."""
    with balancers.members() as ports:
        yield ports
