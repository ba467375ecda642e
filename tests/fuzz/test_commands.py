"""The programs themselves, on files that are wrong: one sentence on standard error, and the documented exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from executor.state.home import Home

ROOT = Path(__file__).parents[2]
DEEP = b"[" * 200_000
LAUGHS = b"l0: &l0 [lol, lol]\n" + b"".join(b"l%d: &l%d [*l%d, *l%d]\n" % (n, n, n - 1, n - 1) for n in range(1, 60))
MURPHY = ("-m", "planner.cli.main")
PROXY = ("-m", "executor.proxy")


@pytest.mark.parametrize(
    ("name", "content", "arguments", "codes"),
    [
        ("plan.json", DEEP, (*MURPHY, "show", "plan.json"), {2}),
        ("plan.json", b"\xef\xbb\xbf{}", (*MURPHY, "approve", "plan.json", "--key", "me", "--yes"), {2}),
        ("plan.json", b'{"format": "murphy.plan/1", "format": NaN}', (*MURPHY, "run", "plan.json"), {2}),
        ("system.yaml", LAUGHS, (*MURPHY, "plan"), {2}),
        ("system.yaml", b"name: !!python/object/apply:os.system ['exit 9']", (*MURPHY, "why", "web"), {2}),
        ("notes.yaml", b"a: 2001-99-99", (*MURPHY, "discover", "--live", "--annotations", "notes.yaml"), {2}),
        ("limits.toml", b"lease_s = " + b"9" * 10_000, (*MURPHY, "limits"), {2}),
        ("proxy.json", DEEP, (*PROXY, "--config", "proxy.json"), {2}),
        ("home/journal.db", b"SQLite format 3\0" + bytes(4000), (*MURPHY, "recover"), {2, 4}),
        ("home/ledger.db", b"SQLite format 3\0" + bytes(4000), (*MURPHY, "findings"), {2}),
        ("home/HALTED", DEEP, (*MURPHY, "halt", "--json"), {0}),
        ("recipe", DEEP, ("-m", "executor.drivers.launch"), {1}),
        ("recipe", b"{}", ("-m", "executor.drivers.launch"), {1}),
    ],
    ids=lambda value: "-".join(value[1:3]) if isinstance(value, tuple) else None,
)
def test_one_sentence(tmp_path: Path, name: str, content: bytes, arguments: tuple[str, ...], codes: set[int]) -> None:
    Home.open(tmp_path / "home")
    file = tmp_path / name
    file.write_bytes(content)
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "MURPHY_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        input=content if name == "recipe" else b"",
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in codes, done.stderr.decode()
    assert b"Traceback" not in done.stdout + done.stderr
    assert file.read_bytes() == content
    if codes == {0}:
        assert json.loads(done.stdout)["halted"] is True
    else:
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(b"murphy: ") or name == "recipe"
