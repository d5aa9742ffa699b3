"""What an expert writes in twenty lines: timm's features once, then scikit-learn's logistic regression.

    python benchmarks/peers/expert_lines.py FOLDER

timm's default layout (NCHW), eager, no_grad, two loader processes. Prints JSON.
"""

from __future__ import annotations

import json
import sys
import time

START = time.perf_counter()

import timm  # noqa: E402 - the start-up counts
import torch  # noqa: E402
from lite0 import lite0  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.pipeline import make_pipeline  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402
from torchvision.datasets import ImageFolder  # noqa: E402


def main() -> None:
    folder = sys.argv[1]
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("tf_efficientnet_lite0").to_dict())
    transform = timm.data.create_transform(**config)
    model = lite0(num_classes=0).eval()

    def features(split: str) -> tuple[torch.Tensor, torch.Tensor]:
        loader = torch.utils.data.DataLoader(ImageFolder(f"{folder}/{split}", transform), 32, num_workers=2)
        with torch.no_grad():
            found = [(model(x), y) for x, y in loader]
        return torch.cat([f for f, _ in found]), torch.cat([y for _, y in found])

    train, labels = features("train")
    val, truth = features("val")
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)).fit(train, labels)
    print(json.dumps({"accuracy": float(head.score(val, truth)), "seconds": time.perf_counter() - START}))


if __name__ == "__main__":
    main()
