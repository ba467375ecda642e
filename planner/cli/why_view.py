"""Why something is believed, on the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape

from executor.model.wording import many, named
from knowledge.beliefs.trace import Move, Partner, Trace
from planner.cli.output import out as terminal

PARTNERS_SHOWN = 4
_VERBS = {"breaks": "broke", "holds": "held"}


def show(found: Sequence[Trace], out: Console = terminal) -> None:
    """One block a weakness: what is believed, then everything that made it, oldest first."""
    for one in found:
        belief = one.belief
        head = f"{named(belief.weakness.value)} at {escape(belief.place)}"
        runs = f"{many(belief.runs, 'result')} bear{'s' if belief.runs == 1 else ''} on it"
        out.print(f"[head]{head}[/head]: P(present) {belief.probability:.1%}, {runs}", soft_wrap=True)
        for line in lines(one):
            out.print(f"  · {line}", markup=False, soft_wrap=True)


def lines(one: Trace) -> list[str]:
    """Each origin of the number, in words, with what it moved."""
    prior = one.prior
    told = [f"base rate {prior.rate:.2f} ({prior.source})"]
    told += [f"{lean.told()}: {_moved(lean.before, lean.after, lean.bits)}" for lean in prior.leans]
    return told + [_move(move) for move in one.moves]


def as_json(one: Trace) -> dict[str, Any]:
    """All of it, for a program: probabilities 0–1, moves in bits (log odds to the base of 2)."""
    belief = one.belief
    return {
        "weakness": belief.weakness.value,
        "place": belief.place,
        "probability": belief.probability,
        "alpha": belief.alpha,
        "beta": belief.beta,
        "runs": belief.runs,
        "tested": belief.tested,
        "prior": {
            "base_rate": one.prior.rate,
            "source": one.prior.source,
            "probability": one.prior.probability,
            "neighbours": [{**asdict(lean), "bits": lean.bits} for lean in one.prior.leans],
        },
        "moves": [{**asdict(move), "at": move.at.isoformat(), "bits": move.bits} for move in one.moves],
        "grounds": belief.grounds,
    }


def _move(move: Move) -> str:
    verb = _VERBS.get(move.verdict, f"{move.verdict} (moves nothing)")
    told = f"{move.run}: {verb} under {move.fault}: {move.reason}"
    if move.how == "nothing":
        return told
    notes = [_moved(move.before, move.after, move.bits)]
    if move.how == "elsewhere":
        notes.append("another weakness explains, or no longer explains, what this one would")
    else:
        meant = "" if move.how == "meant" else "it was meant for another weakness; "
        sees = f"if this one is there it shows in {move.shows:.0%}" if move.shows else "it was blind to this one"
        notes += [meant + sees, *move.blind]
    if move.partners:
        notes.append(f"{'what broke' if move.how == 'elsewhere' else 'it'} may be {_partners(move.partners)}")
    if not move.stands:
        notes.append("a later result under the same fault has replaced it")
    return f"{told} — {'; '.join(notes)}"


def _moved(before: float, after: float, bits: float) -> str:
    return f"{bits:+.2f} bits, {before:.1%} → {after:.1%}"


def _partners(partners: Sequence[Partner]) -> str:
    shown = [f"{named(p.weakness.value)} at {p.place} ({p.probability:.0%})" for p in partners[:PARTNERS_SHOWN]]
    more = len(partners) - PARTNERS_SHOWN
    return ", or ".join(shown) + (f", or {more} more" if more > 0 else "")
