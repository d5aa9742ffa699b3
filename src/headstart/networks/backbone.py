"""Card -> Classifier: a pretrained network with a new head."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from headstart.amounts import count_text
from headstart.arrays import Singles
from headstart.errors import ModelError, require
from headstart.networks.cards.catalog import ModelCard, ModelChoice
from headstart.networks.forks import guard_forks
from headstart.networks.groups.grouping import layer_groups
from headstart.networks.groups.layers import LayerGroup, copy_of, in_evaluation_mode, restore
from headstart.networks.groups.order import trace, without_weights
from headstart.networks.head_layers import DEPTHS, WITHOUT_BIAS, DepthColumns, HeadLayers, HeadSite, head_layers_of
from headstart.networks.heads import (
    AUXILIARY_LOSS_WEIGHTS,
    DepthHead,
    OriginalHead,
    SiteKind,
    input_size_of,
    original_head_of,
    prepare_heads,
    replace_heads,
    shares_of_sites,
    write_linear,
)
from headstart.networks.memory_format import in_nhwc
from headstart.networks.weights.loading import BUILDER_OPTIONS, load_weights, timm_overlay
from headstart.networks.weights.report import WeightReport
from headstart.plan.request import HeadKind
from headstart.plan.sections import Grain

WeightInit = Literal["pretrained", "random"]


@dataclass(frozen=True)
class Classifier:
    """Network with the classes of the user."""

    network: nn.Module
    """The library's own module with its own tensor names; maps (B, C, H, W) to logits (B, K)."""
    card: ModelCard
    groups: tuple[LayerGroup, ...]
    """Stem to head."""
    sites: tuple[HeadSite, ...]
    """Classifier layers, main ones first."""
    shares: tuple[float, ...]
    """Weight of each main site in the logits; 1 for a single site."""
    head_kind: HeadKind
    num_classes: int
    report: WeightReport | None = field(default=None, compare=False)
    """Report on the loaded weights; None for random weights."""
    depth_columns: DepthColumns = field(default_factory=dict, compare=False)
    """Where the features of each group are; empty without a head on all depths."""
    bands: int | None = None
    """Number of bands of the images that its first layer was adapted to; None: the channels of the weights."""
    original_head: OriginalHead | None = field(default=None, compare=False)
    """The head that came with the weights, where it is one linear layer; None for random weights."""

    def __repr__(self) -> str:
        groups = count_text(len(self.groups), "layer group")
        return f"Classifier({self.card.name}, {self.num_classes} classes, {self.head_kind} head, {groups})"

    @property
    def main_sites(self) -> tuple[HeadSite, ...]:
        """Sites that give the logits in evaluation."""
        return tuple(site for site in self.sites if site.role == "main")

    @property
    def head(self) -> nn.Module:
        """First new layer."""
        return self.network.get_submodule(self.sites[0].path)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Stem to head."""
        return tuple(group.name for group in self.groups)

    @property
    def image_channels(self) -> int:
        """Channels of the images that it takes."""
        return self.card.input.channels if self.bands is None else self.bands

    @property
    def num_features(self) -> int:
        """Length of the vector that `features` gives for an image."""
        return sum(site.features for site in self.main_sites)

    @property
    def num_last_features(self) -> int:
        """Number of them that the head of the network reads; they come first. All, except for a multi_depth head."""
        return sum(site.features for site in self.main_sites if site.path != DEPTHS)

    def features(self, x_BCHW: Tensor) -> Tensor:  # noqa: N803 - shapes
        """Features (B, F) that the main head sites read, pooled and concatenated. Thread-safe."""
        read, caller = dict[str, Tensor](), threading.get_ident()

        def note(path: str) -> Any:  # noqa: ANN401 - a hook
            def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
                if threading.get_ident() == caller:  # modules, and so hooks, are shared by all threads
                    read[path] = inputs[0]

            return hook

        handles = [
            self.network.get_submodule(site.path).register_forward_pre_hook(note(site.path)) for site in self.main_sites
        ]
        try:
            self.network(x_BCHW)
        finally:
            for handle in handles:
                handle.remove()
        return torch.cat([read[site.path].flatten(1) for site in self.main_sites], dim=1)

    @property
    def outputs_from_features(self) -> bool:
        """Whether `logits_from` gives the outputs of the network: not where an auxiliary site adds to them (VOLO)."""
        helpers = any(site.role == "auxiliary" for site in self.sites)
        return not helpers or type(self.network).__name__ in AUXILIARY_LOSS_WEIGHTS

    def logits_from(self, features_BF: Tensor) -> Tensor:  # noqa: N803 - shapes
        """Logits (B, K) in evaluation of given features."""
        start, total = 0, torch.zeros((), device=features_BF.device)
        for site, share in zip(self.main_sites, self.shares, strict=True):
            columns = features_BF[:, start : start + site.features]
            start += site.features
            given = columns[:, :, None, None] if site.layer == "conv" else columns
            total = total + share * self.network.get_submodule(site.path)(given).flatten(1)
        return total

    @property
    def num_parameters(self) -> int:
        """Of backbone and head."""
        return sum(one.numel() for one in self.network.parameters())

    def state(self) -> dict[str, Tensor]:
        """Copy of all its tensors on the CPU; a head on all depths that is only tried is that of another classifier."""
        return copy_of(self.network, without="" if self.head_kind == "multi_depth" else DEPTHS)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Load a whole state, tensors or numpy arrays, and leave the network in evaluation mode."""
        restore(self.network, {name: torch.as_tensor(values) for name, values in state.items()})

    def built(self) -> Classifier:
        """Itself; `KnownClassifier` builds its network here."""
        return self

    def head_layers(self) -> HeadLayers:
        """Its head in numpy, as it is now."""
        tensors = dict[str, Singles]()
        for site in self.main_sites:
            named = self.network.get_submodule(site.path).state_dict(prefix=f"{site.path}.")
            tensors |= {name: tensor.detach().float().cpu().numpy() for name, tensor in named.items()}
        return head_layers_of(tensors, self.main_sites, self.shares)

    def training_logits(self, x_BCHW: Tensor) -> tuple[tuple[Tensor, float], ...]:  # noqa: N803 - shapes
        """Logits (B, K) with the weight of their loss; more than one pair only where auxiliary heads are trained."""
        return self.weighted_logits(self.network(x_BCHW))

    def linear_weight(self) -> Tensor:
        """Weight (K, F) that `write_linear` wrote, on the device of the network.

        Raises:
            TypeError: the head is not linear.
        """
        columns = []
        for site, share in zip(self.main_sites, self.shares, strict=True):
            layer = self.network.get_submodule(site.path)
            if not isinstance(layer, (nn.Linear, nn.Conv2d)):
                raise TypeError(f"a {self.head_kind} head is no linear layer")
            columns.append(share * layer.weight.detach().flatten(1))
        return torch.cat(columns, dim=1)

    def weighted_logits(self, output: Any) -> tuple[tuple[Tensor, float], ...]:  # noqa: ANN401 - tensor or tuple
        """Logits with the weight of their loss, from the outputs of the network or its suffix in training."""
        if isinstance(output, Tensor):
            return ((output, 1.0),)
        weight = AUXILIARY_LOSS_WEIGHTS[type(self.network).__name__]
        main, *auxiliary = (logits for logits in output if logits is not None)
        return ((main, 1.0), *((logits, weight) for logits in auxiliary))

    def write_linear(self, weight_KF: Tensor | Singles, bias_K: Tensor | Singles) -> None:  # noqa: N803
        """Write a linear probe fitted on `features` into the head.

        Where several sites share the logits, each gets the columns it reads, divided by its share; the layer on the
        outputs of all groups has no bias. Auxiliary sites are set to zero: VOLO's would add to the logits.

        Raises:
            TypeError: the head is not linear.
        """
        start, weight_KF, bias_K = 0, torch.as_tensor(weight_KF), torch.as_tensor(bias_K)  # noqa: N806
        own_shares = sum(
            s for site, s in zip(self.main_sites, self.shares, strict=True) if site.path not in WITHOUT_BIAS
        )
        for site, share in zip(self.main_sites, self.shares, strict=True):
            columns = weight_KF[:, start : start + site.features] / share
            start += site.features
            layer = self.network.get_submodule(site.path)
            if isinstance(layer, DepthHead):
                with torch.no_grad():
                    layer.weight.copy_(columns)
            else:
                write_linear(layer, columns, bias_K / own_shares)
        with torch.no_grad():
            for site in self.sites:
                if site.role == "auxiliary":
                    for parameter in self.network.get_submodule(site.path).parameters():
                        parameter.zero_()


