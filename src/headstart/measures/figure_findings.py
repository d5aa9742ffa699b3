"""Findings about figures: validation far from test, gross overconfidence, classes without test images.

Pure functions of what was measured. A finding needs a difference beyond chance and a size that matters in practice, so
that healthy runs are silent; `benchmarks/interval_coverage.py` measures how often equal sets raise a false alarm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from headstart.amounts import counted_text
from headstart.arrays import Labels
from headstart.findings import Finding
from headstart.measures.figures import ClassFigures, Counted, Interval
from headstart.measures.intervals import (
    Together,
    chance_of_share_below,
    share_interval,
    unpaired_difference_interval,
)

DividedBy = Literal["user", "headstart"]

GAP, OVERCONFIDENCE, NO_TEST_IMAGES = "validation_test_gap", "overconfidence", "class_without_test_images"
"""Names of findings, as JSON has them."""

_GAP_LEVEL = 0.998
"""Of the interval that must leave out zero; the error is shared among the candidates that were chosen from."""
_LARGE_GAP = 0.05
"""Smaller differences of accuracy change no decision, even where they are beyond chance."""
_LARGE_GAIN = 0.10
"""The same where test is better."""
_USUAL_GAIN = 0.05
"""Test is better than validation by up to this without anything amiss: the final head learns from more images than
those that were judged out of fold or before the refit. Simulated with heads that are really fitted."""
_OVERCONFIDENCE_CHANCE = 0.005
"""Calibrated probabilities give an accuracy so low less often than this."""
_LARGE_OVERCONFIDENCE = 0.10
"""Mean confidence above accuracy; fine-tuned networks commonly are some five points too confident (Guo et al. 2017)."""
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Sample:
    """Predictions of one set of images."""

    name: str
    """`validation` or `test`."""
    place: str
    """Where the images are from, in words."""
    labels: Labels
    """(N,)."""
    correct: npt.NDArray[np.bool_]
    """(N,)."""
    together: Together
    """(N,) number of the group of each."""
    counted: Counted = "images"
    confidence: npt.NDArray[np.floating[Any]] | None = None
    """(N,) probability of the predicted class; None where an older checkpoint did not keep it."""
    log_loss: float | None = None
    """In nats, as the network says it."""

    @property
    def accuracy(self) -> float:
        """0..1."""
        return float(self.correct.mean())

    @property
    def counted_text(self) -> str:
        """`225 images of 160 groups`."""
        return counted_text(len(self.correct), self.counted, len(np.unique(self.together)))

    @property
    def accuracy_text(self) -> str:
        """`0.562 (95 % interval 0.510..0.613)`."""
        low, high = self.accuracy_interval
        return f"{self.accuracy:.3f} (95 % interval {low:.3f}..{high:.3f})"

    @property
    def accuracy_interval(self) -> Interval:
        """95 %."""
        return share_interval(self.correct, self.together)

    @property
    def groups(self) -> int | None:
        """How many groups or different files the interval counts; None where it counts images."""
        return None if self.counted == "images" else len(np.unique(self.together))

    @property
    def mean_confidence(self) -> float | None:
        """Mean probability of the predicted class, 0..1."""
        return None if self.confidence is None else float(self.confidence.mean())


def validation_gap(
    validation: Sample, test: Sample, *, candidates: int, num_classes: int, divided_by: DividedBy
) -> list[Finding]:
    """Say so where validation and test accuracy differ by more than chance and by a size that matters.

    The selected checkpoint is the best of several on the validation images, so its figure there flatters. The level is
    raised by their number (Bonferroni): whichever of them was chosen, equal sets differ so rarely.

    Args:
        validation: How the selected checkpoint did, on held-out images or out of fold.
        test: How the bundle did.
        candidates: From how many it was chosen.
        num_classes: K.
        divided_by: Who drew the test images; those that the user gave may differ from train in kind.
    """
    if len(validation.correct) < 2 or len(test.correct) < 2:
        return []
    # Bonferroni: the error of one interval is divided among the candidates, any of which may have been chosen.
    level = 1 - (1 - _GAP_LEVEL) / max(1, candidates)
    # Grouped images tell less than their number: the interval counts groups, and so does the finding.
    sides = (validation.correct, validation.together), (test.correct, test.together)
    low, high = unpaired_difference_interval(*sides, level=level)
    gap = validation.accuracy - test.accuracy
    # Better test figures need a larger gap than worse ones: the final head was fitted on more images than the validated
    # one.
    is_worse, is_better = low > 0 and gap >= _LARGE_GAP, high < -_USUAL_GAIN and gap <= -_LARGE_GAIN
    if not (is_worse or is_better):
        return []
    # Reported at the usual 95 %, although the decision was made at a stricter level.
    near, far = unpaired_difference_interval(*sides, level=0.95)
    direction = "below" if gap > 0 else "above"
    evidence = (
        f"test accuracy {test.accuracy:.3f} ({test.counted_text}, {test.place}) is {100 * abs(gap):.1f} points "
        f"{direction} validation accuracy {validation.accuracy:.3f} ({validation.counted_text}, {validation.place}); "
        f"95 % interval of the difference {100 * min(abs(near), abs(far)):.1f} to "
        f"{100 * max(abs(near), abs(far)):.1f} points, beyond chance"
    )
    causes = _causes(validation, test, gap, num_classes, divided_by)
    return [Finding("warning", GAP, evidence, f"trust the test figure; look at {'; '.join(causes)}")]


def _causes(validation: Sample, test: Sample, gap: float, num_classes: int, divided_by: DividedBy) -> list[str]:
    """Where to look, the likeliest first."""
    causes = []
    if (moved := _at_test_shares(validation, test, num_classes)) is not None:
        shares = "classes have other shares in test"
        # Causes the user can check come first; a shift in class shares is named only if it explains a quarter of the
        # gap.
        if abs(moved - validation.accuracy) >= 0.25 * abs(gap):
            shares += f": with those, validation accuracy would be {moved:.3f}"
            causes.append(shares)
    if gap < 0:
        return [*causes, "test images that are easier, or near duplicates of training images"]
    if divided_by == "user":
        causes.append("test images from another camera, place or time than the training images (drift)")
    if validation.counted == "groups":
        causes.append("groups that are too fine, so that like images lie on both sides of the validation split")
    else:
        causes.append("several images of one patient, scene or page in train (name them with --group)")
    return [*causes, "near duplicates in train"]


def _at_test_shares(validation: Sample, test: Sample, num_classes: int) -> float | None:
    """Validation accuracy if its classes had the shares of test; None where a class of test has no validation image."""
    there = np.bincount(validation.labels, minlength=num_classes)
    hits = np.bincount(validation.labels, weights=validation.correct, minlength=num_classes)
    shares = np.bincount(test.labels, minlength=num_classes) / len(test.labels)
    occurs = shares > 0
    if not there[occurs].all():
        return None
    # Reweighting by class shares separates a shift in class frequencies from a drop within classes.
    return float((shares[occurs] * hits[occurs] / there[occurs]).sum())


def overconfidence(samples: Sequence[Sample], *, num_classes: int) -> list[Finding]:
    """Say so where probabilities promise far more than the accuracy on any of the sets keeps.

    Mean confidence must lie ten points above the accuracy, and calibrated probabilities must give an accuracy this low
    in fewer than one of 200 samples.
    """
    if not any(_is_overconfident(sample) for sample in samples):
        return []
    uniform, told = math.log(num_classes), []
    for sample in samples:
        if sample.confidence is None or not len(sample.correct):
            continue
        text = (
            f"mean confidence {float(sample.confidence.mean()):.3f} but accuracy {sample.accuracy_text} "
            f"on {sample.counted_text} ({sample.name})"
        )
        if sample.log_loss is not None and sample.log_loss > uniform:
            text += (
                f", log loss {sample.log_loss:.2f} where a uniform guess over {num_classes} classes has {uniform:.2f}"
            )
        told.append(text)
    remedy = "read the predicted class, not its probability, and set no threshold on it"
    return [Finding("warning", OVERCONFIDENCE, f"probabilities are overconfident: {'; '.join(told)}", remedy)]


def _is_overconfident(sample: Sample) -> bool:
    if sample.confidence is None or not len(sample.correct):
        return False
    confidence = float(sample.confidence.mean())
    # Both conditions: with thousands of images a harmless gap is significant, with few a large one is chance.
    if confidence - sample.accuracy < _LARGE_OVERCONFIDENCE:
        return False
    return chance_of_share_below(sample.correct, sample.together, truth=confidence) < _OVERCONFIDENCE_CHANCE


def untested_classes(per_class: Mapping[str, ClassFigures]) -> list[Finding]:
    """Say which classes no image was there to test.

    Args:
        per_class: As `metrics.per_class` returns it.
    """
    missing = [name for name, row in per_class.items() if not row.images]
    if not missing:
        return []
    named = ", ".join(missing[:_MOST_NAMED]) + (", ..." if len(missing) > _MOST_NAMED else "")
    classes = f"{len(missing)} of {len(per_class)} classes"
    verb = "has" if len(missing) == 1 else "have"
    named_wrongly = sum(per_class[name].predicted or 0 for name in missing)
    took = f"; {named_wrongly:,} images of other classes were predicted as one of them" if named_wrongly else ""
    return [
        Finding(
            "warning",
            NO_TEST_IMAGES,
            f"{classes} {verb} no test images: {named}{took}",
            "no figure here says how well they are recognised: add test images of them",
        )
    ]
