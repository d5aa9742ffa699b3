"""Torch is needed unless the network, its weights and the engine are those that got known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.engine.known import finding
from headstart.engine.known.finding import known_bundle_classifier


def of_bundle(case, tensors, **changes: object):
    options = {"head_kind": "linear", "num_classes": 2, "size": case.size, "build": case.build}
    return known_bundle_classifier(case.choice.card, tensors, **{**options, **changes})


@pytest.fixture
def tensors(case):
    return {name: tensor.numpy() for name, tensor in case.classifier.state().items()}


def test_a_bundle_is_known_by_its_backbone_whatever_its_head(case, tensors) -> None:
    assert of_bundle(case, tensors) is not None
    more = {
        name: np.ones((5, *values.shape[1:]), np.float32) if "classifier" in name else values
        for name, values in tensors.items()
    }
    found = of_bundle(case, more, num_classes=5)
    assert found is not None
    assert found.head_layers().logits(np.ones((1, 1280), np.float32)).tolist() == [[1281.0] * 5]


def test_other_weights_another_size_or_another_head_are_not_known(case, tensors) -> None:
    name = next(iter(tensors))
    assert of_bundle(case, {**tensors, name: tensors[name] + 1}) is None
    assert of_bundle(case, tensors, size=64) is None
    assert of_bundle(case, tensors, head_kind="multi_depth") is None
    assert case.known(size=64) is None
    assert case.known(head_kind="multi_depth") is None
    assert case.known(grain="block") is None
    assert case.known(head_kind="mlp") is None, "it is trained by steps"


def test_another_version_or_device_needs_torch(case, tensors, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("version_here", "9, exported by torch 9"), ("version_here", None), ("device_kind", "cuda")):
        with monkeypatch.context() as patch:
            patch.setattr(finding, name, lambda value=value: value)
            assert case.known() is None
            assert of_bundle(case, tensors) is None
    assert case.known() is not None


def test_without_its_export_or_its_tensors_torch_is_needed(case, tensors) -> None:
    known = case.known()
    for path in (known.known.export_path, finding.tensors_path(known.known.backbone)):
        aside = path.rename(path.with_suffix(".aside"))
        try:
            assert case.known() is None
            assert (of_bundle(case, tensors) is None) == (path == known.known.export_path)
        finally:
            aside.rename(path)


def test_features_alone_need_no_tensors(case) -> None:
    path = finding.tensors_path(case.known().known.backbone)
    aside = path.rename(path.with_suffix(".aside"))
    try:
        found = case.known(purpose="features")
        assert found is not None
        assert found.num_features == 1280
    finally:
        aside.rename(path)


def test_damaged_tensors_need_torch(case, tmp_path: Path) -> None:
    path = finding.tensors_path(case.known().known.backbone)
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:100])
        assert case.known() is None
    finally:
        path.write_bytes(whole)
