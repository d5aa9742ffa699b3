"""Ranking of pretrained networks by how well their features suit a user's images, and the agreement of several scores.

Networks are ranked by a cross-validated ridge probe on frozen features, with successive halving on images. LogME, the
H-score, nearest neighbours and the fixed order of ImageNet accuracy are reported next to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

import numpy as np

from headstart.advice.shortlist.halving import (
    FeatureArray,
    LabelArray,
    NetworkScores,
    ScoreDifference,
    difference,
    ranked,
    remaining_networks,
    round_sizes,
    score_features,
)
from headstart.amounts import count_text
from headstart.errors import MissingExtraError, ModelError
from headstart.input_spec import ChannelMethod
from headstart.measures.agreement import Agreement, agreement_sentences, agreements
from headstart.measures.intervals import Together
from headstart.networks.cards.catalog import ModelChoice

FeaturesOf: TypeAlias = Callable[["ShortlistCandidate", int], FeatureArray]
"""(network, number) -> (number, F) features of the first images; errors skip the network."""

PROBE, IMAGENET = "ridge probe", "ImageNet accuracy"
"""Names of the score that ranks, and of the one that is the same for all images."""
USUAL_LENGTH = 3
"""Length of the list by default."""


@dataclass(frozen=True, slots=True)
class ShortlistCandidate:
    """Candidate network with the facts of its card."""

    name: str
    imagenet_top1: float | None
    """Percent, as published."""
    parameters: int
    gmacs: float | None
    cpu_images_per_second: float | None
    weights: str = "published"
    """published, or own file: the accuracy is then that of the architecture's published weights."""

    @classmethod
    def of(cls, choice: ModelChoice) -> ShortlistCandidate:
        """Candidate of a parsed model name."""
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
        """Key to sort by: MACs of an image, then parameters."""
        return (float("inf") if self.gmacs is None else self.gmacs, self.parameters)


@dataclass(frozen=True, slots=True)
class HalvingRound:
    """One round of successive halving: scores of the remaining networks."""

    images: int
    scores: tuple[NetworkScores, ...]
    """Best first."""
    agreements: tuple[Agreement, ...]
    dropped: tuple[str, ...] = ()
    """Networks that this round dropped, best first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "images": self.images,
            "scores": {one.model: one.to_dict() for one in self.scores},
            "agreement": [each.to_dict() for each in self.agreements],
            "dropped": list(self.dropped),
        }


@dataclass(frozen=True, slots=True)
class RankedNetwork:
    """A network in the final ranking, with the scores of its last round."""

    candidate: ShortlistCandidate
    scores: NetworkScores
    images: int
    """Number of images of its last round, by which networks are ordered first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        card = self.candidate
        return {
            "model": card.name,
            "images": self.images,
            **self.scores.to_dict(),
            "imagenet_top1": card.imagenet_top1,
            "parameters": card.parameters,
            "gmacs": card.gmacs,
            "cpu_images_per_second": card.cpu_images_per_second,
            "weights": card.weights,
        }


@dataclass(frozen=True, slots=True)
class ShortlistFigures:
    """Counts of a shortlist, and how long it took."""

    images: int = 0
    """Images of the last round."""
    training_images: int = 0
    """Images that `train` would train on; rounds are drawn from them."""
    tested_on: str = ""
    """The test set, which is not read, in words."""
    groups: int = 0
    """Groups of the images of the last round."""
    seed: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    """Image id -> reason why it was left out."""
    computed: int = 0
    """Rows of features that were not cached."""
    stored_before: int = 0
    store: str = ""
    """Folder of the cache."""
    seconds: float = 0.0
    channels_by: ChannelMethod | None = None
    """How the bands of the images reach the networks; None: they have their channels."""


@dataclass(frozen=True, slots=True, repr=False)
class Shortlist:
    """Networks worth training on a set of images, best first."""

    source: str
    """DATA."""
    classes: tuple[str, ...]
    ranking: tuple[RankedNetwork, ...]
    """All networks that could be run, best first."""
    keep: int
    rounds: tuple[HalvingRound, ...]
    skipped: dict[str, str] = field(default_factory=dict)
    """Network -> reason why it could not be run."""
    warnings: tuple[str, ...] = ()
    """Limits of these scores, and warnings about this list."""
    figures: ShortlistFigures = field(default_factory=ShortlistFigures)

    @property
    def models(self) -> tuple[str, ...]:
        """Names on the list, best first."""
        return tuple(place.candidate.name for place in self.ranking[: self.keep])

    @property
    def first_two(self) -> ScoreDifference | None:
        """Difference of the first two; None if only one was evaluated on all images."""
        finalists = self._finalists
        return difference(finalists[0].scores, finalists[1].scores) if len(finalists) > 1 else None

    @property
    def tied(self) -> tuple[str, ...]:
        """Networks that tie with the first, the first included."""
        first = self.ranking[0].scores
        return tuple(p.candidate.name for p in self._finalists if difference(first, p.scores).is_tie)

    @property
    def cheapest_tied(self) -> str:
        """Tied network with the fewest MACs of an image."""
        tied = set(self.tied)
        return min((p.candidate for p in self.ranking if p.candidate.name in tied), key=lambda one: one.cost).name

    @property
    def agreement(self) -> list[str]:
        """Agreement of the scores, in words: in the last round, and in the first with all networks."""
        said = agreement_sentences(self.rounds[-1].agreements, reference=PROBE, images=self.rounds[-1].images)
        first = self.rounds[0]
        if len(first.scores) > len(self.rounds[-1].scores):
            everybody = agreement_sentences(first.agreements, reference=PROBE, images=first.images)
            said.append(f"all {len(first.scores)} networks: {everybody[0]}")
        return said

    @property
    def _finalists(self) -> list[RankedNetwork]:
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
            **asdict(self.figures),
        }


