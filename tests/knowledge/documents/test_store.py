"""The store of documents, on a real file."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from executor.errors import UnavailableError
from knowledge.documents.reading import read_document
from knowledge.documents.store import DocumentStore
from tests.knowledge.documents.papers import RUNBOOK, document, pdf


def test_the_same_changes_nothing_and_a_change_takes_its_place(tmp_path: Path):
    one, other = document("Old words.", "/a.md"), document("Other words.", "/b.md")
    with DocumentStore(tmp_path / "documents.db") as store:
        assert store.learn(one) == "new"
        assert store.learn(other) == "new"
        assert store.learn(replace(one, title="learned again")) == "unchanged"
        changed = document("New words.", "/a.md")
        assert store.learn(changed) == "changed"
        assert store.documents() == (changed, other)
    with DocumentStore(tmp_path / "documents.db") as store:
        assert store.forget("/a.md")
        assert not store.forget("/a.md")
        assert store.documents() == (other,)
    assert stat.S_IMODE((tmp_path / "documents.db").stat().st_mode) == 0o600


def test_a_document_comes_back_as_it_was_read(tmp_path: Path):
    (tmp_path / "r.md").write_text(RUNBOOK)
    (tmp_path / "p.pdf").write_bytes(pdf("one", "two"))
    read = [read_document(tmp_path / name) for name in ("p.pdf", "r.md")]
    with DocumentStore(tmp_path / "documents.db") as store:
        for each in read:
            store.learn(each)
        assert list(store.documents()) == read


def test_what_is_forgotten_or_replaced_is_in_no_byte(tmp_path: Path):
    with DocumentStore(tmp_path / "documents.db") as store:
        for n in range(50):
            store.learn(document(f"canary {n} " * 500, f"/{n}.md"))
        for n in range(25):
            store.forget(f"/{n}.md")
            store.learn(document("plain " * 100, f"/{25 + n}.md"))
        for file in tmp_path.iterdir():
            assert b"canary" not in file.read_bytes(), file.name


def test_a_file_of_another_make_is_refused_and_left_as_it_is(tmp_path: Path):
    DocumentStore(tmp_path / "new.db").close()
    with sqlite3.connect(tmp_path / "new.db") as db:
        db.execute("UPDATE schema_version SET version = 99")
    db.close()
    with sqlite3.connect(tmp_path / "other.db") as db:
        db.execute("CREATE TABLE things (x)")
    db.close()
    (tmp_path / "junk.db").write_bytes(b"junk" * 5000)
    for name, why in (("new.db", "has schema version 99"), ("other.db", "some other"), ("junk.db", "cannot be used")):
        before = (tmp_path / name).read_bytes()
        with pytest.raises(UnavailableError, match=why):
            DocumentStore(tmp_path / name)
        assert (tmp_path / name).read_bytes() == before


LEARNER = """
import sys
from pathlib import Path
from knowledge.documents.store import DocumentStore
from tests.knowledge.documents.papers import document
with DocumentStore(Path(sys.argv[1])) as store:
    for number in range(100_000):
        store.learn(document(f"Version {number}. " * 200, f"/{number % 7}.md"))
        print(number, flush=True)
"""


def test_kill_9_in_the_middle_of_learning_leaves_each_document_whole(tmp_path: Path):
    path = tmp_path / "documents.db"
    learner = subprocess.Popen([sys.executable, "-c", LEARNER, str(path)], stdout=subprocess.PIPE)
    with learner:
        assert learner.stdout is not None
        told = [int(learner.stdout.readline()) for _ in range(20)]
        learner.send_signal(signal.SIGKILL)
    with DocumentStore(path) as store:
        found = {each.source: each.sections[0].text for each in store.documents()}
    assert len(found) == 7
    for text in found.values():
        number = int(text.split()[1].rstrip("."))
        assert text == f"Version {number}. " * 200
        assert number > told[-1] - 7  # none that was told of is lost
