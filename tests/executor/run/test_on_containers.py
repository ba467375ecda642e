"""A whole run, as on a machine that runs containers: in the network in which they publish their ports."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from executor.state.home import Home
from tests.executor.faults import containers
from tests.executor.faults.containers import Yard
from tests.missing import missing

RUN = """
import json, sys
from pathlib import Path
from executor.model.faults.infrastructure import Container
from executor.model.probe import Check, HttpProbe
from executor.model.system import ContainerInstance, Service, System
from executor.run.engine import run
from executor.state.home import Home
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of

given, path = json.loads(sys.argv[1])
home = Home(Path(path))

def service(instance):
    instance = ContainerInstance.model_validate(instance)
    probe = HttpProbe(url=f"http://127.0.0.1:{instance.port}/", timeout_ms=1000)
    check = Check(id=instance.container, service=instance.container, probe=probe, rate_hz=20)
    return Service(name=instance.container, instances=(instance,), operations=(check,), restarts="by_hand")

system = System(name="shop", services=tuple(map(service, given)))
web = system.services[0].name
plan = plan_of(system, (experiment_on(system, web, Container(how="remove")),))
evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
print(json.dumps([
    [evidence.outcome, *(result.aborted for result in evidence.results)],
    [[hypothesis.verdict for hypothesis in result.hypotheses] for result in evidence.results],
    [check.verified for result in evidence.results for check in result.reverts],
]))
"""


@pytest.fixture(params=[containers.Engine, pytest.param(containers.Podman, marks=pytest.mark.slow)])
def grounds(request: pytest.FixtureRequest) -> Iterator[Yard]:
    if reason := containers.lacking(request.param):
        missing(reason)
    with containers.yard(request.param) as yard:
        yard.target.start()
        yard.neighbour.start()
        yield yard


def test_a_run_on_containers(grounds: Yard, home: Home) -> None:
    given = [each.instance.model_dump(mode="json") for each in (grounds.target, grounds.neighbour)]
    command = ["nsenter", f"--net={grounds.engine.net}", sys.executable, "-c", RUN]
    told = json.dumps([given, str(home.path)])
    said = subprocess.run([*command, told], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])
    assert said.returncode == 0
    outcome, verdicts, verified = json.loads(said.stdout)
    assert outcome == ["completed", ""]
    assert verdicts == [["breaks", "holds"]], "it does not answer meanwhile, and is back in time"
    assert verified == [True]
    assert grounds.target.answers()
