"""Learning curves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headstart.measures.intervals import wilson_interval
from headstart.reports.run.curves import (
    CurveSpread,
    accuracy_of_variant,
    captions,
    curves_of_run,
    loss_of_variant,
    scales_of,
    steps_of,
)
from headstart.runs.record import Epoch, read_run
from headstart.runs.training_events import EpochDone
from page_text import parsed
from report_folders import make_run


def epochs(losses: list[float], *, probe: float | None = 0.8, phase: str = "tune") -> list[Epoch]:
    found = [] if probe is None else [Epoch(0, EpochDone("probe", 0, None, 0.5, probe, {}, True, 1.0))]
    rows = [EpochDone(phase, i, loss, loss, 0.9, {"head": 1e-3}, True, 1.0) for i, loss in enumerate(losses, 1)]
    return found + [Epoch(row.epoch, row) for row in rows]


def test_seeds_are_laid_side_by_side():
    steps = steps_of([epochs([1.0, 0.5]), epochs([2.0, 0.7, 0.6], probe=0.7)])
    assert [(step.position, step.phase, step.number) for step in steps] == [
        (0, "probe", 0),
        (1, "tune", 1),
        (2, "tune", 2),
        (3, "tune", 3),
    ]
    assert steps[0].validation_accuracy == CurveSpread(pytest.approx(0.75), 0.7, 0.8, 2)
    assert steps[0].train_loss is None
    assert steps[1].train_loss == CurveSpread(1.5, 1.0, 2.0, 2)
    assert steps[3].validation_loss == CurveSpread(0.6, 0.6, 0.6, 1), "only one seed came so far"
    assert [step.position for step in steps_of([epochs([1.0, 2.0], probe=None)])] == [1, 2]
    assert steps_of([]) == ()


def test_one_wild_loss_does_not_flatten_the_rest():
    scales = scales_of(steps_of([epochs([0.5, 0.4, 0.45, 1e6, 0.4])]))
    assert scales.cut_at == scales.loss.high
    assert 1.6 <= scales.loss.high < 4
    assert "are drawn at the top edge" in captions(scales)[1]
    falling = scales_of(steps_of([epochs([0.9 / n for n in range(1, 41)])]))
    assert falling.cut_at is None, "a loss that falls far is no wild one"
    calm = scales_of(steps_of([epochs([0.5, 0.4])]))
    assert calm.cut_at is None
    assert "top edge" not in captions(calm)[1]
    assert calm.loss.low == 0


def test_a_run_has_two_charts_with_the_selected_epoch_marked(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=3))
    read = parsed(curves_of_run(run))
    charts = [a for a, _ in read.all_of("svg") if a.get("class") == "plot"]
    assert len(charts) == 2
    assert all(chart["role"] == "img" and "goes from" in chart["aria-label"] for chart in charts)
    assert len([a for a, _ in read.all_of("path") if a["class"] == "mark selected"]) == 2
    texts = [text for _, text in read.all_of("text")]
    assert texts.count("selected") == 2
    assert texts.count("validation") == 2
    assert texts.count("training") == 1
    whiskers = [a for a, _ in read.all_of("line") if a["class"] == "line whisker"]
    assert len(whiskers) == 4, "an interval for every candidate"
    assert "The axis starts at" in curves_of_run(run)


def test_intervals_are_those_of_the_validation_images(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=1))
    read = parsed(curves_of_run(run))
    first = next(a for a, _ in read.all_of("line") if a["class"] == "line whisker")
    low, high = wilson_interval(round(0.8 * 40), 40)
    span = float(first["y1"][:-1]) - float(first["y2"][:-1])
    ticks = [a for a, _ in read.all_of("line") if a["class"] == "grid"]
    assert span > 0
    steps = steps_of([run.epochs])
    axis = scales_of(steps, intervals=[(low, high)]).accuracy
    assert len(ticks) >= 4
    assert axis.low <= low < high <= axis.high


def test_intervals_over_groups_take_the_place_of_those_over_images(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=1))
    wide = replace(run, validation_intervals={"probe": (0.3, 0.99)})
    read = [parsed(curves_of_run(one)).all_of("text") for one in (run, wide)]
    least = [min(float(text.split()[0]) for _, text in texts if text.endswith("%")) for texts in read]
    assert least[1] <= 30 < least[0], "the axis holds the wide interval"


def test_many_epochs_have_a_band_of_intervals_and_no_marks(tmp_path: Path):
    read = parsed(curves_of_run(read_run(make_run(tmp_path / "run", epochs=40))))
    assert not [a for a, _ in read.all_of("line") if a["class"] == "line whisker"]
    assert len([a for a, _ in read.all_of("path") if a["class"] == "band one"]) == 1
    assert not [a for a, _ in read.all_of("path") if a["class"] == "mark two"]


def test_bands_of_seeds_and_charts_of_variants():
    steps = steps_of([epochs([1.0, 0.5]), epochs([2.0, 0.7])])
    scales = scales_of(steps)
    for figure in (accuracy_of_variant("1 a<b", steps, scales), loss_of_variant("1 a<b", steps, scales)):
        read = parsed(figure)
        assert read.all_of("strong")[0][1] == "1 a<b"
        assert any(a["class"].startswith("band") for a, _ in read.all_of("path"))
        assert any("mean of 2 seeds" in text for _, text in read.all_of("title"))
    alone = steps_of([epochs([1.0, 0.5])])
    assert "band" not in loss_of_variant("a", alone, scales_of(alone))


def test_losses_that_are_no_numbers_are_left_out(tmp_path: Path):
    run = read_run(make_run(tmp_path / "run", epochs=2))
    without = lambda e: replace(e, row=replace(e.row, train_loss=None, validation_loss=None))  # noqa: E731
    broken = tuple(without(e) if e.number == 2 else e for e in run.epochs)
    assert "NaN" not in curves_of_run(replace(run, epochs=broken))
