"""The last part of a network: found and replaced wherever the architecture keeps it.

A head site is a layer whose outputs are the classes of the weights. Most networks have one. Some average several
(distillation tokens, one per scale), and Inception and GoogLeNet train auxiliary ones that evaluation never asks.
All of them get the user's classes: none is left that could be trained by accident on classes that are not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from headstart.errors import ModelError
from headstart.networks.head_layers import HeadSite, SiteRole

SiteKind = Literal["linear", "mlp"]
"""Kind of layers at a head site."""

MLP_HIDDEN_FEATURES = 256

AUXILIARY_LOSS_WEIGHTS = {"GoogLeNet": 0.3, "Inception3": 0.4}
"""Class of network -> weight of its auxiliary losses (Szegedy et al. 2015; torchvision's training recipe)."""

_HEAD_ATTRIBUTES = (
    "fc",
    "head",
    "heads",
    "heads_dist",
    "head_dist",
    "aux_head",
    "classifier",
    "aux1",
    "aux2",
    "AuxLogits",
)
"""Attributes of networks with classifier layers, in addition to `get_classifier`."""


class DepthHead(nn.Linear):
    """Part of a linear head that reads the pooled outputs of the layer groups: (B, F) -> (B, K), without bias.

    The sites of the network are the other part. Initialised to zero, so the outputs do not change.
    """

    def __init__(self, widths: Mapping[str, int], num_classes: int) -> None:
        """New layer.

        Args:
            widths: Layer group -> length of its pooled output, in the order of concatenation.
            num_classes: K.
        """
        super().__init__(sum(widths.values()), num_classes, bias=False)
        self.widths = dict(widths)
        nn.init.zeros_(self.weight)

    def extra_repr(self) -> str:
        """Widths by group, which distinguish exported networks."""
        return ", ".join(f"{name}={width}" for name, width in self.widths.items())


@dataclass(frozen=True, eq=False)
class OriginalHead:
    """The linear head that came with the weights of a network."""

    weight: Tensor
    """(C, F) on the CPU."""
    bias: Tensor | None
    """(C,)."""

    def logits(self, features_NF: Tensor) -> Tensor:  # noqa: N803 - shapes
        """Logits (N, C) of features (N, F) on the CPU."""
        return nn.functional.linear(features_NF, self.weight, self.bias)


def original_head_of(network: nn.Module) -> OriginalHead | None:
    """A copy of the head of a network; None where it is no single linear layer, or has no tensors yet."""
    sites = [site for site in head_sites(network) if site.role == "main"]
    layer = network.get_submodule(sites[0].path)
    if len(sites) > 1 or not isinstance(layer, nn.Linear) or layer.weight.device.type == "meta":
        return None
    bias = None if layer.bias is None else layer.bias.detach().cpu().clone()
    return OriginalHead(layer.weight.detach().cpu().clone(), bias)


def head_sites(network: nn.Module) -> tuple[HeadSite, ...]:
    """Classifier layers of the network; main ones first, each in the order of registration.

    Raises:
        ModelError: there is none.
    """
    named = dict(network.named_modules())
    inside = list(_classifier_paths(network, named))
    leaves = [path for path, module in named.items() if _class_count(module) is not None and _lies_in(path, inside)]
    if not leaves:
        raise ModelError(
            f"{type(network).__name__} has no classifier layer",
            expected="a linear layer, or a 1x1 convolution, that ends in the classes",
        )
    auxiliary = {path for path in leaves if "aux" in path.lower()}
    # Where a network does not say how many classes it has, its last layer does; hidden layers have other widths.
    last = _class_count(named[[path for path in leaves if path not in auxiliary][-1]])
    count = getattr(network, "num_classes", 0) or last
    sites = [_site(path, named[path], auxiliary) for path in leaves if _class_count(named[path]) == count]
    return tuple(sorted(sites, key=lambda site: site.role != "main"))


def _classifier_paths(network: nn.Module, named: dict[str, nn.Module]) -> Iterator[str]:
    """Paths of modules that contain classifier layers."""
    if hasattr(network, "get_classifier"):
        classifier = network.get_classifier()  # type: ignore[operator]
        modules = classifier if isinstance(classifier, (tuple, list)) else [classifier]
        yield from (path for path, module in named.items() if path and any(module is m for m in modules))
    found = [name for name in _HEAD_ATTRIBUTES if getattr(network, name, None) is not None]
    if not found and not hasattr(network, "get_classifier"):  # a user's own network: whatever comes last
        found = [path for path, module in named.items() if path and _class_count(module) is not None][-1:]
    yield from found


def _lies_in(path: str, parents: Sequence[str]) -> bool:
    return any(path == parent or path.startswith(f"{parent}.") for parent in parents)


def _class_count(module: nn.Module) -> int | None:
    if isinstance(module, nn.Linear):
        return module.out_features
    if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1):
        return module.out_channels
    return None


def _site(path: str, module: nn.Module, auxiliary: set[str]) -> HeadSite:
    role: SiteRole = "auxiliary" if path in auxiliary else "main"
    if isinstance(module, nn.Conv2d):
        return HeadSite(path, module.in_channels, "conv", role)
    assert isinstance(module, nn.Linear)
    return HeadSite(path, module.in_features, "linear", role)


