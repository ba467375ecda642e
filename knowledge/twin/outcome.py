"""One experiment played through in all worlds, in both of its states: what every check and every service gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from executor.model.plan import Experiment
from executor.model.probe import Check
from executor.model.vocabulary import FaultType, Weakness
from knowledge.twin.arrays import Flags, Floats, places
from knowledge.twin.blows import Blows
from knowledge.twin.load import amplification
from knowledge.twin.net import Net, net
from knowledge.twin.own import COLLAPSE, STARVED, Own, base, strike
from knowledge.twin.parameters import Parameters
from knowledge.twin.solve import Setting, Solved, solve
from knowledge.twin.state import State
from knowledge.twin.struck import EdgeFaults, edge_faults
from knowledge.twin.topology import Topology
from knowledge.twin.ways import ways
from knowledge.twin.worlds import Worlds

PATIENCE_MS = 1000.0
"""As measured: where no latency is promised, an answer later than this, and than twice the usual, is bad."""
NOTICED_S = 0.8
"""A check that fails for less than this has hardly two bad answers."""
ROUNDS_MAX = 3
"""So often is reckoned what overload does to load, and that to overload."""


@dataclass(frozen=True)
class Outcome:
    """Rows are worlds where not said otherwise."""

    setting: Setting
    at_once: Solved
    settled: Solved
    settled_s: Floats
    load: Floats
    """Of each service once it has settled, as a multiple of its usual: shape (services, worlds)."""
    topology: Topology
    parameters: Parameters
    _known: dict[tuple[object, ...], Floats] = field(default_factory=dict)
    """What was reckoned before: several criteria ask the same."""

    def met(self, check: Check, bound_ms: float, after_s: float = 0.0, *, any_answer: bool = False) -> Floats:
        """Share of good answers (or of any) within a bound over the fault, without its first seconds: (worlds,)."""
        share = self._at_once_share(after_s)
        return share * self._within(check, self.at_once, bound_ms, any_answer) + (1 - share) * self._within(
            check, self.settled, bound_ms, any_answer
        )

    def hurt(self, check: Check) -> Flags:
        """Whether the check leaves its steady state: (worlds,)."""
        bound_ms, least = self.bound_ms(check), check.slo.availability_min
        early = (self._within(check, self.at_once, bound_ms, False) < least) & (self.settled_s >= NOTICED_S)
        late = (self._within(check, self.settled, bound_ms, False) < least) & (self.settled_s < self.setting.fault_s)
        return early | late

    def hurt_later(self, check: Check) -> Flags:
        """Whether it has left it once all that happens by itself has happened."""
        return self._within(check, self.settled, self.bound_ms(check), False) < check.slo.availability_min

    def back_s(self, check: Check) -> Floats:
        """Seconds after the end of the fault until the check is well; infinite: never. 0 where it was never hurt."""
        root = self.setting.net.roots[check.id]
        ended = self.settled_s < self.setting.fault_s
        return np.where(
            self.hurt(check), np.where(ended, self.settled.state.back_s[root], self.at_once.state.back_s[root]), 0.0
        )

    def calls(self, caller: str, callee: str) -> Floats:
        """Calls on an edge under the fault, as a multiple of the usual: (worlds,)."""
        net_, number = self.setting.net, self.topology.edge_index.get(f"{caller}->{callee}", -1)
        rows = np.flatnonzero((net_.edge == number) & net_.whole[net_.tail])
        if number < 0 or not len(rows):
            return np.ones(len(self.settled_s))
        share = self._at_once_share(0.0)
        tries = share * self.at_once.tries[rows[0]] + (1 - share) * self.settled.tries[rows[0]]
        calls: Floats = tries * self.load[self.topology.index[caller]]
        return calls

    def bound_ms(self, check: Check) -> float:
        """From which latency on users count an answer as bad."""
        promised = check.slo.latency_ms_max
        return promised if promised is not None else max(PATIENCE_MS, 2 * self._base_ms(check))

    def lost(self, services: list[int]) -> Flags:
        """Whether services, as wholes, leave their steady state: shape (services, worlds)."""
        least, bound = self._promises(services)
        early = _in_time(self.at_once.state, services, bound) < least
        late = _in_time(self.settled.state, services, bound) < least
        return (early & (self.settled_s >= NOTICED_S)) | (late & (self.settled_s < self.setting.fault_s))

    def kept(self, service: int) -> Floats:
        """Share of its work that a service keeps over the fault: (worlds,)."""
        _, bound = self._promises([service])
        share = self._at_once_share(0.0)
        early = _in_time(self.at_once.state, [service], bound)[0]
        late = _in_time(self.settled.state, [service], bound)[0]
        whole: Floats = share * early + (1 - share) * late
        return whole

    def _promises(self, services: list[int]) -> tuple[Floats, Floats]:
        """Least share of good answers and longest time over the usual, of each: shape (services, 1)."""
        every = [self.topology.system.services[number].operations for number in services]
        least = np.array([min((c.slo.availability_min for c in checks), default=0.95) for checks in every])
        usual = self.setting.base_ms[places(services)]
        bound = np.array([min((self.bound_ms(c) for c in checks), default=0.0) for checks in every])
        return least[:, None], (np.where(bound > 0, bound, np.maximum(PATIENCE_MS, 2 * usual)) - usual)[:, None]

    def _base_ms(self, check: Check) -> float:
        return float(self.setting.base_ms[self.topology.index[check.service]])

    def _within(self, check: Check, solved: Solved, bound_ms: float, any_answer: bool) -> Floats:
        key = (check.id, solved is self.settled, bound_ms, any_answer)
        if key not in self._known:
            self._known[key] = self._reckoned(check, solved, bound_ms, any_answer)
        return self._known[key]

    def _reckoned(self, check: Check, solved: Solved, bound_ms: float, any_answer: bool) -> Floats:
        state, root = solved.state, self.setting.net.roots[check.id]
        patience_ms = min(bound_ms, check.probe.timeout_ms, 1000 * self.setting.fault_s)
        quick = _quick(state, [root], np.array([[patience_ms - self._base_ms(check)]]))[0]
        good = state.good[root] * (1 - self.parameters.errors.get(check.id, 0.0))
        found: Floats = quick * ((1 - state.silent[root]) if any_answer else good)
        return found

    def _at_once_share(self, after_s: float) -> Floats:
        """How much of the fault, without its first seconds, has passed before it settles."""
        left = max(1e-6, self.setting.fault_s - after_s)
        return np.clip((self.settled_s - after_s) / left, 0.0, 1.0)


def play(experiment: Experiment, blows: Blows, topology: Topology, worlds: Worlds, parameters: Parameters) -> Outcome:
    """Play the experiment through."""
    graph = net(experiment.checks, blows, topology)
    shape = (len(topology.index), worlds.count)
    used = sorted({*graph.edge.tolist()} - {-1})
    treated = ways(used, blows, topology, worlds, parameters)
    setting = Setting(
        net=graph,
        ways=treated,
        row=places([treated.row[number] for number in graph.edge.tolist()]),
        base_ms=np.array([base(service, parameters) for service in topology.system.services]),
        workers=parameters.workers.draw(worlds.random, shape),
        load_per_s=_loads(experiment, topology, parameters),
        fault_s=experiment.fault_s,
    )
    faults = edge_faults(graph, treated, blows, topology, worlds)
    struck = strike(blows, topology, worlds, parameters, experiment.fault_s)
    tables = _locked(experiment, blows, topology, worlds, graph)
    headroom = parameters.headroom.draw(worlds.random, shape)
    cliffs = worlds.present(Weakness.CAPACITY_CLIFF, [service.name for service in topology.system.services])
    solved, loads = [], []
    for owns, settled in ((struck.at_once, False), (struck.settled, True)):
        own = _own(graph, owns, struck.back_s, tables, worlds.count)
        one, load = _loaded(setting, own, owns, faults, headroom, cliffs, settled=settled)
        solved.append(one)
        loads.append(load)
    return Outcome(setting, solved[0], solved[1], struck.settled_s, loads[1], topology, parameters)


def _loads(experiment: Experiment, topology: Topology, parameters: Parameters) -> Floats:
    """Requests a second of each service, as far as the experiment's own checks bring them."""
    found = np.zeros(len(topology.index))
    for check in experiment.checks:
        callees = {place.partition("->")[2] for place in check.exercises or ()}
        for name in {check.service, *callees}:
            if name in topology.index:
                found[topology.index[name]] += check.rate_hz
    return np.where(found > 0, found, parameters.load_per_s)


