"""A train phase in progress: its optimizer and feed, and all that an epoch needs besides its steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from headstart.arrays import Floats, Labels, Singles
from headstart.data.sources.reading import ImageRecord
from headstart.measures.metrics import log_loss
from headstart.plan.plan import TrainPhase
from headstart.runs.observers import ALL_EPOCHS, measured_span
from headstart.runs.training_events import EpochDone
from headstart.runs.warnings import Diverged
from headstart.solvers.linear_head import softmax
from headstart.training.below_probe import below_probe_warning
from headstart.training.checkpoint import Candidate
from headstart.training.feeds import Batch, Feed, feed_for
from headstart.training.guard.drift import MovedCheck
from headstart.training.guard.frozen import FrozenCheck
from headstart.training.learning_rates.finder import Rehearsal, find_learning_rates
from headstart.training.learning_rates.param_groups import Entered, enter
from headstart.training.learning_rates.schedules import learning_rates_at
from headstart.training.probe.probe import candidate_of
from headstart.training.steps.start import cross_fit_of, is_cross_fitted
from headstart.training.training import Training
from headstart.training.tuning_start import start_head

SAVE_SECONDS = 120.0
"""Inside a long epoch the state is saved this often: more than this much work is never lost."""


@contextmanager
def entered_phase(training: Training, phase: TrainPhase) -> Iterator[PhaseTraining]:
    """The phase, ready for its next step, and its feed for as long as the block lasts.

    The feed ends with the block, because what it reads in the store cannot make room for the next phase.
    """
    started, plan, classifier = time.monotonic(), training.plan, training.torch_classifier()
    found = training.estimates.resolve(phase, training.observer)
    phase = training.resolve_frozen_prefix(phase, found.plan)
    crossed = is_cross_fitted(phase, training.images)
    if not crossed:
        start_head(plan, phase, training.progress, training.source)
    entered = enter(classifier, phase, plan.optimizer)
    if training.state.optimizer is not None:  # the phase had begun in another process
        entered.optimizer.load_state_dict(training.state.optimizer)
    feed = feed_for(
        phase,
        training.source,
        augmentation=plan.augmentation,
        seed=plan.seed,
        validation=training.images.roles.train if crossed else None,
        made=found.cut,
    )
    phase = training.resolve_frozen_prefix(phase, feed.frozen_prefix)  # a store that is too full after all changes it
    training.resolve_engine(feed.engine)
    if phase.peak_lr == "find":
        phase = _with_found_learning_rates(training, phase, feed)
        # The optimizer again: its parameter groups hold the learning rates.
        entered = enter(classifier, phase, plan.optimizer)
    training.progress.epoch_seconds += time.monotonic() - started
    current = PhaseTraining(training, phase, entered, feed)
    if crossed:
        current = CrossFittedPhase(training, phase, entered, feed)
    try:
        yield current
    finally:
        current.close()


def _with_found_learning_rates(training: Training, phase: TrainPhase, feed: Feed) -> TrainPhase:
    """The phase with peak learning rates from range tests; they are written into the plan, so a resume has them."""
    plan, progress = training.plan, training.progress
    rehearsal = Rehearsal(
        training.torch_classifier(),
        phase,
        progress.phase,
        feed,
        training.images,
        plan.optimizer,
        weights=plan.model.weights,
        batch_size=plan.batch_size,
        mixup_alpha=plan.augmentation.mixup_alpha,
        seed=plan.seed,
        epochs_before=len(progress.rows),
        observer=training.observer,
        stop_if_requested=training.stop_if_requested,
    )
    found = find_learning_rates(rehearsal)
    training.observer.noted(found.event())
    return training.resolve_phase(found.phase, found.reasons(f"phases[{progress.phase}]"))


class PhaseTraining:
    """One train phase of a run, from its first step in this process to its last."""

    def __init__(self, training: Training, phase: TrainPhase, entered: Entered, feed: Feed) -> None:
        """See `entered_phase`."""
        self._training, self._progress, self._entered = training, training.progress, entered
        self._device = next(training.torch_classifier().network.parameters()).device
        self._steps_per_epoch = 0
        self.phase = phase
        self.optimizer = entered.optimizer
        self.feed = feed
        """Inputs of its steps."""
        self.ended: str | None = None
        """Why the phase is over; None while it is not."""
        self.diverged = False
        """Whether the loss, or an output of the network, stopped being a number."""

    def close(self) -> None:
        """Let go of feed and optimizer: the store can make room, and the next phase has the memory."""
        del self.feed, self.optimizer, self._entered

    def goes_on(self) -> bool:
        """Whether another epoch is to be trained; `ended` says why not."""
        patience, waited = self._training.plan.selection.patience, self._progress.epochs_without_better
        if self.ended is None and self._progress.epoch >= self.phase.epochs:
            self.ended = ALL_EPOCHS
        elif self.ended is None and patience is not None and waited >= patience:
            self.ended = f"no better epoch for {waited}"
        return self.ended is None

    def epoch_batches(self) -> Iterator[Batch]:
        """(records, tensors) of the steps that the current epoch still has; sets modes and starts checks and clock.

        Their order and their views are pure functions of (seed, phase, epoch, image), so that a resume in the middle of
        an epoch goes on with exactly the batches that an uninterrupted run would have had.
        """
        training, progress, phase = self._training, self._progress, self.phase
        self._entered.start_epoch()
        self._frozen, self._moved = FrozenCheck(self._entered.frozen()), MovedCheck(self.optimizer)
        parts = self._parts((training.plan.seed, progress.phase, progress.epoch))
        self._steps_of_parts = [len(chunks) for chunks in parts]
        self._steps_waited = sum(self._steps_of_parts) - progress.step
        what = f"{phase.name} {progress.epoch + 1}/{phase.epochs}"
        images = sum(len(records) for chunks in parts for records in chunks)
        observer, seen = training.observer, progress.images_seen
        self._advance = measured_span(observer, "training_steps", what, images, seen=seen)
        self._started = self._saved = time.monotonic()
        return self._batches(parts, epoch=len(progress.rows))

    def _parts(self, position: tuple[int, int, int]) -> list[list[list[ImageRecord]]]:
        """Batches of the epoch at a position, of each network that the phase trains."""
        training = self._training
        return [training.images.epoch_batches(training.plan.batch_size, position=position)]

    def _batches(self, parts: Sequence[list[list[ImageRecord]]], *, epoch: int) -> Iterator[Batch]:
        """Inputs of the steps that are not done yet; `epoch` counts over all phases and decides the views."""
        return self.feed.batches(parts[0][self._progress.step :], epoch=epoch)

    @property
    def position(self) -> tuple[int, int, int, int]:
        """Seed, phase, epoch and step: all that the random numbers of a step depend on."""
        progress = self._progress
        return self._training.plan.seed, progress.phase, progress.epoch, progress.step

    def set_learning_rates(self) -> None:
        """Give every group its learning rate for the next step."""
        self._entered.set_learning_rates(self._rates(self._progress.step))

    def targets(self, records: Sequence[ImageRecord]) -> tuple[Tensor, Tensor | None]:
        """(B,) class indices of a batch, and (B,) factors of its images' losses; None: all alike."""
        labels, weights = self._training.images.labels(records), self._training.images.loss_weights(records)
        factors = None if weights is None else torch.from_numpy(weights).to(self._device)
        return torch.from_numpy(labels).to(self._device), factors

    def count_step(self, images: int, loss: float) -> None:
        """Count a step that was taken, and save inside the epoch where that is due.

        Args:
            images: Of its batch.
            loss: Mean over them.

        Raises:
            Stopped: the run was asked to stop; everything is saved.
        """
        training, progress = self._training, self._progress
        progress.step += 1
        progress.loss_sum += loss * images
        progress.images_seen += images
        self._advance(images)
        if not math.isfinite(loss):
            self.diverged = True
            return
        now = time.monotonic()
        due = training.stop.reason is not None or now - self._saved > SAVE_SECONDS
        if due and progress.step < sum(self._steps_of_parts):  # after the last step the epoch is evaluated, then saved
            progress.epoch_seconds, self._started = progress.epoch_seconds + now - self._started, now
            self._save()
            self._saved = time.monotonic()
            training.stop_if_requested()

    def check_epoch(self) -> None:
        """Check an epoch: frozen tensors are unchanged, learning rates are the planned ones, trainable groups moved.

        Raises:
            FrozenMovedError: something frozen moved.
            RunError: a group had another learning rate than the planned one.
        """
        progress, phase = self._progress, self.phase
        where = f"phase {phase.name}, epoch {progress.epoch + 1}"
        self._frozen.assert_unmoved(self._entered.frozen(), where=where)
        self._entered.assert_learning_rates(self._rates(progress.step - 1), where=where)
        if self._steps_waited > 1:  # behind a head of zeros the first step of all moves nothing but the head
            self._training.warn(self._moved.warning(phase.name, progress.epoch + 1, phase.lr_by_group))
        progress.epoch_seconds += time.monotonic() - self._started
        self._training.observer.span_ended("training_steps")

    def evaluate_epoch(self) -> None:
        """The validation pass: remember the best epoch, and start the next one's counts.

        The last step of an epoch can spoil the weights after its own loss was fine; then nothing is counted.
        """
        training, progress, state = self._training, self._progress, self._training.state
        started, validation = time.monotonic(), self._validation_records
        advance = measured_span(training.observer, "validation_pass", "validation", len(validation))
        logits = self._validation_logits(advance)
        if not np.isfinite(logits).all():
            self.diverged = True
            return
        probabilities, labels = softmax(logits.astype(np.float64)), training.images.labels(validation)
        progress.epoch += 1
        candidate = self._candidate(f"{self.phase.name}/{progress.epoch}", probabilities, labels)
        state.validation_predictions.add(candidate.name, validation, candidate.correct, candidate.losses)
        before = state.step or state.probe
        if state.best is None and before is not None:
            on, noise = training.images.roles.validation_source, training.plan.selection.significance_level
            lr = self.phase.lr_by_group
            training.warn(below_probe_warning(before, candidate, on=on, significance_level=noise, lr=lr))
        better = state.best is None or candidate.is_better_than(state.best)
        if better:
            state.best = candidate
        progress.epochs_without_better = 0 if better else progress.epochs_without_better + 1
        progress.validation_losses.append(log_loss(probabilities, labels))
        row = EpochDone(
            self.phase.name,
            progress.epoch,
            train_loss=progress.loss_sum / progress.images_seen,
            validation_loss=progress.validation_losses[-1],
            validation_accuracy=candidate.accuracy,
            lr={group["name"]: group["lr"] for group in self.optimizer.param_groups},
            improved=better,
            seconds=progress.epoch_seconds + time.monotonic() - started,
        )
        progress.start_epoch()
        training.observer.span_ended("validation_pass")
        training.add_epoch_row(row)

    def end_epoch(self) -> None:
        """Save, or end the phase where something stopped being a number.

        Raises:
            Stopped: the run was asked to stop; everything is saved.
        """
        training, epoch = self._training, self._progress.epoch + 1
        if self.diverged:
            self.ended = f"the loss stopped being a number in epoch {epoch}"
            training.observer.noted(Diverged(self.phase.name, epoch))
            return
        self._save()
        training.stop_if_requested()

    def _save(self) -> None:
        self._training.save(optimizer=self.optimizer)

    @property
    def _validation_records(self) -> Sequence[ImageRecord]:
        """Images that validate the epochs."""
        return self._training.images.roles.validation

    def _validation_logits(self, on_images: Callable[[int], object]) -> Singles:
        """(N, K) logits of the images that validate."""
        return self.feed.validation_logits(on_images)

    def _candidate(self, name: str, probabilities_NK: Floats, labels_N: Labels) -> Candidate:  # noqa: N803 - shapes
        """The candidate of an epoch."""
        return candidate_of(name, probabilities_NK, labels_N, self._training.classifier)

    def _rates(self, step: int) -> dict[str, float]:
        """Learning rate of every group at a step of the current epoch; each network goes through the whole schedule."""
        part = 0
        while step >= self._steps_of_parts[part] and part + 1 < len(self._steps_of_parts):
            step, part = step - self._steps_of_parts[part], part + 1
        steps, losses = self._steps_of_parts[part], self._progress.validation_losses
        done = self._progress.epoch * steps + step
        return learning_rates_at(self.phase, step=done, steps_per_epoch=steps, validation_losses=losses)


