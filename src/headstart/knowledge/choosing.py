"""Facts behind the choice of a strategy: thresholds, domains and costs of training, as typed tables.

The advisor, the explorers and the guide read these tables; the rules themselves are in `advice.rules.RULES`.
Numbers are the field's usual ones unless a line says that they are an estimate or an assumption of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from headstart.knowledge.domain import Domain
from headstart.knowledge.transfer import DEPTH_FACTS, DepthFact

SimilarityLevel = Literal["low", "medium", "high"]
"""Similarity of the images to those the weights were trained on."""

LOW_SIMILARITY_BELOW = 1 / 3
HIGH_SIMILARITY_FROM = 2 / 3


def similarity_level(value: float) -> SimilarityLevel:
    """Level of a similarity in 0..1, by thirds.

    Raises:
        ValueError: outside 0..1.
    """
    if not 0 <= value <= 1:
        raise ValueError(f"similarity {value} must be in 0..1")
    if value < LOW_SIMILARITY_BELOW:
        return "low"
    return "high" if value >= HIGH_SIMILARITY_FROM else "medium"


FEW_PER_CLASS = 10
"""Below this number of images of a class there are too few to fine-tune on."""
TUNABLE_IMAGES = 500
"""Below this a tuned network was not measured to beat a linear probe (Kornblith et al. 2019: 47 to 800 images)."""
FEW_IMAGES = 5_000
"""Below this frozen features are hard to beat where the domain is similar."""
MANY_IMAGES = 50_000
"""From here on every layer can be trained without losing what it has learned."""
SCRATCH_IMAGES = 100_000
"""From here on random weights are worth a comparison."""
UNLABELLED_IMAGES = 10_000
"""From here on there are enough images for self-supervised pretraining."""
TINY_PIXELS = 96
"""Images with shorter sides below this gain nothing from a large input."""
TINY_INPUT_PIXELS = 128
"""Crop of BiT for tiny images (Kolesnikov et al. 2020)."""
LARGER_INPUT_PIXELS = 320
"""For images from above, whose objects are a few pixels wide."""


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """Accuracy of one strategy in the published exercise."""

    strategy: str
    accuracy: float
    """On test images, mean over the seeds, 0..1."""
    accuracy_interval: tuple[float, float]
    """95 %, over images and seeds."""


MEASURED: tuple[StrategyResult, ...] = (
    StrategyResult("feature_extraction", 0.726, (0.713, 0.739)),
    StrategyResult("gradual", 0.733, (0.705, 0.763)),
    StrategyResult("discriminative", 0.784, (0.768, 0.801)),
    StrategyResult("probe_then_tune", 0.844, (0.833, 0.855)),
)
"""Exercise 2: 1,000 labelled CIFAR-10 images, 2,000 test images, three seeds, EfficientNet-Lite2 at 160 px.

A test keeps these numbers equal to the table in docs/exercises.md.
"""

MEASURED_SOURCE = "docs/exercises.md, exercise 2"

_REACHED = {result.strategy: f"{result.accuracy:.3f}" for result in MEASURED}
STEPS_MEASURED = (
    "the literature's rule leaves fewer than 500 images to a linear probe (Kornblith et al. 2019); measured here, the "
    "last stages gained 6 to 7 points over the probe on three sets as small, and on a fourth the probe stayed selected"
)
"""The end of a sentence about `progressive`."""
STEPS_SOURCE = "docs/guide/progressive.md"

NEVER_ADVISED: dict[str, str] = {
    "gradual": "the textbooks' careful method (Howard & Ruder 2018, for text), but on a thousand CIFAR-10 images it "
    f"reached {_REACHED['gradual']}, tied with frozen features ({_REACHED['feature_extraction']}) and far below "
    f"probe_then_tune ({_REACHED['probe_then_tune']}) ({MEASURED_SOURCE})",
    "discriminative": "the textbooks' method for similar domains (Howard & Ruder 2018, for text), but on a thousand "
    f"CIFAR-10 images it reached {_REACHED['discriminative']}, and probe_then_tune {_REACHED['probe_then_tune']} in "
    f"less time ({MEASURED_SOURCE})",
}
"""Strategy -> why the advice never names it although textbooks do: the literature's rule and what was measured."""

RULE_OF_THUMB = "rule of thumb of teaching material"
"""Source of numbers that no paper has measured."""


@dataclass(frozen=True, slots=True)
class RouteFact:
    """Usual cost of training from scratch or by transfer learning."""

    name: str
    labelled_images: tuple[int, int | None]
    """From, to; None: and more."""
    time: str
    usd: tuple[int, int]
    """Of GPU time, from, to; the upper end of from scratch is open."""
    risk: Literal["low", "high"]
    note: str


FROM_SCRATCH = RouteFact(
    "from scratch", (SCRATCH_IMAGES, None), "days to weeks", (100, 1000), "high", "final accuracy unknown until trained"
)
TRANSFER = RouteFact(
    "transfer", (1_000, 10_000), "hours", (5, 50), "low", "a strong baseline at once: the linear probe"
)