def _own(
    graph: Net, owns: Mapping[int, Own], back_s: Mapping[int, Floats], tables: Mapping[int, Floats], count: int
) -> State:
    """What each node is by itself; the nodes that stand for checks are nothing by themselves."""
    found = State.well(len(graph.service), count)
    whole = len([1 for each in graph.whole.tolist() if each])
    for node, service in enumerate(graph.service.tolist()):
        if service in owns and (node < whole or node in graph.owner):
            own = owns[service]
            silent = tables.get(node, own.silent)
            found.good[node] = np.clip(1 - own.error - silent, 0.0, 1.0)
            found.silent[node] = silent
            found.delay_ms[node], found.slow_share[node], found.slow_ms[node] = (
                own.delay_ms,
                own.slow_share,
                own.slow_ms,
            )
            found.back_s[node] = back_s[service]
    return found


def _locked(experiment: Experiment, blows: Blows, topology: Topology, worlds: Worlds, graph: Net) -> dict[int, Floats]:
    """Node of a check that says which tables it touches → share of its statements that a lock lets wait: (worlds,).

    What does not touch the table waits too where those that wait use up the connections.
    """
    found: dict[int, Floats] = {}
    checks = {check.id: check for check in experiment.checks}
    for node, name in graph.owner.items():
        service = int(graph.service[node])
        locked = {
            b.table.rpartition(".")[2] for b in blows.services.get(service, ()) if b.manner.type is FaultType.LOCKED
        }
        if not checks[name].tables or not locked - {""}:
            continue
        if locked & {table.rpartition(".")[2] for table in checks[name].tables}:
            found[node] = np.ones(worlds.count)
            continue
        callers = [topology.system.dependencies[edge].place for edge in topology.edges_in[service]]
        own = [place for place in callers if place in (checks[name].exercises or ())]
        used_up = worlds.present(Weakness.POOL_EXHAUSTION, own)
        found[node] = np.where(used_up.any(axis=0), STARVED, 0.0)
    return found


