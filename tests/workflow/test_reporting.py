"""From folders to files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from conftest import make_images
from headstart.errors import HeadstartError, RunError
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.workflow import reporting
from headstart.workflow.reporting import LARGEST_PAGE_BYTES, report
from headstart.workflow.training import train
from report_folders import make_comparison, make_run


def test_each_folder_gets_its_own_file(tmp_path: Path):
    run = make_run(tmp_path / "run")
    killed = make_run(tmp_path / "killed", ends="killed")
    comparison = make_comparison(tmp_path / "c", {"a": [run]})
    written = report([run, comparison, killed])
    assert [(one.run, one.kind, one.path) for one in written] == [
        (run, "run", run / "report.html"),
        (comparison, "comparison", comparison / "report.html"),
        (killed, "run", killed / "report.html"),
    ]
    for one in written:
        text = one.path.read_text(encoding="utf-8")
        assert text.startswith("<!doctype html>")
        assert one.size_bytes == len(text.encode())
    assert "data:image" not in run.joinpath("report.html").read_text(encoding="utf-8")


def test_a_run_as_train_writes_it(image_folder: Path, tmp_path: Path):
    """The real thing: whatever `train` writes is read."""
    options = Request(
        DataPlan.from_options(source=str(image_folder)),
        strategy="partial",
        unfreeze=1,
        epochs=1,
        input_size=32,
        batch_size=4,
    )
    train.train(options, out=tmp_path / "run")
    (written,) = report([tmp_path / "run"], images="shown")
    text = written.path.read_text(encoding="utf-8")
    for words in ("Classifier of blue and green", "test accuracy on 4 images", "stage7", "Training curves"):
        assert words in text
    assert text.count("data:image/jpeg;base64,") == 4, "every test image lies behind a cell"
    assert written.notes[0].startswith("4 small copies")


def test_layer_groups_of_a_run_without_a_bundle_come_from_the_catalog(tmp_path: Path):
    killed = make_run(tmp_path / "killed", ends="killed")
    report([killed])
    assert ">stage1</text>" in (killed / "report.html").read_text(encoding="utf-8")
    plan = (killed / "plan.resolved.yaml").read_text(encoding="utf-8")
    (killed / "plan.resolved.yaml").write_text(plan.replace("tf_efficientnet_lite0:in1k", "own_net"), encoding="utf-8")
    report([killed])
    assert ">before these</text>" in (killed / "report.html").read_text(encoding="utf-8")


def test_images_are_shown_only_when_asked_for(tmp_path: Path):
    source = make_images(tmp_path / "photos" / "val", per_class=20)
    for name, new in (("blue", "ants"), ("green", "bees")):
        (source / name).rename(source / new)
        for image in (source / new).iterdir():
            image.rename(image.with_name(f"0{image.name}"))
    run = make_run(tmp_path / "run", source=str(source.parent))
    (shown,) = report([run], images="shown", out=tmp_path / "shown.html")
    assert (tmp_path / "shown.html").read_text(encoding="utf-8").count("data:image/jpeg") >= 40
    assert not (run / "report.html").exists()
    assert "small copies" in shown.notes[0]


def test_missing_originals_are_said(tmp_path: Path):
    run = make_run(tmp_path / "run", source=str(tmp_path / "gone"))
    (written,) = report([run], images="shown")
    text = written.path.read_text(encoding="utf-8")
    assert "data:image" not in text
    assert f"the originals are not where training found them: {tmp_path / 'gone'} does not exist" in text
    assert "No image is shown" in written.notes[-1]


@pytest.mark.slow
def test_a_large_run_stays_small_enough_to_send(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = make_run(tmp_path / "run", classes=[f"class {i:03d}" for i in range(120)], report_images=12_000)
    (written,) = report([run])
    assert written.size_bytes < LARGEST_PAGE_BYTES
    whole = written.size_bytes
    monkeypatch.setattr(reporting, "LARGEST_PAGE_BYTES", whole)
    (smaller,) = report([run])
    assert smaller.size_bytes < whole


def test_errors_teach_and_nothing_is_written_before_all_are_drawn(tmp_path: Path):
    good = make_run(tmp_path / "good")
    bad = make_run(tmp_path / "bad")
    (bad / "data.json").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match=r"data\.json cannot be read"):
        report([good, bad])
    assert not (good / "report.html").exists()
    with pytest.raises(RunError, match="is no run folder; expected a folder made by headstart train"):
        report([tmp_path])
    with pytest.raises(RunError, match="does not exist"):
        report([tmp_path / "never"])
    with pytest.raises(HeadstartError, match=r"one file for 2 reports; .* leave -o out"):
        report([good, good], out=tmp_path / "x.html")
    with pytest.raises(HeadstartError, match="is no folder"):
        report([good], out=tmp_path / "never" / "x.html")
    with pytest.raises(HeadstartError, match="is a folder"):
        report([good], out=tmp_path)
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "comparison.yaml").write_text("what: rates\n", encoding="utf-8")
    with pytest.raises(RunError, match=r"has no comparison\.json yet"):
        report([tmp_path / "begun"])


def test_a_missing_figure_is_no_traceback(tmp_path: Path):
    run = make_run(tmp_path / "run")
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    del metrics["test"]["accuracy_interval"]
    (run / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    with pytest.raises(RunError, match=r"metrics\.json is damaged: test\.accuracy_interval is missing"):
        report([run])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path):
    run = make_run(tmp_path / "run")
    run.chmod(0o500)
    with pytest.raises(HeadstartError, match=r"cannot be written .*; choose another file with -o"):
        report([run])
    run.chmod(0o700)
