"""Hypothesis strategies for whole, valid contract values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from executor.model.criteria import BoundedLatency, CallsWithin, Criterion, RecoversWithin, SteadyState
from executor.model.faults import Fault
from executor.model.faults.network import Latency, Partition, Reset
from executor.model.faults.service import Crash, Error, Hang
from executor.model.plan import (
    AbortCondition,
    Action,
    EdgeTarget,
    Experiment,
    GroupsTarget,
    Hypothesis,
    InstanceTarget,
    Plan,
    Prediction,
    Stage,
    Target,
)
from executor.model.probe import Check, HttpProbe, Slo, TcpProbe
from executor.model.vocabulary import Environment, Weakness

names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
texts = st.text(max_size=40)
ports = st.integers(1, 65535)
ratios = st.floats(0.01, 1)
seconds = st.floats(0.5, 60)

probes = st.one_of(
    st.builds(
        HttpProbe,
        url=st.builds("http://127.0.0.1:{}/".format, ports),
        expect_text=st.none() | texts,
        expect_no_text=st.none() | texts,
    ),
    st.builds(TcpProbe, port=ports),
)
checks = st.builds(
    Check, id=names, service=names, probe=probes, slo=st.builds(Slo, availability_min=ratios), critical=st.booleans()
)
instance_faults = st.one_of(st.builds(Crash, signal=st.sampled_from(["KILL", "ABRT", "SEGV"])), st.builds(Hang))
edge_faults = st.one_of(
    st.builds(Error, status=st.integers(400, 599), probability=st.floats(0, 1)),
    st.builds(Latency, delay_ms=st.floats(1, 10_000)),
    st.builds(Reset, probability=st.floats(0, 1)),
)


@st.composite
def faults_with_targets(draw: st.DrawFn) -> tuple[Fault, Target]:
    kind = draw(st.sampled_from(["instances", "edge", "groups"]))
    if kind == "instances":
        return draw(instance_faults), draw(st.builds(InstanceTarget, service=names, count=st.integers(1, 9)))
    if kind == "edge":
        return draw(edge_faults), draw(st.builds(EdgeTarget, caller=names, callee=names))
    group = st.lists(names, min_size=1, max_size=3).map(tuple)
    return draw(st.builds(Partition)), draw(st.builds(GroupsTarget, a=group, b=group))


def criteria(check_ids: list[str]) -> st.SearchStrategy[Criterion]:
    some = st.lists(st.sampled_from(check_ids), min_size=1, max_size=3, unique=True).map(tuple)
    return st.one_of(
        st.builds(SteadyState, checks=some, availability_min=ratios),
        st.builds(BoundedLatency, checks=some, limit_ms=st.floats(1, 5000)),
        st.builds(CallsWithin, caller=names, callee=names, factor_max=st.floats(0.1, 10)),
        st.builds(RecoversWithin, checks=some, within_s=seconds),
    )


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    stages: list[Stage] = []
    count = draw(st.integers(1, 3))
    for number in range(count):
        own: list[Check] = draw(st.lists(checks, min_size=1, max_size=3, unique_by=lambda check: check.id))
        ids = [check.id for check in own]
        fault, target = draw(faults_with_targets())
        hypothesis = Hypothesis(
            id=f"h{number}",
            weakness=draw(st.sampled_from(Weakness)),
            place=draw(names),
            statement=draw(texts),
            criteria=tuple(draw(st.lists(criteria(ids), min_size=1, max_size=3))),
            prediction=Prediction(probability_breaks=draw(st.floats(0, 1))),
        )
        abort: Any = draw(
            st.just("none")
            | st.lists(
                st.builds(AbortCondition, check=st.sampled_from(ids), availability_below=ratios), min_size=1, max_size=2
            ).map(tuple)
        )
        action = Action(id=f"a{number}", fault=fault, target=target, duration_s=draw(seconds))
        experiment = Experiment(
            id=f"e{number}",
            title=draw(texts),
            hypotheses=(hypothesis,),
            checks=tuple(own),
            actions=(action,),
            abort_conditions=abort,
        )
        stages.append(Stage(experiments=(experiment,)))
    return Plan(
        id=draw(names),
        system_name=draw(names),
        system_digest="sha256:" + draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        environment=draw(st.sampled_from(Environment)),
        proposer=draw(texts),
        seed=draw(st.integers(0, 2**53 - 1)),
        stages=tuple(stages),
    )
