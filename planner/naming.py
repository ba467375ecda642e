"""Stable ids: the same fault on the same target always has the same name, in this plan and the next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from executor.model.digest import digest
from executor.model.faults import Fault
from executor.model.plan import EdgeTarget, InstanceTarget, Target
from executor.model.vocabulary import Weakness
from experts.proposal import Beside

_SLUG_MAX = 46


def experiment_id(fault: Fault, target: Target, beside: Sequence[Beside] = (), trials: int = 1) -> str:
    """For instance ``latency-storefront-recommendations-1a2b3c4d``. Faults at the same time are in no order."""
    if beside:
        every = sorted((Beside(fault=fault, target=target), *beside), key=lambda each: each.model_dump_json())
        fault, target, beside = every[0].fault, every[0].target, every[1:]
    return _id(f"{fault.kind.rpartition('.')[2]} {_where(target)}", _parts(fault, target, beside, trials))


def hypothesis_id(
    weakness: Weakness, place: str, fault: Fault, target: Target, beside: Sequence[Beside] = (), trials: int = 1
) -> str:
    """For instance ``missing-timeout-storefront-recommendations-5e6f7a8b``."""
    what = {"weakness": weakness.value, "place": place}
    return _id(f"{weakness.value} {place}", {**what, **_parts(fault, target, beside, trials)})


def names(hypothesis: str, weakness: Weakness, place: str) -> bool:
    """Whether the id is that of a hypothesis on the weakness at the place, under whatever fault."""
    slug, _, _ = hypothesis.rpartition("-")
    return slug == _slug(f"{weakness.value} {place}")


def _parts(fault: Fault, target: Target, beside: Sequence[Beside], trials: int) -> dict[str, Any]:
    """One fault done once is named by itself, as ever."""
    parts: dict[str, Any] = {"fault": fault.model_dump(mode="json"), "target": target.model_dump(mode="json")}
    if beside:
        parts["beside"] = [each.model_dump(mode="json") for each in beside]
    return {**parts, "trials": trials} if trials > 1 else parts


def _where(target: Target) -> str:
    if isinstance(target, EdgeTarget):
        return f"{target.caller} {target.callee}"
    return target.service if isinstance(target, InstanceTarget) else " ".join((*target.a, *target.b))


def _id(words: str, content: dict[str, Any]) -> str:
    return f"{_slug(words)}-{digest(content)[7:15]}"


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")[:_SLUG_MAX].strip("-")
