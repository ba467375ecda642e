"""``murphy learn``: files in, files out, and what is amiss said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from executor.state.home import Home
from tests.knowledge.documents.papers import PAGE, RUNBOOK, pdf
from tests.planner.cli.commands import murphy, refused, told


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MURPHY_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "payment.md").write_text(RUNBOOK, encoding="utf-8")
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "book.pdf").write_bytes(pdf("Fail over the database", "Restore the backup"))
    return tmp_path


def became(capsys: pytest.CaptureFixture[str], *files: str) -> list[str]:
    return [each["became"] for each in told(capsys, "learn", *files)["documents"]]


def test_files_of_every_kind_are_learned_listed_found_and_forgotten(
    papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert became(capsys, "payment.md", "page.html", "book.pdf") == ["new"] * 3
    listed = told(capsys, "learn", "--list")
    assert [(each["kind"], each["title"], each["passages"]) for each in listed] == [
        ("pdf", "Fail over the database", 2),
        ("html", "Postmortem 17", 2),
        ("markdown", "Payment runbook", 3),
    ]
    assert listed[2]["source"] == str(papers / "payment.md")
    found = told(capsys, "learn", "--find", "restore a backup")
    assert (found[0]["kind"], found[0]["reference"]) == ("passages", f"{papers}/book.pdf, page 2")
    assert told(capsys, "learn", "--forget", "book.pdf")["forgotten"] == [str(papers / "book.pdf")]
    assert len(told(capsys, "learn", "--list")) == 2
    assert all("book.pdf" not in each["reference"] for each in told(capsys, "learn", "--find", "restore a backup"))
    assert told(capsys, "learn", "--rebuild") == {"indexed": 5}
    assert murphy("learn", "--list") == 0
    assert "Payment runbook (markdown, 3 passages)" in capsys.readouterr().out
    for file in Home.open().path.rglob("*"):
        assert not file.is_file() or b"hunter2" not in file.read_bytes()


def test_the_same_file_changes_nothing_and_a_changed_one_is_replaced(
    papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert became(capsys, "payment.md") == ["new"]
    before = told(capsys, "learn", "--list")
    assert became(capsys, str(papers / "payment.md")) == ["unchanged"]
    assert told(capsys, "learn", "--list") == before
    (papers / "payment.md").write_text("Payment is gone.", encoding="utf-8")
    assert murphy("learn", "payment.md") == 0
    assert "1 passage learned in the place of what was known of it" in capsys.readouterr().out
    assert [each["passages"] for each in told(capsys, "learn", "--list")] == [1]


def test_a_file_that_is_no_document_is_a_sentence_and_loses_nothing(
    papers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert became(capsys, "payment.md") == ["new"]
    (papers / "payment.md").write_bytes(b"\x00\x01binary")
    (papers / "empty.md").touch()
    (papers / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    capsys.readouterr()
    assert murphy("learn", "payment.md", "empty.md", "broken.pdf", "none.md", ".", "page.html") == 2
    said = capsys.readouterr()
    assert len(said.err.strip().splitlines()) == 5
    for sentence in ("payment.md: is no text", "empty.md: is empty", "broken.pdf: the PDF cannot be read", "none.md"):
        assert sentence in said.err
    assert "page.html: 2 passages learned" in said.out
    assert [each["passages"] for each in told(capsys, "learn", "--list")] == [2, 3]  # what payment.md said is kept


def test_wrong_use_is_refused(papers: Path) -> None:
    assert "name files to learn" in refused("learn")
    assert "name files to learn" in refused("learn", "payment.md", "--list")
    assert "no such document was learned" in refused("learn", "--forget", "payment.md")
    (papers / "a").mkdir()
    (papers / "a" / "payment.md").write_text("another", encoding="utf-8")
    assert murphy("learn", "payment.md", "a/payment.md") == 0
    (papers / "b").mkdir()
    assert "several documents are called that" in _elsewhere(papers)


def _elsewhere(papers: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(papers / "b")
        return refused("learn", "--forget", "payment.md")


def test_a_memory_in_use_keeps_no_document_from_being_learned(
    papers: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from knowledge.ledger import Ledger
    from knowledge.memory import Memory

    home = Home.open()
    monkeypatch.setattr("knowledge.memory.Memory.__init__.__kwdefaults__", {"wait_s": 0.0})
    with Ledger.open(home) as ledger, Memory(home, ledger):
        capsys.readouterr()
        assert murphy("learn", "payment.md", "--json") == 0
        answer = json.loads(capsys.readouterr().out)
    assert "What changed is kept" in answer["note"]
    assert told(capsys, "learn", "--find", "redis was flushed")[0]["reference"].startswith(str(papers / "payment.md"))
