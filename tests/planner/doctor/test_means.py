"""What a machine lacks, taken from it for real: ``murphy faults`` says why for each fault, and ``doctor`` the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from executor.errors import UnavailableError
from executor.faults.registry import BEHAVIOURS
from executor.kernel import cgroup, netns
from planner.doctor import means

ROOT: Final = Path(__file__).parents[3]
ON_CLUSTERS: Final = {"node", "scale", "network_policy", "endpoints", "secret", "chaos_mesh"}
IN_NFTABLES: Final = {"network.loss", "network.connection_limit", "network.dns"}
AS_ROOT: Final = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root, for mounts of its own"
)
WITHOUT_FUSE: Final = (
    "mkdir /mnt/dev-$$ && mount -t tmpfs none /mnt/dev-$$ && "
    "for d in null zero urandom; do touch /mnt/dev-$$/$d && mount --bind /dev/$d /mnt/dev-$$/$d || exit 1; done && "
    "mount --move /mnt/dev-$$ /dev && rmdir /mnt/dev-$$"
)


def told(tmp_path: Path, *before: str, code: str = "") -> tuple[dict[str, tuple[str, dict[str, str]]], list[Any]]:
    """What both commands say when they are run after ``before``, with ``code`` at their beginning."""
    said = []
    for command in ("faults", "doctor"):
        given = f"sys.argv = ['murphy', '{command}', '--json']"
        program = f"import sys; {given}; {code}\nfrom planner.cli.main import main\nmain()"
        done = subprocess.run(
            [*before, sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "MURPHY_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout, done.stderr
        said.append(json.loads(done.stdout))
    return {row["kind"]: (row["lacking"], row["ways_lacking"]) for row in said[0]}, said[1]


def in_mounts(script: str) -> list[str]:
    """Run what follows where this has been done to the mounts; nobody else sees that."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{script} && exec "$@"', "sh"]


def agree(faults: dict[str, tuple[str, dict[str, str]]], looks: list[Any]) -> None:
    """Each reason against a fault is one of doctor's, and each means that doctor misses is missed by a fault."""
    reasons = {reason.rstrip(".") for whole, ways in faults.values() for reason in (whole, *ways.values()) if reason}
    mine = {look().what for look in means.LOOKS} - {"faults"}
    missed = {
        f"{look['detail']}; {look['remedy'][:1].lower()}{look['remedy'][1:]}".rstrip(".")
        for look in looks
        if look["what"] in mine and not look["works"]
    }
    assert {text.lower() for text in reasons} == {text.lower() for text in missed}
    (catalogue,) = [look for look in looks if look["what"] == "faults"]
    assert catalogue["works"] == (not reasons)
    for kind, (whole, ways) in faults.items():
        named = kind if whole else f"{kind} ({' and '.join(ways)})"
        assert (named in catalogue["detail"]) == bool(whole or ways)
    assert all(" ; " not in reason and len(reason.splitlines()) == 1 for reason in reasons)


def kinds_that_lack(faults: dict[str, tuple[str, dict[str, str]]], words: str) -> set[str]:
    return {kind for kind, (reason, _) in faults.items() if words in reason}


def test_as_this_machine_is(tmp_path: Path) -> None:
    faults, looks = told(tmp_path)
    assert faults.keys() == {how.kind for how in BEHAVIOURS}
    agree(faults, looks)


