"""Candidates compared on the same validation images, by the metric that selects.

The metric orders candidates. Whether a lead is more than noise is asked of the log loss, which sees far more than
counts of errors do: over all images for accuracy, with every class counting the same for balanced accuracy and macro
F1. A candidate must not be worse by the metric itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels
from headstart.measures.class_means import (
    class_mean,
    class_weights,
    macro_f1,
    macro_f1_by_image,
    stratified_p_value,
)
from headstart.measures.figures import METRIC_WORDS, SelectionMetric
from headstart.measures.metrics import paired_p_value, sharpened_log_losses

BY_CLASS: tuple[SelectionMetric, ...] = ("balanced_accuracy", "macro_f1")
"""Metrics in which every class counts the same."""


@dataclass(frozen=True)
class Scored:
    """Predictions of a candidate for N labelled images, and the metric that compares them with those of another."""

    correct: npt.NDArray[np.bool_]
    """(N,)."""
    losses: Doubles
    """(N,) log loss of each at the temperature that suits the candidate best, in nats."""
    metric: SelectionMetric = "accuracy"
    labels: Labels | None = None
    """(N,) classes; needed where every class counts the same."""
    predicted: Labels | None = None
    """(N,) predicted classes; needed for macro F1."""

    @classmethod
    def of(
        cls,
        probabilities_NK: npt.NDArray[np.floating[Any]],  # noqa: N803 - shapes
        labels_N: Labels,  # noqa: N803
        metric: SelectionMetric,
    ) -> Scored:
        """Score of probabilities; the temperature suits the classes alike where the metric counts them alike."""
        predicted = probabilities_NK.argmax(axis=1)
        weights = class_weights(labels_N) if metric in BY_CLASS else None
        losses = sharpened_log_losses(probabilities_NK, labels_N, weights)
        return cls(predicted == labels_N, losses, metric, labels_N, predicted.astype(np.int64))

    @property
    def value(self) -> float:
        """The metric; the log loss with a minus, so that more is better."""
        if self.metric == "log_loss":
            return -self.loss
        if self.metric == "balanced_accuracy":
            return class_mean(self.correct, self._labels)
        if self.metric == "macro_f1":
            return macro_f1(self._labels, self._predicted)
        return float(self.correct.mean())

    @property
    def figure(self) -> float:
        """The metric as it is reported: the log loss as it is."""
        return self.loss if self.metric == "log_loss" else self.value

    @property
    def loss(self) -> float:
        """Mean log loss in nats; of the classes' means where every class counts the same."""
        if self.metric in BY_CLASS:
            return class_mean(self.losses, self._labels)
        return float(self.losses.mean())

    @property
    def _labels(self) -> Labels:
        assert self.labels is not None, f"{self.metric} needs the classes of the images"
        return self.labels

    @property
    def _predicted(self) -> Labels:
        assert self.predicted is not None, f"{self.metric} needs the predicted classes"
        return self.predicted

    def at(self, places_M: npt.NDArray[np.int64]) -> Scored:  # noqa: N803
        """The score on some of the images.

        Args:
            places_M: Their positions.
        """
        labels, predicted = (None if one is None else one[places_M] for one in (self.labels, self.predicted))
        return Scored(self.correct[places_M], self.losses[places_M], self.metric, labels, predicted)

    def figures_against(self, other: Scored) -> str:
        """`accuracy 0.914 against 0.901, log loss at its best temperature 0.231 against 0.262`.

        Where every class counts the same, so it does in the log loss.
        """
        loss = f"log loss at its best temperature {self.loss:.3f} against {other.loss:.3f}"
        if self.metric == "log_loss":
            return loss
        loss = f"class-balanced {loss}" if self.metric in BY_CLASS else loss
        return f"{METRIC_WORDS[self.metric]} {self.value:.3f} against {other.value:.3f}, {loss}"

    def is_better_than(self, other: Scored) -> bool:
        """Whether the metric is higher, or equal and the loss lower: the order among epochs."""
        return (self.value, -self.loss) > (other.value, -other.loss)

    def p_value_against(self, other: Scored) -> float:
        """Chance of at least this lead in log loss if both were equally good; 1 unless the metric is better too."""
        return self._lead_p_value(other) if self.value > other.value else 1.0

    def loss_p_value_against(self, other: Scored) -> float:
        """Chance of at least this lead in log loss if both were equally good; 1 where the metric is clearly worse."""
        return 1.0 if self._is_clearly_worse_than(other) else self._lead_p_value(other)

    def _lead_p_value(self, other: Scored) -> float:
        if self.metric in BY_CLASS:
            return stratified_p_value(other.losses, self.losses, self._labels)
        return paired_p_value(other.losses, self.losses)

    def _is_clearly_worse_than(self, other: Scored) -> bool:
        """Whether the metric is lower by more than a standard deviation of its difference if both were equally good.

        Of d images that only one of both classifies correctly, the numbers for each differ by sqrt(d) in a standard
        deviation where both are equally good: more extra errors than that are not noise.
        """
        if self.metric == "log_loss":
            return False
        if self.metric == "accuracy":
            more_errors = int(other.correct.sum()) - int(self.correct.sum())
            return more_errors > math.sqrt((self.correct != other.correct).sum())
        if self.metric == "balanced_accuracy":
            shares = class_weights(self._labels) / len(self.correct)
            differing = shares * (other.correct.astype(np.float64) - self.correct)
        else:
            mine, theirs = (macro_f1_by_image(one._labels, one._predicted)[1] for one in (self, other))
            differing = theirs - mine
        return other.value - self.value > math.sqrt(float((differing**2).sum()))
