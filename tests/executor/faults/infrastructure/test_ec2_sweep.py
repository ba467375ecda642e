"""An executor has died, and its journal with it: a sweep undoes at Amazon what bears its mark, and spares the rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from executor.drivers.aws import marks
from executor.model.faults.infrastructure import Fis, Vm
from executor.model.system import System
from executor.undo.amazon import sweep_amazon
from executor.undo.swept import Swept
from knowledge.topology.annotations import save_system
from planner.cli import recover
from tests.executor.faults.amazon import REGION, Amazon
from tests.executor.faults.infrastructure.test_ec2 import Struck

ROOT = Path(__file__).parents[4]
INJECT = """
import json, sys
from executor.faults.registry import behaviour
kind, record = json.load(sys.stdin)
behaviour(kind).inject(record, 120.0)
"""
ISOLATE, STOP = Vm(how="isolate"), Fis(does="stop", duration_s=3600)


@pytest.fixture
def machines(amazon: Amazon) -> Iterator[Amazon]:
    amazon.fis.forget()
    yield amazon
    amazon.end()


def struck(amazon: Amazon, fault: Any) -> Struck:
    """A machine with a fault of which nothing here knows: the process that made it has ended."""
    made = Struck(amazon, fault)
    record = made.prepared()
    given = json.dumps([fault.kind, record])
    subprocess.run([sys.executable, "-c", INJECT], input=given, text=True, cwd=ROOT, check=True, timeout=60)
    made.record = record
    return made


def swept(made: Struck) -> list[Swept]:
    """What is said of this fault."""
    mark = made.record.get("mark") or made.record["group"]
    return [one for one in sweep_amazon(made.system, held=set()) if mark in one.text]


def test_an_isolated_machine_is_connected_again(machines: Amazon) -> None:
    bystander, groups = machines.machine(), machines.all_groups()
    before = machines.image_of(bystander)
    made = struck(machines, ISOLATE)
    assert made.how.active(made.record) is True
    (said,) = swept(made)
    assert said == Swept("done", f"removed: security group {made.record['group']} in {REGION}")
    assert machines.image_of(made.machine) == made.before
    assert machines.all_groups() == groups
    assert machines.image_of(bystander) == before
    assert swept(made) == []


def test_an_experiment_is_ended_and_what_it_stopped_runs_again(machines: Amazon) -> None:
    made = struck(machines, STOP)
    assert machines.about(made.machine)["State"]["Name"] == "stopped"
    (said,) = swept(made)
    assert said == Swept("done", f"removed: FIS template or experiment of {made.record['mark']} in {REGION}")
    assert machines.image_of(made.machine) == made.before
    assert machines.fis.templates == {}
    assert [each["state"]["status"] for each in machines.fis.experiments.values()] == ["stopped"]
    assert swept(made) == []


@pytest.mark.parametrize("fault", [ISOLATE, STOP], ids=lambda fault: fault.kind)
def test_what_a_living_process_has_made_is_left_alone(machines: Amazon, fault: Any) -> None:
    made = Struck(machines, fault)
    made.inject()
    (said,) = swept(made)
    assert (said.outcome, f"which process {os.getpid()} has made" in said.text) == ("unwatched", True), said
    assert made.how.active(made.record) is True
    made.how.revert(made.record)
    assert machines.image_of(made.machine) == made.before


@pytest.mark.parametrize("fault", [ISOLATE, STOP], ids=lambda fault: fault.kind)
def test_what_was_made_on_another_machine_is_spared(
    machines: Amazon, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = struck(machines, fault)
    monkeypatch.setattr(marks, "_here", lambda: "another")
    (said,) = swept(made)
    assert (said.outcome, "a run on another machine" in said.text) == ("spared", True)
    monkeypatch.undo()
    assert swept(made)[0].outcome == "done"


def test_what_was_made_before_this_boot_is_held_by_nobody(machines: Amazon) -> None:
    tags = marks.tags("murphy-x-1")
    assert marks.hold(tags) == ("unwatched", f"process {os.getpid()}")
    where, _, pid, ticks = tags[marks.HOLDER].split("/")
    assert marks.hold({**tags, marks.HOLDER: f"{where}/earlier/{pid}/{ticks}"})[0] == "nobody"
    assert marks.hold({**tags, marks.HOLDER: "garbled"})[0] == "held"


def test_groups_of_others_are_not_touched(machines: Amazon) -> None:
    """One that looks like ours by its name, one with a tag of the same name, and one that was copied from ours."""
    borne = marks.listed(marks.tags("murphy-x-9"))
    tagged = {"named": [], "own": [{"Key": marks.TAG, "Value": "plays"}], "copied": borne}
    made = {}
    for name, tags in tagged.items():
        more = [{"ResourceType": "security-group", "Tags": tags}] if tags else []
        given = {"GroupName": f"murphy-{name}", "Description": name, "VpcId": machines.vpc, "TagSpecifications": more}
        made[name] = machines.ec2.create_security_group(**given)["GroupId"]
    groups = machines.all_groups()
    assert list(sweep_amazon(machines.system(machines.machine()), held=set())) == []
    assert machines.all_groups() == groups
    for group in made.values():
        machines.ec2.delete_security_group(GroupId=group)


def test_a_region_out_of_reach_is_owed_and_holds_nothing_up(machines: Amazon) -> None:
    made = struck(machines, ISOLATE)
    service = made.system.services[0]
    lost = Amazon.instance("web-9", "i-0123456789abcdef0", "http://127.0.0.1:9")
    both = System(name="shop", services=(service.__class__(name="web", instances=(lost, *service.instances)),))
    said = list(sweep_amazon(both, set()))
    assert [one.outcome for one in said] == ["owed", "owed", "done"]
    assert said[0].text.startswith(f"security groups cannot be looked at: {REGION}: AWS cannot be asked")
    assert machines.image_of(made.machine) == made.before


def test_a_mark_that_a_run_of_this_machine_notes_is_spared(machines: Amazon) -> None:
    made = struck(machines, ISOLATE)
    (said,) = sweep_amazon(made.system, held={made.record["group"]})
    assert (said.outcome, said.text.endswith("which a living process holds")) == ("spared", True)
    assert swept(made)[0].outcome == "done"


@pytest.mark.parametrize("named", [True, False], ids=["by --system", "by the system.yaml that is there"])
def test_the_system_that_the_command_looks_at(
    machines: Amazon, tmp_path: Path, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the rest of the sweep, which would take away what other tests on this machine are at."""
    made = struck(machines, ISOLATE)
    file = tmp_path / ("other.yaml" if named else "system.yaml")
    save_system(made.system, file)
    monkeypatch.chdir(tmp_path)
    (said,) = recover.at_amazon(file if named else None, set())
    assert said == Swept("done", f"removed: security group {made.record['group']} in {REGION}")
    assert machines.image_of(made.machine) == made.before


def test_a_system_that_cannot_be_read_is_said_and_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(recover.at_amazon(None, set())) == []
    Path("system.yaml").write_text("name: [", encoding="utf-8")
    (unnamed,), (named,) = recover.at_amazon(None, set()), recover.at_amazon(Path("system.yaml"), set())
    assert (unnamed.outcome, named.outcome) == ("unseen", "owed")
    assert named.text.startswith("Amazon's regions of system.yaml: ")
