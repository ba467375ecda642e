"""Every refusal of a run is a row of the audit trail: which rule, what was measured, and the limit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from executor.errors import MurphyError, SafetyRefusalError, StoppedError, UnavailableError
from executor.model.approval import Approval
from executor.state.journal import Journal

_LONGEST = 1000
"""Characters of a measured value that are kept."""


@contextmanager
def noted(journal: Journal, approval: Approval) -> Iterator[None]:
    """Write down why the run that is approved may not begin, if the block says so by raising; then it is raised on."""
    try:
        yield
    except MurphyError as refusal:
        grant = approval.grant
        with suppress(UnavailableError):  # the refusal itself stands, written down or not
            journal.note(
                "preflight",
                "refused",
                **_reason(refusal),
                plan=grant.plan_digest,
                nonce=grant.nonce,
                proposer=grant.proposer,
                approver=grant.approver,
            )
        raise


def _reason(refusal: MurphyError) -> dict[str, str]:
    if isinstance(refusal, SafetyRefusalError):
        return {"rule": refusal.rule, "measured": refusal.measured[:_LONGEST], "limit": refusal.limit[:_LONGEST]}
    if isinstance(refusal, StoppedError):
        rule = "stop"
    else:
        rule = "means" if isinstance(refusal, UnavailableError) else "input"
    return {"rule": rule, "measured": f"{refusal.where}: {refusal.message}"[:_LONGEST].removeprefix(": ")}
