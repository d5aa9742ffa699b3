"""fastai's recipe for transfer learning with its defaults: `vision_learner`, then `fine_tune`.

    python benchmarks/peers/fastai_fine_tune.py FOLDER [EPOCHS [SEED [SIZE]]]

`fine_tune(5)` is one epoch of fastai's own head (concatenated pooling, two layers, dropout) with the body frozen, then
five of everything with rates that grow from stem to head. Resize and `aug_transforms` with their defaults, batches of
64, two loader processes; fastai normalises by the statistics that come with the weights. All by its public functions;
it validates every epoch as it always does, and the answers are caught while it does. Prints JSON, see answer.py.
"""

# ruff: noqa: D102 - fastai names its hooks
from __future__ import annotations

import sys
import tempfile
import time

START = time.perf_counter()

from pathlib import Path  # noqa: E402 - the start-up counts

import torch  # noqa: E402
from answer import print_answer  # noqa: E402
from fastai.callback.core import Callback  # noqa: E402
from fastai.callback.schedule import Learner  # noqa: E402, F401 - brings fine_tune
from fastai.metrics import accuracy  # noqa: E402
from fastai.torch_core import set_seed  # noqa: E402
from fastai.vision.augment import Resize, aug_transforms  # noqa: E402
from fastai.vision.data import ImageDataLoaders  # noqa: E402
from fastai.vision.learner import vision_learner  # noqa: E402
from lite0 import lite0  # noqa: E402


class Watch(Callback):
    """Notes when epochs begin and end, and what the report images got."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch_seconds: list[float] = []
        self.validated: list[list[int]] = []

    def before_epoch(self) -> None:
        self.began, self.answers = time.perf_counter(), []

    def after_pred(self) -> None:
        if not self.training:
            self.answers += self.learn.pred.argmax(1).tolist()

    def after_epoch(self) -> None:
        self.epoch_seconds.append(time.perf_counter() - self.began)
        self.validated.append(self.answers)


def main() -> None:
    folder = sys.argv[1]
    epochs, seed, size = (int(sys.argv[i]) if len(sys.argv) > i else usual for i, usual in ((2, 5), (3, 0), (4, 224)))
    set_seed(seed)
    data = ImageDataLoaders.from_folder(
        folder, train="train", valid="val", item_tfms=Resize(size), batch_tfms=aug_transforms(), bs=64, num_workers=2
    )
    with tempfile.TemporaryDirectory() as weights:
        file = Path(weights) / "lite0.pth"
        torch.save(lite0().state_dict(), file)
        learner = vision_learner(
            data, "tf_efficientnet_lite0", metrics=accuracy, pretrained_cfg_overlay={"file": str(file)}
        )
    watch = Watch()
    began = time.perf_counter()
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs, cbs=watch)
    order = sorted(range(len(data.valid_ds)), key=lambda i: Path(data.valid_ds.items[i]).parts)
    truth = [data.vocab.o2i[Path(data.valid_ds.items[i]).parent.name] for i in order]
    print_answer(
        process_began=START,
        training_began=began,
        epoch_seconds=watch.epoch_seconds,
        validated=[[answers[i] for i in order] for answers in watch.validated],
        truth=truth,
    )


if __name__ == "__main__":
    main()
