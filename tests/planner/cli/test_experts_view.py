"""Who was right, and where experts disagree, at a glance."""

from __future__ import annotations

import io

from rich.console import Console

from executor.model.plan import Plan, Prediction
from executor.model.vocabulary import Verdict
from experts.track_record import against_offline, track_record
from planner.cli import experts_view, plan_view
from planner.cli.output import THEME
from tests.experts.test_voices import VOICE, rows
from tests.planner.systems import bazaar, compiled
from tests.planner.test_compile import planned, several


def shown(render: object, *args: object) -> str:
    out = Console(theme=THEME, width=200, record=True, file=io.StringIO())
    render(*args, out)  # type: ignore[operator]
    return out.export_text()


def test_the_table_has_a_row_for_each_expert_and_model_and_marks_who_is_worse_than_its_playbook() -> None:
    said = rows(0.2, 0.6, Verdict.BREAKS, 6)
    text = shown(experts_view.show, track_record(said), against_offline(said))
    lines = [line for line in text.splitlines() if line.startswith("network-engineer")]
    assert any("openai-gpt-5-mini" in line and "worse, 1.609 to 0.511 of 6" in line for line in lines)
    assert any("offline" in line and "worse" not in line for line in lines)
    assert f"Worse than its playbook alone: {VOICE}." in text
    assert "missing timeout 1.61 (6)" in text


def test_one_that_is_better_is_not_marked() -> None:
    said = rows(0.7, 0.6, Verdict.BREAKS, 6)
    assert "Worse" not in shown(experts_view.show, track_record(said), against_offline(said))


def test_who_says_what_and_how_far_apart_they_are() -> None:
    said = Prediction(probability_breaks=0.4, by=(("data-engineer", 0.2), ("twin", 0.7)))
    assert plan_view.opinions(said) == "twin 70%, data-engineer 20%: they disagree (50 points apart)"
    near = Prediction(probability_breaks=0.4, by=(("data-engineer", 0.4), ("twin", 0.5)))
    assert "they agree (10 points apart)" in plan_view.opinions(near)
    assert plan_view.opinions(Prediction(probability_breaks=0.4, by=(("twin", 0.4),))) == "only twin 40%"
    assert plan_view.opinions(Prediction(probability_breaks=0.4)) == ""


def test_a_plan_shows_it_in_full_and_in_the_overview() -> None:
    plan = planned(bazaar(), compiled(*several()))
    named = {name for e in plan.experiments for h in e.hypotheses for name, _ in h.prediction.by}
    text = shown(plan_view.show, plan)
    assert named
    assert all(name in text for name in named)
    nameless = plan.model_dump()
    for stage in nameless["stages"]:
        for experiment in stage["experiments"]:
            for hypothesis in experiment["hypotheses"]:
                hypothesis["prediction"]["by"] = ()
    table = plan_view.overview(Plan.model_validate(nameless))
    assert list(table.columns[-1].cells) == ["" for _ in plan.experiments]
    cells = list(plan_view.overview(plan).columns[-1].cells)
    assert all("%" in str(cell) for cell in cells)
