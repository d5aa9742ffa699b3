"""The transfer-learning loop most tutorials teach, as its reader would type it: frozen weights, a new last layer, SGD.

    python benchmarks/peers/tutorial_fixed.py FOLDER [EPOCHS [SEED [SIZE [VALIDATE_EVERY]]]]

FOLDER holds train and val. EfficientNet-Lite0 with its own preprocessing, batches of 4, SGD 0.001 with momentum 0.9, a
tenth of the rate every 7 epochs, `model.train()` on the whole network in training, validation in every epoch (or every
VALIDATE_EVERY-th and the last), the best epoch's weights kept in a file. Prints JSON, see answer.py.
"""

from __future__ import annotations

import sys
import tempfile
import time

START = time.perf_counter()

from pathlib import Path  # noqa: E402 - the start-up counts
from typing import Literal  # noqa: E402

import torch  # noqa: E402
from answer import accuracy_of, print_answer  # noqa: E402
from lite0 import BICUBIC, CONFIG, evaluation_view, lite0  # noqa: E402
from torchvision import datasets, transforms  # noqa: E402


def main(trained: Literal["last layer", "all layers"] = "last layer") -> None:
    folder = sys.argv[1]
    epochs, seed, size, validate_every = (
        int(sys.argv[i]) if len(sys.argv) > i else usual for i, usual in ((2, 25), (3, 0), (4, 224), (5, 1))
    )
    torch.manual_seed(seed)
    varied = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, interpolation=BICUBIC),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(CONFIG.mean, CONFIG.std),
        ]
    )
    sets = {
        "train": datasets.ImageFolder(f"{folder}/train", varied),
        "val": datasets.ImageFolder(f"{folder}/val", evaluation_view(size)),
    }
    loaders = {k: torch.utils.data.DataLoader(s, 4, shuffle=k == "train", num_workers=2) for k, s in sets.items()}
    truth = sets["val"].targets
    model = lite0()
    if trained == "last layer":
        for parameter in model.parameters():
            parameter.requires_grad = False
    model.classifier = torch.nn.Linear(model.classifier.in_features, len(sets["train"].classes))
    learning = model.classifier.parameters() if trained == "last layer" else model.parameters()
    optimizer = torch.optim.SGD(learning, lr=0.001, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.1)
    best, epoch_seconds, validated = 0.0, [], []
    with tempfile.TemporaryDirectory() as kept:
        training_began = time.perf_counter()
        for epoch in range(1, epochs + 1):
            began = time.perf_counter()
            model.train()
            for x, y in loaders["train"]:
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(x), y)
                loss.backward()
                optimizer.step()
            schedule.step()
            if epoch % validate_every == 0 or epoch == epochs:
                model.eval()
                with torch.no_grad():
                    validated.append([int(k) for x, _ in loaders["val"] for k in model(x).argmax(1)])
                if accuracy_of(validated[-1], truth) > best:
                    best = accuracy_of(validated[-1], truth)
                    torch.save(model.state_dict(), Path(kept) / "best.pt")
            epoch_seconds.append(time.perf_counter() - began)
    print_answer(
        process_began=START,
        training_began=training_began,
        epoch_seconds=epoch_seconds,
        validated=validated,
        truth=truth,
    )


if __name__ == "__main__":
    main()
