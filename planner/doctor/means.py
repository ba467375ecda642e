"""Which means of faults this machine has, and which faults it cannot make: the same as ``murphy faults`` says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from executor import extras
from executor.faults.behaviour import Behaviour, lacking, ways_lacking
from executor.faults.registry import behaviour
from executor.kernel import cgroup, cgroup_limit, device_mapper, fuse, netem, nft, volume
from executor.model.faults import SPECS
from planner.doctor.diagnosis import Diagnosis


def _means(what: str, good: str, unusable: Callable[[], str | None]) -> Diagnosis:
    reason = unusable()
    if reason is None:
        return Diagnosis(what, True, good)
    detail, _, remedy = reason.rstrip(".").rpartition("; ")
    return Diagnosis(what, False, detail, f"{remedy[:1].upper()}{remedy[1:]}.")


def _controller(name: str) -> Diagnosis:
    unusable = partial(cgroup_limit.unusable, name)
    reason = unusable()
    good = "" if reason else f"version {cgroup.hierarchy(name).version}"
    return _means(f"cgroup controller {name}", good, unusable)


def _faults() -> Diagnosis:
    behaviours = [behaviour(spec.named()) for spec in SPECS]
    lost = sorted(text for how in behaviours for text in _lost(how))
    whole = len(behaviours) - sum(lacking(how) is not None for how in behaviours)
    detail = f"{whole} of {len(behaviours)} kinds can be made here, as far as that depends on this machine"
    if not lost:
        return Diagnosis("faults", True, detail)
    return Diagnosis("faults", False, f"{detail}; not {', '.join(lost)}", "murphy faults says why, for each.")


def _lost(how: Behaviour) -> list[str]:
    if lacking(how):
        return [how.kind]
    ways = " and ".join(ways_lacking(how))
    return [f"{how.kind} ({ways})"] if ways else []


LOOKS: Final[tuple[Callable[[], Diagnosis], ...]] = (
    partial(_means, "nftables", "rules can be made", nft.unusable),
    partial(_means, "netem", "packets can be doubled and reordered", netem.unusable),
    partial(_means, "FUSE", "calls in a directory can fail", fuse.unusable),
    partial(_means, "mounted volumes", "they can be remounted and frozen", volume.unchangeable),
    partial(_means, "device mapper", "volumes can be taken away", device_mapper.unusable),
    partial(_means, "device mapper's delay", "volumes can be slow", partial(device_mapper.unusable, slow=True)),
    *(partial(_controller, name) for name in ("cpu", "memory", "pids", "io")),
    *(
        partial(_means, f"extra {name}", "installed", partial(extras.lacking, name))
        for name in ("docker", "kubernetes", "aws", "nats")
    ),
    _faults,
)
