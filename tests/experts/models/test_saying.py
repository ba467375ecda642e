"""What an expert says is told while it comes."""

from __future__ import annotations

import json
from itertools import pairwise

from experts.models.saying import Said, Saying

ANSWER = json.dumps(
    {
        "proposals": [
            {
                "weakness": "missing_timeout",
                "place": "a->b",
                "rationale": "Nothing \x1b[31mshows\u202e a limit.",
                "remedy": "x",
            },
            {"weakness": "retry_storm", "place": "c->d", "rationale": "It retries.", "remedy": "y"},
        ]
    }
)


def heard(text: str, step: int, every_s: float = 1.0) -> list[Said]:
    told: list[Said] = []
    now = [0.0]
    saying = Saying("historian", "openai/m", "propose", told.append, lambda: now[0])
    for at in range(0, len(text), step):
        saying(text[at : at + step])
        now[0] += every_s
    saying.tell()
    return told


def test_each_item_grows_until_the_next_begins() -> None:
    told = heard(ANSWER, 7)
    first = [said for said in told if said.number == 0]
    assert len(first) > 3
    for before, after in pairwise(first):
        assert after.text.startswith(before.text.rstrip())
    assert first[-1].text == "Nothing [31mshows a limit."
    assert first[-1].about == "missing_timeout at a->b"
    assert told[-1] == Said("historian", "openai/m", "propose", 1, "retry_storm at c->d", "It retries.")


def test_a_listener_is_told_no_oftener_than_can_be_read() -> None:
    assert len(heard(ANSWER, 1, every_s=0.001)) < len(ANSWER) / 20


def test_all_that_came_at_once_is_told_at_once() -> None:
    assert [said.number for said in heard(ANSWER, len(ANSWER))] == [0, 1]


def test_what_is_no_answer_is_not_told() -> None:
    for text in (
        "I would rather not.",
        "[" * 100_000,
        '{"proposals": 3}',
        "[]",
        '{"proposals": ["x", 4, null]}',
        "null",
    ):
        assert heard(text, 50) == []
