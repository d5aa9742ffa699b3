"""Results of a variant by image and seed, and its metrics with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from headstart.arrays import Doubles
from headstart.comparison.grid import Metric
from headstart.measures import paired
from headstart.measures.intervals import share_interval, wilson_interval
from headstart.measures.paired import Ints
from headstart.measures.seed_variance import ENOUGH_SEEDS, is_wide_by_seeds

Repeats = Literal["seeds", "folds"]
"""What the trials of a variant differ in: seeds on one test set, or folds of all images (of one seed or several)."""

BETTER: dict[Metric, float] = {"accuracy": 1.0, "balanced_accuracy": 1.0, "log_loss": -1.0}
"""1 where more is better, -1 where less is."""
_UNSEEN_OF_SHARE = 2.0  # images, see `resampling.spread_of`


@dataclass(frozen=True, slots=True)
class TrialPredictions:
    """Predictions of one trial: four columns of the same length, a row for each image."""

    images: Sequence[str]
    labels: Sequence[str]
    correct: Sequence[bool]
    log_loss: Sequence[float]
    """Of each image, in nats."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Image -> its patient or scene, for images that share one with another; the others are groups of one."""

    def __post_init__(self) -> None:
        """Check that columns have one length and images are unique.

        Raises:
            ValueError: they do not, or there is none.
        """
        rows = [len(column) for column in (self.images, self.labels, self.correct, self.log_loss)]
        if len({*rows, len(set(self.images))}) != 1 or not rows[0]:
            raise ValueError(
                f"columns of {rows} rows with {len(set(self.images))} images; one row an image is expected"
            )


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Values of one variant on each of its images, by seed."""

    variant: str
    metric: Metric
    by_seed: Mapping[int, Mapping[str, float]]
    """Seed (or repeat, see `Trial.repeat`) -> image -> 1 correct, 0 misclassified, or the log loss in nats."""
    classes: Mapping[str, str]
    """Image -> class, so that every class counts the same in balanced accuracy. Empty for other metrics."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Image -> its patient or scene, for images that share one with another; the others are groups of one."""
    method: str = ""
    """How the images were classified, in words, such as `out of fold in train`: only figures that were obtained in the
    same way are compared."""
    repeats: Repeats = "seeds"
    """What its rows are."""

    def __post_init__(self) -> None:
        """Check that every seed has at least one image, with a finite value.

        Raises:
            ValueError: it does not, or an image of balanced accuracy has no class.
        """
        if not self.by_seed:
            raise ValueError(f"{self.variant} has no seed; at least one trial is needed")
        for seed, values in self.by_seed.items():
            if not values or not all(map(math.isfinite, values.values())):
                raise ValueError(f"seed {seed} of {self.variant} has no image, or a value that is no finite number")
        lacking = {image for values in self.by_seed.values() for image in values} - set(self.classes)
        if self.metric == "balanced_accuracy" and lacking:
            raise ValueError(f"{len(lacking)} images of {self.variant} have no class; balanced accuracy needs it")

    @property
    def images(self) -> set[str]:
        """Images of all seeds."""
        return {image for values in self.by_seed.values() for image in values}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric of one variant with its 95 % interval."""

    value: float
    interval: tuple[float, float]
    by_seed: tuple[float, ...]
    """In the order of the seeds' numbers."""
    seeds_needed: int | None = None
    """Number of seeds to use where too few make the interval too wide; None where they are enough."""


@dataclass(frozen=True, slots=True)
class VariantMetrics:
    """Metrics of one variant on the images of one role; fields as in `validation` and `test` of comparison.json."""

    accuracy: float
    interval: tuple[float, float]
    images: int
    predictions: int
    """Images times seeds."""
    by_seed: tuple[float, ...]
    """Accuracies, in the order of the seeds' numbers; with folds one for each fold of each seed."""
    value: float
    """Of the metric by which variants are compared; so are the next two."""
    value_interval: tuple[float, float]
    value_by_seed: tuple[float, ...]
    seeds_needed: int | None = None
    """Number of seeds to use where too few make an interval too wide; None where they are enough."""


def outcomes_of(
    variant: str,
    trials: Mapping[int, TrialPredictions],
    metric: Metric,
    method: str = "",
    repeats: Repeats = "seeds",
) -> Outcomes:
    """Values of `metric` of a variant's trials.

    Args:
        variant: Its name.
        trials: Seed -> predictions of that trial.
        metric: By which variants are compared.
        method: How the images were classified.
        repeats: What the keys of `trials` are.
    """
    by_seed = {
        seed: dict(zip(of.images, map(float, of.log_loss if metric == "log_loss" else of.correct), strict=True))
        for seed, of in trials.items()
    }
    classes: dict[str, str] = {}
    if metric == "balanced_accuracy":
        for of in trials.values():
            classes.update(zip(of.images, of.labels, strict=True))
    groups = {image: group for of in trials.values() for image, group in of.groups.items()}
    return Outcomes(variant, metric, by_seed, classes, groups, method, repeats)


