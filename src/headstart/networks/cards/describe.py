"""Facts of a network, read from the network: for scripts/make_cards.py, and for cards made on demand.

Networks are built without values (meta device), so a description costs time but no memory.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from headstart.errors import ModelError, require
from headstart.input_spec import InputSpec
from headstart.networks.backbone import build_network
from headstart.networks.cards.catalog import ModelCard, ModelChoice, WeightSource, cards_of
from headstart.networks.groups.grouping import layer_groups
from headstart.networks.groups.order import without_weights
from headstart.networks.heads import head_sites, prepare_heads

if TYPE_CHECKING:
    from timm.models import PretrainedCfg


@dataclass(frozen=True, slots=True)
class Structure:
    """Structure of a network."""

    parameters: int
    """With the original head."""
    features: int
    """Length of the vector the main head sites read."""
    groups: tuple[str, ...]
    """At stage grain; empty where the network cannot be given classes."""
    gmacs: float | None
    """Billions of multiply-accumulates for one image; None where forward fails without values."""


def structure_of(card: ModelCard) -> Structure:
    """Structure of the network of a card, of which only architecture, sizes and options are read."""
    network = without_weights(lambda: build_network(card)).eval()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    gmacs = gigamacs(network, card.input.size)
    try:
        prepare_heads(network, whole=card.discarded_head)
        sites = [site for site in head_sites(network) if site.role == "main"]
        groups = tuple(group.name for group in layer_groups(network))
    except ModelError:
        return Structure(parameters, int(getattr(network, "num_features", 0)), (), gmacs)
    return Structure(parameters, sum(site.features for site in sites), groups, gmacs)


def gigamacs(network: nn.Module, size: int) -> float | None:
    """Multiply-accumulates of one image in billions, counted without computing; None where forward fails."""
    counter = FlopCounterMode(display=False)
    try:
        with counter:  # with gradients: the counter follows modules by their graph
            network(torch.empty(1, 3, size, size, device="meta"))
    except (RuntimeError, NotImplementedError, AssertionError, TypeError):
        return None
    return round(counter.get_total_flops() / 2e9, 3)


def input_of_timm(config: PretrainedCfg) -> InputSpec:
    """The evaluation path that timm states for a set of weights; a rectangular input becomes its shorter side."""
    size = min(config.input_size[1:])
    crop: Literal["center", "squash", "border"] = config.crop_mode or "center"
    return InputSpec(
        size=size,
        resize=max(size, math.floor(size / (config.crop_pct or 0.875))),
        interpolation=config.interpolation or "bilinear",
        mean=tuple(config.mean),
        std=tuple(config.std),
        crop=crop,
    )


def timm_card(architecture: str, tag: str, config: PretrainedCfg, weights: WeightSource) -> ModelCard:
    """A card from timm's own configuration of a set of weights, without facts that need the network."""
    from timm.models._registry import _model_to_module

    papers = config.paper_ids or ()
    paper = papers if isinstance(papers, str) else ", ".join(papers)
    return ModelCard(
        architecture=architecture,
        tag=tag,
        library="timm",
        family=_model_to_module[architecture],
        parameters=0,
        gmacs=None,
        imagenet_top1=None,
        features=0,
        input=input_of_timm(config),
        groups=(),
        licence=(config.license or "unknown").lower(),
        paper=paper or config.origin_url or "",
        weights=weights,
        num_classes=int(config.num_classes or 0),
        sizes="fixed" if config.fixed_input_size else "any",
        domain="satellite" if "sat493m" in tag else "photo",
    )


def described(card: ModelCard) -> ModelCard:
    """Card with the facts of its network filled in."""
    return replace(card, **asdict(structure_of(card)))


def choice_from_hub(repository: str) -> ModelChoice:
    """`hf-hub:USER/REPOSITORY` -> its card, made from the repository's configuration and the installed timm.

    Raises:
        ModelError: the repository cannot be reached, or holds no network that timm knows.
        MissingExtraError: timm is not installed.
    """
    require("timm", extra="train")
    from headstart.networks.weights.hub import card_from_hub

    facts = card_from_hub(repository)
    licence = facts.licence.replace("not stated", "unknown")
    config = replace(facts.pretrained_cfg, num_classes=facts.num_classes, license=licence)
    card = timm_card(facts.architecture, "", config, WeightSource("hub", hub=facts.repo))
    known = next((card for card in cards_of(facts.architecture) if card.library == "timm"), card)
    return ModelChoice(
        described(
            replace(
                card,
                tag=f"hf-hub:{facts.repo}",
                paper=card.paper or known.paper,
                builder_options=facts.model_args,
            )
        )
    )
