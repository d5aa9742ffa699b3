"""A model of wrong labels: with some probability a label is another class, drawn at random.

Left-out scores give probabilities of the true class, and the share of wrong labels is fitted together with them by the
likelihood of the given labels. A head that is often unsure explains its mistakes itself; only labels that contradict
confident scores raise the share. So the share is near zero on clean sets whose classes are hard to tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from headstart.arrays import Doubles, Labels, Singles

_Weights = Literal["of_scores", "of_classes"]

IMAGES_PER_WEIGHT = 40
"""With fewer images for each weight a class cannot have weights of its own."""
_FIRST_WEIGHTS = (5.0, 0.5)
"""Of the head's scores and of the neighbours' log shares, where fits of several sets began."""
_FIRST_SHARES = (0.05, 0.001)
_MOST_SHARE = 0.5
_SURE_WEIGHT = 8.0
"""Mean weight of the head's scores from which on a clear image is a sure one."""
_WEIGHT_DEVIATION = 2.0
_USUAL_SHARE = 0.03
"""Labels that clear and unsure heads explain equally well are decided by priors: heads are sure of clear images, and
few labels are wrong (exponential)."""
_SCALE_PENALTY = 1e-3
"""Of the mean weight of each kind of score; weights of single classes have 1. It keeps heads without a mistake from
infinite weights."""
_STEPS = 200


@dataclass(frozen=True, slots=True)
class LabelNoise:
    """Probabilities of the true classes, and of each label being wrong."""

    probabilities: Doubles
    """(N, K) of the true class by the features alone."""
    wrong: Doubles
    """(N,) probability that the given label is not the true class."""
    share: float
    """Share of wrong labels, 0..0.5."""


def fit_label_noise(scores: Sequence[Singles], labels: Labels) -> LabelNoise:
    """Probabilities of true classes and of wrong labels that make the given labels likeliest.

    Logits are a linear function of all scores; each class has weights of its own where there are images enough, else
    each kind of score has one weight.

    Args:
        scores: (N, K) each, of heads that never saw the image; the first grow like probabilities, others like logs.
        labels: (N,) class of each, 0..K-1.
    """
    from scipy.optimize import minimize

    classes = scores[0].shape[1]
    rows = np.concatenate([np.asarray(one, np.float64) for one in scores], axis=1)
    enough = len(labels) >= IMAGES_PER_WEIGHT * rows.shape[1] * classes
    kind: _Weights = "of_classes" if enough else "of_scores"
    blocks = [weight * np.eye(classes) for weight in _first_weights(len(scores))]
    first = _packed(np.concatenate(blocks), np.zeros(classes), kind)

    def loss(values: Doubles) -> tuple[float, Doubles]:
        return _loss(values, rows, labels, first, kind)

    # The likelihood has two hills: heads that are unsure, and sure heads with wrong labels.
    starts = [np.append(first, np.log(share / (_MOST_SHARE - share))) for share in _FIRST_SHARES]
    fits = [minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS}) for start in starts]
    values = min(fits, key=lambda fit: float(fit.fun)).x
    weights, bias = _unpacked(values[:-1], classes, len(scores), kind)
    probabilities = np.exp(_log_softmax(rows @ weights + bias))
    share = float(_MOST_SHARE / (1 + np.exp(-values[-1])))
    own = probabilities[np.arange(len(labels)), labels]
    by_noise = share / max(1, classes - 1) * (1 - own)
    return LabelNoise(probabilities, by_noise / np.maximum(by_noise + (1 - share) * own, 1e-300), share)


def _first_weights(count: int) -> tuple[float, ...]:
    return (*_FIRST_WEIGHTS, *(_FIRST_WEIGHTS[-1],) * count)[:count]


def _packed(weights: Doubles, bias: Doubles, kind: _Weights) -> Doubles:
    """One vector of what is fitted: all weights and biases, or the sum over the diagonal of each block."""
    if kind == "of_classes":
        return np.concatenate([weights.ravel(), bias])
    blocks = weights.reshape(-1, len(bias), len(bias))
    return np.asarray(np.trace(blocks, axis1=1, axis2=2) / len(bias), np.float64)


