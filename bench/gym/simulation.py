"""A discrete-event simulation of a system: requests, workers, queues, clients, instances. Knows no fault's name.

One world, one trial: state is made anew for each. Every request of every operation that is asked goes through all its
calls, one after another, as a thread of a server would make them. What is held up somewhere is held up in the
simulation too: a worker for each request under way, a place in the client's pool for each call.
"""

from __future__ import annotations

import math
import random

from bench.gym.behaviour import Operation, Outcome, Step, World, hard
from bench.gym.events import Events
from bench.gym.parts import Disturbance, Edge, Instance, Reply

EJECTED_S = 10.0
FRONT_S = 1.0
"""The front door, which is nobody's weakness, leaves an instance out that has not answered for so long."""
REFUSED_S = 0.001
WARM, REFILL = 0.95, 0.004
"""Of a cache: the share of look-ups that find something once it is full, and by how much each that finds none adds."""
UNWELL_AFTER = 3
"""Calls in a row without a good answer that a deep health check takes for a failure of what it looks at. It asks as
users do: a 404 to everything is no answer either, though no breaker counts it."""


class Simulation:
    """One trial of a world. Equal world, seed and askings give equal answers."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.events = Events()
        self.chance = random.Random(seed)
        self.instances = {
            name: [Instance(server, f"{name}-{n + 1}", name) for n in range(server.instances)]
            for name, server in world.servers.items()
        }
        self.edges = {(a, b): Edge(a, b, client) for (a, b), client in world.clients.items()}
        self.warm = {name: server.warm for name, server in world.servers.items() if server.kind == "cache"}
        self._hard = hard(world)
        self._count = 0
        self._turns: dict[str, int] = {}

    # What users do

    def ask(self, operation: Operation, reply: Reply) -> None:
        """One request of a user, by way of a front door that knows which instances answer."""
        there = [i for i in self.instances[operation.service] if not i.down and not self._silent(i)]
        if not there:
            hung = [i for i in self.instances[operation.service] if not i.down]
            if hung:
                self.arrive(hung[0], operation.steps, reply)
            else:
                self.events.at(self.events.now + REFUSED_S, reply, "refused")
            return
        turn = self._turns[operation.service] = self._turns.get(operation.service, -1) + 1
        self.arrive(there[turn % len(there)], operation.steps, reply)

    def _silent(self, instance: Instance) -> bool:
        return instance.hung_since is not None and self.events.now - instance.hung_since > FRONT_S

    def well(self, service: str) -> bool | None:
        """What its health check says; ``None``: nothing, as it hangs."""
        instances = self.instances[service]
        if all(i.down for i in instances):
            return False
        if all(i.down or i.hung_since is not None for i in instances):
            return None
        if instances[0].server.health == "shallow":
            return True
        edges = [self.edges[edge] for edge in self._hard if edge[0] == service]
        return not any(edge.opened or edge.unanswered >= UNWELL_AFTER for edge in edges)

    # What servers do

    def arrive(self, instance: Instance, steps: tuple[Step, ...], reply: Reply) -> None:
        """A request comes to an instance."""
        if instance.down:
            reply("refused")
        elif instance.hung_since is None and self._has_room(instance):
            self._start(instance, steps, reply)
        elif instance.room is not None and instance.busy >= instance.room:
            reply("refused")
        elif len(instance.waiting) < instance.server.queue:
            instance.waiting.append((steps, reply))
        else:
            reply("5xx")

    @staticmethod
    def _has_room(instance: Instance) -> bool:
        return instance.busy < instance.workers and (instance.room is None or instance.busy < instance.room)

    def _start(self, instance: Instance, steps: tuple[Step, ...], reply: Reply) -> None:
        server = instance.server
        instance.busy += 1
        self._count += 1
        number = self._count
        instance.under_way[number] = reply
        spread = server.spread
        if spread < 0:
            own_s = self.chance.expovariate(1 / server.service_s)
        else:
            own_s = server.service_s * math.exp(self.chance.gauss(-spread * spread / 2, spread))
        if instance.slow > 1:
            own_s *= 1 + server.thrash
        spoilt = server.most is not None and instance.busy > server.most
        self.events.at(
            self.events.now + own_s * instance.slow, self._work, instance, instance.life, number, steps, spoilt, ()
        )

    def _work(
        self,
        instance: Instance,
        life: int,
        number: int,
        steps: tuple[Step, ...],
        spoilt: bool,
        failed: tuple[str, ...],
    ) -> None:
        """Go on with a request: the next of its calls, or its end. ``failed``: parts it did without, of two."""
        if instance.life != life:
            return  # it died meanwhile, and whoever waited knows
        if instance.hung_since is not None:
            instance.stalled.append(lambda: self._work(instance, life, number, steps, spoilt, failed))
        elif spoilt or len(failed) > 1:
            self._finish(instance, number, "5xx")
        elif not steps:
            self._finish(instance, number, "ok")
        else:
            step, rest = steps[0], steps[1:]
            edge = self.edges[instance.service, step.callee]

            def done(outcome: Outcome) -> None:
                if instance.life != life:
                    return
                onward = self._onward(edge, step, outcome)
                if onward is None:
                    self._finish(instance, number, "5xx")
                    return
                missed = outcome != "ok" and step.callee in instance.server.either
                without = (*failed, step.callee) if missed else failed
                self._work(instance, life, number, (*onward, *rest), spoilt, without)

            self._call(edge, step.then, edge.client.retries, done)

    def _onward(self, edge: Edge, step: Step, outcome: Outcome) -> tuple[Step, ...] | None:
        """What a call's outcome adds to what is to be done; ``None``: the request has failed by it."""
        if outcome != "ok":
            survived = step.soft and outcome in edge.client.fallback
            return ((step.spares,) if step.spares else ()) if survived else None
        if step.spares is None or self.chance.random() < self.warm[step.callee]:
            return ()
        self.warm[step.callee] = min(WARM, self.warm[step.callee] + REFILL)
        return (step.spares,)

    def _finish(self, instance: Instance, number: int, outcome: Outcome) -> None:
        instance.busy -= 1
        reply = instance.under_way.pop(number)
        if instance.hung_since is not None:
            instance.stalled.append(lambda: reply(outcome))
        else:
            reply(outcome)
        self._next(instance)

    def _next(self, instance: Instance) -> None:
        while instance.waiting and not instance.down and instance.hung_since is None and self._has_room(instance):
            self._start(instance, *instance.waiting.popleft())

    # What clients do

    def _call(self, edge: Edge, steps: tuple[Step, ...], left: int, done: Reply) -> None:
        client, now = edge.client, self.events.now
        probe = False
        if edge.opened:
            if now < edge.open_until or edge.probing or not client.closes:
                done("open")
                return
            edge.probing = probe = True
        if client.pool is not None and edge.under_way >= client.pool:
            edge.probing = edge.probing and not probe
            done("full")
            return
        edge.under_way += 1
        edge.calls += 1
        instance = self._choose(edge)
        over = False

        def answered(outcome: Outcome) -> None:
            nonlocal over
            if over:
                return
            over = True
            edge.under_way -= 1
            self._count_in(edge, outcome, probe=probe)
            if outcome == "timeout" and client.ejects:
                edge.out[instance.name] = self.events.now + EJECTED_S
            late = client.retry_within_s is not None and self.events.now - now > client.retry_within_s
            if outcome != "ok" and left > 0 and outcome in client.retry_on and not late:
                self.events.at(self.events.now + client.backoff_s, self._call, edge, steps, left - 1, done)
            else:
                done(outcome)

        if client.timeout_s is not None:
            self.events.at(now + client.timeout_s, answered, "timeout")
        self._send(edge, instance, steps, answered)

    def _choose(self, edge: Edge) -> Instance:
        instances = self.instances[edge.callee]
        if len(instances) == 1:
            return instances[0]
        edge.turn += 1
        if not edge.client.ejects and not edge.client.fails_over:
            return instances[edge.turn % len(instances)]
        now = self.events.now
        there = [i for i in instances if edge.out.get(i.name, 0.0) <= now]
        if edge.client.fails_over:
            there = [i for i in there if not i.down] or there
        there = there or instances
        return there[edge.turn % len(there)]

    def _count_in(self, edge: Edge, outcome: Outcome, *, probe: bool) -> None:
        if probe:
            edge.probing = False
        edge.unanswered = 0 if outcome == "ok" else edge.unanswered + 1
        if outcome not in edge.client.breaker_counts:
            if outcome != "4xx" or probe:
                edge.failures, edge.opened = 0, False
            return
        edge.failures += 1
        if edge.client.breaker_after is not None and (probe or edge.failures >= edge.client.breaker_after):
            edge.opened, edge.open_until = True, self.events.now + edge.client.open_s

    def _send(self, edge: Edge, instance: Instance, steps: tuple[Step, ...], answered: Reply) -> None:
        disturbance = edge.disturbance
        if edge.lost:
            self.events.at(self.events.now + REFUSED_S, answered, "reset")
            return
        if disturbance is not None and (disturbance.probability >= 1 or self.chance.random() < disturbance.probability):
            if disturbance.silent:
                edge.held.append(answered)
                return
            if disturbance.outcome in ("refused", "reset", "5xx", "4xx"):
                self._lose(edge, disturbance.outcome)
                self.events.at(self.events.now + REFUSED_S, answered, disturbance.outcome)
                return
            if disturbance.outcome == "malformed":
                self._deliver(edge, instance, steps, lambda o: answered("malformed" if o == "ok" else o))
                return
            self.events.at(self.events.now + disturbance.delay_s, self._deliver, edge, instance, steps, answered)
            return
        self._deliver(edge, instance, steps, answered)

    def _deliver(self, edge: Edge, instance: Instance, steps: tuple[Step, ...], answered: Reply) -> None:
        if instance.down:
            self._lose(edge, "refused")
            self.events.at(self.events.now + REFUSED_S, answered, "refused")
        else:
            self.arrive(instance, steps, answered)

    def _lose(self, edge: Edge, outcome: Outcome) -> None:
        if not edge.client.reconnects and outcome in ("refused", "reset"):
            edge.lost = True

    # What befalls them

    def disturb(self, edge: tuple[str, str], disturbance: Disturbance | None) -> None:
        """Do something to the calls of an edge, or nothing any more: what was held is then cut."""
        known = self.edges[edge]
        known.disturbance = disturbance
        if disturbance is None:
            held, known.held = known.held, []
            for answered in held:
                answered("reset")

    def cut_sessions(self, service: str) -> None:
        """Every connection to it is lost at once."""
        for edge in self.edges.values():
            if edge.callee == service and not edge.client.reconnects:
                edge.lost = True
        for instance in self.instances[service]:
            self._drop(instance)

    def kill(self, instance: Instance, *, supervised: bool = True) -> None:
        """It dies, and what it had under way with it; its supervisor has it back after a while, if it does not give up.

        Does nothing to one that is dead.
        """
        if instance.down:
            return
        instance.down = True
        instance.deaths += 1
        self._drop(instance)
        server = instance.server
        if supervised and (server.deaths is None or instance.deaths < server.deaths):
            self.events.at(self.events.now + server.restart_s, self.revive, instance)

    def revive(self, instance: Instance) -> None:
        """It is there again. Does nothing to one that is."""
        instance.down = False

    def _drop(self, instance: Instance) -> None:
        instance.life += 1
        lost = [*instance.under_way.values(), *(reply for _, reply in instance.waiting)]
        instance.under_way.clear()
        instance.waiting.clear()
        instance.stalled.clear()
        instance.busy = 0
        for reply in lost:
            reply("reset")

    def hang(self, instance: Instance) -> None:
        """It stands still."""
        instance.hung_since = self.events.now

    def go_on(self, instance: Instance) -> None:
        """It goes on where it stood."""
        instance.hung_since = None
        stalled, instance.stalled = instance.stalled, []
        for each in stalled:
            each()
        self._next(instance)

    def free(self, instance: Instance) -> None:
        """It has its workers and its room again."""
        instance.taken, instance.room = 0, None
        self._next(instance)
