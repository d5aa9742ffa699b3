"""The network to start from, by rules over hardware, images and strategy; pure functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from headstart.advice.rules import UNFREEZING
from headstart.advice.situation import Situation
from headstart.knowledge.choosing import MANY_IMAGES
from headstart.plan.request import DEFAULT_MODEL


@dataclass(frozen=True, slots=True)
class NetworkRule:
    """One row: condition, network and reason."""

    when: str
    """The condition in words."""
    holds: Callable[[Situation, str], bool]
    """Of a situation and a strategy."""
    name: str
    reason: str
    source: str


def mostly_frozen(strategy: str) -> bool:
    """Whether at most the last stages are trained."""
    return UNFREEZING.index(strategy) <= UNFREEZING.index("partial")


NETWORK_RULES: tuple[NetworkRule, ...] = (
    NetworkRule(
        "no GPU",
        lambda situation, strategy: situation.hardware.gpu == "none",
        DEFAULT_MODEL,
        "no GPU: 0.4 billion MACs an image are fast on any CPU, and its weights come with the installation",
        "Tan & Le 2019; docs/guide/speed.md",
    ),
    NetworkRule(
        "a GPU, and at most the last stages are trained",
        lambda situation, strategy: mostly_frozen(strategy),
        "resnet50:IMAGENET1K_V1",
        "a GPU: the usual baseline in production, 25M parameters; weights of its first recipe, because label smoothing "
        "and mixing of the later one spoil features that stay frozen (a download of 98 MB)",
        "He et al. 2016; Kornblith et al. 2019",
    ),
    NetworkRule(
        f"a GPU, an unlimited budget, {MANY_IMAGES:,} images or more",
        lambda situation, strategy: situation.budget_seconds == math.inf and situation.images >= MANY_IMAGES,
        "convnext_base",
        f"a GPU, unlimited time and {MANY_IMAGES:,} images or more: maximum accuracy, 89M parameters (a download of "
        "338 MB)",
        "Liu et al. 2022",
    ),
    NetworkRule(
        "a GPU",
        lambda situation, strategy: True,
        "resnet50:IMAGENET1K_V2",
        "a GPU: the usual baseline in production, 25M parameters; weights of its later, better recipe, because every "
        "layer is trained (a download of 98 MB)",
        "He et al. 2016; Kornblith et al. 2019",
    ),
)
"""The first row that holds decides."""


def network_for(situation: Situation, strategy: str) -> NetworkRule:
    """The network for a situation, once the strategy is known."""
    return next(rule for rule in NETWORK_RULES if rule.holds(situation, strategy))
