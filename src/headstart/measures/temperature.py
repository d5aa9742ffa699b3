"""Temperature that suits scores and labels best (Guo et al. 2017)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headstart.arrays import Doubles, Labels

ONE_IMAGE_A_CLASS: Literal["one_image_a_class"] = "one_image_a_class"

_SCORES_AT_ONCE = 2**20
_STEPS = 60


def best_temperature(
    scores_NK: npt.NDArray[np.floating[Any]],  # noqa: N803
    labels_N: Labels,  # noqa: N803
    sharpness_bounds: tuple[float, float],
    weights_N: Doubles | None = None,  # noqa: N803
    *,
    soften: Literal["nothing", "one_image_a_class"] = "nothing",
) -> tuple[float, float]:
    """(temperature, mean log loss in nats) at which the softmax of scores / temperature suits the labels best.

    Newton's method on the sharpness 1 / temperature, in which the loss is convex.

    Args:
        scores_NK: Logits, or other scores that grow with the probability.
        labels_N: Class of each row, 0..K-1.
        sharpness_bounds: Of 1 / temperature.
        weights_N: Of the rows, 1 on average.
        soften: Targets, by one image a class (after Platt 1999): scores that make no mistake would ask for a
            temperature of zero, and leave no doubt.
    """
    count, classes = scores_NK.shape
    # One image a class of softness: with many images it vanishes, with few it keeps the temperature above zero.
    softness = classes / (count + classes) if soften == ONE_IMAGE_A_CLASS else 0.0
    low, high = sharpness_bounds
    sharpness = 1.0
    weigh = np.ones(count) if weights_N is None else weights_N
    for _ in range(_STEPS):
        # Newton: the mean loss is convex in the sharpness, its slope is E[score] under the model less under the
        # targets.
        slope, bend, _ = _at(sharpness, scores_NK, labels_N, softness, weigh)
        # At most four times as sharp or dull: far from the optimum the loss is hardly bent at all.
        step = slope / bend if bend > 0 else np.sign(slope) * 4 * sharpness
        wanted = float(np.clip(sharpness - step, max(low, sharpness / 4), min(high, 4 * sharpness)))
        done = abs(wanted - sharpness) <= 1e-5 * sharpness
        sharpness = wanted
        if done:
            break
    return 1 / sharpness, _at(sharpness, scores_NK, labels_N, softness, weigh)[2]


def _at(
    sharpness: float,
    scores_NK: npt.NDArray[np.floating[Any]],  # noqa: N803
    labels_N: Labels,  # noqa: N803
    softness: float,
    weights_N: Doubles,  # noqa: N803
) -> tuple[float, float, float]:
    """First and second derivative of the mean loss with softened targets, and the mean loss with the labels."""
    count, classes = scores_NK.shape
    slope = bend = loss = 0.0
    step = max(1, _SCORES_AT_ONCE // classes)
    for start in range(0, count, step):
        scores = scores_NK[start : start + step].astype(np.float64)
        # exp of differences from the row's maximum, which are at most 0.
        scores -= scores.max(axis=1, keepdims=True)
        own = scores[np.arange(len(scores)), labels_N[start : start + step]]
        wanted = (1 - softness) * own + softness * scores.mean(axis=1)
        exponentials = np.exp(sharpness * scores)
        sums = exponentials.sum(axis=1, keepdims=True)
        exponentials /= sums
        mean = (exponentials * scores).sum(axis=1)
        weigh = weights_N[start : start + step]
        slope += float((weigh * (mean - wanted)).sum())
        # The second derivative is the variance of the scores under the softmax.
        bend += float((weigh * ((exponentials * scores**2).sum(axis=1) - mean**2)).sum())
        loss += float((weigh * (np.log(sums[:, 0]) - sharpness * own)).sum())
    return slope / count, bend / count, loss / count
