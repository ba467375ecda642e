"""Past results by hand: what was struck, what was judged, and how it came out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from executor.model.vocabulary import FaultType, Verdict, Weakness
from knowledge.exposure import Exposure, Judged, Look, Strike
from knowledge.features import describe
from knowledge.rows import PastRow
from tests.knowledge.runs import MORNING, small_system

NOW = MORNING + timedelta(days=1)
PAGE = Look("home", "front", ("front->back", "front->side", "back->db"), rate_hz=10)
LIST = Look("list", "back", ("back->db",), rate_hz=10)
ABOUT = Look("about", "front", (), rate_hz=10)


def exposed(kind: FaultType, *edges: str, judged: Judged | None = None, **fields: Any) -> Exposure:
    """A fault of that type on these edges, and home judged by its steady state, if nothing else is said."""
    looks = fields.pop("looks", (PAGE, LIST, ABOUT))
    strike = Strike(**{"kind": "x", "type": kind.value, "edges": edges, "duration_s": 6.0, **fields})
    return Exposure((strike,), (judged or Judged("steady_state", checks=("home",)),), looks)


def result(
    weakness: Weakness,
    place: str,
    verdict: Verdict,
    exposure: Exposure | None = None,
    *,
    number: int = 1,
    system: str = "store",
    fault: str = "x",
) -> PastRow:
    """One hypothesis of ``run-NUMBER``, so many minutes after nine; results of equal number are one experiment's."""
    types = tuple(sorted({strike.type for strike in exposure.strikes})) if exposure else ("refused",)
    return PastRow(
        run=f"run-{number}",
        system=system,
        experiment=f"e{number}",
        hypothesis=f"{weakness.value}-{place}-{number}".replace("_", "-").replace("->", "-"),
        weakness=weakness,
        place=place,
        statement="it keeps working",
        fault=fault,
        verdict=verdict,
        reason="as measured",
        predicted=0.5,
        at=MORNING + timedelta(minutes=number),
        features=describe(small_system(system), weakness, place, fault_types=types),
        exposure=exposure,
    )
