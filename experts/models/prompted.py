"""An expert for whom a model answers: persona, playbook and brief go out; typed answers come back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from executor.model.digest import digest
from executor.model.plan import Experiment
from experts.brief import Brief
from experts.expert import proposal_key
from experts.models import check, prompt
from experts.models.answers import PROPOSALS_MAX, Closed, critiques_shape, predictions_shape, proposals_shape
from experts.models.client import Asked, Budget, Client, ProviderError, Reply, Turn
from experts.models.offline import OfflineExpert
from experts.proposal import Critique, Proposal
from experts.scene import Scene

T = TypeVar("T")
CALL_S = 120.0
ANSWER_TOKENS = 16_000
ATTEMPTS = 3
CRITIQUED_MAX = 80
_BACKOFF_S = 0.5
_BACKOFF_S_MAX = 20.0


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
        budget: Budget | None = None,
        *,
        call_s: float = CALL_S,
        attempts: int = ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
        random_source: random.Random | None = None,
    ) -> None:
        self.name = name
        self.model = client.model
        self.notes: list[str] = []
        """What a person should know about how the answers came about: dropped items, stand-ins, spent budgets."""
        self.records: list[Asked] = []
        """Every question with its raw answer."""
        self._client = client
        self._budget = budget or Budget()
        self._call_s = call_s
        self._attempts = attempts
        self._sleep = sleep
        self._random = random_source or random.Random()
        self._offline = OfflineExpert(name)

    def propose(self, brief: Brief) -> list[Proposal]:
        """The model's proposals, each one valid and within the constraints; else the playbook's."""
        scene = Scene(brief)
        matches = self._offline.propose(brief)
        if self._may_veto:
            return matches
        source = f"{self.model}, {self.name}"[:400]
        found = self._ask(
            "propose",
            prompt.propose_prompt(brief, scene, matches[: 2 * PROPOSALS_MAX]),
            proposals_shape(brief, scene.view),
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
            prompt.critique_prompt(brief, Scene(brief), chosen, may_veto=self._may_veto),
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
            prompt.predict_prompt(brief, Scene(brief), experiment),
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
        self, question: str, text: str, shape: type[Closed], make: Callable[[Mapping[str, Any]], T]
    ) -> list[T] | None:
        """Ask, and once more with what was wrong. ``None``: the offline expert must step in; the note says why."""
        turns: tuple[Turn, ...] = (Turn("user", text),)
        best = check.Checked[T]([], [])
        for last in (False, True):
            try:
                reply = self._call(question, turns, shape)
            except ProviderError as error:
                if best.good:
                    break
                self._note(f"no answer from {self.model} to {question}: {error.message}; its playbook answers instead")
                return None
            checked = check.check(reply.text, shape, make)
            if reply.cut:
                checked.errors.append("the answer was cut off for want of tokens; say less")
            if checked.good or not best.errors:
                best = checked
            if not checked.errors:
                return checked.good
            if not last:
                turns = (*turns, Turn("assistant", reply.text), Turn("user", prompt.repair_prompt(checked.errors)))
        for wrong in best.errors:
            self._note(f"dropped from {self.model}'s answer to {question}: {wrong[:300]}")
        if not best.good:
            self._note(f"nothing in {self.model}'s answer to {question} can be used; its playbook answers instead")
            return None
        return best.good

    def _call(self, question: str, turns: tuple[Turn, ...], shape: type[Closed]) -> Reply:
        """One answer, after retries with full jitter, within the budget. Raises ``ProviderError``.

        Source: "Exponential Backoff and Jitter", AWS Architecture Blog, 2015 (full jitter).
        """
        system, schema = prompt.system_prompt(self.name), shape.model_json_schema()
        for attempt in range(self._attempts):
            spent = self._budget.begin()
            if spent:
                raise ProviderError(spent, retry=False)
            began = time.monotonic()
            reply: Reply | None = None
            outcome = "answered"
            try:
                reply = self._client.answer(
                    system,
                    turns,
                    schema,
                    timeout_s=max(0.05, min(self._call_s, self._budget.seconds_left)),
                    tokens_max=ANSWER_TOKENS,
                )
            except ProviderError as error:
                outcome = error.message
                if not error.retry or attempt + 1 == self._attempts:
                    raise
                wait = error.after_s
            finally:
                self._book(question, system, turns, reply, outcome, time.monotonic() - began)
            if reply is not None:
                return reply
            if wait is None:
                wait = self._random.uniform(0, _BACKOFF_S * 2**attempt)
            self._sleep(min(wait, _BACKOFF_S_MAX, self._budget.seconds_left))
        raise AssertionError("a last attempt returns or raises")

    def _book(
        self, question: str, system: str, turns: tuple[Turn, ...], reply: Reply | None, outcome: str, seconds: float
    ) -> None:
        used = (reply.input_tokens, reply.output_tokens) if reply else (0, 0)
        self._budget.spend(tokens=sum(used), seconds=seconds)
        said = {"system": system, "turns": [[turn.role, turn.text] for turn in turns]}
        self.records.append(
            Asked(
                expert=self.name,
                question=question,
                model=self.model,
                temperature=self._client.temperature,
                prompt_digest=digest(said),
                raw=reply.text if reply else "",
                outcome=outcome,
                input_tokens=used[0],
                output_tokens=used[1],
                seconds=round(seconds, 3),
            )
        )

    def _note(self, text: str) -> None:
        self.notes.append(f"{self.name}: {text}")
