"""Memory on a real Chroma index."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from executor.errors import UnavailableError
from executor.model.faults.network import Latency
from executor.model.vocabulary import Verdict, Weakness
from executor.state.home import Home
from knowledge.documents.document import Document
from knowledge.documents.store import DocumentStore
from knowledge.features import describe
from knowledge.findings import findings
from knowledge.hits import KINDS, Kind
from knowledge.ledger import Ledger
from knowledge.memory import CANDIDATES, Memory
from knowledge.retrieval import Question
from tests.knowledge.documents.papers import document
from tests.knowledge.runs import MORNING, Case, evidence_of, plan_of, small_system

CASES = (
    Case(Verdict.BREAKS, availability=0.08),
    Case(Verdict.HOLDS, place="front->side", fault=Latency(delay_ms=3000)),
    Case(Verdict.BREAKS, weakness=Weakness.DOES_NOT_RECONNECT, place="back->db"),
)
NOW = MORNING + timedelta(days=1)


def record(ledger: Ledger, run: str, system_name: str = "store", days: int = 0) -> None:
    system = small_system(system_name)
    plan = plan_of(CASES, system)
    evidence = evidence_of(CASES, plan, run, MORNING + timedelta(days=days))
    ledger.record(plan, evidence, findings(plan, evidence, system), system)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def ledger(home: Home) -> Iterator[Ledger]:
    with Ledger.open(home) as opened:
        yield opened


def query(weakness: Weakness = Weakness.HARD_DEPENDENCY, place: str = "front->back", system: str = "other"):
    return describe(small_system(system), weakness, place)


def keys(memory: Memory) -> set[str]:
    return {near.row.key for near in memory.similar(query(), 100, now=NOW)}


def test_the_nearest_is_the_same_weakness_at_a_place_that_looks_the_same(home: Home, ledger: Ledger):
    record(ledger, "run-1")
    with Memory(home, ledger) as memory:
        first, second, third = memory.similar(query(), 3, now=NOW)
        assert (first.row.key, second.row.key) == ("run-1/h0", "run-1/h1")
        assert 0.9 < first.similarity <= 1
        assert first.similarity > second.similarity > third.similarity >= 0
        reconnect = memory.similar(query(Weakness.DOES_NOT_RECONNECT, "back->db"), 1, now=NOW)
        assert reconnect[0].row.key == "run-1/h2"
        many = memory.similar_each([query(), query(Weakness.DOES_NOT_RECONNECT, "back->db")], 1, now=NOW)
        assert [near[0].row.key for near in many] == ["run-1/h0", "run-1/h2"]


def test_of_equals_the_newer_comes_first(home: Home, ledger: Ledger):
    record(ledger, "run-old", days=-400)
    record(ledger, "run-new")
    with Memory(home, ledger) as memory:
        near = [n for n in memory.similar(query(), 6, now=NOW) if n.row.hypothesis == "h0"]
        assert [n.row.run for n in near] == ["run-new", "run-old"]
        assert near[0].similarity == pytest.approx(near[1].similarity)
        assert near[1].recency < 0.25 < 0.99 < near[0].recency


def test_a_place_that_was_tried_a_hundred_times_does_not_hide_another(home: Home, ledger: Ledger):
    """More often than are fetched for four neighbours."""
    system = small_system("crowd")
    plan = plan_of(CASES[:1], system)
    for number in range(4 * CANDIDATES + 4):
        ledger.record(
            plan, evidence_of(CASES[:1], plan, f"run-{number}", MORNING + timedelta(minutes=number)), (), system
        )
    record(ledger, "run-lone", "lone", days=-1)
    with Memory(home, ledger) as memory:
        near = memory.similar(query(), 4, now=NOW)
    assert near[0].row.key == f"run-{4 * CANDIDATES + 3}/h0", "the newest"
    assert {("crowd", "h0"), ("lone", "h0"), ("lone", "h1")} <= {(n.row.system, n.row.hypothesis) for n in near}


def test_an_empty_memory_answers_with_nothing(home: Home, ledger: Ledger):
    with Memory(home, ledger) as memory:
        assert memory.similar(query(), 5) == ()
        assert memory.similar_each([], 5) == []


def test_a_run_is_remembered_once_and_is_there_after_opening_again(home: Home, ledger: Ledger):
    with Memory(home, ledger) as memory:
        record(ledger, "run-1")
        assert memory.remember("run-1") == 3
        assert memory.remember("run-1") == 3
        assert keys(memory) == {"run-1/h0", "run-1/h1", "run-1/h2"}
    with Memory(home, ledger) as memory:
        assert len(keys(memory)) == 3


def test_what_the_ledger_got_meanwhile_is_taken_in_at_opening(home: Home, ledger: Ledger):
    Memory(home, ledger).close()
    record(ledger, "run-1")
    with Memory(home, ledger) as memory:
        assert len(keys(memory)) == 3


def test_results_that_are_in_no_ledger_are_forgotten(home: Home, ledger: Ledger):
    record(ledger, "run-1")
    Memory(home, ledger).close()
    ledger.close()
    for file in home.path.glob("ledger.db*"):
        file.unlink()
    with Ledger.open(home) as fresh, Memory(home, fresh) as memory:
        assert keys(memory) == set()


LEARNED = document("When payment hangs, front waits forever. There is no time-out.", "/docs/payment.md")


def learn(home: Home, *papers: Document) -> None:
    with DocumentStore(home.documents) as store:
        for paper in papers:
            store.learn(paper)


def asked(memory: Memory, text: str, kinds: Sequence[Kind] = KINDS) -> list[str]:
    (found,) = memory.search([Question.of(text, ("front", "back", "side", "db"))], 10, kinds)
    return [hit.reference for hit in found]


def test_runs_findings_and_documents_are_found_by_what_they_say(home: Home, ledger: Ledger):
    record(ledger, "run-1")
    learn(home, LEARNED, document("Redis is flushed at night.", "/docs/redis.md"))
    with Memory(home, ledger) as memory:
        assert memory.passages == 2
        assert asked(memory, "payment hangs")[0] == "/docs/payment.md:1"
        assert asked(memory, "flushed cache", ["passages"])[0] == "/docs/redis.md:1"
        assert asked(memory, "does not reconnect back db", ["results"])[0] == "run-1/e2"
        assert asked(memory, "hard dependency at front->back", ["findings"])[0] == "run-1/e0"
        assert {hit.kind for hit in memory.search([Question.of("front waits without a time-out")], 20)[0]} == set(KINDS)
        assert asked(memory, "", ["passages"]) == []


def test_a_run_that_is_remembered_is_found_at_once_with_its_findings(home: Home, ledger: Ledger):
    with Memory(home, ledger) as memory:
        assert asked(memory, "fallback") == []
        record(ledger, "run-1")
        memory.remember("run-1")
        assert asked(memory, "fallback", ["findings"]) != []


def test_a_changed_document_takes_the_place_of_what_it_said_and_a_forgotten_one_is_gone(home: Home, ledger: Ledger):
    learn(home, LEARNED)
    with Memory(home, ledger) as memory:
        assert asked(memory, "payment hangs") == ["/docs/payment.md:1"]
    learn(home, document("Orders are lost when the broker dies.", "/docs/payment.md"))
    with Memory(home, ledger) as memory:
        assert memory.passages == 1
        (found,) = memory.search([Question.of("orders broker")], 5)
        assert [hit.text for hit in found] == ["Orders are lost when the broker dies."]
    with DocumentStore(home.documents) as store:
        store.forget("/docs/payment.md")
    with Memory(home, ledger) as memory:
        assert memory.passages == 0
        assert asked(memory, "orders broker") == []
    texts = [file.read_bytes() for file in home.memory.rglob("*") if file.is_file()]
    assert not any(b"broker dies" in text or b"front waits" in text for text in texts)


def test_everything_found_is_found_again_after_a_rebuild(home: Home, ledger: Ledger):
    record(ledger, "run-1")
    learn(home, LEARNED, *(document(f"Service number {n} is slow at night.", f"/docs/{n}.md") for n in range(20)))
    questions = [Question.of(text) for text in ("payment hangs", "slow service 7", "no time-out", "reconnect")]
    with Memory(home, ledger) as memory:
        before = memory.search(questions, 10)
        assert memory.rebuild() == 3 + 2 + 21
        assert memory.search(questions, 10) == before


def _truncate(index: Path) -> None:
    database = index / "chroma.sqlite3"
    database.write_bytes(database.read_bytes()[:5000])


def _garbage(index: Path) -> None:
    (index / "chroma.sqlite3").write_bytes(b"garbage" * 4000)


def _no_database(index: Path) -> None:
    (index / "chroma.sqlite3").unlink()


def _other_version(index: Path) -> None:
    marker = index.parent / "current.json"
    marker.write_text(marker.read_text().replace('"version": 1', '"version": 99'), encoding="utf-8")


def _no_marker(index: Path) -> None:
    (index.parent / "current.json").unlink()


def _silly_marker(index: Path) -> None:
    (index.parent / "current.json").write_text("[1, 2", encoding="utf-8")


@pytest.mark.parametrize("damage", [_truncate, _garbage, _no_database, _other_version, _no_marker, _silly_marker])
def test_a_damaged_or_foreign_index_is_built_anew(home: Home, ledger: Ledger, damage):
    record(ledger, "run-1")
    Memory(home, ledger).close()
    (index,) = home.memory.glob("index-*")
    damage(index)
    with Memory(home, ledger) as memory:
        assert len(keys(memory)) == 3
    (after,) = home.memory.glob("index-*")
    assert after != index or damage is _no_database


def test_rebuilding_by_hand_gives_the_same_answers(home: Home, ledger: Ledger):
    record(ledger, "run-1")
    record(ledger, "run-2", "second", days=-30)
    with Memory(home, ledger) as memory:
        before = memory.similar(query(), 6, now=NOW)
        assert memory.rebuild() == 6 + 4
        assert memory.similar(query(), 6, now=NOW) == before


HOLDER = """
import sys
from pathlib import Path
from executor.state.home import Home
from knowledge.ledger import Ledger
from knowledge.memory import Memory
home = Home.open(Path(sys.argv[1]))
with Ledger.open(home) as ledger, Memory(home, ledger):
    print("open", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_and_told_who_holds_it(home: Home, ledger: Ledger):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(home.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(UnavailableError, match=rf"(?s)in use by process {holder.pid} .*only one process"):
            Memory(home, ledger, wait_s=0)
        holder.communicate(timeout=60)
    with Memory(home, ledger, wait_s=0) as memory:
        with pytest.raises(UnavailableError, match=f"process {os.getpid()}"):
            Memory(home, ledger, wait_s=0)
        assert keys(memory) == set()


ADDER = """
import sys
from pathlib import Path
from executor.state.home import Home
from knowledge.ledger import Ledger
from knowledge.memory import Memory
from tests.knowledge.test_memory import record
home = Home.open(Path(sys.argv[1]))
with Ledger.open(home) as ledger, Memory(home, ledger) as memory:
    for number in range(1000):
        record(ledger, f"run-{number}")
        print(number, flush=True)
        memory.remember(f"run-{number}")
"""


def test_kill_9_in_the_middle_of_adding_loses_nothing(home: Home):
    adder = subprocess.Popen([sys.executable, "-c", ADDER, str(home.path)], stdout=subprocess.PIPE)
    with adder:
        assert adder.stdout is not None
        for _ in range(6):
            adder.stdout.readline()
        adder.send_signal(signal.SIGKILL)
    with Ledger.open(home) as ledger, Memory(home, ledger, wait_s=0) as memory:
        assert len(ledger.runs()) >= 6
        assert len(keys(memory)) == 3 * len(ledger.runs())


OFFLINE = """
import socket, sys
from pathlib import Path
calls = []
sys.addaudithook(lambda name, args: calls.append(args) if name in ("socket.connect", "socket.getaddrinfo") else None)
from executor.state.home import Home
from knowledge.features import describe
from knowledge.ledger import Ledger
from knowledge.memory import Memory
from tests.knowledge.test_memory import query, record
home = Home.open(Path(sys.argv[1]))
with Ledger.open(home) as ledger, Memory(home, ledger) as memory:
    record(ledger, "run-1")
    memory.remember("run-1")
    assert len(memory.similar(query(), 5)) == 3
assert not calls, calls
assert "onnxruntime" not in sys.modules
"""


def test_nothing_leaves_this_machine_and_no_model_is_loaded(home: Home, tmp_path: Path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(home.path)], env=environment, capture_output=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
