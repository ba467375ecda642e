"""Goals in plain words narrow what is planned, and never widen it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.errors import InputError
from executor.model.system import Service, System
from executor.model.vocabulary import Weakness
from experts.brief import Constraints
from planner.goal import understand

SYSTEM = System(name="s", services=tuple(Service(name=n) for n in ("cart", "checkout", "cart-db")))


@pytest.mark.parametrize(
    ("goal", "services", "excluded", "faults", "weaknesses"),
    [
        ("", (), (), (), ()),
        ("only cart and checkout", ("cart", "checkout"), (), (), ()),
        ("is cart-db safe?", ("cart-db",), (), (), ()),
        ("everything, but not checkout", (), ("checkout",), (), ()),
        ("cart, leave out checkout, no data faults", ("cart",), ("checkout",), ("data.*",), ()),
        ("does cart cope without checkout?", ("cart", "checkout"), (), (), ()),
        ("cart without data faults", ("cart",), (), ("data.*",), ()),
        ("any retry storms at cart?", ("cart",), (), (), (Weakness.RETRY_STORM,)),
    ],
)
def test_what_a_goal_names_is_understood(
    goal: str,
    services: tuple[str, ...],
    excluded: tuple[str, ...],
    faults: tuple[str, ...],
    weaknesses: tuple[Weakness, ...],
) -> None:
    wanted, notes = understand(goal, SYSTEM, Constraints())
    assert wanted.services == services
    assert wanted.excluded_services == excluded
    assert wanted.excluded_faults == faults
    assert wanted.weaknesses == weaknesses
    assert bool(notes) == bool(services or excluded or faults or weaknesses)


@given(st.text(max_size=60), st.sets(st.sampled_from(["cart", "checkout"]), min_size=1))
def test_a_goal_never_widens_what_was_given(goal: str, given_services: set[str]) -> None:
    given_constraints = Constraints(services=tuple(sorted(given_services)), excluded_services=("cart-db",))
    wanted, _ = understand(goal, SYSTEM, given_constraints)
    assert set(wanted.services) == given_services
    assert "cart-db" in wanted.excluded_services


def test_one_name_is_spoken_of_as_one() -> None:
    assert understand("only cart", SYSTEM, Constraints())[1] == ("only cart and the edges that touch it",)
    assert understand("cart, checkout", SYSTEM, Constraints())[1] == (
        "only cart, checkout and the edges that touch them",
    )


def test_a_goal_that_leaves_out_what_was_asked_for_is_refused() -> None:
    with pytest.raises(InputError, match="the goal leaves out checkout, --service asks for it"):
        understand("everything, but not checkout", SYSTEM, Constraints(services=("checkout",)))
