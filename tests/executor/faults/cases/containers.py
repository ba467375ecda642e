"""Faults on a container: a real engine, a small web server in a container, and another one beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from executor.drivers.resolve import resolve
from executor.drivers.targets import ContainerTarget
from executor.model.faults import FaultSpec
from executor.model.faults.infrastructure import Container
from executor.model.faults.service import Crash, Hang
from executor.model.plan import InstanceTarget
from executor.model.system import Service, System
from tests.executor.faults.cases import Bench, Case
from tests.executor.faults.containers import Podman, Yard, lacking

ASKED = 20


class ContainerSubject:
    """A container, how one fault shows on it, and its neighbour."""

    def __init__(self, yard: Yard, shows: Callable[[ContainerSubject], bool]) -> None:
        self.yard, self.shows, self.served = yard, shows, yard.target
        for each in (yard.target, yard.neighbour):
            each.start()
        service = Service(name="web", instances=(self.served.instance,), restarts="by_hand")
        self.system = System(name="shop", services=(service,))
        self.since = self.started()

    def started(self) -> str:
        """When it was started, as its engine says; empty if it is not there."""
        seen = self.served.seen()
        return str(seen["State"]["StartedAt"]) if seen else ""

    def is_(self, status: str) -> bool:
        seen = self.served.seen()
        return seen is not None and seen["State"]["Status"] == status

    def resolved(self) -> ContainerTarget:
        (target,) = resolve(InstanceTarget(service="web"), self.system)
        assert isinstance(target, ContainerTarget)
        return target

    def normal(self) -> bool:
        return self.is_("running") and self.served.answers()

    def faulted(self) -> bool:
        return self.shows(self)

    def state(self) -> Any:
        with self.yard.engine.client() as client:
            ids = sorted(each["Id"] for each in client.containers(all=True))
            return {
                "containers": [_lasting(client.inspect_container(each), self.yard.engine.fleeting) for each in ids],
                "images": sorted(str(each["RepoTags"]) for each in client.images(all=True)),
                "networks": sorted(each["Name"] for each in client.networks()),
                "volumes": sorted(each["Name"] for each in client.volumes()["Volumes"] or ()),
            }

    def die(self) -> None:
        self.served.end()

    def unharmed(self) -> bool:
        return self.yard.neighbour.answered(ASKED, within_s=5) == ASKED

    def size(self) -> str:
        if self.is_("running") and self.served.answers():
            return "started again once, the same container"
        lost = ASKED - self.served.answered(ASKED, within_s=0.05)
        near = self.yard.neighbour.answered(ASKED, within_s=5)
        return f"{lost} of {ASKED} requests lost, {near} of {ASKED} to its neighbour answered"


def _lasting(seen: dict[str, Any], fleeting: tuple[str, ...]) -> dict[str, Any]:
    """All but what is another at each start of a container."""
    state = {name: value for name, value in seen["State"].items() if name not in ("Pid", "StartedAt", "FinishedAt")}
    networks = {
        name: {part: value or None for part, value in one.items() if part not in fleeting}
        for name, one in seen["NetworkSettings"]["Networks"].items()
    }
    ports = seen["NetworkSettings"]["Ports"]
    rest = {name: value for name, value in seen.items() if name not in ("State", "RestartCount", "NetworkSettings")}
    return {**rest, "State": state, "Networks": networks, "Ports": ports}


def case(name: str, fault: FaultSpec, shows: Callable[[ContainerSubject], bool], **fields: Any) -> tuple[Case, Case]:
    """On Docker, and on Podman."""

    def on(fixture: str) -> Callable[[Bench], AbstractContextManager[ContainerSubject]]:
        @contextmanager
        def opened(bench: Bench) -> Iterator[ContainerSubject]:
            yield ContainerSubject(bench.fixture(fixture), shows)

        return opened

    podman = Case(f"{name}-podman", fault, on("podman_yard"), unavailable=lambda: lacking(Podman), slow=True, **fields)
    return Case(name, fault, on("yard"), unavailable=lacking, **fields), podman


def ended(subject: ContainerSubject) -> bool:
    return subject.is_("exited") and not subject.served.answers()


def paused(subject: ContainerSubject) -> bool:
    return subject.is_("paused") and not subject.served.answers()


def _removed(subject: ContainerSubject) -> bool:
    return subject.served.seen() is None and not subject.served.answers()


def _alone(subject: ContainerSubject) -> bool:
    seen = subject.served.seen()
    return bool(seen and not seen["NetworkSettings"]["Networks"]) and not subject.served.answers()


def _started_again(subject: ContainerSubject) -> bool:
    return subject.started() != subject.since and subject.served.answers()


CASES = (
    *case("service.hang-container", Hang(), paused),
    *case("service.crash-container", Crash(), ended),
    *case("infrastructure.container-remove", Container(how="remove"), _removed),
    *case("infrastructure.container-restart", Container(how="restart"), _started_again, stays=False),
    case("infrastructure.container-disconnect", Container(how="disconnect"), _alone)[0],  # Podman cannot undo it
)
