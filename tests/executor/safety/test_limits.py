"""The operator's file: safe when absent, exact when wrong."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from executor.errors import InputError
from executor.model.digest import digest
from executor.model.vocabulary import Environment
from executor.safety.limits import BlastRadius, ErrorBudget, Limits, in_force, load_limits, to_toml
from executor.safety.stricter import RULES
from executor.safety.windows import ChangeWindow
from executor.state.home import Home

_WINDOWS = """[[change_windows]]
begins = "08:00"
ends = "18:00"
time_zone = "{}"
[[change_windows]]
begins = "{}"
ends = "25:00"
"""
WINDOWS = (
    ChangeWindow(begins="22:00", ends="05:00", days=("mon", "fri"), time_zone="Europe/Berlin"),
    ChangeWindow(begins="00:00", ends="24:00", environments=(Environment.STAGING,)),
)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(),
        Limits(
            change_windows=WINDOWS,
            lease_s=2.123456789,
            approvers=("ann", "bob"),
            blast_radius=BlastRadius(services_percent=33.3),
        ),
    ],
    ids=["defaults", "others"],
)
def test_limits_written_as_a_file_read_back_the_same(limits: Limits) -> None:
    again = Limits.model_validate(tomllib.loads(to_toml(limits)))
    assert again == limits
    assert digest(again) == digest(limits)


def test_every_key_of_a_file_is_explained() -> None:
    lines = to_toml(Limits()).splitlines()
    keys = [number for number, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(keys) >= 15
    assert all(lines[number - 1].startswith("# ") and lines[number - 1].endswith(".") for number in keys)
    assert "None" not in to_toml(Limits())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """With a working directory beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return Home.open(tmp_path / "home")


