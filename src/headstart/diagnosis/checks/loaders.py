"""Checks of how loaders go through their images: order, what is left out, augmentation."""

from __future__ import annotations

import numpy as np

from headstart.diagnosis.examined import Examined
from headstart.diagnosis.finding import DoctorFinding
from headstart.diagnosis.loaders import LoaderFacts

SMALL_SET = 5_000
"""Training images below which augmentation usually pays."""
_MOST_LOST = 0.1


def find_no_augmentation(examined: Examined) -> list[DoctorFinding]:
    """`no_augmentation`: a small training set gives the same images in every epoch, while the backbone is trained."""
    facts = examined.train
    if facts is None or examined.random_views.get("train") is not False or examined.dry.varies_inside:
        return []
    size = facts.dataset.size or 0
    if not 0 < size < SMALL_SET or not any(one.is_trainable and one.slots for one in examined.backbone):
        return []
    return [
        DoctorFinding(
            "no_augmentation",
            "warning",
            "There is no augmentation on a small training set.",
            f"{size:,} training images, and each is the same in every epoch: a network with "
            f"{sum(one.numel for one in examined.parameters if one.is_trainable):,} trainable values can learn "
            "them by heart.",
            "At least transforms.RandomResizedCrop(size, scale=(0.8, 1.0)) and RandomHorizontalFlip() before "
            "ToTensor().",
        )
    ]


def find_augmented_evaluation(examined: Examined) -> list[DoctorFinding]:
    """`evaluation_augmented`: validation or test images are different each time they are read."""
    return [
        DoctorFinding(
            "evaluation_augmented",
            "warning",
            f"Images of the {role} loader are augmented.",
            f"The same {role} image was different in two draws: figures change from pass to pass and are too low.",
            "Give evaluation a transform of its own (resize, centre crop, normalise); parts of random_split share the "
            "data set's one transform.",
        )
        for role, varies in examined.random_views.items()
        if role != "train" and varies
    ]


def find_missing_shuffle(examined: Examined) -> list[DoctorFinding]:
    """`shuffle_off`: the training loader gives the images in the same order in every epoch."""
    facts = examined.train
    if facts is None:
        return []
    runs = _run_text(facts)
    if facts.order is not None and facts.second_order is not None:
        if facts.is_distributed or len(facts.order) < 3 or not np.array_equal(facts.order, facts.second_order):
            return []
        is_sorted = bool((np.diff(facts.order) == 1).all())
        how = "in the order of the data set" if is_sorted else "in one fixed order"
    elif runs and facts.items is None and len(facts.batches) > 1:
        how = "sorted by class"
    else:
        return []
    return [
        DoctorFinding(
            "shuffle_off",
            "error" if runs else "warning",
            "The training loader does not shuffle.",
            f"Images come {how} in every epoch{f': {runs}' if runs else ''}.",
            "DataLoader(..., shuffle=True) for training; for a stream, a shuffle buffer.",
        )
    ]


def _run_text(facts: LoaderFacts) -> str:
    """`the first 3 batches hold class 0 only`; empty where batches are mixed or the set has one class."""
    read = [
        one.labels for one in facts.batches if one.labels is not None and one.labels.ndim == 1 and len(one.labels) > 3
    ]
    pure = [one for one in read if bool((one == one[0]).all())]
    everything = facts.dataset.labels
    if everything is not None and len(np.unique(everything)) < 2:
        return ""
    if not read or len(pure) < len(read):
        return ""
    return f"the first {len(read)} batches hold one class each"


def find_lost_images(examined: Examined) -> list[DoctorFinding]:
    """`loader_leaves_out`: images that no epoch can show: a sampler, drop_last, or an empty loader."""
    found = []
    for role, facts in examined.loaders.items():
        size = facts.dataset.size
        if size is None:
            continue
        text, remedy = _dropped(role, facts, size)
        if not text and facts.order is not None and facts.second_order is not None and not facts.is_distributed:
            text, remedy = _unsampled(facts, size)
        if text:
            found.append(
                DoctorFinding(
                    "loader_leaves_out",
                    "error" if facts.steps == 0 else "warning",
                    f"The {role} loader leaves images out.",
                    text,
                    remedy,
                )
            )
    return found


def _dropped(role: str, facts: LoaderFacts, size: int) -> tuple[str, str]:
    if not facts.drops_last or not facts.batch_size:
        return "", ""
    lost = size % facts.batch_size
    if facts.steps == 0 or (role != "train" and lost) or lost > _MOST_LOST * size:
        text = (
            f"drop_last=True with batches of {facts.batch_size}: {lost:,} of {size:,} images are left out of each pass."
        )
        return text, "drop_last=False for evaluation; for training a batch size that is small against the set."
    return "", ""


def _unsampled(facts: LoaderFacts, size: int) -> tuple[str, str]:
    """A sampler whose draws all lie in a small part of the data set."""
    order = np.concatenate([facts.order, facts.second_order])
    if len(order) < size:
        return "", ""
    seen = len(np.unique(order))
    span = int(order.max()) + 1
    drawn_with_replacement = seen < len(facts.order)  # type: ignore[arg-type]
    # n draws with replacement still reach 1 - 1/e^2 of the images in two epochs.
    if (drawn_with_replacement and span > 0.7 * size) or seen > 0.9 * size:
        return "", ""
    text = f"In two epochs the sampler drew {seen:,} of {size:,} images, none beyond index {span - 1:,}."
    return text, "WeightedRandomSampler takes one weight per image, not per class: weights[labels]."