@dataclass(frozen=True, slots=True)
class DomainFact:
    """How far a domain is from ImageNet's photos, and what follows from it."""

    name: Domain
    gap: Literal["unknown", "moderate", "large"]
    similarity: SimilarityLevel | None
    """Similarity where it was not measured; None: everything from low to high occurs."""
    transfer_exponent: float
    """The domain's transfer shares are `DEPTH_FACTS` raised to this power: an estimate of ours that leaves early layers
    nearly unchanged and lowers late ones most; `headstart probe` measures it."""
    usual_images: str
    advice: str
    weights: str
    """Weights of the domain that are published; empty: ImageNet's are the usual ones."""
    source: str


DOMAIN_FACTS: dict[Domain, DomainFact] = {
    "photo": DomainFact(
        "photo",
        "unknown",
        None,
        1.0,
        "any",
        "photos of everyday things are what ImageNet is; industrial or microscopic ones are not",
        "",
        RULE_OF_THUMB,
    ),
    "medical": DomainFact(
        "medical",
        "moderate",
        "medium",
        1.5,
        "hundreds to low thousands",
        "textbooks advise feature extraction or careful gradual unfreezing; measured here, tuning from the linear "
        "probe does better than gradual unfreezing; grey becomes three equal channels, with the statistics of the "
        "weights; strong augmentation, without mirroring where sides mean something; dropout of 0.5 or more in a "
        "trained head; consider CLAHE",
        "RadImageNet (Mei et al. 2022), CheXNet-style DenseNet-121 (Rajpurkar et al. 2017), torchxrayvision (Cohen et "
        "al. 2022)",
        f"{RULE_OF_THUMB}; Raghu et al. 2019 found that reuse sits in the lowest layers and that transfer gains little "
        "on large sets",
    ),
    "satellite": DomainFact(
        "satellite",
        "moderate",
        "medium",
        1.5,
        "thousands",
        "partial fine-tuning, larger inputs, more than three channels where there are infrared or other bands",
        "Sentinel-2 weights of torchgeo (Stewart et al. 2022; SSL4EO-S12, Wang et al. 2023)",
        f"{RULE_OF_THUMB}; Stewart et al. 2022 for the weights",
    ),
    "document": DomainFact(
        "document",
        "large",
        "low",
        2.5,
        "any",
        "feature extraction may do badly: tune every layer; keep binary or grey input in the weights' own "
        "normalisation",
        "DiT, pretrained on 42 million pages (Li et al. 2022)",
        f"{RULE_OF_THUMB}; Li et al. 2022 tune every layer",
    ),
    "industrial": DomainFact(
        "industrial",
        "moderate",
        "medium",
        1.5,
        "hundreds to low thousands",
        "the linear probe first: textures lie in early and middle layers, so a multi_depth head is worth a try; grey "
        "becomes three equal channels; defects are often a few pixels wide, so larger inputs or tiles help",
        "",
        "an estimate: no source measures it for all such images; headstart probe does for yours",
    ),
}
"""By name of the domain."""

LARGE_GAP_ADVICE = (
    "transfer first, as the baseline; then weights of the domain, self-supervised pretraining on unlabelled images of "
    "it, or from scratch with more images"
)


def depths_in(domain: Domain) -> tuple[DepthFact, ...]:
    """`DEPTH_FACTS` with the transfer shares of a domain; an estimate for all but photos (`transfer_exponent`)."""
    power = DOMAIN_FACTS[domain].transfer_exponent
    return with_shares(tuple(round(fact.transfer_share**power, 3) for fact in DEPTH_FACTS))


def with_shares(shares: tuple[float, ...]) -> tuple[DepthFact, ...]:
    """`DEPTH_FACTS` with other transfer shares, stem to last stage: the user's own, or measured ones.

    Raises:
        ValueError: not four shares, or one outside 0..1.
    """
    if len(shares) != len(DEPTH_FACTS) or not all(0 <= share <= 1 for share in shares):
        raise ValueError(f"transfer shares {shares} must be {len(DEPTH_FACTS)} numbers in 0..1, stem to last stage")
    return tuple(replace(fact, transfer_share=share) for fact, share in zip(DEPTH_FACTS, shares, strict=True))


@dataclass(frozen=True, slots=True)
class RentedMachine:
    """Cost of an hour of a rented machine: an assumption, because it changes."""

    machine: str
    cores: int
    usd_per_hour: float
    source: str


CLOUD_CPU = RentedMachine(
    "2 vCPUs of a cloud", 2, 0.085, "assumed: list price per hour of AWS c6i.large, us-east-1, 2025"
)
CLOUD_GPU = RentedMachine(
    "a cloud machine with one A10G", 4, 1.006, "assumed: list price per hour of AWS g5.xlarge, us-east-1, 2025"
)
