"""Head of a classifier in numpy: logits from features, with the weights of its dense layers; no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Singles

SiteRole = Literal["main", "auxiliary"]

DEPTHS = "multi_depth"
"""Path of the layer on the outputs of all groups, which headstart adds to a library's network."""
BAND_HEAD = "band_head"
"""Path of the layer on random convolutions of all bands, which headstart adds too."""
WITHOUT_BIAS = (DEPTHS, BAND_HEAD)
"""Added layers: the network's own has the bias of all."""

DepthColumns: TypeAlias = Mapping[str, tuple[int, int] | None]
"""Layer group, stem to last stage -> columns (start, stop) of its pooled output in the features of a head on all
depths; None: its output is too long to be among them."""


@dataclass(frozen=True, slots=True)
class HeadSite:
    """One classifier layer."""

    path: str
    features: int
    """Length of the vector it reads."""
    layer: Literal["linear", "conv"]
    """conv: a 1x1 convolution on the pooled (B, F, 1, 1)."""
    role: SiteRole


@dataclass(frozen=True, eq=False)
class DenseLayer:
    """y = W x + b, in double precision."""

    weight: Doubles
    """(K, F)."""
    bias: Doubles | None
    """(K,)."""


@dataclass(frozen=True, eq=False)
class HeadLayers:
    """The main sites of a head as dense layers, ReLU between those of one site.

    Products are made in double precision and rounded once, so that the logits of an image do not depend on how many
    images are computed together.
    """

    sites: tuple[tuple[DenseLayer, ...], ...]
    """Layers of each main site, in order."""
    shares: tuple[float, ...]
    """Weight of each site in the logits."""

    def logits(self, features_NF: Singles) -> Singles:  # noqa: N803
        """(N, K) logits of N rows of features, those of the sites side by side."""
        start, total = 0, np.zeros((len(features_NF), 1))
        for layers, share in zip(self.sites, self.shares, strict=True):
            stop = start + layers[0].weight.shape[1]
            found = features_NF[:, start:stop].astype(np.float64)
            start = stop
            for number, layer in enumerate(layers):
                found = (np.maximum(found, 0.0) if number else found) @ layer.weight.T
                found = found if layer.bias is None else found + layer.bias
            total = total + share * found
        return total.astype(np.float32)


def head_layers_of(
    tensors: Mapping[str, npt.NDArray[Any]], sites: Sequence[HeadSite], shares: Sequence[float]
) -> HeadLayers:
    """The head whose tensors a state holds under the paths of its sites.

    Args:
        tensors: Name -> values; more than those of the head do no harm.
        sites: All sites; auxiliary ones give no logits in evaluation.
        shares: Weight of each main site in the logits.

    Raises:
        KeyError: a site has no weight there.
    """
    main = [site for site in sites if site.role == "main"]
    return HeadLayers(tuple(_layers(tensors, site.path) for site in main), tuple(shares))


def _layers(tensors: Mapping[str, npt.NDArray[Any]], path: str) -> tuple[DenseLayer, ...]:
    """One layer, or those of a multi-layer perceptron in the order of their numbers."""
    pattern = re.compile(rf"{re.escape(path)}\.(?:(\d+)\.)?weight")
    found = [(int(match[1] or 0), name) for name in tensors if (match := pattern.fullmatch(name))]
    if not found:
        raise KeyError(f"{path}.weight")
    return tuple(_layer(tensors, name.removesuffix("weight")) for _, name in sorted(found))


def _layer(tensors: Mapping[str, npt.NDArray[Any]], start: str) -> DenseLayer:
    weight, bias = tensors[f"{start}weight"], tensors.get(f"{start}bias")
    return DenseLayer(
        weight.reshape(len(weight), -1).astype(np.float64), None if bias is None else bias.astype(np.float64)
    )


def is_of_head(name: str, sites: Sequence[HeadSite]) -> bool:
    """Whether a tensor of a state belongs to the head."""
    return any(name.startswith(f"{site.path}.") for site in sites)
