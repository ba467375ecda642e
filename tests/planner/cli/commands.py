"""Commands as a person gives them, in this process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from executor.errors import MurphyError
from planner.cli.main import app


def murphy(*arguments: str) -> int:
    """Run ``murphy ARGUMENTS``; its exit code."""
    return int(app(list(arguments), standalone_mode=False) or 0)


def refused(*arguments: str) -> str:
    """What ``murphy ARGUMENTS`` says when it refuses."""
    with pytest.raises(MurphyError) as caught:
        murphy(*arguments)
    return str(caught.value)


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON that ``murphy ARGUMENTS --json`` prints."""
    capsys.readouterr()
    assert murphy(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)
