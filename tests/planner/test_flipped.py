"""One byte of any file that a run is made of, changed in any way: the run is refused, or nothing has changed at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given
from hypothesis import strategies as st

from executor.errors import InputError, MurphyError, SafetyRefusalError
from executor.model.digest import digest
from executor.safety.limits import load_limits
from executor.safety.preflight import preflight
from executor.state.home import Home
from executor.state.journal import Journal
from knowledge.topology.annotations import load_system, save_system
from planner import files
from planner.cli.run import run
from tests.executor.kit import Shelf, approve, experiment_on, plan_of, shelves, system_of
from tests.fuzz.effort import effort

PLAN, APPROVAL, SYSTEM, LIMITS = FILES = ("plan.json", "plan.approval.json", "system.yaml", "limits.toml")
TOML = """# what Murphy may do here
environments = ["development"]
fault_s_max = 30.5
lease_s = 3
approval_uses_max = 2
approvers = []

[blast_radius]
instances_percent = 100  # one service alone
services_percent = 100
traffic_percent = 100
"""


@dataclass
class Desk:
    """A plan that may be run, as files, and a service that runs."""

    directory: Path
    home: Home
    shelf: Shelf
    whole: dict[str, bytes]

    def put_back(self) -> None:
        for name, content in self.whole.items():
            (self.directory / name).write_bytes(content)

    def flip(self, name: str, place: int, mask: int) -> None:
        content = bytearray(self.whole[name])
        content[place] ^= mask
        (self.directory / name).write_bytes(content)

    def meaning(self) -> dict[str, str]:
        """The digests of what the files say. Raises ``InputError`` for one that cannot be read."""
        plan = files.load_plan(self.directory / PLAN)
        approval = files.load_approval(self.directory / APPROVAL)
        system, limits = load_system(self.directory / SYSTEM), load_limits(self.directory / LIMITS)
        return dict(zip(FILES, map(digest, (plan, approval, system, limits)), strict=True))

    def ask(self) -> None:
        """All that stands between the files and an injection, up to the last question."""
        plan = files.load_plan(self.directory / PLAN)
        approval = files.load_approval(self.directory / APPROVAL)
        system, limits = load_system(self.directory / SYSTEM), load_limits(self.directory / LIMITS)
        with closing(Journal(self.home.journal)) as journal:
            given = {"system": system, "limits": limits, "home": self.home, "journal": journal}
            preflight(plan, approval, **given, now=datetime.now(UTC))

    def untouched(self) -> bool:
        with closing(Journal(self.home.journal)) as journal:
            return not (journal.running() or journal.pending() or self.shelf.stopped())


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    directory = tmp_path_factory.mktemp("desk")
    home = Home.open(directory / "home")
    with shelves("shop") as (shelf,):
        system = system_of([shelf])
        (directory / LIMITS).write_text(TOML)
        limits = load_limits(directory / LIMITS)
        plan = plan_of(system, (experiment_on(system, "shop"),))
        save_system(system, directory / SYSTEM)
        files.save(plan, directory / PLAN)
        files.save(approve(home, plan, limits, uses=2), directory / APPROVAL)
        desk = Desk(directory, home, shelf, {name: (directory / name).read_bytes() for name in FILES})
        desk.ask()
        yield desk


@pytest.mark.parametrize("name", FILES)
@effort(50, *HealthCheck)
@given(data=st.data())
def test_one_changed_byte_is_refused_or_says_the_very_same(desk: Desk, name: str, data: st.DataObject) -> None:
    meant = desk.meaning()
    place, mask = data.draw(st.integers(0, len(desk.whole[name]) - 1)), data.draw(st.integers(1, 255))
    try:
        desk.flip(name, place, mask)
        try:
            desk.ask()
        except (InputError, SafetyRefusalError) as refused:
            assert "\n" not in str(refused).strip()
        else:
            assert desk.meaning() == meant
        assert desk.untouched()
    finally:
        desk.put_back()


@pytest.mark.parametrize("name", FILES)
@effort(8, *HealthCheck)
@given(data=st.data())
def test_the_command_refuses_it_too(
    desk: Desk, name: str, data: st.DataObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MURPHY_HOME", str(desk.home.path))
    meant = desk.meaning()
    place, bit = data.draw(st.integers(0, len(desk.whole[name]) - 1)), data.draw(st.integers(0, 7))
    try:
        desk.flip(name, place, 1 << bit)
        with suppress(InputError):
            assume(desk.meaning() != meant)  # white space and comments: a run like any other
            # a file about another system is none of this run's: the one that was planned for, and digested, is used
            assume(load_system(desk.directory / SYSTEM).name == "library")
        paths = {option: desk.directory / file for option, file in (("system", SYSTEM), ("limits", LIMITS))}
        with pytest.raises(MurphyError):
            run(desk.directory / PLAN, desk.directory / APPROVAL, **paths, as_json=False)
        assert desk.untouched()
    finally:
        desk.put_back()