def test_a_file_in_the_working_directory_makes_the_homes_stricter(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_limits(home=home) == Limits()
    (home.path / "limits.toml").write_text("lease_s = 7")
    assert load_limits(home=home).lease_s == 7
    monkeypatch.setenv("MURPHY_HOME", str(home.path))
    assert load_limits().lease_s == 7
    Path("limits.toml").write_text("[blast_radius]\ninstances_percent = 5\n")
    found = load_limits(home=home)
    assert found == Limits(lease_s=7, blast_radius=BlastRadius(instances_percent=5))
    Path("copy.toml").write_text(to_toml(found))
    assert load_limits(Path("copy.toml"), home=home) == found, "all of it, as approving elsewhere needs it"
    assert in_force(home=home) == f"{Path('limits.toml').resolve()}, within the operator's {home.path / 'limits.toml'}"
    monkeypatch.chdir(home.path)
    assert load_limits(home=home).lease_s == 7
    (home.path / "limits.toml").unlink()
    monkeypatch.chdir(home.path.parent / "work")
    Path("limits.toml").write_text("[blast_radius]\ninstances_percent = 25\n")
    assert load_limits(home=home) == Limits(blast_radius=BlastRadius(instances_percent=25)), "no operator's file"


def test_what_the_operator_protects_stays_protected(home: Home) -> None:
    """As was seen: a checkout's file with a radius of its own made all else the default."""
    operator = Limits(protected_services=("alpha",), approvers=("ann",), fault_s_max=10)
    (home.path / "limits.toml").write_text(to_toml(operator))
    Path("limits.toml").write_text('protected_services = ["beta"]\n[blast_radius]\ntraffic_percent = 5\n')
    found = load_limits(home=home)
    assert (found.protected_services, found.approvers, found.fault_s_max) == (("alpha", "beta"), ("ann",), 10)
    Path("limits.toml").write_text("[blast_radius]\ntraffic_percent = 100\n")
    for named in (None, Path("limits.toml")):
        with pytest.raises(InputError) as caught:
            load_limits(named, home=home)
        assert str(caught.value) == (
            "limits.toml, line 2: blast_radius.traffic_percent is 100, which allows more than the operator's 10 in"
            f" {home.path}/limits.toml. Here it can only be stricter: remove it, or have the operator change"
            f" {home.path}/limits.toml."
        )


OPERATOR = Limits(
    allowed_faults=("service.*", "network.latency", "data.?ock"),
    environments=(Environment.DEVELOPMENT, Environment.PRODUCTION),
    approvers=("ann", "bob"),
    change_windows=(ChangeWindow(begins="08:00", ends="18:00"), *WINDOWS),
    error_budget=ErrorBudget(source="left.json", floor=0.3),
)


@pytest.mark.parametrize(
    ("stricter", "looser"),
    [
        ("critical_in_production = false", "critical_in_production = true"),
        ("lease_s = 4", "lease_s = 5.5"),
        ("state_free_mib_min = 65", "state_free_mib_min = 0"),
        ("[guard]\nmemory_free_percent_min = 5", "[guard]\nmemory_free_percent_min = 3"),
        ("[error_budget]\nfloor = 0.4", "[error_budget]\nfloor = 0.2"),
        ('[error_budget]\nsource = "left.json"', '[error_budget]\nsource = "other.json"'),
        ('approvers = ["bob"]', 'approvers = ["bob", "eve"]'),
        ('approvers = ["bob", "ann"]', "approvers = []"),
        ('environments = ["production"]', 'environments = ["staging"]'),
        ('allowed_faults = ["service.hang", "service.c*", "network.latency"]', 'allowed_faults = ["*"]'),
        ('allowed_faults = ["data.lock", "data.?ock"]', 'allowed_faults = ["data.*ock"]'),
        ("allowed_faults = []", 'allowed_faults = ["network.*"]'),
        ("fault_s_max = 60", "fault_s_max = 60.1"),
        (
            '[[change_windows]]\nbegins = "08:00"\nends = "18:00"\n'
            '[[change_windows]]\nbegins = "00:00"\nends = "24:00"\nenvironments = ["staging"]',
            "change_windows = []",
        ),
        (
            '[[change_windows]]\nbegins = "00:00"\nends = "24:00"\nenvironments = ["staging", "development"]',
            '[[change_windows]]\nbegins = "08:00"\nends = "19:00"\n'
            '[[change_windows]]\nbegins = "00:00"\nends = "24:00"\nenvironments = ["staging"]',
        ),
    ],
)
def test_each_limit_can_only_be_made_stricter(home: Home, stricter: str, looser: str) -> None:
    (home.path / "limits.toml").write_text(to_toml(OPERATOR))
    Path("limits.toml").write_text(stricter)
    found = load_limits(home=home)
    assert found.model_dump(exclude_unset=False) == Limits.model_validate(found.model_dump()).model_dump()
    Path("limits.toml").write_text(looser)
    with pytest.raises(InputError, match="which allows more than the operator's"):
        load_limits(home=home)


def test_every_limit_has_a_rule() -> None:
    tables = {name: type(field.default) for name, field in Limits.model_fields.items()}
    assert set(RULES) == {
        key
        for name, table in tables.items()
        for key in ([f"{name}.{each}" for each in table.model_fields] if issubclass(table, BaseModel) else [name])
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lease_s = 5\nblast_radios = 3", ", line 2: blast_radios is not a limit. Did you mean blast_radius?"),
        (
            "[guard]\ncpu = 3",
            ", line 2: guard.cpu is not a limit. Known are check_silent_s, unplanned_services_max, cascade_per_s_max, "
            "cost_percent_max, cpu_percent_max, "
            "memory_free_percent_min.",
        ),
        (
            "# radius\n[blast_radius]\ninstances_percent = 150",
            ", line 3: blast_radius.instances_percent is 150; it should be less than or equal to 100.",
        ),
        (
            'environments = ["prod"]',
            ", line 1: environments is \"prod\"; it should be 'development', 'staging' or 'production'.",
        ),
        ("fault_s_max = inf", ", line 1: fault_s_max is Infinity; it should be a finite number."),
        ("lease_s = 0.1", ", line 1: lease_s is 0.1; it should be greater than or equal to 1."),
        ('lease_s = "5"', ', line 1: lease_s is "5"; it should be a valid number.'),
        ("concurrent_runs_max = true", ", line 1: concurrent_runs_max is true; it should be a valid integer."),
        ("blast_radius = 3", ", line 1: blast_radius is 3; it should be a table."),
        ('approvers = "alice"', ', line 1: approvers is "alice"; it should be a list.'),
        ("approvers = [3]", ", line 1: approvers is 3; it should be in quotes."),
        (
            _WINDOWS.format("Europe/Berlin", "22:00"),
            ', line 7: change_windows.ends is "25:00"; it should match pattern '
            "'^(([01]\\d|2[0-3]):[0-5]\\d|24:00)$'.",
        ),
        (
            _WINDOWS.format("Mars/Olympus", "22:00"),
            ", line 1: change_windows: Mars/Olympus is no time zone that this machine knows.",
        ),
        ("[[change_windows]]\nends = '08:00'", ": change_windows lacks begins."),
        ("[[change_windows]]\nday = '08:00'", ", line 2: change_windows.day is not a limit. Did you mean days?"),
        ("lease_s =", ": not TOML: Invalid value (at end of document)."),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_limits(file)
    assert str(caught.value) == f"{file}{message}"


@pytest.mark.parametrize("goal", ["gone/limits.toml", "limits.toml"], ids=["to what is gone", "to itself"])
def test_a_link_that_leads_nowhere_is_no_leave_to_go_by_the_defaults(home: Home, goal: str) -> None:
    """What it led to may have protected something."""
    (home.path / "limits.toml").symlink_to(home.path / goal)
    with pytest.raises(InputError, match=r"limits\.toml"):
        load_limits(home=home)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        load_limits(tmp_path / "limits.toml")
    with pytest.raises(InputError, match="cannot be read"):
        load_limits(tmp_path)
