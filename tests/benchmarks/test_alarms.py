"""The benchmark of alarms on a tiny set: what a run records, and the table of runs."""

from __future__ import annotations

from pathlib import Path

import alarms
import pytest


def test_the_table_says_which_alarms_were_raised_first():
    row = {
        "set": "rsscn7",
        "limit": 280,
        "seed": 1,
        "variant": "1e-2",
        "alarms": {"diverging": 1, "never_learns": 3},
        "rescues": 0,
        "epochs": 5,
        "similarity": 0.1234,
        "accuracy": 0.5,
        "images": 280,
    }
    line = alarms.table([row, {**row, "alarms": {}, "similarity": None}])[2:]
    expected = (
        "| rsscn7 | 280 | 1 | 1e-2 | diverging (1), never learns (3) | 0 | 5 | 0.12 | 0.500 of 280 (0.442 to 0.558) |"
    )
    assert line[0] == expected
    assert "| none | 0 | 5 | - |" in line[1]


def test_plans_have_no_probe_and_train_every_layer(image_folder: Path):
    plan = alarms.plan_of_variant(image_folder, "1e-2 --rescue", epochs=2, images=8)
    (phase,) = plan.phases
    assert (phase.head_lr, phase.unfreeze, phase.head_refit_views) == (0.01, "all", 0)
    assert plan.selection.after_alarm == "rescue"
    assert alarms.plan_of_variant(image_folder, "1e-4", epochs=2, images=8).selection.after_alarm == "go_on"


@pytest.mark.slow
def test_a_run_records_its_alarms(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(alarms, "SIZE", 32)
    row = alarms.measured_run(image_folder, "1e-4", epochs=1, images=8)
    assert (row["epochs"], row["rescues"]) == (1, 0)
    assert 0 <= row["accuracy"] <= 1
