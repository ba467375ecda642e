"""``data_kept``: what was acknowledged is there after recovery, once each, and what must be true of the data is.

A write whose answer was bad, or never came, is indeterminate: it may be there or not, but not twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from executor.measure.columns import Answer, Flags, Series
from executor.measure.criteria.common import ANSWERS_MIN, Part, result
from executor.measure.samples import Samples
from executor.measure.writing import FOUND, READS, WRITES, invariant
from executor.model.criteria import DataKept
from executor.model.data_check import DataCheck
from executor.model.evidence import CriterionResult
from executor.model.plan import Experiment
from executor.model.vocabulary import Verdict
from executor.model.wording import many, many_are


def judge(criterion: DataKept, experiment: Experiment, trials: Sequence[Samples]) -> CriterionResult:
    """It must be so after every trial."""
    check = next(each for each in experiment.data_checks if each.id == criterion.data_check)
    parts = [part for samples in trials for part in (*kept(check, samples), *invariants(check, samples))]
    expected = "every acknowledged write is there once after recovery" if check.write else ""
    asked = "every invariant that held before the fault holds after recovery" if check.invariants else ""
    return result(criterion.kind, parts, "; ".join(filter(None, (expected, asked))))


def kept(check: DataCheck, samples: Samples) -> Iterator[Part]:
    """Whether one trial's acknowledged writes were there after it, as a part; none where nothing was to be written."""
    if check.write is None:
        return
    trial = samples.trial
    writes, readings = samples.of(WRITES + check.id), samples.of(READS + check.id)
    before, after = _split(readings, trial.fault_begins_s, trial.end_s)
    if trial.injected_s is None:
        yield Part(Verdict.INCONCLUSIVE, "the fault was not injected")
    elif why := _not_well(check, samples, writes, before):
        yield Part(Verdict.INCONCLUSIVE, why)
    elif after is None:
        unread = next((o.error for o in readings if o.at_s >= trial.end_s and o.error), "nobody read")
        yield Part(Verdict.INCONCLUSIVE, f"what {check.id} wrote could not be read back after recovery: {unread}")
    else:
        yield _settled(check, samples, after.at_s, _compared(check, samples, writes, after))


def _settled(check: DataCheck, samples: Samples, at_s: float, part: Part) -> Part:
    """What is not as it should be may still become so, unless it was read when its time to settle was over."""
    if part.verdict is Verdict.BREAKS and at_s < samples.trial.end_s + check.settle_s:
        ago_s = max(0.0, at_s - samples.trial.end_s)
        words = (
            f"{part.measured}, but {check.id} has {check.settle_s:g} s to settle and was last read after {ago_s:.2f} s"
        )
        return Part(Verdict.INCONCLUSIVE, words)
    return part


def _split(readings: Series, fault_s: float, end_s: float) -> tuple[Answer | None, Answer | None]:
    """The last good reading before the fault, and the last after the trial's end."""
    good = [o for o in readings if o.ok]
    before = [o for o in good if o.at_s < fault_s]
    after = [o for o in good if o.at_s >= end_s]
    return (before[-1] if before else None), (after[-1] if after else None)


def _found(check: DataCheck, samples: Samples, reading: Answer) -> Counter[int]:
    """How often each record was there."""
    series = samples.of(FOUND + check.id)
    return Counter(int(value) for value in series.values[series.at_s == reading.at_s].tolist())


def _acknowledged(writes: Series, by_s: float) -> set[int]:
    told = writes.ok & (writes.answered_s <= by_s)
    return {int(value) for value in writes.values[told].tolist()}


def _not_well(check: DataCheck, samples: Samples, writes: Series, before: Answer | None) -> str:
    """Why what is seen afterwards would say nothing about the fault; empty if it would."""
    if before is None:
        return f"what {check.id} wrote could not be read back before the fault"
    found, known = _found(check, samples, before), _acknowledged(writes, before.at_s)
    if not known:
        return f"no write of {check.id} was acknowledged before the fault"
    # one that is still settling may be missing, but a reading that shows none at all may look in the wrong place
    settled = _acknowledged(writes, before.at_s - check.settle_s)
    lacking = settled - found.keys() if known & found.keys() else known
    if lacking:
        return f"{check.id} lacked {many(len(lacking), 'acknowledged write')} before the fault already"
    if twice := [number for number, times in found.items() if times > 1]:
        return f"{check.id} had {many(len(twice), 'write')} more than once before the fault already"
    return ""


def _compared(check: DataCheck, samples: Samples, writes: Series, after: Answer) -> Part:
    found, kept = _found(check, samples, after), _acknowledged(writes, after.at_s)
    lost, twice = kept - found.keys(), {number for number, times in found.items() if times > 1}
    wrong = [_lost(samples, writes, lost)] if lost else []
    if twice:
        wrong.append(f"{many_are(len(twice), 'write')} there more than once, of {len(writes)}")
    if wrong:
        return Part(Verdict.BREAKS, "; ".join(wrong))
    if len(kept) < ANSWERS_MIN:
        return Part(Verdict.INCONCLUSIVE, f"only {many(len(kept), 'write')} of {check.id} were acknowledged")
    under = int((writes.ok & _between(writes, samples)).sum())
    words = f"all {len(kept)} acknowledged writes are there once, {under} of them from under the fault"
    unsure = len(found.keys() - kept)
    if unsure:
        words += f", and {unsure} of {len(writes) - len(kept)} that nobody acknowledged"
    return Part(Verdict.HOLDS, words)


def _between(writes: Series, samples: Samples) -> Flags:
    trial = samples.trial
    return (writes.answered_s >= trial.fault_begins_s) & (writes.answered_s < trial.help_begins_s)


def _lost(samples: Samples, writes: Series, lost: set[int]) -> str:
    """How many, and when the first and the last of them had been acknowledged."""
    since_s = samples.trial.injected_s
    assert since_s is not None  # seen to by the caller
    times = [o.answered_s - since_s for o in writes if o.ok and o.value is not None and int(o.value) in lost]
    kept = int(writes.ok.sum())
    when = f"from {_when(min(times))} to {_when(max(times))}" if len(times) > 1 else _when(times[0])
    return f"{len(lost)} of {many(kept, 'acknowledged write')} lost, acknowledged {when}"


def _when(offset_s: float) -> str:
    return f"{abs(offset_s):.2f} s {'before' if offset_s < 0 else 'after'} the injection"


def invariants(check: DataCheck, samples: Samples) -> Iterator[Part]:
    """Whether each invariant that had held before the fault holds after recovery."""
    trial = samples.trial
    for number in range(1, len(check.invariants) + 1):
        name = f"invariant {number} of {check.id}"
        said = samples.of(invariant(check.id, number))
        before = [o.value for o in said if o.at_s < trial.fault_begins_s]
        after = [o for o in said if o.at_s >= trial.end_s]
        if trial.injected_s is None:
            yield Part(Verdict.INCONCLUSIVE, "the fault was not injected")
        elif not before or before[-1] != 1:
            yield Part(Verdict.INCONCLUSIVE, f"{name} was not seen to hold before the fault")
        elif not after or after[-1].value is None:
            yield Part(Verdict.INCONCLUSIVE, f"{name} could not be asked after recovery")
        else:
            holds = after[-1].value == 1
            words = f"{name} {'holds' if holds else 'does not hold'} after recovery"
            yield _settled(check, samples, after[-1].at_s, Part(Verdict.HOLDS if holds else Verdict.BREAKS, words))