def build_network(card: ModelCard, *, input_size: int | None = None) -> nn.Module:
    """Network of the architecture with its original head and random weights.

    Args:
        card: Card of the network.
        input_size: Side of the images it will see, in pixels; None is the card's.

    Raises:
        ModelError: the architecture cannot be built for images of that size.
    """
    guard_forks()
    size = input_size or card.input.size
    if card.library == "timm":
        options: dict[str, Any] = {"num_classes": card.num_classes, **card.builder_options}
        create = require("timm", extra="train").create_model
        network = _sized(lambda **extra: create(card.architecture, **options, **extra), card, size)
    else:
        options = dict(BUILDER_OPTIONS.get(card.architecture, {}))
        if card.family == "vision_transformer":
            options["image_size"] = size
        build = require("torchvision.models", extra="train").get_model
        try:
            network = build(card.architecture, weights=None, **options)
        except AssertionError as error:  # of torchvision: a side that patches do not divide
            raise _size_error(card, size, error) from error
    return in_nhwc(network)


def _sized(create: Any, card: ModelCard, size: int) -> nn.Module:  # noqa: ANN401 - timm's factory
    """Network of timm that takes images of `size`; convolutional ones take no `img_size`, because any image fits."""
    if card.sizes == "any":
        made: nn.Module = create()
        return made
    try:
        made = create(img_size=size)
    except (TypeError, AssertionError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise _size_error(card, size, error) from error
    return made


def _size_error(card: ModelCard, size: int, error: Exception) -> ModelError:
    return ModelError(
        f"{card.name} cannot be used at {size} px ({(str(error).strip() or type(error).__name__).splitlines()[0]})",
        expected=f"its own {card.input.size} px, or another size its blocks divide",
        remedy="leave --input-size out, or take a network without a fixed input (headstart models --sizes any)",
    )


def pretrained(choice: ModelChoice, *, input_size: int | None = None) -> tuple[nn.Module, WeightReport]:
    """Pretrained network with its original head, and the report on its weights.

    Position embeddings are resampled where `input_size` differs from the size of the weights.

    Raises:
        ModelError: see `load_weights`, or the weights cannot be resampled to that size.
    """
    guard_forks()
    card, size = choice.card, input_size or choice.card.input.size
    if choice.file is None and card.library == "timm" and card.weights.kind in ("hub", "url"):
        overlay = timm_overlay(card)
        return _timm_network(card, size, overlay).eval(), WeightReport.whole(str(overlay["file"]))
    network = build_network(card)
    report = load_weights(network, choice)
    if size != card.input.size and card.sizes == "fixed":
        network = _resampled(network, card, size)
    return network.eval(), report


def _timm_network(card: ModelCard, size: int, overlay: Mapping[str, Any]) -> nn.Module:
    create = require("timm", extra="train").create_model
    named = card.tag and not card.tag.startswith("hf-hub:")
    name = f"{card.architecture}.{card.tag}" if named else card.architecture
    options = {"num_classes": card.num_classes, **card.builder_options}
    overlay = {**overlay, "num_classes": card.num_classes}

    def with_weights(**extra: Any) -> nn.Module:  # noqa: ANN401 - timm's options
        made: nn.Module = create(name, pretrained=True, pretrained_cfg_overlay=dict(overlay), **options, **extra)
        return made

    try:
        network = _sized(with_weights, card, size)
    except (RuntimeError, KeyError, ValueError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"the weights {overlay.get('file', card.name)} do not fit {card.name} ({first})",
            expected="the file that timm publishes for this name",
            remedy="remove the file, so that it is fetched again",
        ) from error
    return in_nhwc(network)


def _resampled(network: nn.Module, card: ModelCard, size: int) -> nn.Module:
    """Network with the same weights for images of another size."""
    if card.library == "timm":
        return _timm_network(card, size, {"state_dict": network.state_dict(), "source": None, "custom_load": False})
    if card.family != "vision_transformer":
        raise _size_error(card, size, ValueError("its relative positions are made for one size"))
    from torchvision.models.vision_transformer import interpolate_embeddings

    try:
        other = build_network(card, input_size=size)
        patch = network.patch_size
        assert isinstance(patch, int)
        other.load_state_dict(interpolate_embeddings(size, patch, network.state_dict()))
    except (AssertionError, ValueError, RuntimeError) as error:
        raise _size_error(card, size, error) from error
    return other


def with_new_head(
    network: nn.Module, card: ModelCard, *, kind: SiteKind, num_classes: int, grain: Grain = "stage"
) -> Classifier:
    """Replace the head wherever it sits; the rest is untouched."""
    prepare_heads(network, whole=card.discarded_head)
    original = None if card.discarded_head else original_head_of(network)
    sites = replace_heads(network, kind=kind, num_classes=num_classes)
    main = [site for site in sites if site.role == "main"]
    shares: tuple[float, ...] = (1.0 / len(main),) * len(main)
    # Networks weigh classifiers differently (DeiT halves them); without values to measure, equal shares stand in.
    if len(main) > 1 and kind == "linear" and next(network.parameters()).device.type != "meta":
        with in_evaluation_mode(network):
            size = input_size_of(network) or card.input.size
            shares = shares_of_sites(network, main, torch.zeros(1, card.input.channels, size, size))
    groups = layer_groups(network, grain=grain, sites=sites)
    return Classifier(network, card, groups, sites, shares, kind, num_classes, original_head=original)


def build_classifier(
    choice: ModelChoice,
    *,
    kind: SiteKind,
    num_classes: int,
    seed: int,
    input_size: int | None = None,
    weights: WeightInit = "pretrained",
    grain: Grain = "stage",
) -> Classifier:
    """A network with a new head; the seed decides whatever is random in it.

    Args:
        choice: Card, and the user's file if there is one.
        kind: Of the head.
        num_classes: Of the head.
        seed: For the head, and for everything with random weights.
        input_size: Side of the images in pixels; None is the card's.
        weights: random leaves out the pretraining.
        grain: Of the layer groups.

    Raises:
        ModelError: see `pretrained`; or the network cannot run on images of that size.
    """
    size = input_size or choice.card.input.size
    # The user's own random numbers go on as if nothing had been built.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        report = None
        if weights == "random":
            network = build_network(choice.card, input_size=size)
        else:
            network, report = pretrained(choice, input_size=size)
        made = with_new_head(network, choice.card, kind=kind, num_classes=num_classes, grain=grain)
    if size != choice.card.input.size:
        _try_size(made, size)
    original = None if weights == "random" else made.original_head
    return Classifier(**{**vars(made), "report": report, "original_head": original})


def _try_size(classifier: Classifier, size: int) -> None:
    """Fail before training, not in its first step."""
    try:
        trace(classifier.network, torch.empty(1, classifier.image_channels, size, size, device="meta"))
    except ModelError as error:
        raise _size_error(classifier.card, size, error) from error


def group_names_of(choice: ModelChoice, *, input_size: int | None = None, grain: Grain = "stage") -> tuple[str, ...]:
    """Names of the layer groups, stem to head; at block grain the network is built without weights to find them."""
    if grain == "stage":
        return choice.card.groups
    network = without_weights(lambda: build_network(choice.card, input_size=input_size))
    prepare_heads(network, whole=choice.card.discarded_head)
    return tuple(group.name for group in layer_groups(network, grain=grain))
