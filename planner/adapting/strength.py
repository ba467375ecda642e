"""How strong a fault is, as a number, and the same fault at another strength."""

from __future__ import annotations

from executor.model.faults import Fault

_HALF = 0.5


def axis(fault: Fault) -> str | None:
    """The parameter that ``Fault.at`` changes, the first if several; ``None``: it is there or it is not."""
    half = fault.at(_HALF)
    if half is None:
        return None
    was, now = fault.model_dump(), half.model_dump()
    return next((name for name in type(fault).model_fields if was[name] != now[name]), None)


def alike(one: Fault, other: Fault) -> bool:
    """Whether they differ in nothing but strength."""
    half_one, half_other = one.at(_HALF), other.at(_HALF)
    if one.kind != other.kind or half_one is None or half_other is None:
        return False
    pairs = ((one.model_dump(), half_one.model_dump()), (other.model_dump(), half_other.model_dump()))
    moved = {name for was, now in pairs for name in was if was[name] != now[name]}
    (first, _), (second, _) = pairs
    return all(first[name] == second[name] for name in first if name not in moved)


def share(fault: Fault, of: Fault) -> float:
    """How strong one fault is beside another that it is ``alike``: 1 as strong, near 0 hardly there.

    Every ``Fault.at`` is linear in its share, whichever way its parameter goes. Raises ``ValueError`` for faults
    without strength.
    """
    name, half = axis(of), of.at(_HALF)
    if name is None or half is None:
        raise ValueError(f"{of.kind} has no strength")
    full = float(getattr(of, name))
    nothing = 2 * float(getattr(half, name)) - full
    return (float(getattr(fault, name)) - nothing) / (full - nothing)


def weaker(fault: Fault, to: float) -> Fault | None:
    """The fault at a share of its strength, 0 to 1, rounded to what a person would write; ``None`` if that is none."""
    made = fault.at(to)
    if made is None:
        return None
    fields = {
        name: float(f"{value:.3g}")
        for name, value in made.model_dump().items()
        if isinstance(value, float) and value != getattr(fault, name)
    }
    return type(made).model_validate({**made.model_dump(), **fields})
