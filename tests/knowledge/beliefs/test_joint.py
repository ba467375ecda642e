"""One experiment bears on several beliefs: explaining away, by cases whose truth is made."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executor.model.vocabulary import FaultType, Verdict, Weakness
from knowledge.beliefs.belief import SHOWN_MIN, Key
from knowledge.beliefs.outcomes import outcomes, standing
from knowledge.beliefs.trace import trace
from knowledge.beliefs.update import Weighed, weighed
from knowledge.exposure import Judged
from knowledge.rows import PastRow
from knowledge.sensitivity import FALSE_ALARM
from tests.knowledge.beliefs.rows import NOW, exposed, result
from tests.knowledge.runs import small_system

HOLDS, BREAKS = Verdict.HOLDS, Verdict.BREAKS
HARD, RETRY, DEGRADE = Weakness.HARD_DEPENDENCY, Weakness.MISSING_RETRY, Weakness.NO_GRACEFUL_DEGRADATION
BACK, SIDE, DB = (HARD, "front->back"), (HARD, "front->side"), (HARD, "back->db")
SPOF = (Weakness.SINGLE_POINT_OF_FAILURE, "back")
RATES: dict[Key, tuple[float, str]] = {
    BACK: (0.4, "x"),
    SIDE: (0.15, "x"),
    DB: (0.2, "x"),
    SPOF: (0.3, "x"),
    (DEGRADE, "front->back"): (0.25, "x"),
    (RETRY, "front->back"): (0.3, "x"),
    (Weakness.MISSING_TIMEOUT, "front->back"): (0.35, "x"),
}
BOTH = exposed(FaultType.REFUSED, "front->back", "front->side")
ONLY_BACK, ONLY_SIDE = exposed(FaultType.REFUSED, "front->back"), exposed(FaultType.REFUSED, "front->side")


def made(*rows: PastRow) -> Weighed:
    return weighed(small_system(), RATES, rows, None, now=NOW)


def believed(*rows: PastRow) -> dict[Key, float]:
    return {(b.weakness, b.place): b.probability for b in made(*rows).beliefs}


PRIOR = believed()


def test_without_results_beliefs_are_their_base_rates():
    assert pytest.approx({key: rate for key, (rate, _) in RATES.items()}) == PRIOR


def test_what_broke_where_two_were_struck_raises_the_likeliest_most():
    """Both edges were refused at once, and the page that uses both failed: either may be hard."""
    both = (result(*BACK, BREAKS, BOTH), result(*SIDE, BREAKS, BOTH))
    after = believed(*both)
    assert after[BACK] > 0.75
    assert PRIOR[SIDE] < after[SIDE] < 0.4
    assert after[BACK] + after[SIDE] >= SHOWN_MIN


def test_once_one_is_confirmed_alone_the_other_falls_back():
    both = (result(*BACK, BREAKS, BOTH), result(*SIDE, BREAKS, BOTH))
    confirmed = believed(*both, result(*BACK, BREAKS, ONLY_BACK, number=2))
    assert confirmed[BACK] >= SHOWN_MIN
    assert confirmed[SIDE] < believed(*both)[SIDE] - 0.05
    assert confirmed[SIDE] == pytest.approx(PRIOR[SIDE], abs=0.06)


def test_once_one_is_cleared_alone_the_other_must_be_it():
    both = (result(*BACK, BREAKS, BOTH), result(*SIDE, BREAKS, BOTH))
    cleared = believed(*both, result(*BACK, HOLDS, ONLY_BACK, number=2))
    assert cleared[SIDE] > believed(*both)[SIDE] + 0.15
    assert cleared[BACK] < believed(*both)[BACK]


def test_what_was_not_named_explains_too_and_less():
    """The plan named one edge; the fault struck another too, over which the same page calls."""
    after = believed(result(*BACK, BREAKS, BOTH))
    assert PRIOR[SIDE] < after[SIDE] < after[BACK]


def test_what_held_lowers_all_that_would_have_shown_and_nothing_else():
    after = believed(result(*BACK, HOLDS, BOTH))
    assert after[BACK] < 0.2
    assert after[SIDE] < PRIOR[SIDE] - 0.03
    untouched = [DB, SPOF, (Weakness.MISSING_TIMEOUT, "front->back")]
    assert {key: after[key] for key in untouched} == {key: PRIOR[key] for key in untouched}


def test_what_a_plan_says_by_one_criterion_is_said_once():
    """Two hypotheses judged by the same answers of the same check are one observation, which either explains."""
    struck = exposed(FaultType.SERVER_ERROR, "front->back")
    after = believed(result(*BACK, BREAKS, struck), result(DEGRADE, "front->back", BREAKS, struck))
    assert 0.5 < after[BACK] < SHOWN_MIN
    assert 0.3 < after[DEGRADE, "front->back"] < after[BACK]
    apart = exposed(FaultType.SERVER_ERROR, "front->back", judged=Judged("steady_state", checks=("home",), after_s=1))
    twice = believed(result(*BACK, BREAKS, struck), result(DEGRADE, "front->back", BREAKS, apart))
    assert twice[BACK] > after[BACK]


def test_what_was_shown_is_told_however_many_explain_it():
    struck = exposed(FaultType.SERVER_ERROR, "front->back")
    rows = (result(*BACK, BREAKS, struck), result(DEGRADE, "front->back", BREAKS, struck))
    assert {(b.weakness, b.place) for b in made(*rows).beliefs if b.shown} == {BACK, (DEGRADE, "front->back")}
    mended = (*rows, result(*BACK, HOLDS, struck, number=2), result(DEGRADE, "front->back", HOLDS, struck, number=2))
    assert not [b for b in made(*mended).beliefs if b.shown]


def test_what_a_plan_tried_where_nobody_expected_it_is_believed_too():
    strange = (Weakness.STALE_CREDENTIALS, "front->back")
    gone = (HARD, "front->gone")
    found = believed(result(*strange, HOLDS, ONLY_BACK), result(*gone, BREAKS, exposed(FaultType.REFUSED, gone[1])))
    assert found.keys() == {*RATES, strange}, "and not where there is nothing any more"


def test_beliefs_come_true_as_often_as_they_say():
    """Worlds drawn from the priors, and what experiments would give in them: in each fifth, said and true are near."""
    rng = random.Random(5)
    said: list[tuple[float, bool]] = []
    exposures = [
        exposed(kind, *edges)
        for kind in (FaultType.REFUSED, FaultType.SERVER_ERROR)
        for edges in (("front->back",), ("front->side",), ("front->back", "front->side"))
    ]
    for _ in range(400):
        there = {key: rng.random() < rate for key, (rate, _) in RATES.items()}
        rows = []
        for number, exposure in enumerate(rng.sample(exposures, 3), 1):
            aim = BACK if "front->back" in exposure.strikes[0].edges else SIDE
            (one,) = outcomes([result(*aim, HOLDS, exposure, number=number)], RATES)
            hidden = 1 - FALSE_ALARM
            for key, cause in one.causes.items():
                hidden *= 1 - cause.shows if there[key] else 1.0
            rows.append(result(*aim, BREAKS if rng.random() > hidden else HOLDS, exposure, number=number))
        said += [(probability, there[key]) for key, probability in believed(*rows).items()]
    for low in (0.0, 0.2, 0.4, 0.6, 0.8):
        fifth = [(probability, true) for probability, true in said if low <= probability < low + 0.2]
        mean, came = (sum(each[n] for each in fifth) / len(fifth) for n in (0, 1))
        assert mean == pytest.approx(came, abs=0.08), (low, len(fifth))


def test_a_weaker_test_does_not_take_back_what_a_stronger_one_has_shown():
    waits = (Weakness.MISSING_TIMEOUT, "front->back")
    judged = Judged("bounded_latency", checks=("home",), limit_ms=1500)
    strong, weak = (exposed(FaultType.SLOW, "front->back", judged=judged, delay_ms=ms) for ms in (4000.0, 1600.0))
    broke = result(*waits, BREAKS, strong)
    assert believed(broke, result(*waits, HOLDS, weak, number=2))[waits] >= SHOWN_MIN - 1e-6
    assert believed(broke, result(*waits, HOLDS, strong, number=2))[waits] < 0.5


BLIND = (
    exposed(FaultType.REFUSED, "other->edge"),
    exposed(FaultType.REFUSED, "front->back", judged=Judged("steady_state", checks=("about",))),
    exposed(FaultType.REFUSED, "front->back", judged=Judged("detected_within", of="side", within_s=3)),
)


@pytest.mark.parametrize("exposure", BLIND)
def test_a_blind_experiment_that_held_moves_nothing(exposure):
    assert believed(result(*BACK, HOLDS, exposure)) == pytest.approx(PRIOR, abs=1e-12)


def test_what_decided_nothing_moves_nothing():
    for verdict in (Verdict.INCONCLUSIVE, Verdict.ABORTED):
        assert believed(result(*BACK, verdict, BOTH)) == PRIOR


keys = st.sampled_from([BACK, SIDE, DB, (DEGRADE, "front->back"), (RETRY, "front->back")])
results = st.lists(
    st.builds(
        lambda key, verdict, exposure: (key, verdict, exposure),
        keys,
        st.sampled_from([HOLDS, BREAKS, Verdict.INCONCLUSIVE]),
        st.sampled_from([BOTH, ONLY_BACK, ONLY_SIDE, exposed(FaultType.SERVER_ERROR, "back->db"), *BLIND, None]),
    ),
    max_size=6,
)


def rows_of(drawn: Sequence[tuple[Key, Verdict, object]]) -> list[PastRow]:
    return [result(*key, verdict, exposure, number=n) for n, (key, verdict, exposure) in enumerate(drawn, 1)]  # type: ignore[arg-type]


@given(results, st.randoms(use_true_random=False))
def test_in_whatever_order_the_ledger_tells_them(drawn, rng):
    rows = rows_of(drawn)
    shuffled = list(rows)
    rng.shuffle(shuffled)
    assert believed(*shuffled) == pytest.approx(believed(*rows), abs=1e-9)


@given(results)
def test_nothing_is_ever_certain(drawn):
    assert all(0 < each < 1 for each in believed(*rows_of(drawn)).values())


@given(results, keys)
def test_one_more_hold_never_raises_what_it_would_have_shown_by_itself(drawn, key):
    """Where nothing has broken yet: what broke is explained anew by whatever a hold leaves."""
    rows = [row for row in rows_of(drawn) if row.verdict is not BREAKS]
    more = result(*key, HOLDS, BOTH, number=99)
    assert believed(*rows, more)[key] <= believed(*rows)[key] + 1e-9


def test_against_enumeration_of_every_state():
    """The whole way from rows to beliefs, by definition: priors, holds, and what broke, without any floor."""
    rows = [
        result(*BACK, BREAKS, BOTH),
        result(*SIDE, BREAKS, BOTH),
        result(*SIDE, HOLDS, exposed(FaultType.SERVER_ERROR, "front->side"), number=2),
        result(RETRY, "front->back", HOLDS, exposed(FaultType.INTERMITTENT, "front->back"), number=3),
    ]
    told = outcomes(rows, RATES)
    total, present = 0.0, dict.fromkeys(RATES, 0.0)
    for state in itertools.product((False, True), repeat=len(RATES)):
        there = dict(zip(RATES, state, strict=True))
        weight = 1.0
        for key, (rate, _) in RATES.items():
            weight *= rate if there[key] else 1 - rate
        for one in told:
            held = 1 - FALSE_ALARM
            for key, cause in one.causes.items():
                held *= 1 - cause.shows if there[key] else 1.0
            weight *= 1 - held if one.broke else held
        total += weight
        for key in RATES:
            present[key] += weight if there[key] else 0
    exact = {key: each / total for key, each in present.items()}
    assert 1 - (1 - exact[BACK]) * (1 - exact[SIDE]) > SHOWN_MIN - 0.2
    assert believed(*rows) == pytest.approx(exact, abs=0.02)  # what held fades within a day; and the floor


def test_why_ends_at_the_belief_and_names_who_else_explains_it():
    rows = (
        result(*BACK, BREAKS, BOTH),
        result(*SIDE, BREAKS, BOTH),
        result(*BACK, Verdict.INCONCLUSIVE, ONLY_BACK, number=2),
        result(*BACK, BREAKS, ONLY_BACK, number=3),
        result(*DB, HOLDS, exposed(FaultType.REFUSED, "back->db"), number=4),
    )
    known = made(*rows)
    side = next(b for b in known.beliefs if (b.weakness, b.place) == SIDE)
    told = trace(side, known)
    first, second = told.moves
    assert (first.run, first.how, second.run, second.how) == ("run-1", "meant", "run-3", "elsewhere")
    assert first.before == pytest.approx(told.prior.probability)
    assert first.after == second.before
    assert second.after == pytest.approx(side.probability, abs=1e-9)
    assert first.bits > 0 > second.bits
    assert (first.partners[0].weakness, first.partners[0].place) == BACK

    back = trace(next(b for b in known.beliefs if (b.weakness, b.place) == BACK), known)
    assert [(m.run, m.verdict, m.how) for m in back.moves] == [
        ("run-1", "breaks", "meant"),
        ("run-2", "inconclusive", "nothing"),
        ("run-3", "breaks", "meant"),
    ]
    assert back.moves[1].bits == 0


@settings(max_examples=25)
@given(results)
def test_why_always_ends_at_the_belief(drawn):
    known = made(*rows_of(drawn))
    for belief in known.beliefs:
        told = trace(belief, known)
        whole = [move for move in told.moves if move.how != "nothing"]
        end = whole[-1].after if whole else told.prior.probability
        assert end == pytest.approx(belief.probability, abs=2e-3)


def test_what_was_replaced_is_still_told_and_says_so():
    rows = (result(*BACK, BREAKS, ONLY_BACK), result(*BACK, HOLDS, ONLY_BACK, number=2))
    known = made(*rows)
    back = trace(next(b for b in known.beliefs if (b.weakness, b.place) == BACK), known)
    assert [move.stands for move in back.moves] == [False, True]
    assert len(standing(outcomes(rows, RATES))) == 1
