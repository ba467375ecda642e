"""How the terminal shows what the validators say."""

from __future__ import annotations

import pytest

from executor.model.evidence import Evidence, Validation
from executor.model.vocabulary import Verdict
from planner.cli import results_view
from tests.knowledge.runs import Case, evidence_of, plan_of, small_system


def _evidence(*said: Validation) -> Evidence:
    cases = (Case(Verdict.HOLDS),)
    made = evidence_of(cases, plan_of(cases, small_system())).model_dump()
    (result,) = made["results"]
    return Evidence.model_validate({**made, "results": ({**result, "validations": said},)})


def test_each_is_told_with_its_verdict_and_what_was_expected(capsys: pytest.CaptureFixture[str]) -> None:
    said = [
        Validation(
            validator="retry_discipline",
            of="front->back",
            verdict=verdict,
            measured=f"[bold]{number}.00 × the calls",
            expected="at most 3 ×",
        )
        for number, verdict in enumerate((Verdict.HOLDS, Verdict.BREAKS, Verdict.INCONCLUSIVE))
    ]
    results_view.validations(_evidence(*said))
    shown = capsys.readouterr().out
    assert "Resilience validation" in shown
    for number, verdict in enumerate(("holds", "breaks", "inconclusive")):
        (row,) = [line for line in shown.splitlines() if f"  {verdict}  " in line]
        for word in ("retry discipline", "front->back", f"[bold]{number}.00 ×", "at most 3 ×"):
            assert word in row


def test_where_none_says_anything_there_is_no_table(capsys: pytest.CaptureFixture[str]) -> None:
    results_view.validations(_evidence())
    assert capsys.readouterr().out == ""