class CrossFittedPhase(PhaseTraining):
    """A train phase whose epochs train one network a fold, and validate out of fold."""

    def __init__(self, training: Training, phase: TrainPhase, entered: Entered, feed: Feed) -> None:
        """See `entered_phase`."""
        super().__init__(training, phase, entered, feed)
        self._cross_fit = cross_fit_of(training, phase, entered)

    def _hold(self, fold: int) -> None:
        """Put the network of a fold and its optimizer in place."""
        self.optimizer = self._cross_fit.hold(fold)
        self._entered = replace(self._entered, optimizer=self.optimizer)

    def _parts(self, position: tuple[int, int, int]) -> list[list[list[ImageRecord]]]:
        images, size = self._training.images, self._training.plan.batch_size
        return [
            images.epoch_batches(size, position=(*position, fold), rows=self._cross_fit.training_rows(fold))
            for fold in self._cross_fit.folds
        ]

    def _batches(self, parts: Sequence[list[list[ImageRecord]]], *, epoch: int) -> Iterator[Batch]:
        done = self._progress.step
        for fold, chunks in enumerate(parts):
            waiting, done = chunks[min(done, len(chunks)) :], max(0, done - len(chunks))
            if waiting:
                self._hold(fold)
                self._moved = MovedCheck(self.optimizer)
                yield from self.feed.batches(waiting, epoch=epoch)

    def _save(self) -> None:
        self._training.state.folds = self._cross_fit.states()
        self._training.save(optimizer=None)

    @property
    def _validation_records(self) -> Sequence[ImageRecord]:
        return self._training.images.roles.train

    def _validation_logits(self, on_images: Callable[[int], object]) -> Singles:
        """(N, K) logits of every training image by the network of its fold; the average is in place afterwards."""
        images = self._training.images
        logits = np.empty((len(images.roles.train), len(images.roles.classes)), np.float32)
        for fold in self._cross_fit.folds:
            self._hold(fold)
            rows = self._cross_fit.validation_rows(fold)
            logits[rows] = self.feed.validation_logits(on_images, rows)
        self._cross_fit.hold_average()
        return logits

    def _candidate(self, name: str, probabilities_NK: Floats, labels_N: Labels) -> Candidate:  # noqa: N803 - shapes
        return replace(super()._candidate(name, probabilities_NK, labels_N), folds=tuple(self._cross_fit.weights))
