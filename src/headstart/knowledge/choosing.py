"""Facts behind the choice of a strategy: thresholds and costs of training, as typed tables.

The advisor, the explorers and the guide read these tables; the rules themselves are in `advice.rules.RULES`,
values of domains in `knowledge.domains`.
Numbers are the field's usual ones unless a line says that they are an estimate or an assumption of ours.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from headstart.knowledge.domain import Domain, SimilarityLevel
from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.transfer import DEPTH_FACTS, DepthFact

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


LARGE_GAP_ADVICE = (
    "transfer first, as the baseline; then weights of the domain, self-supervised pretraining on unlabelled images of "
    "it, or from scratch with more images"
)


def depths_in(domain: Domain) -> tuple[DepthFact, ...]:
    """`DEPTH_FACTS` with the transfer shares of a domain; an estimate for all but photos (`transfer_exponent`)."""
    power = DOMAINS[domain].transfer_exponent
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
