"""Networks of three channels that take images of n bands: an adapted first layer, and random convolutions next to it.

The network stays the library's own, with its own tensor names: timm's `in_chans=n` takes its tensors. Random
convolutions are one module more, whose pooled outputs are further features of the head (Rolf et al. 2021 found that
such features of satellite images rival a ResNet's).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from headstart.arrays import Singles
from headstart.errors import ModelError
from headstart.networks.backbone import Classifier
from headstart.networks.band_adapter import WEIGHT_CHANNELS, BandAdapter
from headstart.networks.groups.grouping import layer_groups
from headstart.networks.groups.layers import LayerGroup, in_evaluation_mode
from headstart.networks.head_layers import BAND_HEAD, HeadSite
from headstart.networks.heads import DepthHead

RANDOM_CONVOLUTIONS = "random_convolutions"
"""Path of the module that headstart adds to a library's network."""

_SIDE = 64
"""Images are averaged to at least so many pixels a side: smaller ones lose texture, larger ones take four times as
long and gave no higher accuracy."""
_THRESHOLD = 0.5
"""Outputs nearer to zero than this count as zero."""
_LARGEST_ERROR = 1e-4
"""Of an adapted first layer, relative to its largest output."""


class RandomConvolutions(nn.Module):
    """Pooled outputs of fixed convolutions on all bands: (B, n, H, W) -> (B, 2 K), positive and negative parts."""

    weight: Tensor
    offset: Tensor

    def __init__(self, filters: Singles, offsets: Singles) -> None:
        """Keep them as buffers, which nothing trains.

        Args:
            filters: (K, n, 3, 3).
            offsets: (K,).
        """
        super().__init__()
        self.register_buffer("weight", torch.from_numpy(np.array(filters, np.float32)))
        self.register_buffer("offset", torch.from_numpy(np.array(offsets, np.float32)))

    def forward(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803 - shapes
        """Mean over the positions of what exceeds the threshold."""
        times = max(1, min(x_BCHW.shape[2:]) // _SIDE)
        if times > 1:
            x_BCHW = functional.avg_pool2d(x_BCHW, times)  # noqa: N806
        found = functional.conv2d(x_BCHW, self.weight, self.offset)
        above, below = (torch.relu(sign * found - _THRESHOLD).mean(dim=(2, 3)) for sign in (1, -1))
        return torch.cat([above, below], dim=1)


class _BesideTrunk:
    """Stands in place of a network's own forward: its logits, and those of the head on random convolutions."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def __call__(self, x_BCHW: Tensor) -> Any:  # noqa: ANN401, N803 - logits, or logits with auxiliary ones
        network = self._network
        output = type(network).forward(network, x_BCHW)
        # The sum of two linear heads on two parts of the features is one linear head on all of them.
        further = network.get_submodule(BAND_HEAD)(network.get_submodule(RANDOM_CONVOLUTIONS)(x_BCHW))
        if isinstance(output, Tensor):
            return output + further
        return type(output)(output[0] + further, *output[1:])


def with_bands(classifier: Classifier, adapter: BandAdapter) -> Classifier:
    """The same network, changed in place, for images of n normalised bands.

    Args:
        classifier: With a linear or mlp head, for three channels.
        adapter: Its matrix goes into the first convolution; its filters, if any, next to the network.

    Raises:
        ModelError: images do not go through one convolution on three channels first, that one changes its weights, or
            an mlp head would have to read filters.
    """
    network = classifier.network
    if adapter.filters is not None and classifier.head_kind != "linear":
        raise ModelError(
            f"random convolutions are features of a linear head, and this one is {classifier.head_kind}",
            remedy="--channels learned goes with every head",
        )
    if hasattr(network, "transform_input"):
        # GoogLeNet and Inception bring ImageNet's statistics to their own here; bands have statistics of their own.
        setattr(network, "transform_input", False)  # noqa: B010 - torch types attributes as tensors
    path = _first_convolution(classifier)
    conv = network.get_submodule(path)
    assert isinstance(conv, nn.Conv2d)
    adapted = _adapted(conv, adapter)
    _compare(classifier, conv, adapted, adapter)
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, adapted)
    classifier = replace(classifier, bands=adapter.bands)
    return classifier if adapter.filters is None else _with_convolutions(classifier, adapter)


def with_bands_of(classifier: Classifier, tensors: dict[str, Tensor], bands: int) -> Classifier:
    """The same network, changed in place, for the tensors of one that `with_bands` has made; they are loaded later.

    Args:
        classifier: For three channels.
        tensors: Of the adapted one.
        bands: n.

    Raises:
        ModelError: see `with_bands`.
    """
    filters = tensors.get(f"{RANDOM_CONVOLUTIONS}.weight")
    matrix = np.zeros((WEIGHT_CHANNELS, bands))
    if filters is None:
        return with_bands(classifier, BandAdapter("learned", matrix))
    shape = tuple(filters.shape)
    blank = (np.zeros(shape, np.float32), np.zeros(shape[:1], np.float32))
    return with_bands(classifier, BandAdapter("random_convolutions", matrix, *blank))


def groups_with_bands(network: nn.Module) -> tuple[LayerGroup, ...]:
    """Layer groups of stage grain of a network that may have random convolutions next to it."""
    if not hasattr(network, RANDOM_CONVOLUTIONS):
        return layer_groups(network)
    with _without_added(network):
        groups = layer_groups(network)
    return _with_members(groups)


def _with_members(groups: Sequence[LayerGroup]) -> tuple[LayerGroup, ...]:
    # The convolutions see the images, so they belong to the first group: wherever the network is cut, they come before.
    first, *others, last = groups
    return (
        replace(first, members=(*first.members, RANDOM_CONVOLUTIONS)),
        *others,
        replace(last, members=(*last.members, BAND_HEAD)),
    )


@contextmanager
def _without_added(network: nn.Module) -> Iterator[None]:
    added = {name: network.get_submodule(name) for name in (RANDOM_CONVOLUTIONS, BAND_HEAD)}
    for name in added:
        delattr(network, name)
    try:
        yield
    finally:
        for name, module in added.items():
            network.add_module(name, module)


def _with_convolutions(classifier: Classifier, adapter: BandAdapter) -> Classifier:
    assert adapter.filters is not None
    assert adapter.offsets is not None
    network = classifier.network
    device = next(network.parameters()).device
    head = DepthHead({RANDOM_CONVOLUTIONS: 2 * len(adapter.filters)}, classifier.num_classes)
    module = RandomConvolutions(adapter.filters, adapter.offsets)
    for name, added in ((RANDOM_CONVOLUTIONS, module), (BAND_HEAD, head)):
        network.add_module(name, added.to(device).train(network.training))
    # An attribute of the instance, not a subclass: class and repr of the network stay the library's.
    network.forward = _BesideTrunk(network)
    mains, helpers = classifier.main_sites, classifier.sites[len(classifier.main_sites) :]
    return replace(
        classifier,
        groups=_with_members(classifier.groups),
        sites=(*mains, HeadSite(BAND_HEAD, head.in_features, "linear", "main"), *helpers),
        shares=(*classifier.shares, 1.0),
    )


def _first_convolution(classifier: Classifier) -> str:
    """Path of the one convolution that reads the channels of the images.

    Raises:
        ModelError: there is none, or there are several.
    """
    named = classifier.network.named_modules()
    found = [p for p, m in named if isinstance(m, nn.Conv2d) and m.in_channels == WEIGHT_CHANNELS and m.groups == 1]
    if len(found) == 1:
        return str(found[0])
    what = "no convolution reads" if not found else f"{len(found)} convolutions read"
    raise ModelError(
        f"{classifier.card.name} cannot be adapted to bands ({what} three channels)",
        expected="one first convolution",
        remedy="take another network, or three bands such as --bands 3,2,1",
    )


def _adapted(conv: nn.Conv2d, adapter: BandAdapter) -> nn.Conv2d:
    matrix = torch.from_numpy(adapter.matrix)
    weight = torch.einsum("ochw,cb->obhw", conv.weight.detach().double().cpu(), matrix).to(conv.weight)
    made = copy.deepcopy(conv)
    made.in_channels = adapter.bands
    made.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last))
    made.weight.requires_grad_(conv.weight.requires_grad)
    return made


def _compare(classifier: Classifier, conv: nn.Conv2d, adapted: nn.Conv2d, adapter: BandAdapter) -> None:
    """Compare the adapted layer on bands with the layer on mapped bands, on random numbers.

    Raises:
        ModelError: they differ, as where a layer standardises its weights before it uses them.
    """
    draws = np.random.default_rng(0).standard_normal((1, adapter.bands, _SIDE, _SIDE))
    bands = torch.from_numpy(draws).to(conv.weight)
    mapped = torch.einsum("nbhw,cb->nchw", bands, torch.from_numpy(adapter.matrix).to(conv.weight))
    with torch.no_grad(), in_evaluation_mode(classifier.network):
        before, after = conv(mapped), adapted(bands)
    if not torch.allclose(before, after, rtol=0, atol=_LARGEST_ERROR * max(float(before.abs().max()), 1e-12)):
        raise ModelError(
            f"{classifier.card.name} cannot be adapted to bands (its first convolution changes its weights)",
            remedy="take another network, or three bands such as --bands 3,2,1",
        )
