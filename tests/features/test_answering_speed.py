"""How fast a classifier answers, measured on noise."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from headstart.features import answering_speed
from headstart.features.answering_speed import inference_of


def test_many_and_one_are_measured_and_nothing_is_changed(prepare: Callable, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(answering_speed, "SECONDS", 0.01)
    task = prepare()
    classifier = task.classifier()
    before = {name: tensor.clone() for name, tensor in classifier.network.state_dict().items()}
    found = inference_of(classifier, task.images.spec)
    assert found.images_per_second > 0
    assert found.one_image_ms > 0
    assert found.engine in ("torch", "onnxruntime")
    assert (found.input_size, found.threads) == (task.images.spec.size, torch.get_num_threads())
    assert set(found.to_dict()) == {"images_per_second", "one_image_ms", "engine", "input_size", "threads"}
    after = classifier.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_median_of_repetitions_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(answering_speed, "SECONDS", 0.0)
    ticks = iter([0, 1, 10, 12, 20, 29])
    monkeypatch.setattr(answering_speed.time, "perf_counter", lambda: next(ticks))
    assert answering_speed._median_seconds(lambda: None) == 2
