"""Layer groups of torchvision's classification networks, as a table by class of network.

A pattern is searched at the start of every tensor's name; what its group 1 catches is the label's key. Tensors before
the first match are the stem, those between two groups belong to the one after them (downsampling opens a stage), and
those after the last match stay with the last stage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from headstart.plan.sections import Grain


@dataclass(frozen=True, slots=True)
class Scheme:
    """Division of one class of network."""

    stage: str | Callable[[nn.Module], Callable[[str], str | None]]
    """Pattern whose group 1 is the stage, or a function of the network that gives the stage of a tensor."""
    block: str
    """Pattern whose group 1 is the block."""
    hidden_classifier: str = ""
    """Pattern of large layers between the features and the classifier; they get a group `fc` of their own."""
    first: str = "stem"


def _where_it_shrinks(container: str) -> Callable[[nn.Module], Callable[[str], str | None]]:
    """Stages of a flat list of layers: a new one after each pooling and at each layer with a stride."""

    def of(network: nn.Module) -> Callable[[str], str | None]:
        stage, stages = 0, []
        for index, child in enumerate(network.get_submodule(container).children()):
            pools = isinstance(child, (nn.MaxPool2d, nn.AvgPool2d))
            # A layer with a stride belongs to the stage it opens, a pooling to the stage it ends. The first layer is
            # the stem, whatever its stride.
            if not pools and index and _has_stride(child):
                stage += 1
            stages.append(stage)
            stage += pools
        pattern = re.compile(rf"{container}\.(\d+)\.")

        def stage_of(name: str) -> str | None:
            match = pattern.match(name)
            found = stages[int(match.group(1))] if match else 0
            return f"stage{found}" if found else None

        return stage_of

    return of


def _has_stride(module: nn.Module) -> bool:
    return any(isinstance(m, nn.Conv2d) and max(m.stride) > 1 for m in module.modules())


SCHEMES: dict[str, Scheme] = {
    "AlexNet": Scheme(_where_it_shrinks("features"), r"(features\.\d+)", r"classifier\."),
    "VGG": Scheme(_where_it_shrinks("features"), r"(features\.\d+)", r"classifier\."),
    "SqueezeNet": Scheme(_where_it_shrinks("features"), r"(features\.\d+)"),
    "ResNet": Scheme(r"(layer\d)", r"(layer\d\.\d+)"),
    "DenseNet": Scheme(r"features\.(?:denseblock|transition)(\d)", r"(features\.denseblock\d\.denselayer\d+)"),
    "GoogLeNet": Scheme(r"(inception\d|conv)(?!1)", r"(inception\d[a-e]|conv\d)"),
    "Inception3": Scheme(r"(Mixed_\d|Conv2d)(?!_[12])", r"(Mixed_\d[a-e]|Conv2d_\d[a-e])"),
    "MobileNetV2": Scheme(_where_it_shrinks("features"), r"(features\.\d+)"),
    "MobileNetV3": Scheme(_where_it_shrinks("features"), r"(features\.\d+)"),
    "MNASNet": Scheme(_where_it_shrinks("layers"), r"(layers\.(?:8|9|1\d)\.\d+)"),
    "EfficientNet": Scheme(r"features\.(\d+)\.\d+\.block\.", r"(features\.\d+\.\d+)\.block\."),
    "ShuffleNetV2": Scheme(r"(stage\d)", r"(stage\d\.\d+)"),
    "RegNet": Scheme(r"trunk_output\.block(\d)", r"(trunk_output\.block\d\.block\d-\d+)"),
    "ConvNeXt": Scheme(r"features\.([1357])\.", r"(features\.[1357]\.\d+)"),
    "SwinTransformer": Scheme(r"features\.([1357])\.", r"(features\.[1357]\.\d+)", first="embedding"),
    "MaxVit": Scheme(r"blocks\.(\d)", r"(blocks\.\d\.layers\.\d+)"),
    "VisionTransformer": Scheme(
        r"encoder\.layers\.(encoder_layer_\d+)", r"(encoder\.layers\.encoder_layer_\d+)", first="embedding"
    ),
}
"""Every class of torchvision's classification networks."""


def torchvision_draft(network: nn.Module, grain: Grain) -> list[tuple[str, list[str]]] | None:
    """(label, tensor names) stem to last stage, classifier included there; None for another library's network."""
    module = type(network).__module__
    scheme = SCHEMES.get(type(network).__name__) if module.startswith("torchvision.") else None
    if scheme is None:
        return None
    names = [name for name, _ in named_tensors_in_order(network)]
    if grain == "block":
        key_of = _by_pattern(scheme.block)
    else:
        key_of = _by_pattern(scheme.stage) if isinstance(scheme.stage, str) else scheme.stage(network)
    return _divided(names, key_of, scheme, grain)


def named_tensors_in_order(network: nn.Module) -> list[tuple[str, object]]:
    """Parameters and buffers, module by module as they were registered, so that buffers follow their layer."""
    return [
        (f"{path}.{name}" if path else name, tensor)
        for path, module in network.named_modules()
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    ]


def _by_pattern(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)

    def key_of(name: str) -> str | None:
        match = compiled.match(name)
        return match.group(1) if match else None

    return key_of


def _divided(
    names: Sequence[str], key_of: Callable[[str], str | None], scheme: Scheme, grain: Grain
) -> list[tuple[str, list[str]]]:
    hidden = re.compile(scheme.hidden_classifier) if scheme.hidden_classifier else None
    features = [name for name in names if not (hidden and hidden.match(name))]
    keys = [key_of(name) for name in features]
    order = list(dict.fromkeys(key for key in keys if key is not None))
    draft: dict[str, list[str]] = {scheme.first: []}
    for number, key in enumerate(order, 1):
        draft[_label(key, number, grain)] = []
    labels = [scheme.first if key is None else _label(key, order.index(key) + 1, grain) for key in keys]
    last_match = max((i for i, key in enumerate(keys) if key is not None), default=-1)
    first_match = next((i for i, key in enumerate(keys) if key is not None), len(keys))
    following = scheme.first
    # Backwards, so that tensors between two groups find the group that follows them.
    for index in range(len(features) - 1, -1, -1):
        if keys[index] is not None:
            following = labels[index]
        elif index > last_match:
            labels[index] = labels[last_match]
        elif index > first_match:
            labels[index] = following
    for name, label in zip(features, labels, strict=True):
        draft[label].append(name)
    if hidden:
        # Large hidden layers (VGG: 120 of 138 million parameters) are trained or frozen on their own.
        draft["fc"] = [name for name in names if hidden.match(name)]
    return [(label, held) for label, held in draft.items() if held]


def _label(key: str, number: int, grain: Grain) -> str:
    """A stage keeps a name that stands alone (layer1, stage2); others are numbered. A block is named by its path."""
    if grain == "block":
        return key
    return key if re.fullmatch(r"(layer|stage|inception|Mixed_)\d", key) else f"stage{number}"
