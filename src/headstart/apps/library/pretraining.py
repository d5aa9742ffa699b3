"""The library verbs `pretrain` and `resume_pretraining`."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headstart.apps.library.calling import PathLike, checked, path_or_none
from headstart.apps.library.watching import Watch, watching
from headstart.knowledge.domain import Domain
from headstart.plan.plan import DataPlan, NoncommercialWeights
from headstart.plan.sections import BatchNormPolicy

if TYPE_CHECKING:
    from headstart.workflow.pretraining.pretrain import PretrainResult


@checked
def pretrain(
    data: PathLike | DataPlan,
    *,
    init: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    batch_norm: BatchNormPolicy | None = None,
    domain: Domain | None = None,
    input_size: int | None = None,
    seed: int = 0,
    budget_seconds: float | None = None,
    noncommercial_weights: NoncommercialWeights = "refuse",
    out: PathLike | None = None,
    progress: Watch = "auto",
) -> PretrainResult:
    """Backbone trained on images without labels: `headstart.train("photos", model=headstart.pretrain("more").model)`.

    Args:
        data: UNLABELLED: any DATA, whose labels are not used; a `DataPlan` says how files are decoded.
        init: Network whose weights it starts from; the default of `train` if None.
        epochs: 20 if None.
        batch_size: Images a step; 32 if None.
        lr: Peak learning rate of the backbone; 1e-4 if None.
        batch_norm: What BatchNorm layers of the backbone do; pretrained_statistics if None.
        domain: What the images show; decides mirroring. Photo if None.
        input_size: Side in pixels; that of the weights if None.
        seed: Of order, views and heads.
        budget_seconds: Time limit; what is trained then is kept.
        noncommercial_weights: refuse or allow weights whose licence forbids commercial use.
        out: Folder; a new one under pretrained/ if None.
        progress: As in `train`.

    Raises:
        HeadstartError: see its subclasses and `headstart.workflow.pretraining.pretrain`.
    """
    from headstart.workflow.pretraining import pretrain as workflow

    given: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "batch_norm": batch_norm}
    settings = replace(workflow.DEFAULTS, seed=seed, **{name: one for name, one in given.items() if one is not None})
    with watching(progress) as (shown, _):
        return workflow.pretrain_backbone(
            data if isinstance(data, DataPlan) else os.fspath(data),
            init=init,
            input_size=input_size,
            domain=domain,
            settings=settings,
            noncommercial_weights=noncommercial_weights,
            budget_seconds=budget_seconds,
            out=path_or_none(out),
            progress=shown,
        )


@checked
def resume_pretraining(
    folder: PathLike, *, budget_seconds: float | None = None, progress: Watch = "auto"
) -> PretrainResult:
    """Go on with a pretraining that was stopped, killed or out of budget; the result is the same as without a stop.

    Args:
        folder: Of the pretraining.
        budget_seconds: Time limit of this call.
        progress: As in `train`.

    Raises:
        RunError: not such a folder, or the images have changed.
    """
    from headstart.workflow.pretraining import pretrain as workflow

    with watching(progress) as (shown, _):
        return workflow.resume_backbone(Path(folder), budget_seconds=budget_seconds, progress=shown)
