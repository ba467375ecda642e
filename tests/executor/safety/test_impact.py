"""What a plan is predicted to do to users, and that it counts over all runs together."""

from __future__ import annotations

from pathlib import Path

from executor.journal import Journal, Reach

REACH = Reach(1, 1, 1, ("s1-1",), traffic=12.5, protected=4.0)


def _running(journal: Journal) -> list[Reach]:
    return [row.reach for row in journal.running()]


def test_the_journal_keeps_what_a_run_is_predicted_to_do(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    try:
        journal.admit(
            "run-1",
            nonce="n",
            plan_digest="sha256:" + "0" * 64,
            environment="development",
            reach=REACH,
            check=lambda _: None,
            detail={},
        )
        assert _running(journal) == [REACH]
        with journal.store.write() as db:  # as an older Murphy wrote it
            db.execute("""UPDATE runs SET targets = '["s1-1"]'""")
        assert _running(journal) == [Reach(1, 1, 1, ("s1-1",))]
    finally:
        journal.close()
