"""Findings from evidence: one for each weakness and place, as severe as what was hurt."""

from __future__ import annotations

from executor.model.evidence import Finding
from executor.model.faults.network import Latency
from executor.model.vocabulary import Severity, Verdict, Weakness
from knowledge.findings import findings
from tests.knowledge.runs import Case, evidence_of, plan_of, small_system


def found(*cases: Case) -> tuple[Finding, ...]:
    system = small_system()
    plan = plan_of(cases, system)
    return findings(plan, evidence_of(cases, plan), system)


def test_a_broken_hypothesis_makes_a_finding_with_everything_a_reader_needs():
    (one,) = found(Case(Verdict.BREAKS, availability=0.08))
    assert one.weakness is Weakness.HARD_DEPENDENCY
    assert one.severity is Severity.CRITICAL
    assert one.statement == "home keeps working while front->back is at fault"
    assert one.evidence == (
        "Under service.error on front->back: home: 3 of 40 (8 %) good (wanted: at least 90 %). "
        "Critical check home of front kept 8 % of 40 answers."
    )
    assert one.remedy == "Give it a fallback."
    assert one.reproduce == "murphy plan --again run-1/e0"


def test_what_held_or_stayed_open_is_no_finding():
    assert found(Case(Verdict.HOLDS), Case(Verdict.INCONCLUSIVE), Case(Verdict.ABORTED)) == ()


def test_severity_follows_criticality_and_what_users_kept():
    severities = {
        (check, kept): found(Case(Verdict.BREAKS, checks=(check,), availability=kept))[0].severity
        for check in ("home", "list", "tips")
        for kept in (0.93, 0.7, 0.1)
    }
    assert severities == {
        ("home", 0.93): Severity.HIGH,
        ("home", 0.7): Severity.HIGH,
        ("home", 0.1): Severity.CRITICAL,
        ("list", 0.93): Severity.MEDIUM,
        ("list", 0.7): Severity.MEDIUM,
        ("list", 0.1): Severity.HIGH,
        ("tips", 0.93): Severity.LOW,
        ("tips", 0.7): Severity.LOW,
        ("tips", 0.1): Severity.MEDIUM,
    }


def test_one_weakness_at_one_place_is_one_finding_told_by_its_worst_experiment():
    mild = Case(Verdict.BREAKS, availability=0.93)
    severe = Case(Verdict.BREAKS, availability=0.0, fault=Latency(delay_ms=3000))
    (one,) = found(mild, severe)
    assert one.experiment == "e1"
    assert one.severity is Severity.CRITICAL
    first, second = one.evidence.split("\n")
    assert "network.latency delay_ms=3000" in first
    assert second.startswith("Also under service.error on front->back")
    assert second.endswith("(experiment e0)")


def test_the_worst_comes_first_and_ids_do_not_change():
    cases = (
        Case(Verdict.BREAKS, place="front->side", checks=("tips",), availability=0.9),
        Case(Verdict.BREAKS, availability=0),
    )
    places = [(one.place, one.id) for one in found(*cases)]
    assert [place for place, _ in places] == ["front->back", "front->side"]
    assert places == [(one.place, one.id) for one in found(*cases)]
    assert len({name for _, name in places}) == 2
