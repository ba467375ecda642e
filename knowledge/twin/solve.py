"""Solves for what requests get at every node: callees before callers, and cycles again and again until they hold still.

Shares of good answers only fall from one round of a cycle to the next, and cannot fall below 0, so that they converge
(to the greatest fixed point: what is well stays so unless something fails it). Time is not added up around a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from knowledge.twin.arrays import Flags, Floats, Places
from knowledge.twin.calls import calls
from knowledge.twin.net import HARD, UNSAID, Group, Net
from knowledge.twin.state import Calls, State
from knowledge.twin.struck import EdgeFaults
from knowledge.twin.ways import Ways

ROUNDS_MAX = 60
"""A cycle that holds still is through after a few rounds; one of many services with few losses may take more."""
STILL = 1e-6
NOTED = 0.05
"""Share of failing or silent calls from which on their end has to be noticed before all is well."""
LATE_MS = 100.0
"""The same for late answers."""


@dataclass(frozen=True)
class Setting:
    """What does not change between the two states of an experiment."""

    net: Net
    ways: Ways
    row: Places
    """Of each edge of the net: its row of ``ways``."""
    base_ms: Floats
    """Of each service: shape (services,)."""
    workers: Floats
    """Of each service: shape (services, worlds)."""
    load_per_s: Floats
    """Usual requests a second of each service: shape (services,)."""
    fault_s: float


@dataclass
class Solved:
    """One state of the experiment."""

    state: State
    served: Floats
    """Share of its requests that a service has a thread for: shape (services, worlds)."""
    tries: Floats
    """Of each edge of the net: shape (edges, worlds)."""


def solve(setting: Setting, own: State, faults: EdgeFaults, *, settled: bool) -> Solved:
    """From what each node is by itself (``own``) to what its requests get."""
    net, count = setting.net, own.good.shape[1]
    found = Solved(
        State(*(part.copy() for part in own.parts)),
        np.ones((len(setting.base_ms), count)),
        np.ones((len(net.tail), count)),
    )
    for group in net.groups:
        before = None
        for _ in range(ROUNDS_MAX if group.loops else 1):
            _reckon(group, setting, own, faults, found, settled=settled)
            now = found.state.good[group.tails] - found.state.silent[group.tails]
            if before is not None and np.abs(now - before).max() < STILL:
                break
            before = now
    return found


def _reckon(group: Group, setting: Setting, own: State, faults: EdgeFaults, found: Solved, *, settled: bool) -> None:
    net, ways, rows = setting.net, setting.ways, setting.row[group.edges]
    heads = net.head[group.edges]
    callee = found.state.take(heads)
    _find_threads(callee, ~net.whole[heads], found.served[net.service[heads]])
    faults.on(group.edges, callee)
    base_ms = setting.base_ms[net.service[heads]][:, None]
    made = calls(callee, base_ms, ways.timeout_ms[rows], ways.retries[rows], ways.breaker[rows], settled=settled)
    found.tries[group.edges] = made.tries
    timed = net.timed[group.edges][:, None]
    made.delay_ms *= timed
    made.slow_share *= timed
    design = net.design[group.edges][:, None]
    hard = np.where(design == HARD, True, np.where(design == UNSAID, ways.unsaid[rows], ways.brittle[rows]))
    mine = own.take(group.tails)
    result = _together(group, made, hard, mine)
    back_s = _back(group, setting, made, hard, callee)
    result.back_s = np.maximum(mine.back_s, np.maximum.reduceat(back_s, group.starts))
    if net.whole[group.tails[0]]:  # a group is of whole services or of copies, never of both
        _starve(group, setting, made, ways.shared[rows], found)
        _find_threads(result, np.ones(len(group.tails), np.bool_), found.served[net.service[group.tails]])
    found.state.put(group.tails, result)


def _find_threads(state: State, which: Flags, served: Floats) -> None:
    """Requests for which a service has no thread left wait for one in vain."""
    served = np.where(which[:, None], served, 1.0)
    state.good *= served
    np.subtract(1, (1 - state.silent) * served, out=state.silent)


def _together(group: Group, made: Calls, hard: Flags, mine: State) -> State:
    """A request makes its calls one after another, and fails with the first that it cannot do without."""
    starts = group.starts
    answered = np.multiply.reduceat(1 - made.silent, starts)
    good = np.multiply.reduceat(np.clip(1 - made.silent - hard * made.failed, 0.0, 1.0), starts)
    quick = np.multiply.reduceat(1 - made.slow_share, starts)
    expected = np.add.reduceat(made.slow_share * made.slow_ms, starts) + mine.slow_share * mine.slow_ms
    slow_share = 1 - quick * (1 - mine.slow_share)
    return State(
        good=mine.good * good,
        silent=1 - (1 - mine.silent) * answered,
        delay_ms=mine.delay_ms + np.add.reduceat(made.delay_ms, starts),
        slow_share=slow_share,
        slow_ms=np.divide(expected, slow_share, out=np.zeros_like(expected), where=slow_share > 1e-12),
        back_s=mine.back_s,
    )


def _back(group: Group, setting: Setting, made: Calls, hard: Flags, callee: State) -> Floats:
    """How long after the fault a caller still feels each of its edges."""
    noted = (hard * made.failed > NOTED) | (made.silent > NOTED) | (made.slow_share * made.slow_ms > LATE_MS)
    noted |= made.delay_ms > LATE_MS
    own_s = np.where(made.opened > 0, setting.ways.breaker_s, 0.0)
    for row, edge in enumerate(setting.net.edge[group.edges].tolist()):
        if edge in setting.ways.reconnect_s:
            own_s[row] = np.maximum(own_s[row], setting.ways.reconnect_s[edge])
    return np.where(noted, np.maximum(callee.back_s, own_s), 0.0)


def _starve(group: Group, setting: Setting, made: Calls, shared: Flags, found: Solved) -> None:
    """Where calls that wait hold the caller's threads, its other requests find none (Little's law)."""
    services = setting.net.service[group.tails]
    waits_s = made.silent * setting.fault_s
    waits_s += np.minimum(setting.fault_s, (made.slow_share * made.slow_ms + made.delay_ms) / 1000)
    held = np.add.reduceat(shared * waits_s, group.starts) * setting.load_per_s[services][:, None]
    found.served[services] = np.minimum(1.0, setting.workers[services] / np.maximum(held, 1e-9))