def values_by_seed(outcomes: Outcomes, images: Sequence[str]) -> dict[int, Doubles]:
    """Seed, from the smallest on -> (N,) values of `images`, NaN where there is none."""
    return {
        seed: np.array([outcomes.by_seed[seed].get(image, math.nan) for image in images], np.float64)
        for seed in sorted(outcomes.by_seed)
    }


def strata_of(everyone: Sequence[Outcomes], images: Sequence[str]) -> Ints:
    """(N,) number of each image's class; 0 for all where the metric does not need classes.

    Raises:
        ValueError: different metrics, or two variants that disagree about an image's class.
    """
    metrics = {of.metric for of in everyone}
    if len(metrics) > 1:
        raise ValueError(f"metrics {sorted(metrics)} in one comparison; one metric is expected")
    if metrics != {"balanced_accuracy"}:
        return np.zeros(len(images), np.int64)
    classes: dict[str, str] = {}
    for of in everyone:
        if any(classes.get(image, label) != label for image, label in of.classes.items()):
            raise ValueError(f"{of.variant} has another class for an image than a variant before it")
        classes.update(of.classes)
    numbers = {label: number for number, label in enumerate(sorted({classes[image] for image in images}))}
    return np.array([numbers[classes[image]] for image in images], np.int64)


def groups_of(everyone: Sequence[Outcomes], images: Sequence[str]) -> Ints | None:
    """(N,) number of each image's group; None where no images share a group."""
    named = {image: group for of in everyone for image, group in of.groups.items()}
    if not named:
        return None
    numbers: dict[tuple[str, str], int] = {}
    keys = [("group", named[image]) if image in named else ("image", image) for image in images]
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def estimate_of(outcomes: Outcomes) -> Estimate:
    """Mean of the metric over seeds, with its interval: Wilson's for the accuracy of one seed, else by `seed_variance`.

    With one seed it is over images (or their groups) only, with several over images and seeds.
    """
    images = sorted(outcomes.images)
    rows = values_by_seed(outcomes, images)
    values, groups = np.stack(list(rows.values())), groups_of([outcomes], images)
    table = paired.crossed(values, strata_of([outcomes], images), groups)
    by_seed = tuple(map(float, table.seed_means))
    if outcomes.metric == "accuracy" and len(rows) == 1:
        correct = table.values[0] > 0
        if table.groups is None:
            return Estimate(table.mean, wilson_interval(int(correct.sum()), len(images)), by_seed)
        return Estimate(table.mean, share_interval(correct, table.groups), by_seed)
    is_share = outcomes.metric != "log_loss"
    spread = paired.spread_of(table, _UNSEEN_OF_SHARE if is_share else 0.0)
    low, high = paired.interval(table.mean, paired.pigeonhole([table])[0], spread)
    needed = ENOUGH_SEEDS if is_wide_by_seeds(spread) else None
    return Estimate(table.mean, (max(low, 0.0), min(high, 1.0) if is_share else high), by_seed, needed)


def mean_of(outcomes: Outcomes) -> float:
    """Mean of the metric over seeds, each seed with the same weight."""
    images = sorted(outcomes.images)
    values = np.stack(list(values_by_seed(outcomes, images).values()))
    return paired.crossed(values, strata_of([outcomes], images)).mean


def summarize(trials: Mapping[int, TrialPredictions], metric: Metric) -> VariantMetrics:
    """Accuracy of one variant, and the metric by which variants are compared.

    Args:
        trials: Seed -> predictions of that trial for the images of one role; at least one.
        metric: What `value` is of.
    """
    accuracy = estimate_of(outcomes_of("this variant", trials, "accuracy"))
    value = accuracy if metric == "accuracy" else estimate_of(outcomes_of("this variant", trials, metric))
    return VariantMetrics(
        accuracy=accuracy.value,
        interval=accuracy.interval,
        images=len({image for of in trials.values() for image in of.images}),
        predictions=sum(len(of.images) for of in trials.values()),
        by_seed=accuracy.by_seed,
        value=value.value,
        value_interval=value.interval,
        value_by_seed=value.by_seed,
        seeds_needed=accuracy.seeds_needed or value.seeds_needed,
    )
