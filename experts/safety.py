"""What the safety officer never lets pass. Only an early word: limits and preflight decide, whatever is said here."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from executor.model.faults import Fault
from executor.model.plan import InstanceTarget, Target
from experts.allowed import hit, target_name, why_not
from experts.conditions import service_is
from experts.entries import Veto
from experts.proposal import Proposal
from experts.scene import Scene


def veto_reason(vetoes: Sequence[Veto], proposal: Proposal, scene: Scene) -> str:
    """Why the proposal must not be carried out, in a sentence; empty when nothing speaks against it.

    Each fault of it is held against every veto; one that may not be is enough.
    """
    for fault, target in proposal.strikes:
        reason = _refused(fault, target, scene) or _vetoed(vetoes, fault, target, proposal, scene)
        if reason:
            return reason
    return ""


def _refused(fault: Fault, target: Target, scene: Scene) -> str:
    refused = why_not(fault, target, scene.brief, scene.view)
    if refused:
        return f"{refused[0].upper()}{refused[1:]}."
    if isinstance(target, InstanceTarget):
        instances = len(scene.view.one(target.service).instances)
        asked = len(target.ids) or target.count
        if asked > max(1, instances // 2):
            return f"{asked} of {instances} instances of {target.service} at once is more than half of them."
    return ""


def _vetoed(vetoes: Sequence[Veto], fault: Fault, target: Target, proposal: Proposal, scene: Scene) -> str:
    for veto in vetoes:
        if scene.brief.system.environment not in veto.environments or not fnmatchcase(fault.kind, veto.fault):
            continue
        if veto.together not in (None, bool(proposal.beside)) or veto.repeated not in (None, proposal.trials > 1):
            continue
        if any(service_is(veto.struck, scene.view.one(name), scene.view) for name in hit(target)):
            return " ".join(veto.reason.format(target=target_name(target), fault=fault.kind).split())
    return ""
