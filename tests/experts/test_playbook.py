from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hatchling.builders.wheel import WheelBuilder

from executor.errors import InputError
from executor.model.vocabulary import Weakness
from experts.playbook import COUNCIL, base_rates, persona, playbook, read_playbook
from tests.experts.systems import library

REQUIRED = {
    "hard_dependency",
    "missing_timeout",
    "missing_bulkhead",
    "retry_storm",
    "missing_circuit_breaker",
    "missing_retry",
    "load_balancer_keeps_dead_member",
    "single_point_of_failure",
    "slow_or_missing_recovery",
    "does_not_reconnect",
    "pool_exhaustion",
    "cold_cache_overload",
    "detection_blind_spot",
    "no_graceful_degradation",
    "timeout_inversion",
}
ENTRY = """
expert: someone
entries:
  - id: slow
    weakness: missing_timeout
    at: edge
    base_rate: 0.3
    faults:
      - {fault: {kind: network.latency, delay_ms: 3000}, target: edge}
    rationale: "{caller} waits for {callee}."
    remedy: a limit
    source: experience
"""


@pytest.mark.parametrize("expert", COUNCIL)
def test_every_member_has_a_persona_and_a_valid_playbook(expert: str) -> None:
    assert playbook(expert).expert == expert
    text = persona(expert)
    assert text.startswith("# ")
    assert 1000 < len(text) < 5000
    assert "never" in text


def test_the_council_covers_the_classes() -> None:
    seen = {entry.weakness.value for expert in COUNCIL for entry in playbook(expert).entries}
    assert seen >= REQUIRED


def test_base_rates_are_honest() -> None:
    for expert in COUNCIL:
        for entry in playbook(expert).entries:
            assert 0.05 <= entry.base_rate <= 0.6, entry.id
            assert entry.source


def test_every_file_of_the_council_is_in_the_wheel() -> None:
    root = Path(__file__).parents[2]
    inside = {included.distribution_path for included in WheelBuilder(str(root)).recurse_included_files()}
    for expert in COUNCIL:
        assert {f"experts/council/{expert}/persona.md", f"experts/council/{expert}/playbook.yaml"} <= inside


def test_a_playbook_that_is_right_is_read() -> None:
    assert read_playbook(ENTRY, "p.yaml").entries[0].id == "slow"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("at: edge", "at: edge\n    when: {edge: {colour: [red]}}", "when.edge.colour"),
        ("weakness: missing_timeout", "weakness: bad_luck", "weakness"),
        ("delay_ms: 3000", "delay_s: 3", "faults.0.fault"),
        ("delay_ms: 3000", "delay_ms: -1", "faults.0.fault"),
        ("target: edge", "target: callee", "takes a target of kind edge"),
        ("target: edge", "target: service", "does not fit an entry at edge"),
        ("{caller} waits", "{nobody} waits", "{nobody} is not known"),
        ("at: edge", "at: edge\n    when: {service: {calls: true}}", "say caller or callee"),
        ("base_rate: 0.3", "base_rate: 1.5", "base_rate"),
        ("    remedy: a limit\n", "", "remedy"),
    ],
)
def test_an_error_names_file_and_entry(old: str, new: str, said: str) -> None:
    assert old in ENTRY
    with pytest.raises(InputError) as caught:
        read_playbook(ENTRY.replace(old, new), "p.yaml")
    assert "p.yaml: entry slow" in str(caught.value)
    assert said in str(caught.value)


def test_an_entry_may_be_there_once() -> None:
    data = yaml.safe_load(ENTRY)
    data["entries"] *= 2
    with pytest.raises(InputError, match="slow is there twice"):
        read_playbook(yaml.safe_dump(data), "p.yaml")


def test_what_is_not_yaml_is_said() -> None:
    with pytest.raises(InputError, match="not YAML"):
        read_playbook("a: [", "p.yaml")


def test_base_rates_name_their_entry_and_only_places_that_are_there() -> None:
    system = library()
    rates = base_rates(system)
    places = {service.name for service in system.services} | {edge.place for edge in system.dependencies}
    assert {place for _, place in rates} <= places
    rate, source = rates[Weakness.HARD_DEPENDENCY, "desk->reviews"]
    assert (rate, source) == (0.35, "reliability-engineer/soft-dependency-is-hard")
    assert (Weakness.HARD_DEPENDENCY, "desk->shelves") not in rates, "what is needed by design is no weakness"
    assert rates[Weakness.SLOW_OR_MISSING_RECOVERY, "loans"][0] == 0.8, "nobody restarts it"
