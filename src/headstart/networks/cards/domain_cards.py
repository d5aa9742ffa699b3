"""Cards of weights that were trained on images of a domain: named by `knowledge`, probed by the user, never a default.

The networks are torchvision's, whose tensors have the names that these files use. Their own heads are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from headstart.input_spec import InputSpec
from headstart.networks.cards.catalog import ModelCard, WeightSource, cards_of


@dataclass(frozen=True, slots=True)
class _Row:
    architecture: str
    tag: str
    domain: str
    licence: str
    paper: str
    input: InputSpec
    weights: WeightSource


def _x_ray(tag: str, name: str) -> _Row:
    # torchxrayvision scales grey 0..255 to -1024..1024: (2 v - 1) * 1024 of v in 0..1.
    spec = InputSpec(224, 224, "bilinear", (0.5,) * 3, (1 / 2048,) * 3)
    source = WeightSource("library", name, package="torchxrayvision", holds="trunk")
    return _Row("densenet121", tag, "medical", "apache-2.0", "Cohen et al. 2022 (torchxrayvision)", spec, source)


def _from_above(architecture: str, tag: str, paper: str, spec: InputSpec, address: str) -> _Row:
    file = address.rpartition("/")[2]
    start = file.rpartition("-")[2].removesuffix(".pth")
    source = WeightSource("url", file, sha256=start, url=f"https://hf.co/torchgeo/{address}", holds="trunk")
    return _Row(architecture, tag, "satellite", "see its source", paper, spec, source)


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_REFLECTANCE = 10_000 / 65_535
"""The weights divide reflectance x 10,000 in 16 bits by 10,000."""

_ROWS = (
    _x_ray("xrv-all", "densenet121-res224-all"),
    _x_ray("xrv-nih", "densenet121-res224-nih"),
    _x_ray("xrv-chex", "densenet121-res224-chex"),
    _from_above(
        "resnet50",
        "torchgeo-fmow-rgb",
        "Ayush et al. 2021 (GASSL, on fMoW)",
        InputSpec(224, 224, "bilinear", *_IMAGENET, crop="squash"),
        "resnet50_fmow_rgb_gassl/resolve/fe8a91026cf9104f1e884316b8e8772d7af9052c/resnet50_fmow_rgb_gassl-da43d987.pth",
    ),
    _from_above(
        "resnet18",
        "torchgeo-s2-rgb",
        "Wang et al. 2023 (SSL4EO-S12, Sentinel-2 bands 4, 3, 2)",
        InputSpec(224, 256, "bilinear", (0.0,) * 3, (_REFLECTANCE,) * 3),
        "resnet18_sentinel2_rgb_moco/resolve/e1c032e7785fd0625224cdb6699aa138bb304eec/"
        "resnet18_sentinel2_rgb_moco-e3a335e3.pth",
    ),
)


@cache
def domain_cards() -> tuple[ModelCard, ...]:
    """Cards of weights of domains."""
    return tuple(map(_card, _ROWS))


def domain_cards_of(architecture: str) -> tuple[ModelCard, ...]:
    """Those of one architecture."""
    return tuple(card for card in domain_cards() if card.architecture == architecture)


def _card(row: _Row) -> ModelCard:
    base = next(card for card in cards_of(row.architecture) if card.library == "torchvision")
    return replace(
        base,
        tag=row.tag,
        input=row.input,
        licence=row.licence,
        paper=row.paper,
        weights=row.weights,
        domain=row.domain,
        imagenet_top1=None,
        imagenet_top1_size=None,
        gpu_images_per_second=None,
        cpu_images_per_second=None,
    )
