"""Number of the rows of a run's images that are cached already, whatever they were cached for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headstart.data.sources.reading import ImageRecord
from headstart.engine.store.activations import Precision, library_of
from headstart.engine.store.cached_rows import count_cached_rows
from headstart.engine.store.frozen_part import views_drawn_from
from headstart.engine.store.store import EVALUATION, random_view, row_ids
from headstart.engine.store.training_images import TrainingImages
from headstart.networks.backbone import Classifier
from headstart.plan.sections import AugmentationPlan


def rows_of_run(
    classifier: Classifier,
    images: TrainingImages,
    cut_point: str,
    records: Sequence[ImageRecord],
    *,
    augmentation: AugmentationPlan | None = None,
    seed: int = 0,
    views: int = 0,
    precision: Precision | None = None,
) -> int:
    """Number of cached rows of some images at a cut point, for an estimate (see `count_cached_rows`).

    Args:
        classifier: Whose activations they are.
        images: Of the run; without a store there are none.
        cut_point: As it is written in the space's description.
        records: Those of the images that count.
        augmentation: What augmented views are drawn from; None: only the evaluation view counts.
        seed: Of augmented views.
        views: Augmented views of each image, > 0 with `augmentation`.
        precision: Of the rows; None: the run's.
    """
    if images.store is None or not records:
        return 0
    digests = [images.digests[record.id] for record in records]
    names = [EVALUATION] if augmentation is None else [random_view(seed, number) for number in range(views)]
    return count_cached_rows(
        images.store.root,
        np.concatenate([row_ids(digests, name) for name in names]),
        model=classifier.card.name,
        library=library_of(classifier),
        cut_point=cut_point,
        spec=images.spec,
        precision=precision or images.precision,
        views=EVALUATION if augmentation is None else views_drawn_from(augmentation),
    )
