"""What is written down of a network is that of the network, which is left as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from headstart.engine.known import remembering
from headstart.engine.known.choices import tensors_path
from headstart.engine.known.network import backbone_names, known_folder
from headstart.engine.known.remembering import make_known, remember_choice, remember_network
from headstart.engine.prefix.inference import pooled_features
from headstart.engine.prefix.torch_engine import EagerEngine
from headstart.engine.store.frozen_part import weights_digest

IMAGES = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)


def test_the_record_has_the_key_of_the_store_and_the_tensors_of_the_backbone(case) -> None:
    network = case.known().known
    assert network.weights == weights_digest(pooled_features(case.classifier))
    kept, state = load_file(tensors_path(network.backbone)), case.classifier.state()
    assert sorted(kept) == backbone_names(state, network.sites)
    assert all(np.array_equal(values, state[name].numpy()) for name, values in kept.items())
    assert network.parameters == sum(p.numel() for p in case.classifier.network.parameters()) - 2 * 1280 - 2


def test_the_head_is_as_before_bit_for_bit(case) -> None:
    classifier = case.build()
    torch.nn.init.normal_(classifier.head.weight)
    before = classifier.head.weight.clone()
    random = torch.random.get_rng_state()
    make_known(classifier, IMAGES)
    assert torch.equal(classifier.head.weight, before)
    assert torch.equal(torch.random.get_rng_state(), random), "the user's random numbers go on"


def test_a_network_that_is_more_than_its_head_on_its_features_does_not_get_known(
    case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, classifier = case.known().engine(), case.build()
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(remembering, "head_fault", lambda *given: "its outputs differ")
        remember_network(classifier, engine, IMAGES)
        assert not known_folder().exists()
    remember_network(classifier, EagerEngine(classifier.network), IMAGES)
    assert not known_folder().exists(), "torch ran it"


def test_random_weights_have_no_name(case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    classifier = case.build()
    unloaded = type(classifier)(**{**vars(classifier), "report": None})
    remember_choice(case.choice, unloaded, size=32, grain="stage", purpose="bundle")
    assert not known_folder().exists()
    remember_choice(case.choice, classifier, size=32, grain="stage", purpose="features")
    assert known_folder().exists()
    assert not list(known_folder().glob("backbones/*")), "features need no tensors"


def test_a_full_disk_only_means_that_nothing_is_known(case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    engine, classifier = case.known().engine(), case.build()
    monkeypatch.setenv("HEADSTART_HOME", str(blocked))
    remember_network(classifier, engine, IMAGES)
    remember_choice(case.choice, classifier, size=32, grain="stage", purpose="bundle")
