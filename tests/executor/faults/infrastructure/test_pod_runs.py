"""A whole run on a pod of a SIMULATED cluster: approved, guarded, undone and written down like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from executor.model.faults import FaultSpec
from executor.model.faults.kubernetes import Scale
from executor.model.faults.service import Crash
from executor.model.system import Service, System
from executor.run.engine import run
from executor.state.home import Home
from tests.executor.faults.kube_fake.cluster import is_ready
from tests.executor.faults.kube_fake.world import REPLICAS, SPACE
from tests.executor.faults.kube_kit import simulated, system_of
from tests.executor.kit import LIMITS, approve, experiment_on, plan_of, shelves, until


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", [Crash(), Scale()])
def test_a_pod(home: Home, tmp_path: Path, fault: FaultSpec) -> None:
    kubeconfig = tmp_path / "kubeconfig.json"
    with simulated() as (store, settings), shelves("books") as (books,):
        kubeconfig.write_text(json.dumps(settings))
        until(lambda: sum(map(is_ready, store.all("pods", SPACE))) == REPLICAS + 1)
        pods = system_of(kubeconfig).services[0].instances
        service = Service(**{**dict(books.service()), "instances": pods, "restarts": "supervised"})
        system = System(name="library", services=(service,))
        plan = plan_of(system, (experiment_on(system, service.name, fault),))
        evidence = run(plan, approve(home, plan), system=system, limits=LIMITS, home=home)
        assert evidence.outcome == "completed"
        checks = [check for result in evidence.results for check in result.reverts]
        assert checks
        assert all(check.reverted and check.verified for check in checks)
        assert not evidence.owed
        until(lambda: sum(map(is_ready, store.all("pods", SPACE))) == REPLICAS + 1)
        journal = b"".join(file.read_bytes() for file in home.path.rglob("*") if file.is_file())
        assert b"canary" not in journal
