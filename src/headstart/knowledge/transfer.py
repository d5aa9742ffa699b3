"""Facts of transfer learning as data, for the presets, the advisor and the explorers.

Thresholds between strategies, domains and costs are in `headstart.knowledge.choosing`. Numbers are those of the field's
textbooks; each table names its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SourceFact:
    """A property of the pretraining images, and what it teaches a network."""

    what: str
    teaches: str


IMAGENET_EFFECT: tuple[SourceFact, ...] = (
    SourceFact("1.2 million diverse images", "generic visual primitives: detectors of edges, textures and shapes"),
    SourceFact("1,000 categories", "a hierarchy of object parts: eyes, wheels, faces, fur"),
    SourceFact("a natural distribution", "occlusion, lighting and pose"),
)
"""Why ImageNet's weights are a head start, as teaching material explains it; the images: Russakovsky et al. 2015.

Huh et al. 2016 measured less: half the images, or 127 coarse classes in place of 1,000, cost transfer little.
"""


@dataclass(frozen=True, slots=True)
class DepthFact:
    """A range of depth in a convolutional network: what it detects, and what to do with it."""

    name: str
    detects: str
    transfer_share: float
    """Share of the features that is useful for another task, 0..1."""
    default_action: str
    lr: float
    """Peak learning rate with AdamW under discriminative fine-tuning."""


DEPTH_FACTS: tuple[DepthFact, ...] = (
    DepthFact("conv 1-2", "edges, gradients, colours, simple textures", 0.95, "almost always freeze", 1e-6),
    DepthFact("conv 3-4", "corners, contours, complex textures", 0.80, "usually freeze", 5e-6),
    DepthFact("conv 5-7", "object parts, semantic patterns", 0.60, "fine-tune if there is enough data", 1e-5),
    DepthFact("conv 8+", "whole objects, high-level concepts", 0.30, "often fine-tune or replace", 5e-5),
)
"""From stem to last stage. What is detected: Zeiler & Fergus 2014. Shares and learning rates: rules of thumb of
teaching material; Yosinski et al. 2014 show the order (general first, specific last), not these numbers."""

HEAD_DEPTH = DepthFact("fully connected", "decision boundaries of the source classes", 0.0, "always replace", 1e-3)
"""The head, after the last stage; from the same sources."""

HEAD_LEARNING_RATE = HEAD_DEPTH.lr
"""Peak learning rate of a new head with AdamW."""

PRETRAINED_LR_RATIO = 0.1
"""The ten-fold rule, for new heads: learning rate of pretrained layers, at most, as a share of the head's."""

WEIGHT_DECAY = 0.01
"""AdamW's decoupled weight decay (Loshchilov & Hutter 2019)."""

SMALLEST_USEFUL_LR = 1e-8
"""AdamW moves a weight by about the learning rate; float32 numbers near 0.1 differ by 7e-9: smaller steps vanish."""


