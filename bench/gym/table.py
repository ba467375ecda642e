"""From the measurements of many seeds to a table: medians, with 95 % bootstrap intervals over the seeds."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from bench.gym.score import SHARE, wanted
from bench.gym.seed import OURS, RANDOM
from executor.measure.intervals import bootstrap

Seeds = Sequence[dict[str, Any]]
TARGET_RATIO, TARGET_PRECISION, TARGET_LEARNED = 3.0, 0.95, 0.30


def table(seeds: Seeds) -> str:
    """What a person reads."""
    return "\n".join(
        [*_head(seeds), "", *_searches(seeds), "", *_targets(seeds), "", *_curve(seeds), "", *_left(seeds)]
    )


def summary(seeds: Seeds) -> dict[str, Any]:
    """The same figures, as JSON has them: each as median, low, high."""
    found: dict[str, Any] = {"seeds": len(seeds)}
    for name in _names(seeds):
        found[name] = {key: _over(seeds, _value(name, key)) for key in _KEYS}
    found["ratio"] = _over(seeds, _ratio)
    found["ratio_for_as_many"] = _over(seeds, as_many)
    found["precision"] = _precision(seeds)
    found["learned"] = _learned(seeds)
    return found


_KEYS = ("first", "to_share", "area", "recall", "risk")


def _head(seeds: Seeds) -> Iterator[str]:
    first = seeds[0]
    findable = statistics.fmean(len(each["findable"]) / len(each["planted"]) for each in seeds)
    yield (
        f"{len(seeds)} systems of about {first['services']} services and {first['edges']} edges, "
        f"{len(first['planted'])} weaknesses planted in each; {_mid(each['candidates'] for each in seeds):.0f} "
        f"candidate experiments (median), which can show {findable:.0%} of what is planted."
    )
    known = [each["fewest"] for each in seeds if each.get("fewest") is not None]
    if known:
        yield f"Whoever knew all outcomes beforehand would need {_mid(known):.0f} experiments for {SHARE:.0%} (median)."
    yield (
        f"Experiments until the first is found at random: {statistics.fmean(e['random']['first'] for e in seeds):.2f} "
        f"measured, {statistics.fmean(e['random']['first_by_formula'] for e in seeds):.2f} by (N+1)/(K+1)."
    )


def _searches(seeds: Seeds) -> Iterator[str]:
    yield (
        f"{'search':<24} {'first':>16} {f'{SHARE:.0%} found after':>20} {'× random':>16} {'area':>17} "
        f"{'recall':>17} {'true/false':>11} {'dupl.':>6} {'risk':>6} {'Brier':>6}"
    )
    for name in _names(seeds):
        ratio = _over(seeds, partial(_ratio, name=name))
        yield (
            f"{name:<24} {_said(_over(seeds, _value(name, 'first')), '.1f'):>16} "
            f"{_said(_over(seeds, _value(name, 'to_share')), '.0f'):>20} {_said(ratio, '.1f'):>16} "
            f"{_said(_over(seeds, _value(name, 'area')), '.2f'):>17} "
            f"{_said(_over(seeds, _value(name, 'recall')), '.2f'):>17} {_judged(seeds, name):>11} "
            f"{_mean(seeds, name, 'duplicates'):>6} {_risk(seeds, name):>6} {_mean(seeds, name, 'brier', '.3f'):>6}"
        )
    yield ""
    yield (
        "Medians with 95 % bootstrap intervals over the systems. Area: under the curve of what can be found over "
        "experiments, up to the budget. Recall: of all that is planted, within the budget. A search that never comes "
        "so far counts as all candidates and one. Risk: users' seconds lost a system, or of random its mean for as "
        "many experiments as Murphy spent. Model cost: 0, as every expert is offline."
    )


def _targets(seeds: Seeds) -> Iterator[str]:
    ratio = _over(seeds, lambda each: _ratio(each, OURS))
    same = _over(seeds, as_many)
    share, true, false, twin = _precision(seeds)
    learned = _learned(seeds)
    never = sum(each["searches"][OURS]["to_share"] is None for each in seeds)
    missed = f" (not within the budget in {never} of {len(seeds)}, which counts as after all)" if never else ""
    yield f"Fewer experiments than random to {SHARE:.0%}: {_said(ratio, '.2f')} ×{missed}, wanted {TARGET_RATIO:g} ×."
    if same:
        yield f"Experiments at random for as many as it found within the budget: {_said(same, '.2f')} × as many."
    yield (
        f"Precision: {share:.3f} ({true} true; {false} false, {twin} of these on clean twins), "
        f"wanted {TARGET_PRECISION}."
    )
    if learned:
        last = learned[-1]
        yield (
            f"Fewer experiments on system {last['system']} for having seen the others: "
            f"{_said(last['fewer'], '.0%')}, wanted {TARGET_LEARNED:.0%}."
        )


def _curve(seeds: Seeds) -> Iterator[str]:
    for each in _learned(seeds):
        yield (
            f"System {each['system']} of a family: with memory {_said(each['with'], '.0f')} experiments, without "
            f"{_said(each['without'], '.0f')}, {_said(each['fewer'], '.0%')} fewer; area {_said(each['area'], '.2f')} "
            f"against {_said(each['area_without'], '.2f')}."
        )


def _left(seeds: Seeds) -> Iterator[str]:
    """By kind: how often it was planted, could be found by some candidate, and was found by us."""
    kinds: dict[str, list[int]] = {}
    for each in seeds:
        mine = set(each["searches"][OURS]["found"])
        for number, what in enumerate(each["planted"]):
            row = kinds.setdefault(what.split(" at ")[0], [0, 0, 0])
            row[0] += 1
            row[1] += number in each["findable"]
            row[2] += number in mine
    yield f"{'planted':<32} {'times':>5} {'findable':>8} {'found by us':>11}"
    for kind, row in sorted(kinds.items()):
        yield f"{kind:<32} {row[0]:>5} {row[1]:>8} {row[2]:>11}"
    false = [f for each in seeds for f in each["searches"][OURS]["false_pairs"] + each["twin"]["false_pairs"]]
    yield from ("", *(f"false: {each}" for each in false))


def _names(seeds: Seeds) -> list[str]:
    return [OURS, *(name for name in seeds[0]["searches"] if name != OURS), RANDOM]


def _value(name: str, key: str) -> Callable[[dict[str, Any]], float | None]:
    def value(each: dict[str, Any]) -> float | None:
        told = each["random"] if name == RANDOM else each["searches"][name]
        found = told.get(key)
        if found is None and key in ("first", "to_share"):
            return float(each["candidates"] + 1)
        return None if found is None else float(found)

    return value


def _ratio(each: dict[str, Any], name: str = OURS) -> float:
    mine = _value(name, "to_share")(each)
    theirs = _value(RANDOM, "to_share")(each)
    assert mine and theirs
    return theirs / mine


def as_many(each: dict[str, Any]) -> float | None:
    """Experiments at random for as many weaknesses as we found within the budget ÷ ours; ``None``: we found none."""
    found_at = each["searches"][OURS]["found_at"]
    return each["random"]["to_k"][len(found_at) - 1] / found_at[-1] if found_at else None


def _precision(seeds: Seeds) -> tuple[float, int, int, int]:
    true = sum(each["searches"][OURS]["true"] + sum(s["true"] for s in each["family"][1:]) for each in seeds)
    twin = sum(each["twin"]["false"] for each in seeds)
    false = twin + sum(each["searches"][OURS]["false"] + sum(s["false"] for s in each["family"][1:]) for each in seeds)
    return true / max(1, true + false), true, false, twin


def _learned(seeds: Seeds) -> list[dict[str, Any]]:
    """On each system that was planned for with and without memory: experiments until so many were found as 80 % of
    what both found in the end."""
    found = []
    for number in range(len(seeds[0]["family"])):
        pairs = [each["family"][number] for each in seeds if "without" in each["family"][number]]
        counted = []
        for each in pairs:
            count = wanted(min(len(each["with"]), len(each["without"])))
            if count:
                counted.append((each["with"][count - 1], each["without"][count - 1]))
        if not counted:
            continue
        budget = max(each["experiments"] for each in pairs)
        found.append(
            {
                "system": number + 1,
                "with": _interval([float(a) for a, _ in counted]),
                "without": _interval([float(b) for _, b in counted]),
                "fewer": _interval([1 - a / b for a, b in counted]),
                "area": _interval([_area(each["with"], budget, each["planted"]) for each in pairs]),
                "area_without": _interval([_area(each["without"], budget, each["planted"]) for each in pairs]),
            }
        )
    return found


def _area(found_at: list[int], budget: int, planted: int) -> float:
    return sum(max(0, budget - at + 1) for at in found_at) / (budget * max(1, planted))


def _over(seeds: Seeds, value: Callable[[dict[str, Any]], float | None]) -> tuple[float, float, float] | None:
    known = [found for each in seeds if (found := value(each)) is not None]
    return _interval(known) if known else None


def _interval(values: Sequence[float]) -> tuple[float, float, float]:
    middle = statistics.median(values)
    if len(values) < 2:
        return middle, middle, middle
    low, high = bootstrap(list(values), statistics.median)
    return middle, low, high


def _mid(values: Any) -> float:
    return float(statistics.median(values))


def _said(value: tuple[float, float, float] | None, form: str) -> str:
    return "–" if value is None else f"{value[0]:{form}} ({value[1]:{form}}–{value[2]:{form}})"


def _judged(seeds: Seeds, name: str) -> str:
    told = [each["random"] if name == RANDOM else each["searches"][name] for each in seeds]
    return f"{sum(t['true'] for t in told)}/{sum(t['false'] for t in told)}"


def _mean(seeds: Seeds, name: str, key: str, form: str = ".1f") -> str:
    values = [each["searches"][name].get(key) for each in seeds if name != RANDOM]
    known = [value for value in values if value is not None]
    return f"{statistics.fmean(known):{form}}" if known else "–"


def _risk(seeds: Seeds, name: str) -> str:
    if name == RANDOM:
        spent = (e["random"]["risk_per_experiment"] * e["searches"][OURS]["experiments"] for e in seeds)
        return f"{statistics.fmean(spent):.0f}"
    return _mean(seeds, name, "risk", ".0f")
