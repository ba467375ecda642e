"""A run's report as a file."""

from __future__ import annotations

from pathlib import Path

from executor.errors import InputError
from executor.state.home import Home
from knowledge.ledger import Ledger
from knowledge.twin.calibration import foretold
from planner.report import render
from planner.report.run import load


def write(home: Home, run: str, path: Path) -> None:
    """Write the report of ``run``: Markdown if ``path`` ends in ``.md``, else one HTML page.

    Raises ``InputError`` if there is no such run or the file cannot be written; no half file is left.
    """
    with Ledger.open(home) as ledger:
        findings = tuple(found for found in ledger.findings() if found.run == run)
        found = load(home, run, findings, lambda system: foretold(ledger, system))
    put(render.markdown(found) if path.suffix == ".md" else render.html(found), path)


def put(text: str, path: Path) -> None:
    """Write a file whole or not at all. Raises ``InputError`` if it cannot be written."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"cannot be written: {error.strerror}.", where=str(path)) from None
