"""Which of many pretrained networks are worth training on a user's images, and how far the scores that say so agree.

The order is that of a cross-validated ridge probe on frozen features, found by successive halving on images. LogME, the
H-score, nearest neighbours and the fixed order of ImageNet accuracy stand beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from headstart.advice.shortlist.halving import (
    Difference,
    Features,
    Judged,
    Labels,
    difference,
    judge_features,
    ranked,
    round_sizes,
    who_stays,
)
from headstart.amounts import count_text
from headstart.errors import MissingExtraError, ModelError
from headstart.measures.agreement import Agreement, agreement_sentences, agreements
from headstart.measures.intervals import Together
from headstart.networks.cards.catalog import ModelChoice

FeaturesOf: TypeAlias = Callable[["Candidate", int], Features]
"""(network, images) -> (images, F) of the first so many images; raises what `shortlist_of` skips a network for."""

PROBE, IMAGENET = "ridge probe", "ImageNet accuracy"
"""Judges: whose order is the answer, and the one that never looks at the images."""
KEPT = 3
"""Networks on the list where nobody said how many."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network that may be on the list, with what its card says."""

    name: str
    imagenet_top1: float | None
    """Percent, as published."""
    parameters: int
    gmacs: float | None
    cpu_images_per_second: float | None
    weights: str = "published"
    """published, or own file: the accuracy is then that of the architecture's published weights."""

    @classmethod
    def of(cls, choice: ModelChoice) -> Candidate:
        """From a model name understood."""
        card = choice.card
        return cls(
            choice.name,
            card.imagenet_top1,
            card.parameters,
            card.gmacs,
            card.cpu_images_per_second,
            "published" if choice.file is None else "own file",
        )

    @property
    def cost(self) -> tuple[float, int]:
        """What to sort by: operations for an image, then parameters."""
        return (float("inf") if self.gmacs is None else self.gmacs, self.parameters)