def make_head(
    kind: SiteKind, features: int, num_classes: int, *, layer: Literal["linear", "conv"] = "linear"
) -> nn.Module:
    """New head, (B, features) -> logits (B, num_classes); with layer conv both have two more axes of length 1.

    mlp: dropout 0.5 - linear 256 - ReLU - dropout 0.3 - linear. The last layer starts at zero, so the initial logits
    are all equal.
    """

    def dense(inputs: int, outputs: int) -> nn.Linear | nn.Conv2d:
        return nn.Linear(inputs, outputs) if layer == "linear" else nn.Conv2d(inputs, outputs, 1)

    assert kind in ("linear", "mlp"), f"{kind} is no kind of site"
    last = dense(features if kind == "linear" else MLP_HIDDEN_FEATURES, num_classes)
    # At zero the first gradients of the backbone are zero too: a random head would disturb it for nothing.
    nn.init.zeros_(last.weight)
    assert last.bias is not None
    nn.init.zeros_(last.bias)
    if kind == "linear":
        return last
    hidden = dense(features, MLP_HIDDEN_FEATURES)
    return nn.Sequential(nn.Dropout(0.5), hidden, nn.ReLU(), nn.Dropout(0.3), last)


def prepare_heads(network: nn.Module, *, whole: str = "") -> None:
    """Replace a classifier that cannot be exchanged layer by layer by one that can.

    SqueezeNet classifies before it pools and passes its logits through a ReLU; weights without a classifier
    (self-supervised, CLIP) come with no layer at all. All other layers stay unchanged.

    Args:
        network: Changed in place.
        whole: Path of a classifier that is removed as a whole, because its weights have no values.
    """
    if type(network).__name__ == "SqueezeNet":
        # Pooling is linear, so classifying after it gives the same logits; the ReLU would cut off negative ones.
        network.classifier = nn.Sequential(nn.Dropout(0.5), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
        network.classifier.train(network.training)
    elif whole:
        first = next(m for m in network.get_submodule(whole).modules() if isinstance(m, nn.Linear))
        # 1,000 is a placeholder: `replace_heads` gives it the user's classes, as it does for every network.
        setattr(network, whole, nn.Linear(first.in_features, 1000))
    elif getattr(network, "num_classes", 1) == 0 or (
        not hasattr(network, "num_classes") and hasattr(network, "pretrained_cfg")
    ):
        if not hasattr(network, "reset_classifier"):
            raise ModelError(
                f"{type(network).__name__} is an encoder that cannot be given classes",
                expected="a classification network",
                remedy="headstart models lists them",
            )
        network.reset_classifier(1000)  # type: ignore[operator]


def replace_heads(network: nn.Module, *, kind: SiteKind, num_classes: int) -> tuple[HeadSite, ...]:
    """Sites with a new head each; `path` is that of the new head.

    An auxiliary site always gets a linear layer: it only helps training.
    """
    sites = head_sites(network)
    for site in sites:
        fresh = make_head(kind if site.role == "main" else "linear", site.features, num_classes, layer=site.layer)
        parent, _, name = site.path.rpartition(".")
        old = network.get_submodule(site.path)
        # Where the old layer was, and in its mode: a head on another device fails in the first step only.
        fresh.to(device=next(old.parameters()).device).train(network.training)
        setattr(network.get_submodule(parent), name, fresh)
    if hasattr(network, "num_classes"):
        setattr(network, "num_classes", num_classes)  # noqa: B010 - torch types attributes as tensors
    return sites


def input_size_of(network: nn.Module) -> int | None:
    """Side of the images that a network of fixed size takes, in pixels; None where it takes any."""
    embed = getattr(network, "patch_embed", None)
    size = getattr(embed, "img_size", None) if embed is not None else getattr(network, "image_size", None)
    return int(size[0]) if isinstance(size, tuple) else int(size) if isinstance(size, int) else None


def shares_of_sites(network: nn.Module, sites: Sequence[HeadSite], example_BCHW: Tensor) -> tuple[float, ...]:  # noqa: N803
    """Share of each main site in the logits: logits = sum of share * site.

    Measured, not assumed: with all weights at zero and the bias of one site at one, the logits are its share.

    Args:
        network: With linear heads at all sites; their values are restored.
        sites: The main ones.
        example_BCHW: Any image that the network takes.
    """
    layers = [network.get_submodule(site.path) for site in sites]
    kept = [{name: tensor.clone() for name, tensor in layer.state_dict().items()} for layer in layers]
    shares = []
    with torch.no_grad():
        for one in layers:
            for layer in layers:
                for name, tensor in layer.named_parameters():
                    tensor.fill_(1.0 if layer is one and name == "bias" else 0.0)
            shares.append(float(network(example_BCHW).mean()))
    for layer, state in zip(layers, kept, strict=True):
        layer.load_state_dict(state)
    return tuple(shares)


def write_linear(layer: nn.Module, weight_KF: Tensor, bias_K: Tensor) -> None:  # noqa: N803 - shapes
    """Write a linear probe into a layer.

    Raises:
        TypeError: the head is not linear.
    """
    if not isinstance(layer, (nn.Linear, nn.Conv2d)) or layer.bias is None:
        raise TypeError(f"a linear probe needs one linear layer, not {type(layer).__name__}")
    with torch.no_grad():
        layer.weight.copy_(weight_KF.reshape(layer.weight.shape))
        layer.bias.copy_(bias_K)
