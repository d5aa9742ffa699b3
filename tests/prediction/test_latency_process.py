"""Speed and memory of prediction with a bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.errors import BundleError
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.prediction.latency_process import inference_of_bundle
from headstart.runs.observers import Observer
from headstart.workflow.training.train import train


def test_a_bundle_is_measured(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("headstart.prediction.latency.SECONDS", 0.01)
    options = Request(DataPlan(source=str(image_folder)), strategy="feature_extraction", input_size=32)
    run = train(options, out=tmp_path / "run").run
    found = inference_of_bundle(run.bundle, Observer())
    assert found.images_per_second > 0
    assert found.input_size == 32
    assert found.peak_memory_bytes > 100e6


def test_what_is_no_bundle_is_told(tmp_path: Path):
    with pytest.raises(BundleError):
        inference_of_bundle(tmp_path, Observer())
