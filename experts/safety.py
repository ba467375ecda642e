"""What the safety officer never lets pass. Only an early word: limits and preflight decide, whatever is said here."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from executor.model.plan import InstanceTarget
from experts.allowed import hit, target_name, why_not
from experts.conditions import service_is
from experts.entries import Veto
from experts.proposal import Proposal
from experts.scene import Scene


def veto_reason(vetoes: Sequence[Veto], proposal: Proposal, scene: Scene) -> str:
    """Why the proposal must not be carried out, in a sentence; empty when nothing speaks against it."""
    refused = why_not(proposal.fault, proposal.target, scene.brief, scene.view)
    if refused:
        return f"{refused[0].upper()}{refused[1:]}."
    if isinstance(proposal.target, InstanceTarget):
        instances = len(scene.view.one(proposal.target.service).instances)
        asked = len(proposal.target.ids) or proposal.target.count
        if asked > max(1, instances // 2):
            return f"{asked} of {instances} instances of {proposal.target.service} at once is more than half of them."
    kind = proposal.fault.kind
    for veto in vetoes:
        if scene.brief.system.environment not in veto.environments or not fnmatchcase(kind, veto.fault):
            continue
        if any(service_is(veto.struck, scene.view.one(name), scene.view) for name in hit(proposal.target)):
            return " ".join(veto.reason.format(target=target_name(proposal.target), fault=kind).split())
    return ""
