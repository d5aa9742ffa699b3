"""Lightning's recipe for transfer learning: a LightningModule with a `backbone`, and the BackboneFinetuning callback.

    python benchmarks/peers/lightning_finetuning.py FOLDER [EPOCHS [SEED [SIZE [VALIDATE_EVERY [UNFREEZE]]]]]

As its documentation does it: Adam 1e-3 on a new head while the backbone is frozen (BatchNorm goes on learning, the
callback's default), the backbone released at epoch 10 (UNFREEZE) at a tenth of the head's rate, doubled every epoch
until it has caught up. UNFREEZE beyond EPOCHS trains the head alone. Batches of 32, two loader processes that live on,
validated every epoch. Bars, loggers and checkpoints are off, in its favour. Prints JSON, see answer.py.
"""

# ruff: noqa: D102 - Lightning names its hooks
from __future__ import annotations

import logging
import sys
import time
import warnings

START = time.perf_counter()

import lightning  # noqa: E402 - the start-up counts
import torch  # noqa: E402
from answer import print_answer  # noqa: E402
from lightning.pytorch.callbacks import BackboneFinetuning  # noqa: E402
from lite0 import evaluation_view, lite0, training_view  # noqa: E402
from torchvision.datasets import ImageFolder  # noqa: E402


class Transfer(lightning.LightningModule):
    """A pretrained backbone and a new linear head."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = lite0(num_classes=0)
        self.head = torch.nn.Linear(self.backbone.num_features, num_classes)
        self.validated: list[list[int]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        x, y = batch
        return torch.nn.functional.cross_entropy(self(x), y)

    def on_validation_epoch_start(self) -> None:
        self.validated.append([])

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        self.validated[-1] += self(batch[0]).argmax(1).tolist()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(filter(lambda p: p.requires_grad, self.parameters()), lr=1e-3)


class Clock(lightning.Callback):
    """Seconds from the beginning of an epoch to the next one's: its validation is in them."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.marks.append(time.perf_counter())

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        self.marks.append(time.perf_counter())


def main() -> None:
    folder = sys.argv[1]
    epochs, seed, size, validate_every, unfreeze = (
        int(sys.argv[i]) if len(sys.argv) > i else usual for i, usual in ((2, 25), (3, 0), (4, 224), (5, 1), (6, 10))
    )
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    lightning.seed_everything(seed, verbose=False)
    train, val = (
        ImageFolder(f"{folder}/train", training_view(size)),
        ImageFolder(f"{folder}/val", evaluation_view(size)),
    )
    loading = {"batch_size": 32, "num_workers": 2, "persistent_workers": True}
    model, clock = Transfer(len(train.classes)), Clock()
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=[BackboneFinetuning(unfreeze_backbone_at_epoch=unfreeze), clock],
        check_val_every_n_epoch=min(validate_every, epochs),
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    began = time.perf_counter()
    trainer.fit(
        model,
        torch.utils.data.DataLoader(train, shuffle=True, **loading),
        torch.utils.data.DataLoader(val, **loading),
    )
    print_answer(
        process_began=START,
        training_began=began,
        epoch_seconds=[after - before for before, after in zip(clock.marks, clock.marks[1:], strict=False)],
        validated=model.validated,
        truth=val.targets,
    )


if __name__ == "__main__":
    main()
