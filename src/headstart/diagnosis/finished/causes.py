"""Likely causes of training far above validation, ranked by the evidence that a run holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from headstart.diagnosis.finished.run_figures import RunFigures

_LEAKS = (
    "same_image_in_two_splits",
    "near_duplicates_in_two_splits",
    "altered_copies_in_two_splits",
    "group_in_two_splits",
    "neighbouring_files",
    "near_duplicates",
    "one_scene",
)
_LABELS = ("label_errors", "near_duplicates_in_two_classes", "altered_copies_in_two_classes", "several_labels")
_DRIFTS = ("validation_gap", "drift", "split_drift", "test_unlike_train", "test_like_train")
_PIXELS = ("small_range", "saturated", "mixed_modes", "cut_off", "overexposed")

_FEW_IMAGES, _SOME_IMAGES = 20, 100
"""Training images a class below which too little data is very likely, and above which it is unlikely."""


@dataclass(frozen=True, slots=True)
class LikelyCause:
    """One explanation, with its evidence and the next command."""

    id: str
    name: str
    weight: float
    """Evidence, 0..1; the likeliest cause has the largest."""
    evidence: str
    command: str


def likely_causes(figures: RunFigures) -> tuple[LikelyCause, ...]:
    """Causes with some evidence, the likeliest first."""
    found = [one for find in _CAUSES if (one := find(figures)) is not None]
    return tuple(sorted(found, key=lambda cause: -cause.weight))


def _of_findings(figures: RunFigures, kinds: tuple[str, ...]) -> str:
    return next((figures.findings[kind] for kind in kinds if kind in figures.findings), "")


def leak_between_splits(figures: RunFigures) -> LikelyCause | None:
    """Images of one scene or patient on both sides: findings of copies, or a test figure far below validation."""
    evidence = _of_findings(figures, _LEAKS)
    if not evidence:
        return None
    weight = 0.9 if "splits" in " ".join(figures.findings) else 0.6
    return LikelyCause(
        "cause_leak",
        "a leak between splits",
        weight,
        evidence,
        f"headstart check {figures.source} --near-duplicates groups.csv",
    )


def too_little_data(figures: RunFigures) -> LikelyCause | None:
    """Fewer than 100 training images a class on average; the weight falls with their logarithm from 20 to 100."""
    if not figures.train_images or not figures.num_classes:
        return None
    each = figures.train_images / figures.num_classes
    if each >= _SOME_IMAGES:
        return None
    share = math.log(_SOME_IMAGES / max(each, 1.0)) / math.log(_SOME_IMAGES / _FEW_IMAGES)
    evidence = f"{figures.train_images:,} training images of {figures.num_classes} classes: {each:.0f} a class"
    if figures.augmentation == "none":
        evidence += ", without augmentation"
    command = f"headstart train {figures.source} --strategy feature_extraction"
    if figures.augmentation in ("none", "light"):
        command = f"headstart train {figures.source} --augmentation standard"
    return LikelyCause("cause_little_data", "too little data", min(0.85, 0.35 + 0.4 * share), evidence, command)


def too_high_lr(figures: RunFigures) -> LikelyCause | None:
    """Validation loss is lowest in the first third of a phase, or a trained epoch is below the linear probe."""
    rows = figures.last_phase
    losses = [row.validation_loss for row in rows]
    weight, said = 0.0, []
    if len(rows) >= 3 and all(map(math.isfinite, losses)):
        best = min(range(len(losses)), key=losses.__getitem__)
        if best <= (len(rows) - 1) // 3 and losses[-1] > 1.2 * losses[best]:
            weight = 0.55
            said.append(
                f"validation loss was lowest in epoch {best + 1} of {len(rows)} ({losses[best]:.3f}) and ended at "
                f"{losses[-1]:.3f}"
            )
    top = max((row.validation_accuracy for row in rows), default=None)
    if figures.probe_accuracy is not None and top is not None and top < figures.probe_accuracy - 0.03:
        weight += 0.3
        said.append(
            f"the best epoch validates at {top:.3f}, the linear probe before it at {figures.probe_accuracy:.3f}"
        )
    if weight and figures.peak_lr is not None and figures.peak_lr > 3e-4:
        weight += 0.1
        said.append(f"pretrained layers were trained at up to {figures.peak_lr:g}")
    if not weight:
        return None
    command = f"headstart train {figures.source} --find-lr"
    if figures.peak_lr is not None:
        command = f"headstart train {figures.source} --lr {figures.peak_lr / 10:g}"
    return LikelyCause("cause_high_lr", "too high a learning rate", min(weight, 0.95), "; ".join(said), command)


def label_noise(figures: RunFigures) -> LikelyCause | None:
    """Findings of wrong labels, or confident mistakes: more than a fifth of the mistakes, and at least three."""
    evidence = _of_findings(figures, _LABELS)
    weight = 0.7 if evidence else 0.0
    share = figures.confident_mistakes / figures.mistakes if figures.mistakes else 0.0
    if figures.confident_mistakes >= 3 and share > 0.2:
        weight += 0.3
        text = (
            f"{figures.confident_mistakes} of {figures.mistakes} mistakes on the test set have a probability above 0.95"
        )
        evidence = f"{evidence}; {text}" if evidence else text
    if not weight:
        return None
    return LikelyCause(
        "cause_label_noise", "label noise", min(weight, 0.95), evidence, f"headstart check {figures.source}"
    )


def mismatched_preprocessing(figures: RunFigures) -> LikelyCause | None:
    """Pixel findings, or a first trained epoch far below the linear probe, which sees evaluation views only."""
    evidence = _of_findings(figures, _PIXELS)
    weight = 0.3 if evidence else 0.0
    rows = figures.last_phase
    if rows and figures.probe_accuracy is not None and figures.probe_accuracy - rows[-1].validation_accuracy > 0.25:
        weight += 0.35
        text = (
            f"the linear probe validates at {figures.probe_accuracy:.3f}, the last epoch at "
            f"{rows[-1].validation_accuracy:.3f} on the same images"
        )
        evidence = f"{evidence}; {text}" if evidence else text
    if not weight:
        return None
    command = f"headstart check {figures.source} --preview sheet.png"
    return LikelyCause("cause_preprocessing", "a preprocessing mismatch", weight, evidence, command)


def drift_between_splits(figures: RunFigures) -> LikelyCause | None:
    """Findings of drift, or a test accuracy whose interval lies below the validation accuracy."""
    evidence = _of_findings(figures, _DRIFTS)
    weight = 0.6 if evidence else 0.0
    interval, validation = figures.test_interval, figures.validation_accuracy
    if not evidence and interval is not None and validation is not None and interval[1] < validation - 0.02:
        weight = 0.45
        evidence = (
            f"test accuracy {figures.test_accuracy:.3f} (95 % interval {interval[0]:.3f} to {interval[1]:.3f}) is "
            "below "
            f"validation accuracy {validation:.3f}"
        )
    if not weight:
        return None
    command = f"headstart check {figures.source}"
    return LikelyCause("cause_drift", "drift between splits", weight, evidence, command)


_CAUSES: tuple[Callable[[RunFigures], LikelyCause | None], ...] = (
    leak_between_splits,
    too_little_data,
    too_high_lr,
    label_noise,
    mismatched_preprocessing,
    drift_between_splits,
)
