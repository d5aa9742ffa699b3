"""The library verb about a set-up of the user's own, or a finished run: `doctor`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.arguments import ArgumentError

if TYPE_CHECKING:
    from headstart.diagnosis.finding import DoctorResult


def doctor(
    model: Any = None,  # noqa: ANN401 - a network, an object of another framework, or a run folder
    optimizer: Any = None,  # noqa: ANN401
    *,
    transform: Any = None,  # noqa: ANN401
    loader: Any = None,  # noqa: ANN401
    val_loader: Any = None,  # noqa: ANN401
    test_loader: Any = None,  # noqa: ANN401
    weights: Any = None,  # noqa: ANN401
    scheduler: Any = None,  # noqa: ANN401
    criterion: Callable[..., Any] | None = None,
    classes: Sequence[str] | int | None = None,
    input_size: int | None = None,
    accumulate: int = 1,
    epochs: int | None = None,
    scaler: Any = None,  # noqa: ANN401
    datamodule: Any = None,  # noqa: ANN401
    trainer: Any = None,  # noqa: ANN401
) -> DoctorResult:
    """Findings on a training set-up of any torch code, or on a finished run: `print(headstart.doctor(model, adam))`.

    Nothing that is given is changed: network, optimizer and scheduler are examined on a copy, loaders are read for at
    most three batches without moving them, and random states are restored.

    Args:
        model: A torch network, a LightningModule, a fastai Learner, a Hugging Face Trainer; or the folder of a run, or
            what `train` returned.
        optimizer: One, or a list.
        transform: Of training images; the one of the loader's data set if None.
        loader: Of training batches.
        val_loader: Of validation batches.
        test_loader: Of test batches.
        weights: Where the weights are from: a name such as `resnet18`, torchvision's enum, timm's `pretrained_cfg`, a
            Hugging Face image processor, a file, a state dict, or a mapping with `mean`, `std` and `input_size`.
        scheduler: One, or a list.
        criterion: The loss, called with outputs and labels.
        classes: Names in the order of the outputs, or their number.
        input_size: Side in pixels, where it differs from the weights' own on purpose.
        accumulate: Batches whose gradients make one step.
        epochs: Of the training.
        scaler: torch.amp.GradScaler.
        datamodule: A LightningDataModule.
        trainer: A Lightning Trainer.

    Raises:
        ArgumentError: an argument is nothing that can be examined.
        RunError: the folder is no run.
    """
    folder = _run_folder(model)
    if folder is not None:
        from headstart.diagnosis.finished.run_diagnosis import diagnose_run

        return diagnose_run(folder)
    from headstart.diagnosis.adapters.choosing import setup_of
    from headstart.diagnosis.adapters.lightning import loaders_of
    from headstart.diagnosis.adapters.plain import several
    from headstart.diagnosis.setup import Setup
    from headstart.diagnosis.setup_diagnosis import diagnose_setup

    if accumulate < 1:
        raise ArgumentError(f"accumulate={accumulate} is not valid", expected="a whole number >= 1")
    roles = {"train": loader, "validation": val_loader, "test": test_loader}
    loaders = {role: one for role, one in roles.items() if one is not None}
    if datamodule is not None:
        loaders = {**loaders_of(datamodule), **loaders}  # type: ignore[dict-item]
    given = Setup(
        model=None,
        optimizers=several(optimizer),
        schedulers=several(scheduler),
        criterion=criterion,
        transform=transform,
        loaders=loaders,  # type: ignore[arg-type]
        weights=weights,
        classes=None if classes is None or isinstance(classes, int) else tuple(map(str, classes)),
        num_classes=classes if isinstance(classes, int) else None,
        input_size=input_size,
        accumulate=accumulate,
        epochs=epochs,
        scaler=scaler,
    )
    return diagnose_setup(setup_of(model, given, trainer=trainer))


def _run_folder(subject: object) -> Path | None:
    if isinstance(subject, str | os.PathLike):
        return Path(subject)
    folder = getattr(getattr(subject, "run", subject), "folder", None)  # a run, or what `train` and `resume` return
    return folder if isinstance(folder, Path) else None
