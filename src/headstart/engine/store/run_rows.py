"""Number of the rows of a run's images that are cached already, whatever they were cached for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from headstart.data.sources.reading import ImageRecord
from headstart.engine.known.classifier import AnyClassifier
from headstart.engine.store.activations import POOLED_DEPTHS, Precision, library_of
from headstart.engine.store.cached_rows import count_cached_rows
from headstart.engine.store.drawn_views import views_drawn_from
from headstart.engine.store.index import POOLED
from headstart.engine.store.store import EVALUATION, random_view, row_ids
from headstart.engine.store.training_images import TrainingImages
from headstart.plan.sections import AugmentationPlan


def rows_of_run(
    classifier: AnyClassifier,
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
    ids = np.concatenate([row_ids(digests, name) for name in names])
    count = partial(
        count_cached_rows,
        images.store.root,
        ids,
        model=classifier.card.name,
        library=library_of(classifier.card),
        spec=images.spec,
        precision=precision or images.precision,
        views=EVALUATION if augmentation is None else views_drawn_from(augmentation),
    )
    found = count(cut_point=cut_point)
    # The features of the plain head are read out of the rows of a head on all depths, where all of them are there.
    if cut_point == POOLED and found < len(ids) == count(cut_point=POOLED_DEPTHS):
        return len(ids)
    return found