def _loaded(
    setting: Setting, own: State, owns: Mapping[int, Own], faults: EdgeFaults, headroom: Floats, cliffs: Flags,
    *, settled: bool,
) -> tuple[Solved, Floats]:  # fmt: skip
    """Solve; and again where so many tries come in that a service cannot carry them."""
    extra = np.ones_like(headroom)
    for number, each in owns.items():
        extra[number] = each.load
    lost = np.zeros_like(headroom)
    through = faults.through(len(setting.net.tail))
    for _ in range(ROUNDS_MAX):
        solved = solve(setting, _without(own, lost, setting.net), faults, settled=settled)
        load = amplification(setting, solved, through)
        over = np.maximum(load * extra / headroom, 1.0)
        more = np.where(over > 1, np.where(cliffs, COLLAPSE, 1 - 1 / over), 0.0)
        if np.abs(more - lost).max(initial=0.0) < 0.01:
            break
        lost = np.maximum(lost, more)
    return solved, load


def _without(own: State, lost: Floats, graph: Net) -> State:
    """The nodes without what their services cannot carry."""
    if not lost.any():
        return own
    left = (1 - lost)[graph.service] * graph_nodes(graph)[:, None] + (1 - graph_nodes(graph))[:, None]
    return State(own.good * left, *own.parts[1:])


def graph_nodes(graph: Net) -> Floats:
    """1 for nodes that do work, 0 for those that only stand for a check: shape (nodes,)."""
    found = graph.whole.astype(np.float64)
    found[list(graph.owner)] = 1.0
    return found


def _in_time(state: State, nodes: list[int], slack_ms: Floats) -> Floats:
    """Share of requests answered well and at most so much later than usual: shape (nodes, worlds)."""
    found: Floats = state.good[nodes] * _quick(state, nodes, slack_ms)
    return found


def _quick(state: State, nodes: list[int], slack_ms: Floats) -> Floats:
    """Share of the answers, good or bad, that are at most so much later than usual: shape (nodes, worlds)."""
    late = state.delay_ms[nodes]
    quick = np.where(late <= slack_ms, 1 - state.slow_share[nodes], 0.0)
    slow = np.where(late + state.slow_ms[nodes] <= slack_ms, state.slow_share[nodes], 0.0)
    found: Floats = quick + slow
    return found
