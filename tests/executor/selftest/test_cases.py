"""Which cases there are: all boundaries, all strikes, random instants, drawn again from the same seed."""

from __future__ import annotations

import json
from collections import Counter

from executor.selftest.cases import Case, boundaries, few, instants, undoing, whole
from executor.selftest.moments import BEHAVIOUR, JOURNAL, NOTES, Boundary
from executor.selftest.strikes import AT_WORK, STRIKES
from executor.selftest.troubles import TROUBLES

EVENTS_S = [0.1 * n for n in range(1, 31)]


def test_the_matrix_has_every_boundary_strike_and_trouble_and_so_many_instants() -> None:
    every = whole(7, 200, EVENTS_S)
    assert Counter(case.sort for case in every)["instant"] == 200
    assert {case.strike for case in every} == {"", *STRIKES, *AT_WORK}
    assert {case.trouble for case in every} == set(TROUBLES)
    struck = {(b.call, b.before) for b in (Boundary.parse(case.boundary) for case in boundaries(7, 1))}
    assert struck == {(call, side) for call in (*JOURNAL, *NOTES, *BEHAVIOUR) for side in (True, False)}
    spread = Counter(case.strike for case in instants(7, 200, EVENTS_S))
    assert set(spread) == set(STRIKES)
    assert max(spread.values()) - min(spread.values()) <= 1
    assert {case.event for case in instants(7, 600, EVENTS_S)} == set(range(len(EVENTS_S)))


def test_a_seed_draws_the_same_cases_again_and_another_seed_others() -> None:
    assert whole(7, 20, EVENTS_S) == whole(7, 20, EVENTS_S)
    assert whole(7, 20, EVENTS_S) != whole(8, 20, EVENTS_S)
    assert few(7, EVENTS_S) == few(7, EVENTS_S)


def test_the_short_look_has_some_of_every_sort() -> None:
    sorts = {case.sort for case in few(3, EVENTS_S)}
    assert sorts == {case.sort for case in whole(3, 1, EVENTS_S)}
    assert {Boundary.parse(c.boundary).call for c in few(3, EVENTS_S) if c.sort == "boundary"} == {
        Boundary.parse(c.boundary).call for c in boundaries(3, 1)
    }


def test_a_case_travels_as_json_and_says_when_it_strikes() -> None:
    for case in [*undoing(1, 1), *few(1, EVENTS_S)]:
        assert Case(**json.loads(json.dumps(case.plain()))) == case
        assert (case.boundary or "after event") in str(case)


def test_a_case_that_came_too_late_is_tried_sooner() -> None:
    late = Case("instant", 1, "kill", event=28, at_s=0.5)
    assert (late.sooner().event, late.sooner().at_s) == (14, 0.25)
    assert Case("boundary", 1, "kill", boundary="after arm 7").sooner().boundary == "after arm 3"
    assert Case("boundary", 1, "kill", boundary="after finish 1").sooner().boundary == "after finish 1"
