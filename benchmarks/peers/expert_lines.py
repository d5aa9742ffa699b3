"""What an expert writes in twenty lines: timm's features once, then scikit-learn's logistic regression.

    python benchmarks/peers/expert_lines.py FOLDER [SIZE [nchw|channels_last]]

timm's default layout (NCHW) unless told otherwise, eager, no_grad, two loader processes. Nothing in it is random, so it
has no seed, and it has no epochs. Prints JSON, see answer.py.
"""

from __future__ import annotations

import sys
import time

START = time.perf_counter()

import timm  # noqa: E402 - the start-up counts
import torch  # noqa: E402
from answer import print_answer  # noqa: E402
from lite0 import CONFIG, lite0  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from torchvision.datasets import ImageFolder  # noqa: E402


def main() -> None:
    folder = sys.argv[1]
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 224
    layout = torch.channels_last if sys.argv[3:] == ["channels_last"] else torch.contiguous_format
    config = timm.data.resolve_data_config({"img_size": size}, pretrained_cfg=CONFIG.to_dict())
    transform = timm.data.create_transform(**config)
    model = lite0(num_classes=0).eval().to(memory_format=layout)

    def features(split: str) -> tuple[torch.Tensor, torch.Tensor]:
        loader = torch.utils.data.DataLoader(ImageFolder(f"{folder}/{split}", transform), 32, num_workers=2)
        with torch.no_grad():
            found = [(model(x.to(memory_format=layout)), y) for x, y in loader]
        return torch.cat([f for f, _ in found]), torch.cat([y for _, y in found])

    began = time.perf_counter()
    train, labels = features("train")
    val, truth = features("val")
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(train, labels)
    predicted = head.predict(val).tolist()
    print_answer(
        process_began=START, training_began=began, epoch_seconds=[], validated=[predicted], truth=truth.tolist()
    )


if __name__ == "__main__":
    main()
