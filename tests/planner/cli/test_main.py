"""The command line itself: light where it must be, and errors that are one sentence with an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = {"openai", "anthropic", "langgraph", "chromadb", "fastapi", "sqlalchemy", "onnxruntime", "rich.table"}
Murphy = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def murphy(tmp_path: Path) -> Murphy:
    """Runs ``murphy ARGUMENTS`` in an empty directory with its own state."""
    environment = {**os.environ, "MURPHY_HOME": str(tmp_path / "home"), "NO_COLOR": "1", "COLUMNS": "200"}
    root = str(Path(__file__).parents[3])

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "planner.cli.main", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": root},
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    return run


@pytest.mark.parametrize("arguments", [["--help"], ["halt"], ["resume"], ["recover"]], ids=lambda a: a[0])
def test_what_must_answer_at_once_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from planner.cli.main import app\n"
        "try:\n"
        f"    app({arguments!r}, standalone_mode=False)\n"
        "except SystemExit:\n"
        "    pass\n"
        f"print('LOADED', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    environment = {**os.environ, "MURPHY_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_halt_is_kept_until_resumed_and_both_are_in_the_audit_trail(murphy: Murphy) -> None:
    assert murphy("halt", "fire drill").returncode == 0
    assert json.loads(murphy("halt", "--json").stdout)["reason"] == "fire drill"
    assert murphy("resume").stdout.strip() == "Runs may begin again."
    assert murphy("resume").stdout.strip() == "Nothing was halted."
    acts = [row["what"] for row in json.loads(murphy("audit", "show", "--json").stdout)]
    assert acts == ["halted", "resumed"]
    assert murphy("audit", "verify").returncode == 0


def test_halt_works_without_a_journal_and_says_what_it_cannot_tell(murphy: Murphy, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "journal.db").write_bytes(b"no journal" * 100)
    done = murphy("halt")
    assert done.returncode == 4
    assert "halted, and no run begins; but whether every fault is undone cannot be told" in done.stderr
    assert (tmp_path / "home" / "HALTED").exists()


def test_closed_standard_streams_change_no_exit_code(tmp_path: Path) -> None:
    command = f'"{sys.executable}" -m planner.cli.main evidence >&- 2>&- <&-'
    environment = {**os.environ, "MURPHY_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run(["/bin/sh", "-c", command], env=environment, timeout=60, check=False).returncode == 2


def test_recover_with_nothing_owed_says_so(murphy: Murphy) -> None:
    done = murphy("recover")
    assert (done.returncode, done.stdout.strip()) == (0, "Nothing is owed.")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["discover"], 2, "nothing says where to look. Give --live."),
        (["show", "none.json"], 2, "none.json: is not there. murphy plan writes one."),
        (["approve", "none.json", "--yes"], 3, "there is no terminal to ask a person on"),
        (["approve"], 3, "Nobody to ask: murphy keys create NAME, then murphy approve --yes --key NAME."),
        (["run", "none.json"], 2, "none.json: is not there."),
        (
            ["plan", "--system", "none.yaml"],
            2,
            "none.yaml: cannot be read: No such file or directory. murphy discover writes it.",
        ),
        (["report"], 2, "there is no run yet."),
        (["report", "run-1"], 2, "there is no run yet."),
        (["findings"], 2, "there is no run yet."),
        (
            ["proxy", "--config", "none.json"],
            2,
            'none.json: cannot be read (No such file or directory). Expected {"con',
        ),
        (["discover", "--live", "--name", "A B"], 2, "--name: 'A B' cannot be a system's name."),
        (["plan", "--goal", "x" * 5000], 2, "--goal: has 5000 characters, and the limit is 4000."),
        (["nonsense"], 2, "No such command 'nonsense'"),
    ],
    ids=lambda value: "-".join(value)[:40] if isinstance(value, list) else None,
)
def test_mistakes_are_one_sentence_without_a_trace(murphy: Murphy, arguments: list[str], code: int, said: str) -> None:
    done = murphy(*arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_every_fault_is_in_the_catalogue_with_its_parameters(murphy: Murphy) -> None:
    rows = {row["kind"]: row for row in json.loads(murphy("faults", "--json").stdout)}
    assert rows["network.latency"]["takes"] == "edge"
    assert "delay_ms" in rows["network.latency"]["parameters"]
    assert rows["resource.memory"]["parameters"]["fill_percent"].startswith("from 1, to 95; default None; ")
    assert all(row["what"] and row["differs"] and row["lease"] for row in rows.values())


def test_the_catalogue_for_people_says_the_same_of_each(murphy: Murphy) -> None:
    rows = json.loads(murphy("faults", "--json").stdout)
    said = murphy("faults").stdout
    for words in ("ends by itself: ", "not like the real thing: ", "reaches: "):
        assert said.count(f"      {words}") == len(rows), words


def test_doctor_says_what_works_and_what_to_do_about_the_rest(murphy: Murphy) -> None:
    found = json.loads(murphy("doctor", "--json").stdout)
    assert all(look["works"] or look["detail"] for look in found)
    assert {look["what"] for look in found} >= {"safe signals (pidfd)", "durable state", "OpenAI experts"}


def test_limits_can_be_kept_as_a_file_and_say_where_they_come_from(murphy: Murphy, tmp_path: Path) -> None:
    before = murphy("limits").stdout
    assert before.startswith("# In force: no file: the defaults; sha256:")
    (tmp_path / "limits.toml").write_text(before.replace("fault_s_max = 60", "fault_s_max = 30"))
    found = json.loads(murphy("limits", "--json").stdout)
    assert found["source"] == str(tmp_path / "limits.toml")
    assert found["limits"]["fault_s_max"] == 30
    (tmp_path / "other.toml").write_text("fault_max = 1")
    refused = murphy("limits", "other.toml")
    assert refused.returncode == 2
    assert "fault_max is not a limit" in refused.stderr
