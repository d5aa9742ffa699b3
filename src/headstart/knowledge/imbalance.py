"""What training does about classes of unequal size, decided by the numbers of training images.

Measured by `benchmarks/imbalance.py`; its tables are in docs/benchmarks.md, and what follows from them in
docs/guide/imbalance.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

from headstart.measures.figures import SelectionMetric

Imbalance: TypeAlias = Literal["auto", "none", "class_weight", "balanced_sampling", "logit_adjustment"]
"""How training makes up for classes of unequal size; auto: by the numbers of their training images."""

STRONG_RATIO = 5.0
"""Above so many images of the largest class for one of the smallest, auto balances the classes."""


def chosen_imbalance(counts: Mapping[str, float]) -> tuple[Literal["none", "logit_adjustment"], str]:
    """(the method that auto stands for, the reason in a sentence).

    Args:
        counts: Class -> training images; where images have weights, the sum of theirs.
    """
    smallest, largest = (pick(counts, key=lambda name: counts[name]) for pick in (min, max))
    few, many = counts[smallest], counts[largest]
    if many <= STRONG_RATIO * few:
        return "none", (
            f"the largest class has {many / few:.1f} times the training images of the smallest, not more than "
            f"{STRONG_RATIO:g} times: balancing them gains little"
        )
    return "logit_adjustment", (
        f"{largest} has {many:g} training images and {smallest} {few:g}, {many / few:.0f} times fewer: logits are "
        "adjusted by the shares of the classes, so that each counts the same; probabilities are then for classes of "
        "equal size (--imbalance none: for shares as in training)"
    )


def chosen_metric(imbalance: Imbalance) -> tuple[SelectionMetric, str]:
    """(the metric that auto stands for, the reason in a sentence).

    Args:
        imbalance: Resolved.
    """
    if imbalance in ("none", "auto"):
        return "accuracy", "the default: every image counts the same"
    return "balanced_accuracy", (
        "training balances the classes, and accuracy would select by the largest ones alone; --metric accuracy does"
    )


def shares_text(imbalance: Imbalance) -> str:
    """What probabilities mean where classes were balanced, in a sentence without its subject.

    Args:
        imbalance: The method, not none.
    """
    return f"for classes of equal size ({imbalance}), not for the shares of the training images"
