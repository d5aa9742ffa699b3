"""The head that fine-tuning starts from: the probe's, fitted once more on augmented views together with the plain one.

The probe is fitted on one plain view of each image; fine-tuning trains on augmented ones. Where the two differ, the
first gradients of a head fitted on plain views only point the same way for all images: AdamW turns them into full
steps, the features of all images shift together, and accuracy on plain views, on which everything is evaluated, falls
below that of the probe.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from headstart.arrays import Positions
from headstart.data.preprocess import NetworkInput
from headstart.data.sources.reading import ImageRecord
from headstart.engine.store.activations import View
from headstart.engine.store.drawn_views import views_drawn_from
from headstart.engine.store.store import random_view
from headstart.engine.store.training_images import TrainingImages
from headstart.engine.views import augmented_input, view_rng
from headstart.plan.plan import AugmentationPlan, Phase, ProbePhase, TrainPhase
from headstart.runs.events import HeadFittedOnViews
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.rows import ChainedRows
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import TrainingProgress
from headstart.training.probe.pooled_source import PooledSource
from headstart.training.probe.probe import head_on, write_head

FIRST_VIEW = 64
"""Number of the first view: phases cache and train on those below, which the head should not have seen."""


class StartTerms(Protocol):
    """The part of a plan that decides how fine-tuning starts; a plan is one."""

    @property
    def phases(self) -> Sequence[Phase]:
        """Phases, with the probe phase that fitted the head."""

    @property
    def augmentation(self) -> AugmentationPlan:
        """Augmentation of the views."""

    @property
    def seed(self) -> int:
        """Seed of views and folds."""


def start_head(plan: StartTerms, phase: TrainPhase, progress: TrainingProgress, source: ActivationSource) -> None:
    """Fit the head on the plain view and `phase.head_refit_views` augmented views of each training image, and write it.

    Does nothing where the phase has begun already, has no such views, or no linear probe was fitted before. What
    `source.after_batch` raises ends the work with the head as it was.

    Args:
        plan: Or what it says of the start.
        phase: Which is about to begin.
        progress: Where training stands; holds the probe's L2 penalty.
        source: The head of its classifier is changed in place; the features of its training images are computed.
    """
    if not phase.head_refit_views or progress.epoch or progress.step or progress.l2_penalty is None:
        return
    everyone = np.arange(len(source.images.roles.train))
    (head,) = start_heads(plan, phase, source, [everyone], l2_penalty=progress.l2_penalty)
    write_head(source.classifier, head)


def start_heads(
    plan: StartTerms,
    phase: TrainPhase,
    source: ActivationSource,
    parts: Sequence[Positions],
    *,
    l2_penalty: float,
) -> list[LinearHead]:
    """One head for each part of the training images, fitted on the views of these images alone.

    Args:
        plan: Or what it says of the start.
        phase: Which is about to begin; says on how many augmented views besides the plain one.
        source: Of the features.
        parts: Positions of training images.
        l2_penalty: That of the linear probe.
    """
    images = source.images
    probe_phase = next(one for one in plan.phases if isinstance(one, ProbePhase))
    pooled, records = PooledSource(source), images.roles.train
    rows = [pooled.rows(records, what="features of train")]
    for number in range(FIRST_VIEW, FIRST_VIEW + phase.head_refit_views):
        view = _view(plan, images, number)
        rows.append(pooled.rows(records, what="features of augmented views", view=view))
    heads = []
    for part in parts:
        some = rows if len(part) == len(records) else [one.subset(part) for one in rows]
        heads.append(
            head_on(
                ChainedRows(some),
                [records[position] for _ in rows for position in part],
                probe_phase,
                images,
                l2_penalty=l2_penalty,
                seed=plan.seed,
                check_stop=lambda: source.after_batch(None),
            )
        )
    source.observer.noted(HeadFittedOnViews(phase.name, phase.head_refit_views, len(records)))
    return heads


def _view(plan: StartTerms, images: TrainingImages, number: int) -> View:
    """An augmented view; where the files' hashes are known it follows from them, as the activation cache requires."""
    augmentation, spec, digests = plan.augmentation, images.spec, images.digests

    def prepare(record: ImageRecord) -> NetworkInput:
        of = digests[record.id].hex() if record.id in digests else record.id
        rng = view_rng(plan.seed, 0, of, number)
        with images.meter.view("augmented"):
            return augmented_input(record, spec, preset=augmentation.preset, flip=augmentation.flip, rng=rng)

    return View(random_view(plan.seed, number), views_drawn_from(augmentation), prepare)
