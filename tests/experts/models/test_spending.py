"""No limit is passed, however many ask at once; what nobody told is not taken for free."""

from __future__ import annotations

import random
import threading
import time

import pytest

from experts.models.client import ProviderError, Usage
from experts.models.spending import Budget, Price, tokens_at_most

PRICES = {"p/small": Price(1, 2), "p/*": Price(10, 20)}


def refused(budget: Budget, model: str = "p/small", given: tuple[int, int] = (100, 1000)) -> str:
    with pytest.raises(ProviderError) as raised:
        budget.reserve(model, *given)
    assert not raised.value.retry
    return raised.value.message


def test_a_call_that_might_cost_too_much_is_not_made() -> None:
    budget = Budget(tokens=1000)
    assert "the budget of 1000 tokens is spent" in refused(budget, given=(900, 1000))
    assert budget.spent.calls == 0


def test_an_answer_is_asked_for_as_short_as_what_is_left() -> None:
    budget = Budget(tokens=1000)
    reserved = budget.reserve("p/small", 300, 16_000)
    assert reserved.most == Usage(300, 700)
    budget.settle(reserved, Usage(250, 100))
    assert budget.spent.tokens == 350


def test_money_counts_by_the_price_table() -> None:
    budget = Budget(money=0.02, prices=PRICES)
    first = budget.reserve("p/small", 1000, 1000)
    budget.settle(first, Usage(1000, 1000))
    assert budget.spent.money == pytest.approx(0.003)
    shortened = budget.reserve("p/large", 300, 16_000)
    assert shortened.most == Usage(300, 700)
    budget.settle(shortened, None)
    assert budget.spent.money == pytest.approx(0.02)
    assert "the budget of 0.02 is spent" in refused(budget, "p/large")


def test_without_a_price_a_limit_on_money_cannot_be_kept() -> None:
    assert "nobody told what q/x costs" in refused(Budget(money=5, prices=PRICES), "q/x")
    budget = Budget(prices=PRICES)
    budget.settle(budget.reserve("q/x", 10, 1000), Usage(10, 10))
    assert budget.spent.unpriced == ("q/x",)
    assert budget.spent.money == 0


def test_the_price_is_of_the_nearest_name() -> None:
    budget = Budget(prices=PRICES)
    assert budget.price("p/small") == Price(1, 2)
    assert budget.price("p/other") == Price(10, 20)
    assert budget.price("q/other") is None


def test_what_nobody_billed_is_booked_as_what_it_may_have_cost() -> None:
    budget = Budget()
    budget.settle(budget.reserve("p/small", 300, 700), None)
    assert budget.spent.tokens == 1000


def test_calls_and_seconds_end_it_too() -> None:
    budget = Budget(calls=1)
    budget.settle(budget.reserve("p/small", 1, 1000), Usage(1, 1))
    assert refused(budget) == "the budget of 1 calls is spent"
    now = [0.0]
    budget = Budget(seconds=10, clock=lambda: now[0])
    with budget.waiting(), budget.waiting():
        now[0] = 6.0
        assert budget.seconds_left == 4.0, "two who wait at once wait once"
    now[0] = 100.0
    assert budget.spent.seconds == 6.0, "and nobody waits in between"
    with budget.waiting():
        now[0] = 104.0
        assert refused(budget) == "the budget of 10 s of waiting is spent"


def test_what_a_session_spent_before_a_crash_is_spent() -> None:
    budget = Budget(tokens=1000, prices=PRICES)
    budget.resume([("p/small", Usage(500, 100), 3.0)])
    assert (budget.spent.calls, budget.spent.tokens, budget.spent.seconds) == (1, 600, 3.0)
    assert budget.reserve("p/small", 0, 1000).most == Usage(0, 400)


def test_who_finds_too_little_left_waits_for_the_others_bills() -> None:
    budget = Budget(tokens=3000)
    first = budget.reserve("p/small", 1000, 1500)
    found: list[Usage] = []
    other = threading.Thread(target=lambda: found.append(budget.reserve("p/small", 1000, 1500).most))
    other.start()
    other.join(0.2)
    assert other.is_alive()
    budget.settle(first, Usage(400, 100))
    other.join(5)
    assert found == [Usage(1000, 1500)]


def test_no_limit_is_passed_by_any_number_at_once() -> None:
    """Each may use all that it reserved, at random; what is spent stays below at every moment."""
    budget = Budget(calls=10_000, tokens=60_000, money=0.5, prices=PRICES)
    wrong: list[object] = []
    made = 0
    turn = threading.Lock()

    def work(seed: int) -> None:
        nonlocal made
        source = random.Random(seed)
        model = source.choice(("p/small", "p/large"))
        for _ in range(40):
            try:
                reserved = budget.reserve(model, source.randrange(500), source.randrange(400, 4000))
            except ProviderError:
                return
            time.sleep(source.uniform(0, 0.002))
            most = reserved.most
            used = Usage(source.randint(0, most.input_tokens), source.randint(0, most.output_tokens))
            budget.settle(reserved, source.choice((used, most, None)))
            with turn:
                made += 1
            if budget.spent.tokens > 60_000 or budget.spent.money > 0.5 + 1e-9:
                wrong.append(budget.spent)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not wrong
    assert made > 20
    assert budget.spent.tokens > 60_000 * 0.5 or budget.spent.money > 0.25, "and it is used"


@pytest.mark.parametrize("text", ["", "word " * 100, "\U0001f480" * 50, "密码" * 50, '{"a": [1, 2, 3]}' * 20])
def test_an_estimate_is_more_than_the_bytes_can_be(text: str) -> None:
    plain = sum(c.isascii() for c in text)
    assert tokens_at_most(text) >= plain / 2 + (len(text.encode()) - plain)
