"""References to secrets are resolved when used; errors name the reference and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from executor.errors import UnavailableError
from executor.secrets import reveal


def test_from_the_environment_and_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("A_DSN", "redis://:canary@127.0.0.1/0")
    file = tmp_path / "dsn"
    file.write_text("postgresql://canary\n")
    assert reveal("env:A_DSN") == "redis://:canary@127.0.0.1/0"
    assert reveal(f"file:{file}") == "postgresql://canary"


def test_what_is_missing_or_empty_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AN_EMPTY_ONE", "")
    for reference, why in (
        ("env:NOT_SET_AT_ALL", "the environment variable NOT_SET_AT_ALL is not set"),
        (f"file:{tmp_path}/none", "No such file"),
        ("env:AN_EMPTY_ONE", "is empty"),
    ):
        with pytest.raises(UnavailableError, match=why) as caught:
            reveal(reference)
        assert caught.value.where == reference
