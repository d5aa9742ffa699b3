"""What earlier versions wrote is read in today's names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headstart.apps.cli.text.training import training_text
from headstart.comparison.trial_record import read_trial
from headstart.reports.run.report import run_page
from headstart.runs.event_lines import UnknownEvent, event_of
from headstart.runs.finding import found_runs
from headstart.runs.folder import Run
from headstart.runs.record import read_run
from headstart.runs.training_events import EpochDone
from headstart.runs.upgrade import upgraded_data, upgraded_metrics, upgraded_warning
from headstart.runs.warnings import BelowProbe, GroupsUnchanged
from headstart.workflow.image_differences import image_difference


def test_events_in_the_names_of_earlier_versions_have_today_s_types():
    old = {"event": "epoch_done", "phase": "tune", "epoch": 1, "train_loss": 0.5, "select_loss": 0.2}
    row = event_of(old | {"select_accuracy": 0.9, "rates": {"head": 1e-3}, "better": True, "seconds": 2.0}).event
    assert row == EpochDone("tune", 1, 0.5, 0.2, 0.9, {"head": 1e-3}, improved=True, seconds=2.0)
    alarm = {"event": "alarm", "alarm": "still_groups", "phase": "tune", "epoch": 2, "groups": ["stem"], "text": "..."}
    assert event_of(alarm | {"rates": {"stem": 1e-9}}).event == GroupsUnchanged("tune", 2, ("stem",), {"stem": 1e-9})
    below = {"event": "alarm", "alarm": "first_epoch_below_probe", "phase": "tune", "epoch": 1, "accuracy": 0.4}
    found = event_of(below | {"probe_accuracy": 0.9, "p_value": 0.01, "rates": {"head": 0.1}, "text": "..."}).event
    assert isinstance(found, BelowProbe)
    assert "(p = 0.01)" in found.sentence()
    for name, values in (
        ("chosen", {"weights": "probe", "why": "the only one"}),
        ("cost", {"phase": "tune", "way": "computed", "border": None, "views": 0, "why": "x"}),
        ("no_effect", {"option": "epochs", "strategy": "feature_extraction"}),
        ("strength_sample", {"phase": "probe", "images": 8, "of": 40}),
        ("engine", {"why": "as it is"}),
        ("advice", {"warning": "x"}),
        ("head", {"phase": "probe", "kept": "linear", "why": "x"}),
    ):
        assert not isinstance(event_of({"event": name, **values}).event, UnknownEvent), name


def test_warnings_were_called_alarms():
    old = {"alarm": "still_groups", "phase": "tune", "rates": {"stem": 1e-9}, "text": "stem did not change"}
    new = {"kind": "groups_unchanged", "phase": "tune", "lr": {"stem": 1e-9}, "text": "stem did not change"}
    assert upgraded_warning(old) == new
    assert upgraded_warning(new) == new


OLD_METRICS = {
    "run": "runs/a",
    "val": {"accuracy": 0.9, "images": 8, "reported_on": "val", "selected_on": "held-out 20% of train"},
    "validation": {"accuracy": 0.8, "images": 20, "log_loss": 0.4},
    "kept": {"weights": "tune/1", "why": "best", "select_accuracy": 0.8, "probe_select_accuracy": 0.7},
    "alarms": [{"alarm": "overconfidence", "text": "too sure"}],
    "forecast": {"total_seconds": 9.0, "took_seconds": 8.0, "rates": "guessed", "bytes": 5, "phases": [{"name": "a"}]},
    "phases": [{"name": "probe", "kind": "solve", "learning_rates": {}, "select_accuracy": 0.7}],
    "epochs": [{"phase": "tune", "epoch": 1, "select_loss": 0.4, "select_accuracy": 0.8, "rates": {}, "better": True}],
    "resume": None,
}


def test_metrics_of_earlier_versions_have_today_s_names():
    new = upgraded_metrics(OLD_METRICS)
    assert new["test"] == {"accuracy": 0.9, "images": 8, "source": "val"}
    assert new["validation"] == {"accuracy": 0.8, "images": 20, "log_loss": 0.4, "source": "held-out 20% of train"}
    assert (new["selected"]["checkpoint"], new["selected"]["reason"]) == ("tune/1", "best")
    assert new["selected"]["probe_validation_accuracy"] == 0.7
    assert new["warnings"] == [{"kind": "overconfidence", "text": "too sure"}]
    assert (new["estimates"]["measured_seconds"], new["estimates"]["speeds"]) == (8.0, "guessed")
    assert new["phases"] == [{"name": "probe", "kind": "linear_probe", "lr": {}, "validation_accuracy": 0.7}]
    assert new["epochs"][0]["validation_loss"] == 0.4
    assert (new["run"], new["resume"]) == ("runs/a", None)
    assert not {"val", "kept", "alarms", "forecast"} & set(new)
    assert upgraded_metrics(new) == new


def test_the_older_record_without_validation_figures_has_its_accuracy():
    old = {name: value for name, value in OLD_METRICS.items() if name != "validation"}
    assert upgraded_metrics(old)["validation"] == {"accuracy": 0.8, "source": "held-out 20% of train"}


def test_data_of_earlier_versions_has_today_s_roles():
    old = {
        "roles": {"fit": {"images": 3}, "select": {"images": 2}, "report": {"images": 1}},
        "images": {"fit": ["a"], "select": [], "report": ["b"]},
        "content_of": {"all": "x", "fit": "f", "select": "s", "report": "r"},
        "selected_on": "out of fold in train",
        "reported_on": "val",
    }
    new = upgraded_data(old)
    assert new["roles"] == {"train": {"images": 3}, "validation": {"images": 2}, "test": {"images": 1}}
    assert new["images"] == {"train": ["a"], "validation": [], "test": ["b"]}
    assert new["content_of"] == {"all": "x", "train": "f", "validation": "s", "test": "r"}
    assert (new["validation_source"], new["test_source"]) == ("out of fold in train", "val")
    assert upgraded_data(new) == new


OLD_RUN = Path(__file__).parent / "run_of_version_1"
"""Written by headstart before its first release: a probe and two epochs, without checkpoint and bundle. Its tables are
JSON here, because Git shows no differences of Parquet files."""


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """The run with its tables as Parquet files."""
    folder = tmp_path / "run"
    shutil.copytree(OLD_RUN, folder)
    for table in folder.glob("*.rows.json"):
        rows = json.loads(table.read_text(encoding="utf-8"))
        pq.write_table(pa.Table.from_pylist(rows), folder / table.name.replace(".rows.json", ".parquet"))
        table.unlink()
    return folder


def test_a_whole_run_of_an_earlier_version_is_read_by_every_reader(old_run: Path):
    record = read_run(old_run)
    assert record.state == "finished"
    assert [epoch.row.checkpoint for epoch in record.epochs] == ["probe", "tune/1", "tune/2"]
    assert record.selected is record.epochs[0]
    assert [phase.kind for phase in record.phases] == ["linear_probe", "train"]
    assert not [line for line in record.events if isinstance(line.event, UnknownEvent)]
    assert record.images("test") == len(record.predictions) > 0
    page = run_page(record)
    assert "the frozen prefix is cached before stage7" in page
    (found,) = found_runs(old_run).runs
    assert (found.state, found.images) == ("finished", record.images("test"))
    trial = read_trial(Run(old_run))
    assert trial.method == "held-out 20% of train"
    assert trial.selected == "probe"
    assert image_difference(("a", "b"), (Run(old_run), Run(old_run))).sentence == ""
    metrics = Run(old_run).metrics()
    assert metrics is not None
    assert training_text(metrics).startswith("accuracy 0.750 (95 % interval 0.301..0.954) on 4 test images")