def _unpacked(values: Doubles, classes: int, scores: int, kind: _Weights) -> tuple[Doubles, Doubles]:
    """(weights (scores * K, K), biases (K,)) from one vector."""
    if kind == "of_classes":
        return values[:-classes].reshape(scores * classes, classes), values[-classes:]
    return np.concatenate([value * np.eye(classes) for value in values]), np.zeros(classes)


def _loss(values: Doubles, rows: Doubles, labels: Labels, first: Doubles, kind: _Weights) -> tuple[float, Doubles]:
    """Mean negative log posterior of the labels, and its gradient."""
    count = len(labels)
    which = np.arange(count)
    classes = _classes_of(len(first), rows.shape[1], kind)
    weights, bias = _unpacked(values[:-1], classes, rows.shape[1] // classes, kind)
    log_probabilities = _log_softmax(rows @ weights + bias)
    probabilities = np.exp(log_probabilities)
    own = probabilities[which, labels]
    sigmoid = 1 / (1 + np.exp(-values[-1]))
    share, others = _MOST_SHARE * sigmoid, max(1, classes - 1)
    given = np.maximum((1 - share) * own + share / others * (1 - own), 1e-300)
    # d given / d logits = slope * own * (one_hot - p): the usual gradient, weighted by how far the label is believed.
    believed = (1 - share - share / others) * own / given
    pull = probabilities * believed[:, None]
    pull[which, labels] -= believed
    gradient = _packed(rows.T @ pull, pull.sum(axis=0), kind)
    if kind == "of_scores":
        gradient = gradient * classes
    by_share = -((1 - own) / others - own) / given
    prior, by_weights = _prior(values[:-1], first, rows.shape[1], kind)
    loss = -np.log(given).sum() + prior + share / _USUAL_SHARE
    by_logit = (by_share.sum() + 1 / _USUAL_SHARE) * share * (1 - sigmoid)
    return float(loss / count), np.append(gradient + by_weights, by_logit) / count


def _prior(values: Doubles, first: Doubles, width: int, kind: _Weights) -> tuple[float, Doubles]:
    """Negative log density of the weights, but for a constant, and its gradient."""
    away = values - first
    if kind == "of_scores":
        means, by_mean = values, np.eye(len(values))[0]
        penalty, slope = _SCALE_PENALTY * float(away @ away), 2 * _SCALE_PENALTY * away
    else:
        classes = _classes_of(len(values), width, kind)
        scores = width // classes
        weights, bias = _unpacked(away, classes, scores, kind)
        means = np.trace(weights.reshape(scores, classes, classes), axis1=1, axis2=2) / classes
        common = _packed(np.concatenate([mean * np.eye(classes) for mean in means]), 0 * bias, kind)
        # A quadratic form: the common part of each block costs little, what single classes add to it costs 1.
        slope = 2 * (away - (1 - _SCALE_PENALTY) * common)
        penalty = float(slope @ away) / 2
        means = means + _first_weights(scores)
        own = np.concatenate([np.eye(classes) / classes, np.zeros(((scores - 1) * classes, classes))])
        by_mean = _packed(own, 0 * bias, kind)
    # One-sided: heads may be as sure as they like.
    short = max(0.0, _SURE_WEIGHT - float(means[0])) / _WEIGHT_DEVIATION
    return penalty + short**2 / 2, slope - short / _WEIGHT_DEVIATION * by_mean


def _classes_of(fitted: int, width: int, kind: _Weights) -> int:
    """Number of classes K: with weights of classes (width + 1) * K values are fitted, else width / K of them."""
    return fitted // (width + 1) if kind == "of_classes" else width // fitted


def _log_softmax(logits: Doubles) -> Doubles:
    logits = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float64)
