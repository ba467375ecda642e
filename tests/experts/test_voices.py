"""Each model that answers for an expert is scored by itself, beside what the playbook would have said."""

from __future__ import annotations

from executor.model.faults.service import DependencyFailure
from executor.model.plan import EdgeTarget
from executor.model.vocabulary import Verdict, Weakness
from experts import voices
from experts.brief import Brief
from experts.expert import proposal_key
from experts.models.offline import OfflineExpert
from experts.models.prompt import critique_prompt
from experts.proposal import OFFLINE, Beside, Critique
from experts.redaction import Redactor
from experts.scene import Scene
from experts.track_record import COMPARED_MIN, against_offline, track_record
from planner.opinions import Opinions
from tests.experts.test_track_record import Said
from tests.planner.systems import bazaar, proposal

MODEL = "openai/GPT-5 mini"
VOICE = "network-engineer.openai-gpt-5-mini"
ASKED = proposal(
    Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure(mode="refuse"), expert="reliability-engineer",
    source="reliability-engineer/soft-dependency-is-hard: a book",
)  # fmt: skip


def test_a_voice_is_the_expert_and_who_answered() -> None:
    assert voices.voice("network-engineer", OFFLINE) == "network-engineer"
    assert voices.voice("network-engineer", MODEL) == VOICE
    assert voices.of(VOICE) == ("network-engineer", "openai-gpt-5-mini")
    assert voices.of("twin") == ("twin", OFFLINE)
    assert len(voices.voice("network-engineer", "x" * 200)) <= 63


def test_an_answer_that_the_playbook_gave_in_the_models_stead_is_the_playbooks() -> None:
    own = proposal(Weakness.HARD_DEPENDENCY, "web->tips", DependencyFailure(), source=f"{MODEL}, network-engineer")
    assert [each.model for each in voices.proposed([own, ASKED], MODEL)] == [MODEL, OFFLINE]


def test_beside_a_models_number_stands_the_playbooks_and_only_the_models_counts() -> None:
    brief = Brief(system=bazaar())
    name = "reliability-engineer"
    asked = [proposal(**{**dict(ASKED), "expert": "network-engineer"})]
    key = proposal_key(asked[0])
    book = OfflineExpert(name).critique(asked, brief)[0].probability
    said = Critique(expert=name, proposal=key, probability=0.9, concern="The model thinks so.")
    critiques = voices.critiqued([said], name, MODEL, asked, brief)
    assert {(each.model, each.probability) for each in critiques} == {(MODEL, 0.9), (OFFLINE, book)}
    own = Opinions(asked, critiques, {}).prediction(asked[0])
    assert dict(own.by) == {"network-engineer": 0.4, name: book, voices.voice(name, MODEL): 0.9}
    alone = Opinions(asked, [said], {}).prediction(asked[0])
    assert own.probability_breaks == alone.probability_breaks, "the playbook's is kept and not counted twice"
    assert voices.spread(dict(own.by)) == (0.4, 0.9)


def test_a_playbook_that_stood_in_is_no_voice_of_the_model() -> None:
    brief = Brief(system=bazaar())
    asked = [proposal(**{**dict(ASKED), "expert": "network-engineer"})]
    given = OfflineExpert("reliability-engineer").critique(asked, brief)
    assert voices.critiqued(given, "reliability-engineer", MODEL, asked, brief) == given


def rows(model: float, book: float, verdict: Verdict, count: int) -> list[Said]:
    return [Said(n, p, verdict, run=f"run-{i}") for i in range(count) for n, p in (
        (VOICE, model), ("network-engineer", book))]  # fmt: skip


def test_a_model_is_held_against_the_playbook_on_what_both_were_asked() -> None:
    others = [Said("network-engineer", 0.01, Verdict.BREAKS, run="run-99")]
    worse = against_offline([*rows(0.2, 0.6, Verdict.BREAKS, COMPARED_MIN), *others])
    assert set(worse) == {VOICE}
    assert worse[VOICE].n == COMPARED_MIN, "what only one was asked tells nothing"
    assert worse[VOICE].worse
    assert not against_offline(rows(0.6, 0.2, Verdict.BREAKS, COMPARED_MIN))[VOICE].worse
    assert not against_offline(rows(0.2, 0.6, Verdict.BREAKS, COMPARED_MIN - 1))[VOICE].worse, "too few to say so"
    assert against_offline(rows(0.2, 0.6, Verdict.INCONCLUSIVE, 9)) == {}


def test_each_voice_has_a_record_of_its_own() -> None:
    assert {record.expert for record in track_record(rows(0.2, 0.6, Verdict.BREAKS, 3))} == {VOICE, "network-engineer"}


def test_a_model_is_told_of_a_combination_and_of_repetition() -> None:
    second = Beside(fault=DependencyFailure(mode="error"), target=EdgeTarget(caller="app", callee="cache"))
    asked = proposal(**{**dict(ASKED), "beside": (second,), "trials": 3})
    brief = Brief(system=bazaar())
    text = critique_prompt(brief, Scene(brief), [asked], Redactor(), may_veto=True)
    assert '"at_the_same_time": [{"fault": "service.dependency_failure mode=error"' in text
    assert '"times": 3' in text