def run_halving(
    candidates: Sequence[ShortlistCandidate],
    features_of: FeaturesOf,
    labels_N: LabelArray,  # noqa: N803 - shapes
    together_N: Together,  # noqa: N803
    folds_of: Callable[[int], LabelArray],
    *,
    num_classes: int,
    keep: int,
    on_round: Callable[[Sequence[ShortlistCandidate], int], object] = lambda remaining, images: None,
) -> tuple[tuple[HalvingRound, ...], dict[str, str]]:
    """Rounds of successive halving: all networks on few images, the better half on more.

    Args:
        candidates: With different names.
        features_of: Called in every round for the remaining networks.
        labels_N: Class of each image, 0..K-1, in the order in which rounds take them.
        together_N: Number of the group of each, at least two. A round with a single group is skipped.
        folds_of: Number of images -> fold of each of the first so many.
        num_classes: K.
        keep: Once so few remain, the rounds in between are skipped.
        on_round: Called with the networks and the number of images of each round.

    Returns:
        Rounds in order, the last on all images, and the networks that could not be run with the reason.

    Raises:
        ModelError: none of them could be run.
    """
    sizes = [size for size in round_sizes(len(labels_N), num_classes) if len(np.unique(together_N[:size])) > 1]
    remaining, rounds = list(candidates), []
    skipped: dict[str, str] = {}
    position = 0 if len(remaining) > keep else len(sizes) - 1
    while remaining:
        images, is_last = sizes[position], position == len(sizes) - 1
        on_round(remaining, images)
        folds, scores = folds_of(images), []
        for candidate in remaining:
            try:
                rows = features_of(candidate, images)
            except (ModelError, MissingExtraError) as error:
                skipped[candidate.name] = str(error)
                continue
            name, labels, together = candidate.name, labels_N[:images], together_N[:images]
            scores.append(score_features(name, rows, labels, folds, together, num_classes=num_classes))
        remaining = [one for one in remaining if one.name not in skipped]
        if scores:
            stay = [one.name for one in remaining] if is_last else remaining_networks(scores, keep=keep)
            rounds.append(_round(remaining, scores, images, stay))
            if is_last:
                return tuple(rounds), skipped
            remaining = [one for one in remaining if one.name in stay]
            position = position + 1 if len(remaining) > keep else len(sizes) - 1
    reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
    raise ModelError(f"none of {len(candidates)} networks can be run ({reasons})", remedy="name others with --models")


def _round(
    remaining: Sequence[ShortlistCandidate], scores: Sequence[NetworkScores], images: int, stay: Sequence[str]
) -> HalvingRound:
    order = ranked(scores)
    out = tuple(one.model for one in order if one.model not in stay)
    return HalvingRound(images, tuple(order), agreements(scores_of(remaining, scores)), out)


def scores_of(
    candidates: Sequence[ShortlistCandidate], scores: Sequence[NetworkScores]
) -> dict[str, Mapping[str, float | None]]:
    """Name of the score -> network -> value, higher is better."""
    return {
        PROBE: {one.model: -one.log_loss for one in scores},
        "LogME": {one.model: one.log_me for one in scores},
        "H-score": {one.model: one.h_score for one in scores},
        "kNN": {one.model: one.knn_accuracy for one in scores},
        IMAGENET: {one.name: one.imagenet_top1 for one in candidates},
    }


def final_ranking(
    candidates: Sequence[ShortlistCandidate], rounds: Sequence[HalvingRound]
) -> tuple[RankedNetwork, ...]:
    """Final ranking: by the last round of a network, then by its log loss there."""
    by_name = {one.name: one for one in candidates}
    found: dict[str, RankedNetwork] = {}
    for each in rounds:
        found |= {one.model: RankedNetwork(by_name[one.model], one, each.images) for one in each.scores}
    return tuple(sorted(found.values(), key=lambda p: (-p.images, p.scores.log_loss, p.candidate.name)))
