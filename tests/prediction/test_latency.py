"""Throughput and latency of a classifier, measured on noise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from headstart.measures.timing import Timing
from headstart.prediction import latency
from headstart.prediction.latency import inference_of


@pytest.mark.slow
def test_many_and_one_are_measured_and_nothing_is_changed(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(latency, "SECONDS", 0.01)
    task = prepare()
    classifier = task.classifier()
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    found = inference_of(classifier, task.images.spec)
    assert found.images_per_second > 0
    assert found.one_image_ms > 0
    assert found.engine in ("torch", "onnxruntime")
    assert (found.input_size, found.threads) == (task.images.spec.size, torch.get_num_threads())
    answer = found.to_dict()
    assert set(answer) == {
        *("images_per_second", "one_image_ms", "engine", "input_size", "threads"),
        *("stability", "images_per_second_range", "one_image_ms_range", "peak_memory_bytes"),
    }
    for name in ("images_per_second", "one_image_ms"):
        low, high = answer[f"{name}_range"]
        assert low <= answer[name] <= high
    after = classifier.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow
def test_a_machine_that_does_not_come_to_rest_is_said(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    timings = iter([Timing(0.5, 0.083, 2.029, "unstable"), Timing(0.1, 0.1, 0.11, "stable")])
    monkeypatch.setattr(latency, "_timed", lambda run: next(timings))
    task = prepare()
    found = inference_of(task.classifier(), task.images.spec)
    assert (found.stability, found.one_image_ms, found.one_image_ms_range) == ("unstable", 500.0, (83.0, 2029.0))
    assert found.images_per_second == 320.0
