"""How places that are like it lean a prior: by likeness and age, each place once, and no system drowns the others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.model.vocabulary import FaultType, Verdict, Weakness
from knowledge.beliefs.prior import NEIGHBOUR_MIN, NEIGHBOURS_STRENGTH_MAX, prior
from knowledge.neighbours import Neighbour
from tests.knowledge.beliefs.rows import exposed, result

HARD = Weakness.HARD_DEPENDENCY
RATE = (0.3, "x")


def near(
    verdict: Verdict = Verdict.BREAKS,
    *,
    system: str = "other",
    place: str = "front->back",
    similarity: float = 0.9,
    recency: float = 1.0,
    number: int = 1,
    kind: FaultType = FaultType.REFUSED,
) -> Neighbour:
    row = result(HARD, place, verdict, exposed(kind, place), system=system, number=number)
    return Neighbour(row, similarity, recency)


def believed(*neighbours: Neighbour) -> float:
    return prior(HARD, RATE, neighbours).probability


def test_likeness_and_age_are_weighed():
    one = believed(near())
    assert RATE[0] < believed(near(similarity=0.7)) < one
    assert RATE[0] < believed(near(recency=0.25)) < believed(near(recency=0.5)) < one
    assert believed(near(similarity=NEIGHBOUR_MIN - 0.01)) == pytest.approx(RATE[0])


def test_one_system_with_many_places_does_not_drown_another():
    crowd = [near(Verdict.BREAKS, system="crowd", place=f"a{n}->b{n}") for n in range(30)]
    lone = [near(Verdict.HOLDS, system=name) for name in ("one", "two", "three")]
    assert believed(*crowd) < believed(near(system="a"), near(system="b"), near(system="c"))
    told = prior(HARD, RATE, (*crowd, *lone)).leans
    share = sum(lean.count for lean in told if lean.system == "crowd") / sum(lean.count for lean in told)
    assert share < 0.55
    assert believed(*crowd, *lone) < believed(*crowd[:1]) + 0.1


def test_a_place_counts_once_however_often_it_was_tried():
    often = [near(number=n) for n in range(1, 40)]
    assert believed(*often) == pytest.approx(believed(often[0]))


def test_of_one_place_the_latest_under_each_type_counts_and_one_that_broke_decides():
    broke, later = near(number=1), near(Verdict.HOLDS, number=2)
    assert believed(broke, later) < RATE[0], "mended since"
    other = near(Verdict.HOLDS, number=2, kind=FaultType.SILENT)
    assert believed(broke, other) == pytest.approx(believed(broke)), "another type of fault takes nothing back"


def test_a_hold_tells_as_much_as_its_experiment_could_see():
    seen = near(Verdict.HOLDS)
    blind = replace(seen, row=replace(seen.row, exposure=exposed(FaultType.REFUSED, "a->b")))
    assert believed(seen) < RATE[0]
    assert believed(blind) == pytest.approx(RATE[0])


def test_what_each_moved_adds_up_and_all_together_only_lean():
    told = prior(HARD, RATE, [near(system=f"s{n}") for n in range(40)])
    assert sum(lean.count for lean in told.leans) == pytest.approx(NEIGHBOURS_STRENGTH_MAX)
    assert told.leans[0].before == pytest.approx(RATE[0])
    assert told.leans[-1].after == pytest.approx(told.probability)
    assert all(lean.bits > 0 for lean in told.leans)
    assert told.probability < 0.75


@given(
    st.lists(
        st.builds(
            near,
            st.sampled_from([Verdict.HOLDS, Verdict.BREAKS, Verdict.ABORTED]),
            system=st.sampled_from("abc"),
            place=st.sampled_from(["front->back", "back->db"]),
            similarity=st.floats(0, 1),
            recency=st.floats(0, 1),
            number=st.integers(1, 9),
        ),
        max_size=8,
        unique_by=lambda n: (n.row.system, n.row.place, n.row.run),
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_they_are_told_does_not_matter(neighbours, rng):
    shuffled = list(neighbours)
    rng.shuffle(shuffled)
    assert believed(*shuffled) == pytest.approx(believed(*neighbours), abs=1e-12)
    assert 0 < believed(*neighbours) < 1
