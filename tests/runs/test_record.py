"""What a run folder tells."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.errors import RunError
from headstart.measures.intervals import wilson_interval
from headstart.runs.record import read_run
from report_folders import GROUPS, make_run


def test_a_finished_run(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=3))
    assert run.state == "finished"
    assert [(epoch.position, epoch.row.checkpoint) for epoch in run.epochs] == [
        (0, "probe"),
        (1, "tune/1"),
        (2, "tune/2"),
        (3, "tune/3"),
    ]
    assert run.selected is run.epochs[2]
    assert run.classes == ("ants", "bees")
    assert run.images("test") == len(run.predictions) == 40
    assert run.validation_images == run.images("validation") == 40
    assert run.largest_share == 0.5
    assert run.layer_groups == GROUPS
    for one in run.predictions:
        assert one.probability >= (run.label_probability(one) or 0)
        assert one.is_correct == (one.probability == run.label_probability(one))
    correct = sum(one.is_correct for one in run.predictions)
    assert run.metrics is not None
    assert correct / 40 == pytest.approx(run.metrics.test.accuracy)


@pytest.mark.parametrize(("ends", "state"), [("budget", "stopped"), ("signal", "stopped"), ("killed", "running")])
def test_unfinished_runs(tmp_path: Path, ends: str, state: str):
    run = read_run(make_run(tmp_path / "run", ends=ends))
    assert run.state == state
    assert len(run.epochs) == 4
    assert (run.metrics is None) == (ends != "budget")
    assert (run.selected is None) == (ends != "budget")
    assert run.resume_command == f"headstart train --resume {tmp_path / 'run'}"


def test_an_epoch_trained_again_after_a_crash_counts_once(tmp_path: Path):
    folder = make_run(tmp_path / "run", ends="killed", epochs=2)
    again = {"event": "epoch_done", "phase": "tune", "epoch": 2, "train_loss": 0.1, "select_loss": 0.2}
    again |= {"select_accuracy": 0.9, "rates": {}, "better": True, "seconds": 1.0, "time": 2000.0}
    resumed = {"event": "resumed", "phase": 1, "epoch": 1, "time": 1999.0}
    with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(resumed) + "\n" + json.dumps(again) + '\n{"event": "epoch_')
    run = read_run(folder)
    assert [epoch.row.checkpoint for epoch in run.epochs] == ["probe", "tune/1", "tune/2"]
    assert run.epochs[-1].row.validation_loss == 0.2


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("metrics.json", "{", "metrics.json cannot be read"),
        ("metrics.json", "[]", "metrics.json is damaged: it holds list"),
        ("metrics.json", '{"test": {}}', "metrics.json is damaged: run is missing, and 1"),
        ("data.json", "{}", "data.json is damaged: source is missing, and 5 more values"),
        ("environment.json", "", "environment.json cannot be read"),
        ("plan.resolved.yaml", "a: [", "plan.resolved.yaml cannot be read"),
        ("predictions.parquet", "text", "predictions.parquet cannot be read"),
    ],
)
def test_damaged_files_are_named_with_the_way_out(tmp_path: Path, name: str, text: str, says: str):
    folder = make_run(tmp_path / "run")
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(RunError) as caught:
        read_run(folder)
    assert says in str(caught.value)
    assert "as training wrote it; " in str(caught.value)


def test_nothing_trained_yet(tmp_path: Path):
    folder = make_run(tmp_path / "run", ends="killed")
    (folder / "events.jsonl").write_text("", encoding="utf-8")
    with pytest.raises(RunError, match=r"has trained nothing yet; .* resume it with: headstart train --resume"):
        read_run(folder)
    with pytest.raises(RunError, match="is no run folder"):
        read_run(tmp_path)


def test_predictions_are_not_needed(tmp_path: Path):
    folder = make_run(tmp_path / "run")
    (folder / "predictions.parquet").unlink()
    assert read_run(folder).predictions == ()


def test_validation_intervals_count_groups(tmp_path: Path):
    """Ten patients of four images each, right or wrong as a whole: as sure as ten images."""
    folder = make_run(tmp_path / "run")
    assert read_run(folder).validation_intervals == {}
    names = [f"{patient}/{image}.png" for patient in range(10) for image in range(4)]
    rows = [
        {
            "image": name,
            "label": "a",
            "epoch": epoch,
            "correct": int(name[0]) < least,
            "log_loss": 1.0,
            "selected": False,
        }
        for epoch, least in (("probe", 6), ("tune/1", 8))
        for name in names
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "selection.parquet")
    data = json.loads((folder / "data.json").read_text())
    data["group_of"] = {name: name[0] for name in names}
    (folder / "data.json").write_text(json.dumps(data))
    run = read_run(folder)
    assert run.validation_intervals["probe"] == pytest.approx(wilson_interval(6, 10))
    assert run.validation_intervals["tune/1"] == pytest.approx(wilson_interval(8, 10))
