"""Readings on the fixed batch: the starting network is itself, and what is destroyed is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.networks.backbone import Classifier, build_classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.heads import OriginalHead
from headstart.training.guard.gauge import Gauge, agreement_of, fixed_images, group_state, statistics_drift


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return build_classifier(
        find_model("resnet18"), kind="linear", num_classes=2, seed=0, input_size=32, weights="random"
    )


def test_the_starting_network_is_itself_and_a_destroyed_group_is_seen(classifier: Classifier):
    network, start = classifier.network, classifier.state()
    batch = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.fc.weight.add_(1.0)  # trained since the start
    trained = classifier.state()
    network.train()
    gauge = Gauge(classifier, network, (batch,), np.arange(16) % 2, start)
    assert all(torch.equal(tensor, trained[name]) for name, tensor in classifier.state().items())
    states, batch_state = gauge.read()
    assert list(states) == list(classifier.group_names[:-1])
    for state in states.values():
        assert state.cka == pytest.approx(1.0)
        assert state.scale == pytest.approx(1.0)
        assert state.statistics_drift == 0.0
    assert batch_state.images == 16
    with torch.no_grad():
        network.layer4[1].bn2.weight.zero_()
        network.layer4[1].bn2.bias.fill_(-1e3)
        network.layer3[0].bn1.running_mean.add_(5.0)
    states, _ = gauge.read()
    assert states["layer4"].dead == 1.0
    assert states["layer4"].cka == 0.0
    assert states["layer2"].cka == pytest.approx(1.0)
    assert states["layer3"].statistics_drift >= 1.0
    classifier.restore(start)


def test_a_suffix_reads_only_its_own_groups(classifier: Classifier):
    """As on cached activations: the part that steps run begins behind a cut point."""

    class Suffix(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            network = classifier.network
            return network.fc(network.avgpool(network.layer4(x)).flatten(1))

    batch = torch.randn(8, 256, 2, 2, generator=torch.Generator().manual_seed(0))
    states, _ = Gauge(classifier, Suffix(), (batch,), np.zeros(8, np.int64), classifier.state()).read()
    assert list(states) == ["layer4"]


def test_scale_and_dead_channels_are_counted():
    rng = np.random.default_rng(0)
    start = rng.normal(0, 1, (16, 4))
    now = 10 * start * np.array([1, 1, 0, 0])
    state = group_state(now, start)
    assert state.dead == 0.5
    assert state.dead_at_start == 0.0
    assert state.scale == pytest.approx(10 * np.sqrt(np.square(start[:, :2]).mean() / np.square(start).mean() / 2))


def test_the_head_of_the_weights_gives_its_classes_again():
    choice = find_model("resnet18")
    first = build_classifier(choice, kind="linear", num_classes=2, seed=0, input_size=32, weights="random")
    assert first.original_head is None, "random weights came with no head"
    original = OriginalHead(torch.randn(7, 512, generator=torch.Generator().manual_seed(1)), None)
    classifier, batch = replace(first, original_head=original), torch.randn(8, 3, 32, 32)
    gauge = Gauge(classifier, classifier.network, (batch,), np.zeros(8, np.int64), classifier.state())
    _, state = gauge.read()
    assert (state.original_agreement, state.original_divergence) == (1.0, pytest.approx(0.0, abs=1e-9))
    with torch.no_grad():
        classifier.network.layer4[1].bn2.bias.add_(torch.linspace(-50, 50, 512))
    _, state = gauge.read()
    assert state.original_divergence > 0.1


def test_agreement_and_divergence_are_those_of_their_formulas():
    before = np.log(np.array([[0.5, 0.5 - 1e-6, 1e-6], [0.9, 0.05, 0.05]]))
    now = np.log(np.array([[0.25, 0.75 - 1e-6, 1e-6], [0.9, 0.05, 0.05]]))
    same, divergence = agreement_of(before, now)
    assert same == 0.5
    assert divergence == pytest.approx((0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75)) / 2, abs=1e-5)


def test_drift_is_of_the_median_channel():
    zeros, ones = np.zeros(3), np.ones(3)
    assert statistics_drift(np.array([9.0, 0.0, 0.0]), ones, zeros, ones) == 0.0
    assert statistics_drift(np.full(3, 2.0), ones, zeros, np.full(3, 4.0)) == pytest.approx(np.log(4))
    assert statistics_drift(np.full(3, 2.0), ones, zeros, ones) == 2.0
    assert statistics_drift(ones, ones, zeros, zeros) == 0.0


def test_the_fixed_batch_is_an_eighth_between_16_and_64_images():
    assert len(fixed_images(10, seed=0)) == 10
    assert len(fixed_images(100, seed=0)) == 16
    assert len(fixed_images(400, seed=0)) == 50
    assert len(fixed_images(9999, seed=0)) == 64
    assert np.array_equal(fixed_images(400, seed=3), fixed_images(400, seed=3))