@dataclass(frozen=True, slots=True)
class Round:
    """All networks that were left, on so many images."""

    images: int
    judged: tuple[Judged, ...]
    """Best first."""
    agreements: tuple[Agreement, ...]
    left: tuple[str, ...] = ()
    """Networks that were not asked again, best first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "images": self.images,
            "scores": {one.model: one.to_dict() for one in self.judged},
            "agreement": [each.to_dict() for each in self.agreements],
            "left": list(self.left),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """A network in the final order, as it was judged in its last round."""

    candidate: Candidate
    judged: Judged
    images: int
    """On which it was judged last; networks with different numbers are ordered by these first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        card = self.candidate
        return {
            "model": card.name,
            "images": self.images,
            **self.judged.to_dict(),
            "imagenet_top1": card.imagenet_top1,
            "parameters": card.parameters,
            "gmacs": card.gmacs,
            "cpu_images_per_second": card.cpu_images_per_second,
            "weights": card.weights,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Shortlist:
    """Networks worth training on a set of images, best first."""

    source: str
    """DATA."""
    classes: tuple[str, ...]
    ranking: tuple[Place, ...]
    """Every network that could be asked, best first."""
    keep: int
    rounds: tuple[Round, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    """Network -> why it could not be asked."""
    warnings: tuple[str, ...] = ()
    """What these scores cannot tell, and what to mind here."""
    figures: dict[str, Any] = field(default_factory=dict)
    """Seconds, rows computed and found, groups, seed: whatever who ran it counted."""

    @property
    def models(self) -> tuple[str, ...]:
        """The list itself, best first."""
        return tuple(place.candidate.name for place in self.ranking[: self.keep])

    @property
    def first_two(self) -> Difference | None:
        """The first less the second; None where only one was judged on all images."""
        finalists = self._finalists
        return difference(finalists[0].judged, finalists[1].judged) if len(finalists) > 1 else None

    @property
    def tied(self) -> tuple[str, ...]:
        """Networks that cannot be told from the first on these images, the first among them."""
        first = self.ranking[0].judged
        return tuple(p.candidate.name for p in self._finalists if difference(first, p.judged).is_tie)

    @property
    def cheapest_tied(self) -> str:
        """Of those, the one that takes the fewest operations for an image."""
        tied = set(self.tied)
        return min((p.candidate for p in self.ranking if p.candidate.name in tied), key=lambda one: one.cost).name

    @property
    def agreement(self) -> list[str]:
        """How far the scores agree, in words: on the most images, and on those that all networks were asked about."""
        said = agreement_sentences(self.rounds[-1].agreements, judge=PROBE, images=self.rounds[-1].images)
        first = self.rounds[0]
        if len(first.judged) > len(self.rounds[-1].judged):
            everybody = agreement_sentences(first.agreements, judge=PROBE, images=first.images)
            said.append(f"all {len(first.judged)} networks: {everybody[0]}")
        return said

    @property
    def _finalists(self) -> list[Place]:
        return [place for place in self.ranking if place.images == self.ranking[0].images]

    def __repr__(self) -> str:
        networks = count_text(len(self.ranking), "network")
        return f"Shortlist({', '.join(self.models)}; {networks} on {count_text(self.rounds[-1].images, 'image')})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        two = self.first_two
        return {
            "source": self.source,
            "classes": list(self.classes),
            "shortlist": list(self.models),
            "ranking": [place.to_dict() for place in self.ranking],
            "first_two": None if two is None else two.to_dict(),
            "tied_with_first": list(self.tied),
            "cheapest_tied": self.cheapest_tied,
            "agreement": self.agreement,
            "rounds": [each.to_dict() for each in self.rounds],
            "skipped": self.skipped,
            "warnings": list(self.warnings),
            **self.figures,
        }


def halve(
    candidates: Sequence[Candidate],
    features_of: FeaturesOf,
    labels_N: Labels,  # noqa: N803 - shapes
    together_N: Together,  # noqa: N803
    folds_of: Callable[[int], Labels],
    *,
    num_classes: int,
    keep: int,
    on_round: Callable[[Sequence[Candidate], int], object] = lambda left, images: None,
) -> tuple[tuple[Round, ...], dict[str, str]]:
    """Ask all networks on a few images, the better ones on more, until `keep` or all images are reached.

    Args:
        candidates: With different names.
        features_of: Asked in every round for the networks that are left.
        labels_N: Class of each image, 0..K-1, in the order in which rounds take them.
        together_N: Number of the group of each, at least two of them. A round that would hold one is left out.
        folds_of: Number of images -> fold of each of the first so many.
        num_classes: K.
        keep: Once no more are left, the rounds in between are left out.
        on_round: Told who is asked about how many images.

    Returns:
        Rounds in order, the last on all images, and the networks that could not be had with the reason.

    Raises:
        ModelError: not one of them could be had.
    """
    sizes = [size for size in round_sizes(len(labels_N), num_classes) if len(np.unique(together_N[:size])) > 1]
    left, rounds = list(candidates), []
    skipped: dict[str, str] = {}
    position = 0 if len(left) > keep else len(sizes) - 1
    while left:
        images, is_last = sizes[position], position == len(sizes) - 1
        on_round(left, images)
        folds, judged = folds_of(images), []
        for candidate in left:
            try:
                rows = features_of(candidate, images)
            except (ModelError, MissingExtraError) as error:
                skipped[candidate.name] = str(error)
                continue
            name, labels, together = candidate.name, labels_N[:images], together_N[:images]
            judged.append(judge_features(name, rows, labels, folds, together, num_classes=num_classes))
        left = [one for one in left if one.name not in skipped]
        if judged:
            stay = [one.name for one in left] if is_last else who_stays(judged, keep=keep)
            rounds.append(_round(left, judged, images, stay))
            if is_last:
                return tuple(rounds), skipped
            left = [one for one in left if one.name in stay]
            position = position + 1 if len(left) > keep else len(sizes) - 1
    reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
    raise ModelError(f"none of {len(candidates)} networks can be had ({reasons})", remedy="name others with --models")


def _round(left: Sequence[Candidate], judged: Sequence[Judged], images: int, stay: Sequence[str]) -> Round:
    order = ranked(judged)
    out = tuple(one.model for one in order if one.model not in stay)
    return Round(images, tuple(order), agreements(scores_of(left, judged)), out)


def scores_of(candidates: Sequence[Candidate], judged: Sequence[Judged]) -> dict[str, Mapping[str, float | None]]:
    """Judge -> network -> score, higher is better."""
    return {
        PROBE: {one.model: -one.log_loss for one in judged},
        "LogME": {one.model: one.log_me for one in judged},
        "H-score": {one.model: one.h_score for one in judged},
        "kNN": {one.model: one.knn_accuracy for one in judged},
        IMAGENET: {one.name: one.imagenet_top1 for one in candidates},
    }


def places(candidates: Sequence[Candidate], rounds: Sequence[Round]) -> tuple[Place, ...]:
    """The final order: by the last round a network was in, then by its loss there."""
    by_name = {one.name: one for one in candidates}
    found: dict[str, Place] = {}
    for each in rounds:
        found |= {one.model: Place(by_name[one.model], one, each.images) for one in each.judged}
    return tuple(sorted(found.values(), key=lambda p: (-p.images, p.judged.log_loss, p.candidate.name)))
