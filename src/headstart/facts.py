"""Knowledge about transfer learning as data: what the presets (and later the advisor) read.

Numbers are the ones of the field's textbooks; each table names its source.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DepthFact:
    """What one stretch of a convolutional network holds, and what to do with it."""

    name: str
    detects: str
    transfer_share: float
    """Share of the features that is useful for another task, 0..1."""
    default_action: str
    learning_rate: float
    """Peak rate with AdamW under discriminative fine-tuning."""


DEPTHS: tuple[DepthFact, ...] = (
    DepthFact("conv 1-2", "edges, gradients, colours, simple textures", 0.95, "almost always freeze", 1e-6),
    DepthFact("conv 3-4", "corners, contours, complex textures", 0.80, "usually freeze", 5e-6),
    DepthFact("conv 5-7", "object parts, semantic patterns", 0.60, "fine-tune if there is enough data", 1e-5),
    DepthFact("conv 8+", "whole objects, high-level concepts", 0.30, "often fine-tune or replace", 5e-5),
)
"""From stem to last stage. Zeiler & Fergus 2014; Yosinski et al. 2014; rates: the usual discriminative ladder."""

HEAD_DEPTH = DepthFact("fully connected", "decision boundaries of the source classes", 0.0, "always replace", 1e-3)
"""What follows the last stage; same sources."""

HEAD_LEARNING_RATE = HEAD_DEPTH.learning_rate
"""A new head under AdamW."""

PRETRAINED_RATE_RATIO = 0.1
"""The ten-fold rule: pretrained layers learn at most at a tenth of the head's rate."""

WEIGHT_DECAY = 0.01
"""AdamW's decoupled weight decay (Loshchilov & Hutter 2019)."""


def depth_of(position: int, count: int) -> DepthFact:
    """The fact for backbone group `position` (0 = stem) of `count`, by relative depth.

    Quarters of any network take the four rows in turn, so the table fits ResNet's five groups and a
    ViT's embedding with equal right.

    Raises:
        ValueError: `position` lies outside 0..count-1.
    """
    if not 0 <= position < count:
        raise ValueError(f"position {position} must be in 0..{count - 1}")
    return DEPTHS[position * len(DEPTHS) // count]
