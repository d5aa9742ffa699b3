"""Networks adapted to bands: exact where they can be, and cut, tapped and stored like all others."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import timm
import torch
from timm.models import adapt_input_conv
from torch import nn

from headstart.engine.prefix.depth_features import with_depths, without_depths
from headstart.engine.store.frozen_part import cut_at
from headstart.errors import ModelError
from headstart.networks.backbone import Classifier, build_classifier, build_network, with_new_head
from headstart.networks.band_adapter import BandAdapter, band_matrix, fitted_adapter
from headstart.networks.cards.finding import find_model
from headstart.networks.channels import RANDOM_CONVOLUTIONS, RandomConvolutions, with_bands, with_bands_of
from headstart.networks.head_layers import BAND_HEAD

RNG = np.random.default_rng(0)
SIZE = 64


def classifier_of(name: str = "tf_efficientnet_lite0") -> Classifier:
    return copy.deepcopy(_original(name))


@cache
def _original(name: str) -> Classifier:
    choice = find_model(name)
    if name == "tf_efficientnet_lite0":
        made = build_classifier(choice, kind="linear", num_classes=2, seed=0, input_size=SIZE)
    else:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            made = with_new_head(build_network(choice.card), choice.card, kind="linear", num_classes=2)
    made.network.eval()
    return made


def convolutions(bands: int) -> BandAdapter:
    patches = RNG.standard_normal((500, 3, 3, bands)).astype(np.float32)
    return fitted_adapter("random_convolutions", np.cov(RNG.standard_normal((bands, 99))), patches)


def images(bands: int, count: int = 2) -> torch.Tensor:
    return torch.from_numpy(RNG.standard_normal((count, bands, SIZE, SIZE)).astype(np.float32))


def features(classifier: Classifier, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return classifier.features(x)


@pytest.mark.parametrize("bands", [1, 6])
@pytest.mark.parametrize("method", ["sum", "repeat"])
def test_grey_in_all_bands_gives_the_features_of_the_same_image_repeated(method: str, bands: int):
    if method == "repeat" and bands % 3:
        pytest.skip("bands that are no multiple of three weigh some channels more")
    grey = images(1)
    expected = features(classifier_of(), grey.repeat(1, 3, 1, 1))
    adapted = with_bands(classifier_of(), BandAdapter(method, band_matrix(method, bands)))  # type: ignore[arg-type]
    assert torch.allclose(features(adapted, grey.repeat(1, bands, 1, 1)), expected, atol=1e-4)


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet18", "vit_tiny_patch16_224"])
def test_an_adapted_network_on_bands_is_the_network_on_mapped_bands(name: str):
    matrix = RNG.standard_normal((3, 5))
    plain = classifier_of(name)
    x = images(5) if "vit" not in name else torch.randn(1, 5, 224, 224, generator=torch.Generator().manual_seed(0))
    expected = features(plain, torch.einsum("nbhw,cb->nchw", x, torch.from_numpy(matrix).float()))
    adapted = with_bands(classifier_of(name), BandAdapter("learned", matrix))
    assert torch.allclose(features(adapted, x), expected, atol=1e-4 * float(expected.abs().max()))
    assert adapted.image_channels == 5


@pytest.mark.parametrize("bands", [4, 12])
def test_repeat_gives_the_weights_of_timm(bands: int):
    plain = classifier_of()
    adapted = with_bands(classifier_of(), BandAdapter("repeat", band_matrix("repeat", bands)))
    expected = adapt_input_conv(bands, plain.network.conv_stem.weight.detach().clone())
    assert torch.allclose(adapted.network.conv_stem.weight, expected, atol=1e-7)
    theirs = timm.create_model("tf_efficientnet_lite0", in_chans=bands, num_classes=2)
    theirs.load_state_dict(adapted.state())


def test_networks_without_one_first_convolution_are_refused_with_the_way_out():
    made = classifier_of()
    made.network.add_module("second", nn.Conv2d(3, 1, 1))
    with pytest.raises(ModelError, match=r"2 convolutions read three channels.*--bands 3,2,1"):
        with_bands(made, BandAdapter("sum", band_matrix("sum", 5)))


def test_a_layer_that_standardises_its_weights_is_refused():
    class Standardised(nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            w = self.weight
            return nn.functional.conv2d(x, w / w.std(), stride=self.stride, padding=self.padding)

    made = classifier_of()
    made.network.conv_stem = Standardised(3, 32, 3, stride=2, padding=1, bias=False)
    with pytest.raises(ModelError, match="changes its weights"):
        with_bands(made, BandAdapter("sum", band_matrix("sum", 5)))


def test_random_convolutions_are_pooled_positive_and_negative_parts():
    filters = RNG.standard_normal((4, 2, 3, 3)).astype(np.float32)
    offsets = RNG.standard_normal(4).astype(np.float32)
    x = images(2, 1)
    found = RandomConvolutions(filters, offsets)(x)[0].numpy()
    windows = np.lib.stride_tricks.sliding_window_view(x[0].numpy(), (3, 3), axis=(1, 2))
    outputs = np.einsum("bijhw,kbhw->kij", windows, filters) + offsets[:, None, None]
    above, below = (np.maximum(sign * outputs - 0.5, 0).mean(axis=(1, 2)) for sign in (1, -1))
    assert found == pytest.approx(np.concatenate([above, below]), abs=1e-4)


def test_random_convolutions_stand_beside_the_network_in_features_logits_and_groups():
    made = with_bands(classifier_of(), adapter := convolutions(5))
    x = images(5)
    own = with_bands(classifier_of(), BandAdapter("learned", adapter.matrix))
    beside = RandomConvolutions(adapter.filters, adapter.offsets)(x)
    found = features(made, x)
    assert torch.allclose(found, torch.cat([features(own, x), beside], dim=1), atol=1e-4)
    weight, bias = RNG.standard_normal((2, made.num_features)).astype(np.float32), np.float32([1, -1])
    made.write_linear(weight, bias)
    with torch.no_grad():
        logits = made.network(x)
    assert torch.allclose(logits, found @ torch.from_numpy(weight).T + torch.from_numpy(bias), atol=1e-3)
    assert made.groups[0].owns(f"{RANDOM_CONVOLUTIONS}.weight")
    assert made.groups[-1].owns(f"{BAND_HEAD}.weight")


def test_tensors_of_an_adapted_network_are_loaded_into_another():
    made = with_bands(classifier_of(), convolutions(4))
    made.write_linear(RNG.standard_normal((2, made.num_features)).astype(np.float32), np.zeros(2, np.float32))
    state = made.state()
    again = with_bands_of(classifier_of(), state, 4)
    again.restore(state)
    x = images(4)
    with torch.no_grad():
        assert torch.equal(again.network(x), made.network(x))


def test_cut_anywhere_the_parts_give_the_whole():
    made = with_bands(classifier_of(), convolutions(5))
    names = made.group_names
    for name in (names[1], names[-2], names[-1]):
        parts = cut_at(made, name, size=SIZE)
        assert parts.crossing[-1].shape == (2 * len(made.network.get_submodule(RANDOM_CONVOLUTIONS).weight),)


def test_a_head_on_all_depths_goes_on_and_off_with_random_convolutions_kept():
    made = with_bands(classifier_of(), convolutions(5))
    x, own = images(5), made.num_features
    before = features(made, x)
    with torch.no_grad():
        logits = made.network(x)
    deep = with_depths(made, SIZE)
    assert torch.allclose(features(deep, x)[:, :own], before, atol=1e-4)
    assert all(span is None or span[0] >= own or span[0] == 0 for span in deep.depth_columns.values())
    plain = without_depths(deep)
    with torch.no_grad():
        assert torch.equal(plain.network(x), logits)
    assert plain.sites == made.sites


def test_an_mlp_head_reads_no_further_features():
    choice = find_model("tf_efficientnet_lite0")
    made = build_classifier(choice, kind="mlp", num_classes=2, seed=0, input_size=SIZE)
    with pytest.raises(ModelError, match="features of a linear head"):
        with_bands(made, convolutions(5))
    assert with_bands(made, replace(convolutions(5), filters=None)).bands == 5
