"""Whether a head on all depths can pay in addition to the plain one: pure, and without the clock.

Errors that are left bound what it can gain. Its cost is counted in MACs, those of its fits against those of the steps
that follow, so that the same plan and images try it on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from headstart.amounts import count_text
from headstart.engine.costs.network import facts_of_card
from headstart.networks.cards.catalog import ModelCard
from headstart.plan.plan import ProbePhase, TrainPhase
from headstart.training.checkpoint import Candidate
from headstart.training.probe.multi_depth import CHOOSING_IMAGES
from headstart.training.steps.rule import fewest_errors

MOST_SHARE = 0.1
"""Of the MACs of the step that follows, which the fits of the head on all depths may take at most."""
CHOOSING_PRODUCTS = 1000
"""Products of all rows and all weights in the cross-validation of its L2 penalty: 15 fits of some thirty iterations."""
FITTING_PRODUCTS = 100
"""The same in its last fit."""
_BACKWARD = 3
"""Forward and backward, in forward passes."""


def why_too_few_errors(plain: Candidate, significance_level: float) -> str:
    """The reason why no head could be shown to be better than the plain one, or an empty string.

    Args:
        plain: The plain probe.
        significance_level: Of the test.
    """
    errors, needed = int((~plain.correct).sum()), fewest_errors(significance_level)
    if errors >= needed:
        return ""
    return (
        f"a head on all depths was not fitted: {count_text(errors, 'error')} left on "
        f"{count_text(len(plain.correct), 'image')}, and with fewer than {needed} none can be shown to be better"
    )


def why_too_costly(rows: int, features: int, classes: int, *, following: float | None) -> str:
    """The reason why its fits cost much of what follows, or an empty string.

    Args:
        rows: Training images.
        features: At all depths.
        classes: Of the head.
        following: MACs that follow for each training image; None: nothing follows.
    """
    if following is None:
        return ""
    products = CHOOSING_PRODUCTS * min(rows, CHOOSING_IMAGES) + FITTING_PRODUCTS * rows
    share = products * features * classes / (following * rows)
    if share <= MOST_SHARE:
        return ""
    return (
        f"a head on all depths was not fitted: for {count_text(features, 'feature')} and "
        f"{count_text(classes, 'class')} that takes about {share:.0%} of the MACs of the step that follows, "
        f"more than {MOST_SHARE:.0%}"
    )


def macs_that_follow(phases: Sequence[ProbePhase | TrainPhase], card: ModelCard, *, size: int) -> float | None:
    """MACs for each training image of the next phase that trains, its folds included; None where there is none.

    Args:
        phases: Of the plan.
        card: Of the network.
        size: Side of the images in pixels.
    """
    step = next((phase for phase in phases if isinstance(phase, TrainPhase)), None)
    if step is None:
        return None
    # A step trains one fold as a rule, and then on all images.
    rounds = 2 - 1 / step.folds if step.folds > 1 else 1.0
    passes = step.epochs * rounds * _BACKWARD * (step.most_trained_share or 1.0)
    # Of the card, not counted inside the network: what this machine remembers must not decide what is trained.
    return passes * facts_of_card(card, size=size).gmacs * 1e9
