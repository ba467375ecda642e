from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from pyarrow import parquet

from executor.errors import InputError, UnavailableError
from executor.measure.columns import Recording
from executor.model.evidence import Observation
from executor.run import observations
from executor.run.observations import COLUMNS, LINES, ObservationLog, load


def observation(source: str = "front", at_s: float = 0.5, **fields: object) -> Observation:
    given = {"experiment": "e1", "trial": 1, "ok": True, "latency_ms": 1.5, **fields}
    return Observation.model_validate({"source": source, "at_s": at_s, **given})


SEEN = (
    observation(status=200, by="front-2"),
    observation("calls:a->b", value=3.0),
    observation("calls:a->c", ok=False, error="no proxy answers"),
    observation(at_s=0.2, ok=False, status=503, error="status 503"),
    observation(at_s=1.5, trial=2),
    observation(at_s=0.1, experiment="e2"),
)


def written(directory: Path, seen: Iterable[Observation]) -> ObservationLog:
    log = ObservationLog(directory)
    for one in seen:
        log.write(one)
    return log


def back(recording: Recording) -> dict[str, list[dict[str, object]]]:
    return {source: [answer._asdict() for answer in recording.series(source)] for source in recording.sources}


def of(seen: Iterable[Observation]) -> dict[str, list[dict[str, object]]]:
    return back(Recording(seen))


@pytest.mark.parametrize("piece", [200, 500, 1 << 22])
def test_what_was_observed_reads_back_by_experiment_and_trial(
    tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observations, "_PIECE_BYTES", piece)
    log = written(tmp_path, SEEN)
    log.close()
    log.close()
    assert (log.count, log.probes) == (6, 4)
    assert [path.name for path in tmp_path.iterdir()] == [COLUMNS]
    assert back(load(tmp_path, "e1", 1)) == of(SEEN[:4])
    assert back(load(tmp_path, "e1")) == of(SEEN[:5])
    assert back(load(tmp_path, "e2", 1)) == of(SEEN[5:])
    assert len(load(tmp_path, "e2", 2)) == len(load(tmp_path, "e3")) == 0


def test_answers_stand_by_intended_start_and_keep_what_was_not_said(tmp_path: Path) -> None:
    written(tmp_path, SEEN).close()
    early, late = load(tmp_path, "e1", 1).series("front")
    assert (early.at_s, early.ok, early.status, early.value, early.error) == (0.2, False, 503, None, "status 503")
    assert (late.at_s, late.ok, late.status, late.error) == (0.5, True, 200, "")


def test_records_that_were_found_are_no_askings(tmp_path: Path) -> None:
    seen = (
        observation("writes:kept", value=0.0),
        observation("reads:kept", value=1.0),
        observation("found:kept", value=0.0),
    )
    log = written(tmp_path, seen)
    log.close()
    assert (log.count, log.probes) == (3, 2)


def test_what_earlier_runs_left_reads_back_without_who_answered(tmp_path: Path) -> None:
    written(tmp_path, SEEN).close()
    table = parquet.read_table(tmp_path / COLUMNS)
    parquet.write_table(table.drop_columns("by"), tmp_path / COLUMNS, write_page_checksum=True)
    assert back(load(tmp_path, "e1", 1)) == of(Observation(**{**dict(o), "by": ""}) for o in SEEN[:4])


def test_nothing_observed_is_no_damage(tmp_path: Path) -> None:
    written(tmp_path, ()).close()
    assert load(tmp_path, "e1").sources == []


def test_lines_are_read_where_the_run_was_killed(tmp_path: Path) -> None:
    with closing(written(tmp_path, SEEN)) as log:
        log._file.flush()
        assert back(load(tmp_path, "e1")) == of(SEEN[:5])


def test_lines_stay_where_there_is_no_room_for_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = written(tmp_path, SEEN)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", full)
        with pytest.raises(OSError, match="No space left"):
            log.close()
    assert [path.name for path in tmp_path.iterdir()] == [LINES]
    assert back(load(tmp_path, "e1")) == of(SEEN[:5])


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="observations"):
        ObservationLog(tmp_path / "nowhere")


def test_no_observations_are_told_from_damaged_ones(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=COLUMNS):
        load(tmp_path, "e1")
    written(tmp_path, SEEN).close()
    columns = tmp_path / COLUMNS
    columns.write_bytes(columns.read_bytes()[:-9])
    with pytest.raises(InputError, match="the observations cannot be read"):
        load(tmp_path, "e1")


def test_columns_of_another_kind_are_refused(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"source": ["front"], "at_s": [1.0]}), tmp_path / COLUMNS)
    with pytest.raises(InputError, match="columns are others"):
        load(tmp_path, "e1")


def test_a_line_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / LINES).write_text(json.dumps({"source": "front"}) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="the observations cannot be read"):
        load(tmp_path, "e1")
