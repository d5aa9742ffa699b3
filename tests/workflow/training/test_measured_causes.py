from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from headstart.measures.figure_findings import GAP
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.workflow.training.measured_causes import with_measured_causes
from headstart.workflow.training.train import train


def test_a_gap_by_drift_is_explained_by_it(make_folder: Callable[..., Path], tmp_path: Path):
    """The test images are of the same classes, and of other colours: red where the training images are blue."""
    make_folder("set/train", classes=2, per_class=30)
    test = make_folder("set/test", classes=2, per_class=30, seed=3)
    for path in sorted(test.rglob("*.png")):
        pixels = np.asarray(Image.open(path))
        Image.fromarray(np.ascontiguousarray(255 - pixels)).save(path)
    request = Request(DataPlan(source=str(tmp_path / "set")), strategy="feature_extraction", input_size=32)
    metrics = train(request, out=tmp_path / "run").run.metrics()
    assert metrics is not None
    (gap,) = [finding for finding in metrics.findings if finding.what == GAP]
    assert "what features show, the strongest first: drift: features tell test from train" in gap.evidence


def test_without_a_gap_nothing_is_read():
    assert with_measured_causes([], data=None, model="none", spec=None) == []  # type: ignore[arg-type]
