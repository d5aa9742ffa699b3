"""The transfer-learning loop most tutorials teach, as its reader would type it: frozen weights, a new last layer, SGD.

    python benchmarks/peers/tutorial_fixed.py FOLDER [EPOCHS]

FOLDER holds train and val. EfficientNet-Lite0 with its own preprocessing, batches of 4, SGD 0.001 with momentum 0.9, a
tenth of the rate every 7 epochs, `model.train()` on the whole network in training, validation in every epoch, the best
epoch kept. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time

START = time.perf_counter()

import timm  # noqa: E402 - the start-up counts
import torch  # noqa: E402
from lite0 import lite0  # noqa: E402
from torchvision import datasets, transforms  # noqa: E402


def main() -> None:
    folder, epochs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 25
    torch.manual_seed(0)
    config = timm.get_pretrained_cfg("tf_efficientnet_lite0")
    normalise = transforms.Normalize(config.mean, config.std)
    bicubic = transforms.InterpolationMode.BICUBIC
    varied = transforms.Compose(
        [
            transforms.RandomResizedCrop(224, interpolation=bicubic),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            normalise,
        ]
    )
    plain = transforms.Compose(
        [transforms.Resize(256, bicubic), transforms.CenterCrop(224), transforms.ToTensor(), normalise]
    )
    sets = {
        "train": datasets.ImageFolder(f"{folder}/train", varied),
        "val": datasets.ImageFolder(f"{folder}/val", plain),
    }
    loaders = {k: torch.utils.data.DataLoader(s, 4, shuffle=k == "train", num_workers=2) for k, s in sets.items()}
    model = lite0()
    for parameter in model.parameters():
        parameter.requires_grad = False
    model.classifier = torch.nn.Linear(model.classifier.in_features, len(sets["train"].classes))
    optimizer = torch.optim.SGD(model.classifier.parameters(), lr=0.001, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.1)
    best, times = 0.0, []
    for _ in range(epochs):
        began = time.perf_counter()
        model.train()
        for x, y in loaders["train"]:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            hits = sum(int((model(x).argmax(1) == y).sum()) for x, y in loaders["val"])
        best = max(best, hits / len(sets["val"]))
        times.append(time.perf_counter() - began)
    print(json.dumps({"accuracy": best, "seconds": time.perf_counter() - START, "epoch_seconds": times}))


if __name__ == "__main__":
    main()
