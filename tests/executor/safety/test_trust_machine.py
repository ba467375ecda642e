"""Any sequence of changes to the list of keys, honest or not: only what an operator said counts."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from executor.errors import InputError, SafetyRefusalError
from executor.model.vocabulary import Environment
from executor.safety.signing import create_key, revoke_key, trust_key
from executor.safety.trust import Role, answering, read_trusted, trusted_file
from executor.state.audit import verify
from executor.state.home import Home

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = st.sampled_from(["a", "b", "c", "d"])
ROLES = st.sets(st.sampled_from(Role), min_size=1).map(lambda found: tuple(sorted(found)))
PLACES = st.sets(st.sampled_from(Environment), min_size=1).map(lambda found: tuple(sorted(found)))


class Keys(RuleBasedStateMachine):
    """What the list should say, beside what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.home = Home.open(self.directory / "home")
        self.meant: dict[str, tuple[tuple[Role, ...], tuple[Environment, ...]]] = {}
        self.revoked: set[str] = set()
        self.older: list[bytes] = []
        self.edited = False

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    def changed(self, name: str, act: Any, *arguments: Any, **more: Any) -> bool:
        """Whether the change was made; one that may not be made leaves the file as it is."""
        before = trusted_file(self.home).read_bytes()
        try:
            act(self.home, name, *arguments, **more)
        except (InputError, SafetyRefusalError):
            assert trusted_file(self.home).read_bytes() == before
            return False
        assert not self.edited
        self.older.append(before)
        return True

    def operators(self) -> list[str]:
        return sorted(n for n, (roles, _) in self.meant.items() if Role.OPERATOR in roles and n not in self.revoked)

    @initialize()
    def first(self) -> None:
        create_key(self.home, "a")
        self.meant["a"] = ((Role.APPROVER, Role.OPERATOR), (Environment.DEVELOPMENT, Environment.STAGING))

    @rule(name=NAMES, roles=ROLES, places=PLACES, by=st.none() | NAMES)
    def create(self, name: str, roles: tuple[Role, ...], places: tuple[Environment, ...], by: str | None) -> None:
        allowed = by in self.operators() if by else len(self.operators()) < 2
        if self.changed(name, create_key, roles=roles, environments=places, by=by):
            assert name not in self.meant
            assert allowed
            self.meant[name] = (roles, places)

    @rule(name=NAMES, roles=ROLES, places=PLACES, by=st.none() | NAMES)
    def change(self, name: str, roles: tuple[Role, ...], places: tuple[Environment, ...], by: str | None) -> None:
        allowed = by in self.operators() if by else len(self.operators()) < 2
        if self.changed(name, trust_key, roles=roles, environments=places, by=by):
            assert name in self.meant
            assert name not in self.revoked
            assert allowed
            self.meant[name] = (roles, places)

    @rule(name=NAMES)
    def revoke(self, name: str) -> None:
        if self.changed(name, revoke_key, "no longer needed"):
            self.revoked.add(name)

    @precondition(lambda self: self.older and not self.edited)
    @rule(data=st.data())
    def put_an_older_list_back(self, data: st.DataObject) -> None:
        now = trusted_file(self.home).read_bytes()
        older = data.draw(st.sampled_from(self.older))
        trusted_file(self.home).write_bytes(older)
        self.edited, self.now = older != now, now

    @precondition(lambda self: self.edited)
    @rule()
    def put_the_right_one_back(self) -> None:
        trusted_file(self.home).write_bytes(self.now)
        self.edited = False

    @invariant()
    def only_what_was_said_counts(self) -> None:
        assert verify(self.home).intact
        for name in ("a", "b", "c", "d"):
            roles, places = self.meant.get(name, ((), ()))
            for role in Role:
                for place in Environment:
                    wanted = not self.edited and name not in self.revoked and role in roles and place in places
                    assert self.counts(name, role, place) is wanted
        if not self.edited:
            assert set(read_trusted(self.home)) == set(self.meant)

    def counts(self, name: str, role: Role, place: Environment) -> bool:
        try:
            answering(self.home, name, role, place, NOW)
        except SafetyRefusalError:
            return False
        return True


TestKeys = Keys.TestCase
TestKeys.settings = settings(max_examples=10, stateful_step_count=15, suppress_health_check=list(HealthCheck))
