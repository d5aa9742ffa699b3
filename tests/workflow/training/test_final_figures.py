"""What a finished run answers, where the test images are not like the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.runs.warnings import DataFinding
from headstart.workflow.training.train import train


def test_a_test_folder_of_another_kind_is_the_first_thing_said(make_folder: Callable[..., Path], tmp_path: Path):
    """The test folder has its labels exchanged, and lacks a class: the figures give all of it away."""
    make_folder("set/train", classes=3, per_class=14)
    wrong = make_folder("set/test", per_class=20, seed=3)
    (wrong / "blue").rename(wrong / "x")
    (wrong / "green").rename(wrong / "blue")
    (wrong / "x").rename(wrong / "green")
    data = DataPlan(source=str(tmp_path / "set"), group=r"(\w+/\w+/\d\d)")
    run = train(Request(data, strategy="feature_extraction", input_size=32), out=tmp_path / "run").run
    metrics = run.metrics()
    assert metrics is not None
    assert [finding.what for finding in metrics.findings] == [
        "validation_test_gap",
        "overconfidence",
        "class_without_test_images",
    ]
    gap, sure, untested = metrics.findings
    assert "40 images of 40 groups, test) is" in gap.evidence
    assert "out of fold in train" in gap.evidence
    assert "features show no cause" in gap.evidence, "the images are alike; only their labels are exchanged"
    assert "on 40 images of 40 groups (test)" in sure.evidence
    assert "on 42 images of 42 groups (validation)" in sure.evidence
    assert "1 of 3 classes has no test images: red" in untested.evidence
    assert [alarm.kind for alarm in metrics.warnings] == ["validation_test_gap", "overconfidence"]
    told = [line.event.what for line in run.events() if isinstance(line.event, DataFinding)]
    assert told[-3:] == [finding.what for finding in metrics.findings]
    red = metrics.test.per_class["red"]
    assert (red.recall, red.precision, red.f1, red.images) == (None, None, None, 0)
    validation = metrics.validation
    assert (validation.images, validation.counted, validation.groups) == (42, "groups", 42)
    assert np.isclose(validation.log_loss, metrics.epochs[0].validation_loss)
    assert metrics.test.accuracy < 0.2 < metrics.test.mean_confidence
    groups = {row["image"]: row["group"] for row in pq.read_table(run.folder / "predictions.parquet").to_pylist()}
    assert groups["test/blue/03.png"] == "test/blue/03"


def test_a_healthy_run_is_silent_and_a_bundle_knows_its_images(make_folder: Callable[..., Path], tmp_path: Path):
    source = make_folder("set", per_class=12)
    request = Request(DataPlan(source=str(source)), strategy="probe_then_tune", input_size=32, epochs=1, lr=1e-5)
    run = train(request, out=tmp_path / "run").run
    metrics = run.metrics()
    assert metrics is not None
    assert metrics.findings == metrics.warnings == ()
    assert (metrics.test.counted, metrics.test.groups) == ("images", None)
    raw = json.loads((run.bundle / "trained_on.json").read_text())
    roles = run.data().roles
    for use, role in (("train", "train"), ("validation", "validation")):
        assert len(raw[use]) == 4 * -(-8 * roles[role].images // 3), "eight bytes a file, in base64"
