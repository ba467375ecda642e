"""An expert for whom a model answers: persona, playbook and brief go out; typed answers come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from executor.model.plan import Experiment
from experts.brief import Brief
from experts.expert import proposal_key
from experts.models import check, prompt
from experts.models.answers import PROPOSALS_MAX, Closed, critiques_shape, predictions_shape, proposals_shape
from experts.models.asking import Asker, Question
from experts.models.client import Client, ProviderError, Reply, Turn
from experts.models.offline import OfflineExpert
from experts.models.part import shown
from experts.models.recordings import ANSWERED, INVALID, Recordings, prompt_digest
from experts.models.saying import Listen, plain
from experts.models.sitting import Sitting
from experts.proposal import Critique, Proposal
from experts.redaction import Redactor
from experts.scene import Scene

T = TypeVar("T")
CRITIQUED_MAX = 80
DROPPED_MAX = 5
"""So many dropped items are named in the notes; the rest are counted."""
ANSWER_SHOWN_MAX = 20_000
"""Characters of a wrong answer that go back with what was wrong."""


class PromptedExpert:
    """One member of the council, answered for by a model.

    An answer that does not hold up is returned once with what is wrong; what still does not is dropped, and said in
    ``notes``. When there is no answer, or nothing in it can be used, the offline expert steps in, and that is said too.
    What the safety officer's playbook vetoes stays vetoed, whatever the model says.
    """

    def __init__(
        self,
        name: str,
        client: Client,
        sitting: Sitting | None = None,
        **asking: Any,
    ) -> None:
        """``asking``: what an ``Asker`` takes besides."""
        self.name = name
        self.model = client.model
        self.notes: list[str] = []
        """What a person should know about how the answers came about: dropped items, stand-ins, spent budgets."""
        self.sitting = sitting or Sitting()
        """What it shares with the other experts of its session."""
        self._asker = Asker(client, self.sitting, **asking)
        self._offline = OfflineExpert(name)

    def attend(self, recordings: Recordings, listen: Listen) -> None:
        """Keep answers there from now on, and say there what comes."""
        self.sitting.open(recordings, listen)

    def propose(self, brief: Brief) -> list[Proposal]:
        """The model's proposals, each one valid and within the constraints; else the playbook's."""
        scene = Scene(brief)
        matches = self._offline.propose(brief)
        if self._may_veto:
            return matches
        source = f"{self.model}, {self.name}"[:400]
        told = matches[: 2 * PROPOSALS_MAX]
        found = self._ask(
            "propose",
            brief,
            lambda hide: prompt.propose_prompt(brief, scene, told, hide),
            proposals_shape(brief, shown(brief, told)),
            lambda item: check.proposal(item, self.name, source, scene),
        )
        return matches if found is None else check.once(found, proposal_key)

    def critique(self, proposals: Sequence[Proposal], brief: Brief) -> list[Critique]:
        """The model's opinion on others' proposals in this expert's field; the playbook's on those beyond one call."""
        by_book = {each.proposal: each for each in self._offline.critique(proposals, brief)}
        chosen = self._in_question(proposals)
        if not chosen:
            return list(by_book.values())
        found = self._ask(
            "critique",
            brief,
            lambda hide: prompt.critique_prompt(brief, Scene(brief), chosen, hide, may_veto=self._may_veto),
            critiques_shape([proposal_key(each) for each in chosen]),
            lambda item: check.critique(item, self.name, may_veto=self._may_veto),
        )
        said = {each.proposal: each for each in found or ()}
        standing = {key: each for key, each in by_book.items() if each.veto}
        return list({**by_book, **said, **standing}.values())

    def predict(self, experiment: Experiment, brief: Brief) -> list[tuple[str, float]]:
        """The model's P(breaks) for the hypotheses it answered for; else the playbook's."""
        found = self._ask(
            "predict",
            brief,
            lambda hide: prompt.predict_prompt(brief, Scene(brief), experiment, hide),
            predictions_shape([hypothesis.id for hypothesis in experiment.hypotheses]),
            lambda item: (str(item["hypothesis"]), float(item["probability"])),
        )
        if found is None:
            return self._offline.predict(experiment, brief)
        return list(dict(found).items())

    @property
    def _may_veto(self) -> bool:
        return bool(self._offline.playbook.vetoes)

    def _in_question(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        field = self._offline.playbook.opinions_on
        unique = {proposal_key(each): each for each in proposals if each.expert != self.name}
        mine = [each for each in unique.values() if self._may_veto or each.weakness in field]
        return sorted(mine, key=lambda each: -each.probability)[:CRITIQUED_MAX]

    def _ask(
        self,
        question: str,
        brief: Brief,
        tell: Callable[[Redactor], str],
        shape: type[Closed],
        make: Callable[[Mapping[str, Any]], T],
    ) -> list[T] | None:
        """Ask, and once more with what was wrong. ``None``: the offline expert must step in; the note says why."""
        keep = prompt.names(brief)
        hide = Redactor(keep)
        system, schema = prompt.system_prompt(self.name), shape.model_json_schema()
        turns: tuple[Turn, ...] = (Turn("user", hide.form(tell(hide))),)
        # under which it is recorded, whatever the environment holds by then
        lasting: tuple[Turn, ...] = (Turn("user", tell(Redactor(keep, {}))),)
        if self.sitting.withheld(hide.count):
            self._note("what looks like secrets or addresses of people was withheld from the models")
        best = check.Checked[T]([], [])
        for last in (False, True):
            digest = prompt_digest(system, lasting, schema)
            try:
                reply, asked = self._asker.ask(Question(self.name, question, system, turns, schema, digest))
            except ProviderError as error:
                if best.good:
                    break
                self._note(f"no answer from {self.model} to {question}: {error.message}; its playbook answers instead")
                return None
            checked = check.check(reply.text, shape, make)
            if reply.cut:
                checked.errors.append("the answer was cut off for want of tokens; say less")
            self.sitting.keep(asked.judged(ANSWERED if not checked.errors else INVALID))
            if checked.good or not best.good:
                best = checked
            if not checked.errors:
                return checked.good
            if not last:
                back = _back(reply, checked.errors)
                turns = (*turns, *(Turn(turn.role, hide.form(turn.text)) for turn in back))
                lasting = (*lasting, *back)
        return self._best(question, best)

    def _best(self, question: str, best: check.Checked[T]) -> list[T] | None:
        """What of an answer can be used; the notes say what not."""
        for wrong in best.errors[:DROPPED_MAX]:
            self._note(f"dropped from {self.model}'s answer to {question}: {wrong[:300]}")
        if len(best.errors) > DROPPED_MAX:
            self._note(f"dropped from {self.model}'s answer to {question}: {len(best.errors) - DROPPED_MAX} more")
        if not best.good:
            self._note(f"nothing in {self.model}'s answer to {question} can be used; its playbook answers instead")
            return None
        return best.good

    def _note(self, text: str) -> None:
        self.notes.append(plain(f"{self.name}: {text}"))


def _back(reply: Reply, errors: Sequence[str]) -> tuple[Turn, Turn]:
    """What goes back to the model: its answer, and what is wrong with it."""
    return Turn("assistant", reply.text[:ANSWER_SHOWN_MAX]), Turn("user", prompt.repair_prompt(errors))
