"""What a set of weights expects, from whatever names them: a card, torchvision's enum, timm's configuration, a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.arguments import ArgumentError
from headstart.errors import ModelError
from headstart.input_spec import InputSpec
from headstart.networks.cards.catalog import ModelCard, ModelChoice
from headstart.networks.cards.finding import find_model

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_FILES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt")


@dataclass(frozen=True, slots=True)
class ExpectedInput:
    """Facts of a set of weights; None where they do not say."""

    source: str
    """Where they are from, in words."""
    mean: tuple[float, ...] | None = None
    """For values of 0..1."""
    std: tuple[float, ...] | None = None
    size: int | None = None
    """Side in pixels."""
    num_classes: int | None = None
    """Outputs of the original head."""
    state: Mapping[str, Tensor] | None = None
    """The tensors themselves, where they are at hand."""
    given: bool = True
    """Whether the user named them; False: concluded from the network."""


def expected_of(weights: Any, model: nn.Module | None) -> ExpectedInput | None:  # noqa: ANN401 - many kinds
    """Facts of the weights; of the network itself where none are named; None where nothing is known.

    Args:
        weights: A name of the catalog (`resnet18`, `resnet50.a1_in1k`), a torchvision weights enum, timm's
            `pretrained_cfg`, a Hugging Face image processor, an `InputSpec`, a mapping with `mean` and `std`, a file
            of weights, a state dict, or a network that has them.
        model: Of the set-up.

    Raises:
        ArgumentError: the weights are none of these.
    """
    if weights is None:
        return _concluded(model)
    for read in (_from_card, _from_torchvision, _from_state, _from_processor, _from_values):
        found = read(weights)
        if found is not None:
            return found
    raise ArgumentError(
        f"weights is {type(weights).__name__} {weights!r:.60}",
        expected="a name such as 'resnet18', torchvision's weights, timm's pretrained_cfg, a file, or a state dict",
    )


def _from_card(weights: object) -> ExpectedInput | None:
    """From a name or a record of the catalog.

    Raises:
        ArgumentError: no such name.
    """
    if isinstance(weights, str) and not weights.endswith(_FILES):
        try:
            weights = find_model(weights)
        except ModelError as error:
            raise ArgumentError(f"weights: {error}") from error
    if isinstance(weights, ModelChoice):
        weights = weights.card
    if isinstance(weights, ModelCard):
        spec = weights.input
        return ExpectedInput(weights.name, spec.mean, spec.std, spec.size, weights.num_classes or None)
    if isinstance(weights, InputSpec):
        return ExpectedInput("the given input", weights.mean, weights.std, weights.size)
    return None


def _from_torchvision(weights: Any) -> ExpectedInput | None:  # noqa: ANN401
    if not (callable(getattr(weights, "transforms", None)) and hasattr(weights, "meta")):
        return None
    preset = weights.transforms()
    size = getattr(preset, "crop_size", None)
    return ExpectedInput(
        str(weights),
        _floats(getattr(preset, "mean", None)),
        _floats(getattr(preset, "std", None)),
        _side(size),
        len(weights.meta.get("categories", ())) or None,
    )


def _from_state(weights: Any) -> ExpectedInput | None:  # noqa: ANN401
    if isinstance(weights, nn.Module):
        base = _concluded(weights)
        state = {name: tensor.detach() for name, tensor in weights.state_dict().items()}
        return ExpectedInput(
            f"the given {type(weights).__name__}",
            base.mean if base else None,
            base.std if base else None,
            base.size if base else None,
            state=state,
        )
    if isinstance(weights, Mapping) and weights and all(isinstance(one, Tensor) for one in weights.values()):
        return ExpectedInput("the given state dict", state=dict(weights))
    if isinstance(weights, str | os.PathLike):
        path = Path(weights)
        return ExpectedInput(path.name, state=_read_state(path))
    return None


def _read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a file of weights.

    Raises:
        ArgumentError: it cannot be read, or holds none.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            raw: Any = load_file(path)
        else:
            raw = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ArgumentError(f"weights: {path} cannot be read ({error!s:.80})", expected="a file of weights") from error
    for key in ("state_dict", "model_state_dict", "model"):
        raw = raw[key] if isinstance(raw, Mapping) and isinstance(raw.get(key), Mapping) else raw
    found = {name: one for name, one in raw.items() if isinstance(one, Tensor)} if isinstance(raw, Mapping) else {}
    if not found:
        raise ArgumentError(f"weights: {path} holds no tensors", expected="a state dict")
    return found


def _from_processor(weights: Any) -> ExpectedInput | None:  # noqa: ANN401
    mean = _floats(getattr(weights, "image_mean", None))
    if mean is None:
        return None
    size = getattr(weights, "crop_size", None) or getattr(weights, "size", None)
    # A processor that leaves pixels as they are expects nothing of them.
    normalises = getattr(weights, "do_normalize", True)
    std = _floats(getattr(weights, "image_std", None))
    return ExpectedInput(type(weights).__name__, mean if normalises else None, std if normalises else None, _side(size))


def _from_values(weights: Any) -> ExpectedInput | None:  # noqa: ANN401
    """From timm's configuration, or a mapping with its keys."""

    def value(name: str) -> Any:  # noqa: ANN401
        return weights.get(name) if isinstance(weights, Mapping) else getattr(weights, name, None)

    mean, std = _floats(value("mean")), _floats(value("std"))
    if mean is None or std is None:
        return None
    name = value("architecture")
    source = f"{name}.{value('tag')}" if name and value("tag") else "the given values"
    return ExpectedInput(source, mean, std, _side(value("input_size") or value("size")), value("num_classes"))


def _concluded(model: nn.Module | None) -> ExpectedInput | None:
    """What the libraries' own networks say of themselves."""
    for module in () if model is None else model.modules():
        config = getattr(module, "pretrained_cfg", None)
        found = _from_values(config) if config else None
        if found is not None:
            return ExpectedInput(found.source, found.mean, found.std, found.size, found.num_classes, given=False)
        if type(module).__module__.startswith("torchvision.models."):
            source = f"torchvision's weights of {type(module).__name__}"
            return ExpectedInput(source, _IMAGENET_MEAN, _IMAGENET_STD, given=False)
    return None


def _floats(values: Any) -> tuple[float, ...] | None:  # noqa: ANN401
    if values is None:
        return None
    try:
        return tuple(float(value) for value in values)
    except TypeError:
        return None


def _side(size: Any) -> int | None:  # noqa: ANN401 - 224, [224], (3, 224, 224), {"height": 224}
    if isinstance(size, Mapping):
        size = size.get("shortest_edge") or size.get("height")
    elif isinstance(size, list | tuple):
        size = size[-1] if size else None
    return int(size) if size else None
