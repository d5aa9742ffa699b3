"""A task before anything is trained: all facts that the rules use."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from headstart.engine.costs.training_cost import Hardware
from headstart.errors import PlanError
from headstart.knowledge.choosing import similarity_level
from headstart.knowledge.domain import SimilarityLevel
from headstart.knowledge.domains import DOMAINS
from headstart.plan.plan import Domain

DomainSimilarity = Literal["low", "medium", "high", "unknown"]
"""Similarity to the images of the weights, in the words of the rules."""


@dataclass(frozen=True, slots=True)
class Situation:
    """A task in numbers; every value may be given, counted or measured."""

    images: int
    """Labelled images of training and validation set, without the test set."""
    classes: int | None = None
    median_per_class: float | None = None
    """Images of the median class (of an even number the lower of the two in the middle): half of the classes or more
    have no more. None: `images` / `classes`, if that is known."""
    domain: Domain = "photo"
    domain_is: Literal["known", "unknown"] = "known"
    """unknown: it was not given and could not be recognised in the images; `domain` then only gives default values."""
    similarity: float | SimilarityLevel | None = None
    """To the images the weights were trained on, 0..1 or a word; None takes what is usual for the domain."""
    unlabelled: int = 0
    """Further images of the same domain without labels."""
    channels: int = 3
    """1 is grey; more than 3 are bands of a sensor."""
    resolution: int | None = None
    """Median of the images' shorter sides in pixels."""
    budget_seconds: float | None = None
    """Wall clock; None: not given; infinite: unlimited."""
    hardware: Hardware = field(default_factory=Hardware)

    def __post_init__(self) -> None:
        faults = [
            f"{name}: {value} must be >= {least}"
            for name, value, least in (
                ("images", self.images, 1),
                ("classes", self.classes, 2),
                ("unlabelled", self.unlabelled, 0),
                ("channels", self.channels, 1),
                ("resolution", self.resolution, 1),
                ("cores", self.hardware.cores, 1),
            )
            if value is not None and value < least
        ]
        if self.domain not in get_args(Domain):
            faults.append(f"domain: {self.domain!r} must be one of {', '.join(get_args(Domain))}")
        if isinstance(self.similarity, str):
            if self.similarity not in get_args(SimilarityLevel):
                faults.append(f"similarity: {self.similarity!r} must be low, medium, high or a number in 0..1")
        elif self.similarity is not None and not 0 <= self.similarity <= 1:
            faults.append(f"similarity: {self.similarity} must be in 0..1")
        if self.budget_seconds is not None and not self.budget_seconds > 0:
            faults.append(f"budget: {self.budget_seconds} s must be > 0")
        if self.classes is not None and self.classes > self.images:
            faults.append(f"classes: {self.classes} must be <= images {self.images}, at least one image each")
        if faults:
            raise PlanError(faults, source="the situation")

    @property
    def images_per_class(self) -> float | None:
        """Of the median class if that is known, else the mean: a single rare class decides nothing."""
        if self.median_per_class is not None:
            return self.median_per_class
        return None if self.classes is None else self.images / self.classes

    @property
    def domain_similarity(self) -> DomainSimilarity:
        """The given or measured similarity as a word, else what is usual for the domain, else unknown."""
        if self.similarity is None:
            return DOMAINS[self.domain].similarity or "unknown"
        if isinstance(self.similarity, str):
            return self.similarity
        return similarity_level(self.similarity)

    @property
    def seconds_allowed(self) -> float:
        """The budget; infinite where none was given."""
        return math.inf if self.budget_seconds is None else self.budget_seconds
