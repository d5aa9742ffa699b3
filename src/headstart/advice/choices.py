"""Choices that follow from the strategy: input size, augmentation, BatchNorm, further steps; pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headstart.advice.rules import UNFREEZING
from headstart.advice.situation import Situation
from headstart.amounts import count_text, duration_text
from headstart.knowledge.choosing import (
    FEW_IMAGES,
    LARGE_GAP_ADVICE,
    SCRATCH_IMAGES,
    TINY_INPUT_PIXELS,
    TINY_PIXELS,
    UNLABELLED_IMAGES,
)
from headstart.knowledge.domain import RULE_OF_THUMB
from headstart.knowledge.domains import DOMAINS, FLIP_WARNING
from headstart.networks.cards.catalog import ModelCard
from headstart.plan.image_counts import FEW_TRAINING_IMAGES
from headstart.plan.plan import AugmentationPlan, BatchNormPolicy, Requirement


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason for one value of the plan, with its source."""

    path: str
    reason: str
    source: str

    @property
    def sentence(self) -> str:
        """Reason and source in one, as a plan keeps it."""
        return self.reason if self.source in self.reason else f"{self.reason} [{self.source}]"


@dataclass(frozen=True, slots=True)
class NextStep:
    """A step next to the training that the plan describes."""

    name: str
    when: Literal["before", "after", "consider"]
    """before: the plan requires it. after: to compare with. consider: may help."""
    text: str
    source: str


def input_size(situation: Situation, strategy: str, card: ModelCard) -> tuple[int | None, Reason]:
    """Side of the input in pixels, None for the weights' own, and why."""
    own, resolution = card.input.size, situation.resolution
    if card.sizes == "fixed":
        return None, Reason("input.size", f"{own} px: these weights accept no other size", "the weights' card")
    tunes_all = UNFREEZING.index(strategy) >= UNFREEZING.index("discriminative")
    if strategy == "progressive" and situation.images < FEW_TRAINING_IMAGES:
        tunes_all = False  # of so few images its steps are seldom selected
    if resolution is not None and resolution < TINY_PIXELS and tunes_all and own > TINY_INPUT_PIXELS:
        return TINY_INPUT_PIXELS, Reason(
            "input.size",
            f"the images' shorter sides are {resolution} px (fewer than {TINY_PIXELS}): {TINY_INPUT_PIXELS} px show "
            "all details, and every layer adapts to them; a third of the work of 224",
            "Kolesnikov et al. 2020",
        )
    domain = DOMAINS[situation.domain]
    if (there := domain.larger_input(resolution)) is not None and there > own:
        return there, Reason(
            "input.size",
            f"{there} px, larger than the weights' own {own}: {domain.input_reason}",
            f"{RULE_OF_THUMB}; Corley et al. 2023 gained 11 points by enlarging 64 px tiles to the weights' size",
        )
    return None, Reason(
        "input.size",
        f"{own} px: the size these weights were trained at; they would have to adapt to another",
        "the weights' card",
    )


def augmentation(situation: Situation, strategy: str) -> tuple[AugmentationPlan, tuple[Reason, ...]]:
    """The augmentation of training views, and the reasons for it."""
    domain = DOMAINS[situation.domain]
    preset, why, source = domain.augmentation, domain.augmentation_reason, "headstart.knowledge.domains"
    if strategy == "feature_extraction":
        why = f"{why}; a linear probe is fitted on one plain view of each image, so augmentation is not used here"
    elif domain.few_images_augmentation is not None and situation.images < FEW_IMAGES:
        preset = domain.few_images_augmentation
        source = f"{RULE_OF_THUMB}; Shorten & Khoshgoftaar 2019 survey augmentations"
        why = f"fewer than {FEW_IMAGES:,} {domain.name} images: {domain.few_images_reason}"
    flip_why = domain.flip_reason
    if situation.domain_is == "unknown":
        why = "the values of photos, because the domain is unknown"
        flip_why = f"{domain.flip}, as for photos, because the domain is unknown: {FLIP_WARNING}"
    flip = Reason("augmentation.flip", flip_why, "headstart.knowledge.domains")
    return AugmentationPlan(preset=preset, flip=domain.flip), (Reason("augmentation.preset", why, source), flip)


def batch_norm_policy(situation: Situation, strategy: str) -> tuple[BatchNormPolicy, str, str] | None:
    """(policy, reason, source) where it is not the strategy's own; None leaves that."""
    if strategy != "full" or situation.domain_similarity != "low" or situation.images < FEW_IMAGES:
        return None
    return (
        "train",
        f"the statistics of photos do not suit images so unlike them, and {FEW_IMAGES:,} images or more are enough to "
        "estimate their own",
        "Li et al. 2017 (AdaBN)",
    )


def steps(
    situation: Situation, *, pretraining_seconds: float, training_seconds: float
) -> tuple[tuple[NextStep, ...], tuple[Requirement, ...]]:
    """Further steps, and those that the plan requires.

    Args:
        situation: Facts of the task.
        pretraining_seconds: Estimate of self-supervised pretraining on all unlabelled images.
        training_seconds: Estimate of the training itself.
    """
    found: list[NextStep] = []
    requires: list[Requirement] = []
    fact = DOMAINS[situation.domain]
    if situation.channels not in (1, 3):
        requires.append("channel_adaptation")
        text = (
            f"training brings {situation.channels} bands to the three channels of the weights, in the way that a probe "
            "on the training images finds best"
        )
        found.append(NextStep("channel_adaptation", "before", text, "docs/guide/channels.md"))
    if situation.domain_similarity == "low" and situation.unlabelled >= UNLABELLED_IMAGES:
        fits = pretraining_seconds + training_seconds <= situation.seconds_allowed
        text = (
            f"pretrain on {count_text(situation.unlabelled, 'unlabelled image')} of the domain, starting from the "
            f"ImageNet weights (headstart pretrain; about {duration_text(pretraining_seconds)} here), then train "
            "from the result"
        )
        if fits:
            requires.append("self_supervised_pretraining")
        else:
            text += f"; more than the budget of {duration_text(situation.seconds_allowed)}, so the plan leaves it out"
        when: Literal["before", "consider"] = "before" if fits else "consider"
        found.append(NextStep("self_supervised_pretraining", when, text, "Chen & He 2021; Azizi et al. 2021"))
    if fact.weights:
        text = f"weights of the domain instead of ImageNet's: {fact.weights_text}; docs/guide/domains.md says how they "
        text += "come; use them where headstart probe finds them better on your images"
        found.append(NextStep("domain_weights", "consider", text, fact.source))
    if fact.contrast_reason:
        text = f"contrast equalised by regions, on all images alike (--contrast clahe): {fact.contrast_reason}"
        found.append(NextStep("clahe", "consider", text, "Pizer et al. 1987"))
    if situation.domain_similarity == "low" and situation.images >= SCRATCH_IMAGES:
        text = (
            f"compare with scratch: {situation.images:,} images and a large gap are where random weights may catch up"
        )
        found.append(NextStep("compare_with_scratch", "after", text, "He et al. 2019 (object detection)"))
    if situation.domain_similarity == "low":
        text = f"if the result is poor: {LARGE_GAP_ADVICE}"
        found.append(NextStep("if_the_result_is_poor", "after", text, RULE_OF_THUMB))
    return tuple(found), tuple(requires)
