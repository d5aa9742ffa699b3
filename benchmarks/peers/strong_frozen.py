"""A frozen-backbone loop written by hand by someone who knows how, without a cache.

    python benchmarks/peers/strong_frozen.py FOLDER [EPOCHS [SEED [SIZE [VALIDATE_EVERY [VIEWS]]]]]

The backbone stays in evaluation mode (pretrained statistics), its forward pass runs without autograd and in
channels_last, and only a linear head learns: AdamW 1e-3, batches of 32, cosine to zero. Two loader processes that live
on between epochs. VIEWS: `crop_flip` (a crop of 80-100 % and a flip, the default) or `standard` (all that headstart's
standard views vary). Validated every epoch, or every VALIDATE_EVERY-th and the last. The last epoch is the answer; the
best one is printed beside it. Prints JSON, see answer.py.
"""

from __future__ import annotations

import sys
import time

START = time.perf_counter()

import torch  # noqa: E402 - the start-up counts
from answer import print_answer  # noqa: E402
from lite0 import evaluation_view, lite0, standard_view, training_view  # noqa: E402
from torchvision.datasets import ImageFolder  # noqa: E402


def main() -> None:
    folder = sys.argv[1]
    epochs, seed, size, validate_every = (
        int(sys.argv[i]) if len(sys.argv) > i else usual for i, usual in ((2, 25), (3, 0), (4, 224), (5, 1))
    )
    views = {"crop_flip": training_view, "standard": standard_view}[sys.argv[6] if len(sys.argv) > 6 else "crop_flip"]
    torch.manual_seed(seed)
    train, val = ImageFolder(f"{folder}/train", views(size)), ImageFolder(f"{folder}/val", evaluation_view(size))
    loading = {"batch_size": 32, "num_workers": 2, "persistent_workers": True}
    train_loader = torch.utils.data.DataLoader(train, shuffle=True, **loading)
    val_loader = torch.utils.data.DataLoader(val, **loading)
    backbone = lite0(num_classes=0).eval().to(memory_format=torch.channels_last)
    head = torch.nn.Linear(backbone.num_features, len(train.classes))
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(train_loader))

    def features(x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return backbone(x.to(memory_format=torch.channels_last))

    epoch_seconds, validated = [], []
    training_began = time.perf_counter()
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        for x, y in train_loader:
            loss = torch.nn.functional.cross_entropy(head(features(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        if epoch % validate_every == 0 or epoch == epochs:
            with torch.no_grad():
                validated.append([int(k) for x, _ in val_loader for k in head(features(x)).argmax(1)])
        epoch_seconds.append(time.perf_counter() - began)
    print_answer(
        process_began=START,
        training_began=training_began,
        epoch_seconds=epoch_seconds,
        validated=validated,
        truth=val.targets,
    )


if __name__ == "__main__":
    main()
