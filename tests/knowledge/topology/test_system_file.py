"""Every system comes back from its file as it went."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from executor.model.probe import Check, DetectionSignal, HttpProbe, Slo, TcpProbe
from executor.model.system import Dependency, KernelRedirect, ManagedProxy, ProcessInstance, Service, System
from executor.model.vocabulary import Environment, ServiceKind
from knowledge.topology.annotations import load_system, save_system

names = st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True)
lines = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)
ports = st.integers(1, 65535)
probes = st.one_of(
    st.builds(
        HttpProbe,
        url=st.builds("http://127.0.0.1:{}/a".format, ports),
        method=st.sampled_from(["GET", "POST"]),
        json_body=st.none() | lines,
        expect_text=st.none() | lines,
    ),
    st.builds(TcpProbe, port=ports),
)
interceptions = st.one_of(
    st.none(),
    st.builds(KernelRedirect),
    st.builds(ManagedProxy, control=lines, edge=lines),
)


@st.composite
def systems(draw: st.DrawFn) -> System:
    chosen = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    services = tuple(
        Service(
            name=name,
            kind=draw(st.sampled_from(ServiceKind)),
            technology=draw(st.none() | names),
            instances=draw(
                st.lists(
                    st.builds(ProcessInstance, id=st.just(f"{name}-i"), command=lines, port=ports), max_size=1
                ).map(tuple)
            ),
            criticality=draw(st.integers(0, 3)),
            health=draw(st.none() | probes),
            operations=tuple(
                Check(
                    id=f"{name}-{number}",
                    service=name,
                    probe=draw(probes),
                    slo=Slo(latency_ms_max=draw(st.none() | st.floats(0, 1000))),
                    needs=draw(st.none() | st.just((name,)) | st.just(())),
                )
                for number in range(draw(st.integers(0, 2)))
            ),
            signals=draw(
                st.lists(st.builds(DetectionSignal, id=names, service=st.just(name), probe=probes), max_size=1).map(
                    tuple
                )
            ),
        )
        for name in chosen
    )
    pairs = draw(st.lists(st.tuples(st.sampled_from(chosen), st.sampled_from(chosen)), max_size=4, unique=True))
    return System(
        name=draw(names),
        environment=draw(st.sampled_from(Environment)),
        services=services,
        dependencies=tuple(
            Dependency(
                caller=caller,
                callee=callee,
                timeout_ms=draw(st.none() | st.floats(0, 600_000)),
                breaker=draw(st.none() | st.booleans()),
                interception=draw(interceptions),
                source=draw(st.lists(lines, max_size=2).map(tuple)),
            )
            for caller, callee in pairs
        ),
    )


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(systems())
def test_a_system_comes_back_as_it_went(system: System):
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "system.yaml"
        save_system(system, path)
        assert load_system(path) == system
