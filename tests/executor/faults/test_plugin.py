"""A fault, a driver and a probe of another package: found, made, undone, and refused where they are no good."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.executor.faults.cases import OTHERS

ROOT = Path(__file__).parents[3]
PLUGIN = ROOT / "examples/plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed as pip installs it, in a directory of its own."""
    where = tmp_path_factory.mktemp("installed")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(where)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(PLUGIN)], check=True, timeout=60)
    return where


def with_it(installed: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(ROOT), str(installed)))
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can put a priority back that was lowered")
def test_the_contract_suite_runs_over_the_example(installed: Path) -> None:
    suite = "tests/executor/faults/test_contract.py"
    done = with_it(
        installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite, **{OTHERS: str(PLUGIN / "case.py")}
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "nice 19 asked, 19; the bystander has 0" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can put a priority back that was lowered")
def test_a_worker_started_meanwhile_gets_its_priority_back(installed: Path) -> None:
    code = """if True:
        import os, subprocess, sys
        import executor.model.faults
        from executor.clock import start_ticks
        from executor.drivers.targets import ProcessTarget
        from executor.faults.registry import behaviour
        from executor.model.system import Service
        from murphy_priority.fault import Priority
        forks = "import os, time; input(); os.fork() or print(os.getpid(), flush=True); time.sleep(100)"
        made = subprocess.Popen([sys.executable, "-c", forks], stdin=-1, stdout=-1, start_new_session=True)
        target = ProcessTarget(Service(name="it"), "it-1", made.pid, start_ticks(made.pid), None)
        how = behaviour("resource.priority")
        try:
            record = how.prepare(Priority(), target, None)
            how.inject(record, 60)
            made.stdin.write(bytes([10]))
            made.stdin.flush()
            pids = (made.pid, int(made.stdout.readline()))
            print([os.getpriority(os.PRIO_PROCESS, pid) for pid in pids], how.active(record))
            how.revert(record)
            print([os.getpriority(os.PRIO_PROCESS, pid) for pid in pids], how.active(record))
        finally:
            os.killpg(made.pid, 9)
            made.communicate()
    """
    done = with_it(installed, "-c", code)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert done.stdout == f"[19, 19] True\n[{own}, {own}] False\n", done.stderr


def test_the_catalogue_shows_it(installed: Path) -> None:
    done = with_it(installed, "-c", "from planner.cli import murphy; murphy()", "faults", "--json")
    row = next(row for row in json.loads(done.stdout) if row["kind"] == "resource.priority")
    assert row["parameters"]["nice"].startswith("from 1, to 19; default 19")


def package(path: Path, group: str, name: str, code: str) -> Path:
    """A package that adds one thing."""
    (path / "other.dist-info").mkdir(parents=True)
    (path / "other.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (path / "other.dist-info" / "entry_points.txt").write_text(f"[murphy.{group}]\n{name} = other:thing\n")
    (path / "other.py").write_text(code)
    return path


@pytest.mark.parametrize(
    ("group", "name", "code", "said"),
    [
        ("fault_specs", "service.sulk", "import nothing_of_that_name", "other: what it adds as service.sulk cannot"),
        ("fault_specs", "service.sulk", "thing = int", "an installed package adds service.sulk, which is no FaultSpec"),
        ("probes", "ping", "thing = int", "an installed package adds ping, which is no ProbeSpec"),
    ],
)
def test_what_is_no_good_is_one_sentence(tmp_path: Path, group: str, name: str, code: str, said: str) -> None:
    done = with_it(package(tmp_path, group, name, code), "-c", "from planner.cli import murphy; murphy()", "faults")
    assert done.returncode not in (0, 1)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


DRIVER = """
from executor.drivers.local import Local
from executor.kernel.locate import find
from executor.drivers.targets import ProcessTarget
from executor.model.system import ProcessInstance

class thing(Local):
    name, noun = "lamp", "a lamp"
    def find(self, service, instance):
        found = find(ProcessInstance(id=instance.id, port=int(instance.at["socket"])))
        return Target(service, instance.id, found.pid, found.start_ticks, None)

class Target(ProcessTarget):
    driver = "lamp"
"""
USE = """
import sys, time
from executor.drivers.resolve import resolve
from executor.faults.behaviour import Context, why_not
from executor.faults.registry import behaviour
from executor.model.faults.service import Hang
from executor.model.plan import InstanceTarget
from executor.model.system import System
system = System.model_validate({"name": "s", "services": [
    {"name": "light", "instances": [{"driver": "lamp", "id": "l-1", "at": {"socket": sys.argv[1]}}]}]})
assert System.model_validate_json(system.model_dump_json()) == system
(target,) = resolve(InstanceTarget(service="light"), system)
how = behaviour("service.hang")
assert why_not(how, Hang(), target) is None
record = how.prepare(Hang(), target, Context(system, "murphy-plugin-1", sys.argv[2]))
assert record["driver"] == "lamp"
how.inject(record, 60)
assert how.active(record) is True
how.revert(record)
assert how.active(record) is False
print("done")
"""


def test_a_driver_of_another_package_has_the_faults_that_its_capabilities_allow(tmp_path: Path) -> None:
    from tests.executor.kit import shelves

    with shelves("books") as (shelf,):
        done = with_it(package(tmp_path, "drivers", "lamp", DRIVER), "-c", USE, str(shelf.port), str(tmp_path))
        assert done.stdout == "done\n", done.stderr
        assert shelf.answers()


PROBE = """
from typing import Literal
from executor.model.probe import ProbeSpec

class thing(ProbeSpec):
    kind: Literal["ping"] = "ping"
    to: str
    @property
    def host(self):
        return self.to
    async def ask(self):
        return True, 7, ""
"""
ASK = """
import anyio
from executor.errors import SafetyRefusalError
from executor.model.probe import Check
from executor.probes.ask import ask, open_client
async def main():
    async with open_client() as client:
        for host in ("127.0.0.1", "example.org"):
            check = Check.model_validate({"id": "c", "service": "s", "probe": {"kind": "ping", "to": host}})
            try:
                print((await ask(check.probe, client)).status)
            except SafetyRefusalError as refusal:
                print(refusal.rule)
anyio.run(main)
"""


def test_a_probe_of_another_package_is_asked_and_keeps_to_the_hosts(tmp_path: Path) -> None:
    done = with_it(package(tmp_path, "probes", "ping", PROBE), "-c", ASK)
    assert done.stdout.splitlines() == ["7", "probe hosts"], done.stderr
