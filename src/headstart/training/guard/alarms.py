"""Alarms: signs that an epoch has spoilt what the network knew, or that it learns nothing; each a pure function.

Each reads a typed history of epochs, those of one phase since it began or was rescued, and gives one finding or None.
The thresholds were fixed on synthetic histories and one set of photos; `benchmarks/alarms.py` tries them on others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from headstart.runs.ledger import LedgerEntry
from headstart.runs.warnings import AlarmKind, AlarmRaised

LOWER_LR = "use learning rates ten times lower (--lr), or let --rescue do it"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmHistory:
    """What alarms read."""

    entries: Sequence[LedgerEntry]
    """Epochs that ended, in order."""
    epochs: int
    """Planned of the phase, or of a round of it."""
    guess_loss: float
    """Log loss of always predicting the shares of the classes, in nats: their entropy."""
    guess_accuracy: float
    """Accuracy of always predicting the largest class, 0..1."""
    start_accuracy: float | None = None
    """Validation accuracy of the linear probe that the phase began with, 0..1; None without one."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """Of the starting network; random ones have nothing to lose."""
    rescues: int = 0
    """Of the phase, before these epochs."""
    broken_epoch: int | None = None
    """Epoch in which the loss or an output stopped being a finite number, after `entries`; None: none did."""

    @property
    def validated(self) -> Sequence[LedgerEntry]:
        """Epochs with a validation pass."""
        return [one for one in self.entries if one.validation_loss is not None]


@dataclass(frozen=True, slots=True)
class AlarmFinding:
    """One alarm."""

    alarm: AlarmKind
    evidence: str
    remedy: str
    numbers: Mapping[str, float] = field(default_factory=dict)


def not_finite(history: AlarmHistory) -> AlarmFinding | None:
    """The training loss, or an output on the validation images, is not a finite number."""
    if history.broken_epoch is None:
        return None
    return AlarmFinding(
        "not_finite",
        f"the loss was no longer finite in epoch {history.broken_epoch}: the weights of this epoch are lost",
        LOWER_LR,
    )


LOSS_FACTOR = 2.0
"""Loss by that of guessing at which training diverges."""


def diverging(history: AlarmHistory) -> AlarmFinding | None:
    """The last epoch's training loss is above 1.5 times that of guessing, or its validation loss above 2 times.

    Of the validation loss this counts only where the validation accuracy is at most one standard error above that of
    always predicting the largest class: of few images, one that is confidently wrong makes a large mean.

    Guessing is predicting the shares of the classes for every image; its loss is their entropy. A network that has
    learned anything is below it in training. With random weights two epochs in a row must be so, because running
    statistics lag behind in the first.
    """
    last = history.entries[-1 if history.weights == "pretrained" else -2 :]
    if len(last) < (1 if history.weights == "pretrained" else 2):
        return None
    if all(one.train_loss > 1.5 * history.guess_loss for one in last):
        what, loss = "training", last[-1].train_loss
    elif all(_guesses_badly(one, history) for one in last):
        what, loss = "validation", last[-1].validation_loss or 0.0
    else:
        return None
    return AlarmFinding(
        "diverging",
        f"the {what} loss is {loss:.3g} nats, where guessing has {history.guess_loss:.3g}",
        LOWER_LR,
        {"loss": loss, "guess_loss": history.guess_loss},
    )


def _guesses_badly(one: LedgerEntry, history: AlarmHistory) -> bool:
    """Whether the validation pass of an epoch is worse than guessing by loss, and no better by accuracy."""
    if one.validation_loss is None or one.validation_loss <= LOSS_FACTOR * history.guess_loss:
        return False
    error = share_error(history.guess_accuracy, one.validation_images)
    return (one.validation_accuracy or 0.0) <= history.guess_accuracy + error


def forgetting(history: AlarmHistory) -> AlarmFinding | None:
    """Training loss falls while validation loss rises, or the features have become others than the pretrained ones.

    Either, compared with the epoch of the lowest validation loss: the training loss is at least 10 % lower, the
    validation loss at least 30 % higher and the validation accuracy lower by more than one standard error, in two
    epochs in a row. Or in the last epoch a layer group of the backbone has a linear CKA below LEAST_SIMILARITY with
    the starting network.
    """
    if history.weights == "random":
        return None
    if found := _other_features(history):
        return found
    rows = history.validated
    if len(rows) < 3:
        return None
    best = min(range(len(rows)), key=lambda place: rows[place].validation_loss or 0.0)
    low, last = rows[best], rows[-1]
    if len(rows) - best <= 2 or not all(_forgets(one, low) for one in rows[-2:]):
        return None
    return AlarmFinding(
        "forgetting",
        f"since epoch {low.epoch} the training loss fell from {low.train_loss:.3g} to {last.train_loss:.3g} while the "
        f"validation loss rose from {low.validation_loss:.3g} to {last.validation_loss:.3g}",
        f"train fewer epochs, or {LOWER_LR}",
        {"best_epoch": low.epoch, "validation_loss": last.validation_loss or 0.0},
    )


LEAST_SIMILARITY = 0.2
"""Linear CKA with the starting network below which a layer group holds other features."""


def _other_features(history: AlarmHistory) -> AlarmFinding | None:
    states = history.entries[-1].states
    known = {name: one.cka for name, one in states.items() if one.cka is not None}
    lost = [name for name, cka in known.items() if cka < LEAST_SIMILARITY]
    if not lost:
        return None
    worst = min(lost, key=lambda name: known[name])
    return AlarmFinding(
        "forgetting",
        f"the features of {worst} have a linear CKA of {known[worst]:.2f} with those of the starting network "
        f"({len(lost)} of {len(states)} layer groups are below {LEAST_SIMILARITY:g}): they are not the pretrained ones",
        LOWER_LR,
        {"cka": known[worst], "groups": len(lost)},
    )


def _forgets(now: LedgerEntry, low: LedgerEntry) -> bool:
    assert now.validation_loss is not None
    assert low.validation_loss is not None
    return (
        now.train_loss <= 0.9 * low.train_loss
        and now.validation_loss >= 1.3 * low.validation_loss
        and _lead(low, now) > standard_error(low)
    )


def early_peak(history: AlarmHistory) -> AlarmFinding | None:
    """The best validation accuracy lies at least three epochs back, in the first half, and was not come near again.

    The mean of the last two epochs is lower than the best by 3 points and two standard errors or more. The linear
    probe that a phase began with counts as epoch 0.
    """
    rows = history.validated
    accuracies = [one.validation_accuracy or 0.0 for one in rows]
    if history.start_accuracy is not None:
        accuracies = [history.start_accuracy, *accuracies]
    if len(rows) < 3 or len(accuracies) < 4:
        return None
    best = max(range(len(accuracies)), key=lambda place: accuracies[place])
    now = (accuracies[-1] + accuracies[-2]) / 2
    peak, count = accuracies[best], rows[-1].validation_images
    early = len(accuracies) - 1 - best >= 3 and best <= history.epochs / 2
    if not early or peak - now < max(0.03, 2 * share_error(peak, count)):
        return None
    epoch = best if history.start_accuracy is not None else best + 1
    return AlarmFinding(
        "early_peak",
        f"the validation accuracy was best after epoch {epoch} ({peak:.3f}) and is {now:.3f} in the last two",
        f"train fewer epochs, or {LOWER_LR}",
        {"peak": peak, "accuracy": now, "epoch": epoch},
    )


def dead_activations(history: AlarmHistory) -> AlarmFinding | None:
    """A layer group has at least 50 points more dead channels than at the start, or outputs below a tenth in scale.

    A channel is dead if its outputs, averaged over positions, hardly differ between the images of the fixed batch:
    by less than 1 % of what a channel of the starting network does.
    """
    found = {
        name: one
        for name, one in history.entries[-1].states.items()
        if one.dead - one.dead_at_start >= 0.5 or one.scale < 0.1
    }
    if not found:
        return None
    worst = max(found, key=lambda name: found[name].dead - found[name].dead_at_start)
    state = found[worst]
    return AlarmFinding(
        "dead_activations",
        f"{state.dead:.0%} of the channels of {worst} give the same for every image ({state.dead_at_start:.0%} at the "
        f"start), and its outputs have {state.scale:.2g} times their scale",
        LOWER_LR,
        {"dead": state.dead, "dead_at_start": state.dead_at_start, "scale": state.scale, "groups": len(found)},
    )


def saturated_activations(history: AlarmHistory) -> AlarmFinding | None:
    """The outputs of a layer group are at least 10 times as large (root mean square) as in the starting network."""
    found = {name: one.scale for name, one in history.entries[-1].states.items() if one.scale >= 10}
    if not found or history.weights == "random":
        return None
    worst = max(found, key=lambda name: found[name])
    return AlarmFinding(
        "saturated_activations",
        f"the outputs of {worst} are {found[worst]:.3g} times as large as in the starting network",
        LOWER_LR,
        {"scale": found[worst], "groups": len(found)},
    )


def batch_norm_drift(history: AlarmHistory) -> AlarmFinding | None:
    """BatchNorm's running statistics have moved and no longer suit: training images do badly in evaluation.

    Their median over the channels of a layer has moved by half a standard deviation, or a factor of e^0.5, or more,
    and the log loss of training images in evaluation is above twice the training loss and 0.3 nats.
    """
    last = history.entries[-1]
    moved = {name: one.statistics_drift for name, one in last.states.items() if (one.statistics_drift or 0.0) >= 0.5}
    if not moved or last.batch is None or last.batch.log_loss <= max(2 * last.train_loss, last.train_loss + 0.3):
        return None
    worst = max(moved, key=lambda name: moved[name] or 0.0)
    return AlarmFinding(
        "batch_norm_drift",
        f"training images have a loss of {last.batch.log_loss:.3g} nats in evaluation and {last.train_loss:.3g} in "
        f"training: the running statistics of {worst} have drifted by {moved[worst]:.2g}",
        "keep the pretrained statistics (batch_norm: pretrained_statistics in the plan), or use larger batches",
        {"drift": moved[worst] or 0.0, "log_loss": last.batch.log_loss, "train_loss": last.train_loss},
    )


def never_learns(history: AlarmHistory) -> AlarmFinding | None:
    """After three epochs or more the training loss was never below 95 % of that of guessing, and validation guesses.

    The best validation accuracy is within two standard errors of that of always predicting the largest class.
    """
    rows = history.validated
    if len(rows) < 3 or min(one.train_loss for one in history.entries) < 0.95 * history.guess_loss:
        return None
    best = max(one.validation_accuracy or 0.0 for one in rows)
    if best > history.guess_accuracy + 2 * share_error(history.guess_accuracy, rows[-1].validation_images):
        return None
    low = min(one.train_loss for one in history.entries)
    return AlarmFinding(
        "never_learns",
        f"after {len(rows)} epochs the training loss is still {low:.3g} nats, where guessing has "
        f"{history.guess_loss:.3g}, and the validation accuracy at most {best:.3f}",
        "check that labels belong to their images (headstart check), and the learning rate: 3e-4 suits most networks",
        {"train_loss": low, "guess_loss": history.guess_loss, "accuracy": best},
    )


def overfitting(history: AlarmHistory) -> AlarmFinding | None:
    """The accuracy on training images, in evaluation, is at least 25 points above that on validation images.

    Both intervals taken into account: by two standard errors more than 15 points, in two epochs in a row.
    """
    rows = [one for one in history.validated if one.batch is not None]
    if len(rows) < 2 or not all(_overfits(one) for one in rows[-2:]):
        return None
    last = rows[-1]
    assert last.batch is not None
    accuracy = last.validation_accuracy or 0.0
    return AlarmFinding(
        "overfitting",
        f"the accuracy is {last.batch.accuracy:.3f} on {last.batch.images} training images and {accuracy:.3f} on "
        f"{last.validation_images} validation images",
        "headstart check looks for leaks, copies and wrong labels; otherwise more images, stronger augmentation, or "
        "fewer trained layers (--unfreeze) help",
        {"train_accuracy": last.batch.accuracy, "validation_accuracy": accuracy},
    )


def _overfits(one: LedgerEntry) -> bool:
    assert one.batch is not None
    accuracy = one.validation_accuracy or 0.0
    gap = one.batch.accuracy - accuracy
    errors = share_error(one.batch.accuracy, one.batch.images), share_error(accuracy, one.validation_images)
    return gap >= 0.25 and gap - 2 * math.hypot(*errors) > 0.15


def share_error(share: float, count: int) -> float:
    """Standard error of a share of `count` images, of which one is added to either side, so that 0 and 1 have one."""
    smoothed = (share * count + 1) / (count + 2)
    return math.sqrt(smoothed * (1 - smoothed) / (count + 2))


def standard_error(entry: LedgerEntry) -> float:
    """Of its validation accuracy."""
    return share_error(entry.validation_accuracy or 0.0, entry.validation_images)


def _lead(before: LedgerEntry, now: LedgerEntry) -> float:
    return (before.validation_accuracy or 0.0) - (now.validation_accuracy or 0.0)


ALARMS: tuple[Callable[[AlarmHistory], AlarmFinding | None], ...] = (
    not_finite,
    diverging,
    dead_activations,
    saturated_activations,
    batch_norm_drift,
    never_learns,
    forgetting,
    early_peak,
    overfitting,
)
"""All alarms, the gravest first."""


def raised(history: AlarmHistory, *, phase: str, epoch: int) -> list[AlarmRaised]:
    """Events of the alarms that a history raises, the gravest first.

    Args:
        history: Up to the epoch.
        phase: Its name.
        epoch: From 1.
    """
    checked = [not_finite] if history.broken_epoch is not None else ALARMS[1:] if history.entries else ()
    found = [finding for alarm in checked if (finding := alarm(history)) is not None]
    return [
        AlarmRaised(phase, epoch, one.alarm, one.evidence, one.remedy, dict(one.numbers), history.rescues)
        for one in found
    ]
