"""Similarity of two sets of features: pure functions on arrays, no torch."""

from __future__ import annotations

import numpy as np

from headstart.arrays import Floats

OVERLAP_FAR = 0.88
"""Overlap of EfficientNet-Lite0's late layers that counts as similarity 0; digits have 0.845, documents 0.912."""
OVERLAP_SAME = 1.0
"""Overlap of the images that the weights were trained on, which counts as similarity 1."""

_SMALLEST_VARIANCE = 1e-12


def gaussian_overlap(mean_a: Floats, variance_a: Floats, mean_b: Floats, variance_b: Floats) -> Floats:
    """Bhattacharyya coefficient of two normal distributions, each for itself: 1 the same, 0 without overlap.

    exp(-D) with D = (m_a - m_b)^2 / (4 (v_a + v_b)) + ln((v_a + v_b) / (2 sqrt(v_a v_b))) / 2 (Bhattacharyya 1943;
    Kailath 1967).

    Args:
        mean_a: (C,), and so are the others.
        variance_a: >= 0; what is nearly zero counts as 1e-12.
        mean_b: Of the other.
        variance_b: Of the other, >= 0.
    """
    # A variance of 0 (a dead channel) would divide by zero; two dead channels are then the same.
    a, b = np.maximum(variance_a, _SMALLEST_VARIANCE), np.maximum(variance_b, _SMALLEST_VARIANCE)
    shift = (np.asarray(mean_a) - mean_b) ** 2 / (4 * (a + b))
    return np.asarray(np.exp(-shift - 0.5 * np.log((a + b) / (2 * np.sqrt(a * b)))))


def similarity_of_overlap(overlap: float) -> float:
    """Overlap of EfficientNet-Lite0's late layers (0..1) -> similarity 0..1, linear between the two marks and clipped.

    The scale is this network's: MobileNetV2's layers overlap more on every set.
    """
    share = (overlap - OVERLAP_FAR) / (OVERLAP_SAME - OVERLAP_FAR)
    return float(np.clip(share, 0.0, 1.0))


def linear_cka(x_NP: Floats, y_NQ: Floats) -> float:  # noqa: N803 - shapes
    """Centred kernel alignment with linear kernels: 1 if one is a rotation and scaling of the other, 0 if unrelated.

    ||Y'X||_F^2 / (||X'X||_F ||Y'Y||_F) on centred columns (Kornblith et al. 2019). With fewer images than columns it
    is biased upwards; compare only values of the same number of images.

    Args:
        x_NP: Features of N images.
        y_NQ: Other features of the same images in the same order.

    Raises:
        ValueError: another number of images, or fewer than two.
    """
    if len(x_NP) != len(y_NQ) or len(x_NP) < 2:
        raise ValueError(f"{len(x_NP)} and {len(y_NQ)} images; the same number, at least 2, is needed")
    x = np.asarray(x_NP, np.float64) - np.mean(x_NP, axis=0, dtype=np.float64)
    y = np.asarray(y_NQ, np.float64) - np.mean(y_NQ, axis=0, dtype=np.float64)
    # ||Y'X||^2 = sum(K * L) with the kernels K = XX', L = YY': the smaller pair of matrices is taken.
    if max(x.shape[1], y.shape[1]) > len(x):  # the same sums from the smaller matrices
        kernel_x, kernel_y = x @ x.T, y @ y.T
        together = float((kernel_x * kernel_y).sum())
        apart = float(np.linalg.norm(kernel_x) * np.linalg.norm(kernel_y))
    else:
        together = float(np.linalg.norm(y.T @ x) ** 2)
        apart = float(np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
    return together / apart if apart > 0 else 0.0