@pytest.mark.parametrize(
    ("library", "said", "kinds"),
    [
        pytest.param(
            "docker",
            "Docker's SDK is not installed; pip install 'murphy-chaos[docker]'.",
            {"infrastructure.container"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "kubernetes",
            "the Kubernetes client is not installed; pip install 'murphy-chaos[kubernetes]'.",
            {f"infrastructure.{name}" for name in ON_CLUSTERS},
            marks=pytest.mark.slow,
        ),
        ("boto3", "boto3 is not installed; pip install 'murphy-chaos[aws]'.", {"infrastructure.fis"}),
        ("nats", "nats-py is not installed; pip install 'murphy-chaos[nats]'.", {"data.queue_backlog"}),
    ],
)
def test_a_library_that_cannot_be_imported(tmp_path: Path, library: str, said: str, kinds: set[str]) -> None:
    faults, looks = told(tmp_path, code=f"sys.modules[{library!r}] = None")
    assert {kind for kind, (reason, _) in faults.items() if reason == said} == kinds
    agree(faults, looks)


@pytest.mark.root
@AS_ROOT
def test_no_device_for_fuse(tmp_path: Path) -> None:
    faults, looks = told(tmp_path, *in_mounts(WITHOUT_FUSE))
    reason = faults["resource.io_error"][0]
    assert reason.startswith("/dev/fuse cannot be opened (No such file or directory); load the module fuse")
    agree(faults, looks)


@pytest.mark.root
@AS_ROOT
@pytest.mark.parametrize(
    ("program", "kinds", "ways"),
    [
        ("nft", IN_NFTABLES, ()),
        pytest.param("tc", {"network.duplicate_reorder"}, (), marks=pytest.mark.slow),
        pytest.param("dmsetup", set(), ("detach", "slow"), marks=pytest.mark.slow),
    ],
)
def test_a_program_that_is_not_installed(tmp_path: Path, program: str, kinds: set[str], ways: tuple[str, ...]) -> None:
    """A file that cannot be run takes its place: search paths are not ours alone, and the system's are looked into."""
    places = {str(Path(path).resolve()) for path in (netns.program(program),) if path}
    covered = " && ".join(["true", *(f"mount --bind /dev/null {place}" for place in places)])
    faults, looks = told(tmp_path, *in_mounts(covered))
    assert kinds_that_lack(faults, f"{program} is not installed; install") == kinds
    found = faults["infrastructure.storage"][1]
    assert {how for how, reason in found.items() if f"{program} is not installed; install" in reason} == set(ways)
    agree(faults, looks)


def limits() -> dict[str, str]:
    return {
        "resource.cpu_throttle": "cpu",
        "resource.processes": "pids",
        "resource.io_throttle": "io",
        "resource.oom": "memory",
    }


@pytest.mark.root
@AS_ROOT
def test_cgroups_that_are_mounted_nowhere(tmp_path: Path) -> None:
    roots = sorted({str(one.root) for one in cgroup.hierarchies()}, key=len, reverse=True)
    faults, looks = told(tmp_path, *in_mounts(" && ".join(["true", *(f"umount --lazy {root}" for root in roots)])))
    for kind, controller in limits().items():
        name = {"io": "blkio"}.get(controller, controller)
        assert f"no cgroup controller {name}: " in faults[kind][0]
        assert "; mount " in faults[kind][0]
    agree(faults, looks)


@pytest.mark.root
@AS_ROOT
def test_cgroups_that_can_only_be_read(tmp_path: Path) -> None:
    try:
        root = cgroup.hierarchy("pids").root
    except UnavailableError as error:
        pytest.skip(str(error))
    faults, looks = told(tmp_path, *in_mounts(f"mount -o remount,bind,ro {root}"))
    assert f"cgroups on {root} are mounted read-only; mount them writable" in faults["resource.processes"][0]
    agree(faults, looks)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can give rights up")
@pytest.mark.parametrize(
    ("rights", "said"),
    [
        (["--reuid", "65534", "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"], "need root; run"),
        (["--bounding-set", "-sys_admin,-net_admin", "--inh-caps", "-all"], "need CAP_"),
    ],
    ids=["another user", "root without capabilities"],
)
def test_rights_that_are_not_ours(tmp_path: Path, rights: list[str], said: str) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    os.chown(home, 65534 if "--reuid" in rights else 0, -1)
    faults, looks = told(tmp_path, "setpriv", *rights)
    assert kinds_that_lack(faults, said) >= {"resource.io_error", "resource.disk_readonly"}
    assert said in faults["infrastructure.storage"][1]["stuck"]
    assert "full" not in faults["infrastructure.storage"][1]
    if netns.program("nft"):
        assert kinds_that_lack(faults, said) >= IN_NFTABLES
    agree(faults, looks)
