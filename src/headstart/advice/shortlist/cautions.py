"""Limits of scores on frozen features, and warnings about one shortlist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.advice.shortlist.ranking import RankedNetwork

_MOST_NAMED = 5
"""Number of classes that a sentence names."""
WIDE_INTERVAL = 0.05
"""Half width of an accuracy interval from which a warning asks for more images."""

ALWAYS = (
    "only frozen features were evaluated, not fine-tuning: over 16 networks ImageNet accuracy went with "
    "transfer at r = 0.99 frozen and 0.96 tuned, and training with label smoothing spoils features that tune as well "
    "[Kornblith et al. 2019]",
    "no such score is best everywhere [Agostinelli et al. 2022], and the fixed ImageNet order is hard to beat: over "
    "10 networks and 8 sets its tau with accuracy after fine-tuning was 0.71, LogME's 0.59, the H-score's 0.58 "
    "[TLlib's tables]",
    "so train all networks of the list, not the first alone: in the same tables the first by LogME cost 0.4 points of "
    "accuracy and the first by ImageNet 0.8, the best of the first three of either none",
)
"""Sentences of every shortlist."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Facts about the images that the scores do not show."""

    grouping: Literal["named", "unknown"]
    """named: images that belong together are known, from --group or the source."""
    notes: tuple[str, ...] = ()
    """Further sentences, such as images that were left out."""
    unlearned: tuple[str, ...] = ()
    """Classes whose images lie in one group, so that no fold trains on the class it is validated on."""


def cautions(ranking: Sequence[RankedNetwork], *, keep: int, circumstances: Circumstances) -> tuple[str, ...]:
    """Warnings for the user, those about this list first."""
    kept = ranking[:keep]
    said = [*circumstances.notes, *_of_unlearned(circumstances.unlearned)]
    said += [*_of_images(ranking[0]), *_of_imagenet(ranking, kept)]
    if circumstances.grouping == "unknown":
        said.append(
            "no groups are known: if several images show one patient, scene or page, give --group, else networks that "
            "recognise the patient, scene or page seem better than they are, and intervals are too narrow"
        )
    return (*said, *ALWAYS)


def _of_unlearned(classes: Sequence[str]) -> list[str]:
    if not classes:
        return []
    named = ", ".join(map(repr, classes[:_MOST_NAMED])) + (", ..." if len(classes) > _MOST_NAMED else "")
    one, whose = ("class", "lies in a single group") if len(classes) == 1 else ("classes", "lie in a single group each")
    return [
        f"{one} {named} {whose}, so no fold trains on what it is validated on, and every network misclassifies it;"
        "  add images of other groups, or loosen --group (or the column group)"
    ]


def _of_images(first: RankedNetwork) -> list[str]:
    low, high = first.scores.accuracy_interval
    if (high - low) / 2 < WIDE_INTERVAL:
        return []
    return [
        f"on {first.images:,} images the first one's accuracy of {first.scores.accuracy:.2f} is known to "
        f"{low:.2f}..{high:.2f} only: more labelled images, of further groups, would narrow it"
    ]


def _of_imagenet(ranking: Sequence[RankedNetwork], kept: Sequence[RankedNetwork]) -> list[str]:
    """Warning if the network with the best ImageNet accuracy is not on the list."""
    said = []
    known = [place.candidate for place in ranking if place.candidate.imagenet_top1 is not None]
    best = max(known, key=lambda one: (one.imagenet_top1 or 0.0, one.name), default=None)
    if best is not None and best.name not in {place.candidate.name for place in kept}:
        said.append(
            f"{best.name} has the highest ImageNet accuracy of all candidates ({best.imagenet_top1:.1f} %) and is "
            "not on the list: train it too, for probe and ImageNet order together had less regret than either "
            "[Renggli et al. 2022]"
        )
    own = [place.candidate.name for place in ranking if place.candidate.weights == "own file"]
    if own:
        said.append(f"the ImageNet accuracy of {', '.join(own)} is that of the published weights, not of the file")
    return said
