"""Checks of a finished run: over- and underfitting, chance, one class, what validation and test disagree on."""

from __future__ import annotations

import math
from collections.abc import Callable

from headstart.diagnosis.finding import DoctorFinding
from headstart.diagnosis.finished.causes import likely_causes
from headstart.diagnosis.finished.run_figures import RunFigures

LARGE_GAP = 0.15
"""Mean probability of the true class in training, less validation accuracy, from which training is far above."""


def training_fit(figures: RunFigures) -> float | None:
    """exp(-training loss) of the last epoch: the geometric mean probability of the true class, 0..1.

    A training accuracy is at least near it: an image of probability above 1/2 is classified correctly.
    """
    last = figures.last
    if last is None or last.train_loss is None or not math.isfinite(last.train_loss):
        return None
    return math.exp(-last.train_loss)


def find_overfitting(figures: RunFigures) -> list[DoctorFinding]:
    """`overfitting`: training is far above validation in the last epoch; then its likely causes, ranked."""
    fit, last = training_fit(figures), figures.last
    if fit is None or last is None or last.train_loss is None:
        return []
    gap = fit - last.validation_accuracy
    if gap < LARGE_GAP or last.validation_loss < 2 * last.train_loss:
        return []
    causes = likely_causes(figures)
    ranked = "; ".join(f"{number}. {cause.name}" for number, cause in enumerate(causes, 1))
    unused = figures.selected is not None and figures.selected != last.checkpoint
    note = f" The bundle holds {figures.selected} instead." if unused else ""
    found = [
        DoctorFinding(
            "overfitting",
            "info" if unused else "warning",
            f"Training is far above validation: {100 * fit:.0f} % against {100 * last.validation_accuracy:.0f} %.",
            f"In {last.checkpoint} the training loss is {last.train_loss:.3f} (a mean probability of {fit:.2f} "
            "for the true "
            f"class), the validation loss {last.validation_loss:.3f}, validation accuracy "
            f"{last.validation_accuracy:.3f} on "
            f"{figures.validation_images:,} images. Likely causes, by evidence: "
            f"{ranked or 'none is visible in the run'}.{note}",
            causes[0].command if causes else f"headstart check {figures.source}",
        )
    ]
    for cause in causes:
        found.append(
            DoctorFinding(cause.id, "info", f"Likely cause: {cause.name}.", f"{cause.evidence}.", cause.command)
        )
    return found


def find_underfitting(figures: RunFigures) -> list[DoctorFinding]:
    """`underfitting`: the training loss itself stays high, or still falls by more than 5 % in the last epoch."""
    rows = [row for row in figures.last_phase if row.train_loss is not None]
    if len(rows) < 2 or figures.num_classes < 2:
        return []
    first, before, last = rows[0], rows[-2], rows[-1]
    assert first.train_loss is not None
    assert before.train_loss is not None
    assert last.train_loss is not None
    chance = math.log(figures.num_classes)
    if last.train_loss < 0.6 * chance or last.train_loss < 0.8 * last.validation_loss:
        return []
    falling = last.train_loss < 0.95 * before.train_loss
    evidence = (
        f"The training loss ends at {last.train_loss:.3f} after {len(rows)} epochs (chance: {chance:.3f}), validation "
        f"accuracy at {last.validation_accuracy:.3f}"
    )
    evidence += (
        f"; it still fell by {100 * (1 - last.train_loss / before.train_loss):.0f} % in the last epoch"
        if falling
        else ""
    )
    command = f"headstart train {figures.source} --epochs {2 * len(rows)}"
    if not falling:
        command = f"headstart train {figures.source} --find-lr, or with more layers trainable: --strategy full"
    return [
        DoctorFinding(
            "underfitting", "warning", "The network does not fit its training images.", f"{evidence}.", command
        )
    ]


def find_divergence(figures: RunFigures) -> list[DoctorFinding]:
    """`loss_diverged`: a loss is not finite, or training ends at more than 1.5 times its first loss."""
    rows = figures.last_phase
    if not rows:
        return []
    first, last = rows[0].train_loss, rows[-1].train_loss
    odd = next((row for row in rows if not math.isfinite(row.validation_loss)), None)
    grew = first is not None and last is not None and last > 1.5 * first and len(rows) > 1
    if odd is None and not grew:
        return []
    text = (
        f"the validation loss of {odd.checkpoint} is {odd.validation_loss}"
        if odd
        else f"training loss {first:.3f} in epoch 1, {last:.3f} at the end"
    )
    lr = "" if figures.peak_lr is None else f" --lr {figures.peak_lr / 10:g}"
    return [
        DoctorFinding(
            "loss_diverged",
            "error",
            "Training diverged.",
            f"{text}.",
            f"headstart train {figures.source}{lr or ' --find-lr'}",
        )
    ]


def find_chance(figures: RunFigures) -> list[DoctorFinding]:
    """`no_better_than_chance`: the interval of the test accuracy holds the share of the largest class."""
    interval, share = figures.test_interval, figures.largest_share
    if interval is None or share is None or figures.test_accuracy is None or interval[0] > share:
        return []
    return [
        DoctorFinding(
            "no_better_than_chance",
            "error",
            "Test accuracy is not above that of always predicting one class.",
            f"Accuracy {figures.test_accuracy:.3f} (95 % interval {interval[0]:.3f} to {interval[1]:.3f}) on "
            f"{figures.test_images:,} images; the largest class alone gives {share:.3f}.",
            f"Labels and pixels first: headstart check {figures.source} --preview sheet.png",
        )
    ]


def find_one_class(figures: RunFigures) -> list[DoctorFinding]:
    """`one_class_predicted`: over 95 % of the test images get one class, which has at most 80 % of them."""
    share, largest = figures.predicted_share, figures.largest_share
    if share is None or largest is None or share < 0.95 or largest > 0.8 or figures.test_images < 10:
        return []
    return [
        DoctorFinding(
            "one_class_predicted",
            "error",
            "Nearly all images get the same class.",
            f"{100 * share:.0f} % of {figures.test_images:,} test predictions are one class, whose share is at most "
            f"{100 * largest:.0f} %.",
            f"headstart train {figures.source} --imbalance logits --metric balanced_accuracy",
        )
    ]


def find_data_findings(figures: RunFigures) -> list[DoctorFinding]:
    """`data_KIND`: findings on the data, and warnings of the run, that its figures rest on."""
    found = [
        DoctorFinding(
            f"data_{kind}",
            "info",
            "A finding on the images of this run.",
            f"{text}.",
            f"headstart check {figures.source}",
        )
        for kind, text in figures.findings.items()
    ]
    return found + [
        DoctorFinding(f"run_{kind}", "info", "A warning of this run.", f"{text}.", f"headstart report {figures.name}")
        for kind, text in figures.warnings.items()
        if kind not in figures.findings
    ]


def find_unfinished(figures: RunFigures) -> list[DoctorFinding]:
    """`run_unfinished`: it was stopped or interrupted."""
    if not figures.resume:
        return []
    return [
        DoctorFinding(
            "run_unfinished", "warning", f"The run is {figures.state}.", "Its figures are not final.", figures.resume
        )
    ]


RUN_CHECKS: tuple[tuple[str, Callable[[RunFigures], list[DoctorFinding]]], ...] = (
    ("state of the run", find_unfinished),
    ("divergence", find_divergence),
    ("chance", find_chance),
    ("one class", find_one_class),
    ("overfitting", find_overfitting),
    ("underfitting", find_underfitting),
    ("findings on data", find_data_findings),
)
"""Name -> check, in the order in which they are run."""