def depth_of(position: int, count: int) -> DepthFact:
    """The fact for backbone group `position` (0 = stem) of `count`, by relative depth.

    Quarters of any network take the four rows in turn, so the table fits the five groups of a ResNet and
    the embedding and blocks of a ViT.

    Raises:
        ValueError: `position` lies outside 0..count-1.
    """
    if not 0 <= position < count:
        raise ValueError(f"position {position} must be in 0..{count - 1}")
    return DEPTH_FACTS[position * len(DEPTH_FACTS) // count]


@dataclass(frozen=True, slots=True)
class LrRuleFact:
    """A published way to give every layer group its learning rate; see `LR_RULES`."""

    rule: Literal["uniform", "layer_decay", "by_depth"]
    """uniform: one for the backbone. layer_decay: falls towards the stem. by_depth: those of `DEPTH_FACTS`."""
    sentence: str
    source: str
    top_ratio: float = 1.0
    """Learning rate of the last backbone group as a share of the head's (not for by_depth)."""
    decay: float = 1.0
    """layer_decay: a group has the learning rate of the group after it times this."""
    head_lr: float | None = None
    """Peak learning rate of the head that belongs to the rule; None leaves the strategy's own."""
    grain: Literal["stage", "block"] | None = None
    """What the rule counts as a layer, if it says; None takes the groups as they are."""


def _decay(decay: float, source: str) -> LrRuleFact:
    return LrRuleFact(
        "layer_decay",
        f"each block has {decay:g} of the learning rate of the block after it, the head being the layer after the last",
        source,
        top_ratio=decay,
        decay=decay,
        head_lr=HEAD_LEARNING_RATE,
        grain="block",
    )


LR_RULES: dict[str, LrRuleFact] = {
    "decay_0.75": _decay(
        0.75,
        "layer-wise decay: Clark et al. 2020; Bao et al. 2022; 0.75 is the default of timm's param_groups_layer_decay",
    ),
    "decay_0.9": _decay(
        0.9, "layer-wise decay: Clark et al. 2020, who use 0.9 for the large model; AutoGluon's default"
    ),
    "ulmfit": LrRuleFact(
        "layer_decay",
        "each group has the learning rate of the group after it, the head included, divided by 2.6; "
        "the last groups go above the ten-fold rule",
        "Howard & Ruder 2018 (on text)",
        top_ratio=1 / 2.6,
        decay=1 / 2.6,
        head_lr=HEAD_LEARNING_RATE,
    ),
    "ten_fold": LrRuleFact(
        "uniform",
        "every pretrained group has a tenth of the head's learning rate",
        "the ten-fold rule (rule of thumb of teaching material)",
        top_ratio=PRETRAINED_LR_RATIO,
        head_lr=HEAD_LEARNING_RATE,
    ),
    "by_depth": LrRuleFact(
        "by_depth",
        "each quarter of the backbone has its own learning rate: 1e-6, 5e-6, 1e-5, 5e-5, and the head 1e-3",
        "the usual discriminative learning rates (rule of thumb of teaching material)",
        head_lr=HEAD_LEARNING_RATE,
    ),
    "bit": LrRuleFact(
        "uniform",
        "one learning rate for all layers, the head included; the rule also sets optimizer, batch size, steps and "
        "schedule",
        "BiT-HyperRule: Kolesnikov et al. 2020",
    ),
}
"""Every preset of learning rates, by name."""


@dataclass(frozen=True, slots=True)
class BitRow:
    """How long BiT-HyperRule trains for a data set of some size."""

    images_below: float
    steps: int
    warmup_steps: int
    milestones: tuple[int, ...]
    """Steps at which the learning rate falls to a tenth."""


BIT_ROWS: tuple[BitRow, ...] = (
    BitRow(20_000, 500, 100, (200, 300, 400)),
    BitRow(500_000, 10_000, 500, (3_000, 6_000, 9_000)),
    BitRow(float("inf"), 20_000, 500, (6_000, 12_000, 18_000)),
)
"""Kolesnikov et al. 2020, as in their code."""

BIT_BATCH_SIZE = 128
"""The small-machine variant of BiT-HyperRule; the paper's is 512."""

BIT_MOMENTUM = 0.9

BIT_MIXUP_ALPHA = 0.1
BIT_MIXUP_FROM_IMAGES = 20_000
"""BiT-HyperRule mixes batches from this number of training images on."""


def bit_row_of(images: int) -> BitRow:
    """The row of `BIT_ROWS` for a number of training images."""
    return next(row for row in BIT_ROWS if images < row.images_below)


def bit_lr(batch_size: int) -> float:
    """Learning rate: 0.001 at a batch of 128 and 0.003 at 512, as published; else in proportion, at most 0.003."""
    return min(0.003, 0.001 * batch_size / BIT_BATCH_SIZE)


@dataclass(frozen=True, slots=True)
class FamilyFact:
    """A family of networks: its idea, its uses and its drawbacks."""

    name: str
    idea: str
    good_for: str
    mind: str
    """Its drawbacks."""
    modules: tuple[str, ...]
    """`ModelCard.family` of its members in torchvision and timm."""


FAMILIES: tuple[FamilyFact, ...] = (
    FamilyFact(
        "ResNet", "skip connections", "general purpose", "", ("resnet", "resnetv2", "senet", "sknet", "resnest")
    ),
    FamilyFact("VGG", "plain stacks of convolutions", "visualisation, style transfer", "large and slow", ("vgg",)),
    FamilyFact("DenseNet", "dense links", "few parameters", "hungry for memory", ("densenet",)),
    FamilyFact(
        "EfficientNet",
        "compound scaling of depth, width and resolution",
        "mobile and edge",
        "slower than its MACs suggest",
        ("efficientnet",),
    ),
    FamilyFact("ConvNeXt", "a modernised ResNet", "high accuracy; rivals ViT", "", ("convnext",)),
    FamilyFact(
        "Vision Transformer",
        "self-attention between patches",
        "very large data sets, research",
        "needs more data to transfer",
        ("vision_transformer", "deit", "beit", "eva", "vision_transformer_hybrid", "vision_transformer_relpos"),
    ),
)
"""The papers stand on the cards of their networks."""

FIRST_CHOICES: tuple[tuple[str, str, str], ...] = (
    ("resnet18", "11M", "prototype"),
    ("resnet50", "25M", "production baseline"),
    ("efficientnet_b0", "5M", "mobile"),
    ("efficientnet_b4", "19M", "maximum accuracy"),
    ("convnext_base", "89M", "maximum accuracy"),
    ("vit_b_16", "86M", "research and large data"),
)
"""(architecture, parameters, use)."""


def family_of(module: str) -> FamilyFact | None:
    """The family that a module of torchvision or timm belongs to, if it is one of `FAMILIES`."""
    return next((family for family in FAMILIES if module in family.modules), None)
