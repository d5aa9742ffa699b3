"""A train phase in progress: its optimizer and feed, and all that an epoch needs besides its steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from headstart.arrays import Positions, Singles
from headstart.data.sources.reading import ImageRecord
from headstart.measures.metrics import log_loss
from headstart.plan.plan import TrainPhase
from headstart.runs.ledger import LedgerEntry
from headstart.runs.observers import ALL_EPOCHS, measured_span
from headstart.runs.training_events import EpochDone, WeightsInterpolated
from headstart.runs.warnings import AlarmRaised, Diverged, Rescued
from headstart.solvers.linear_head import softmax
from headstart.training.augmentation.mixup import adjusted_outputs
from headstart.training.below_probe import below_probe_warning
from headstart.training.feeds import Batch, Feed
from headstart.training.guard.phase_guard import PhaseGuard, Validated, alarms_of, alarms_of_broken_epoch
from headstart.training.guard.rescue import curable, lowered, weights_to_return_to
from headstart.training.learning_rates.param_groups import Entered, enter
from headstart.training.learning_rates.schedules import learning_rates_at
from headstart.training.probe.probe import candidate_of
from headstart.training.training import Training
from headstart.training.weights.interpolation import SHARES, interpolated

SAVE_SECONDS = 120.0
"""Inside a long epoch the state is saved this often: more than this much work is never lost."""


class PhaseTraining:
    """One train phase of a run, from its first step in this process to its last."""

    def __init__(self, training: Training, phase: TrainPhase, entered: Entered, feed: Feed) -> None:
        """See `phase_start.entered_phase`."""
        self._training, self._progress, self._entered = training, training.progress, entered
        self._device = next(training.torch_classifier().network.parameters()).device
        self._steps_per_epoch = 0
        self._guard: PhaseGuard | None = None
        self._alarms: list[AlarmRaised] = []
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
        if self.ended is None and self._epoch_of_schedule >= self.phase.epochs:
            self.ended = ALL_EPOCHS
        elif self.ended is None and patience is not None and waited >= patience:
            self.ended = f"no better epoch for {waited}"
        return self._still_goes_on()

    def _still_goes_on(self) -> bool:
        """Whether the phase has not ended; at its end the frozen prefix is checked too.

        Raises:
            FrozenMovedError: something frozen moved.
        """
        if self.ended is not None and self._guard is not None:
            self._guard.check_prefix(self._entered, where=f"phase {self.phase.name}")
        return self.ended is None

    def epoch_batches(self) -> Iterator[Batch]:
        """(records, tensors) of the steps that the current epoch still has; sets modes and starts checks and clock.

        Their order and their views are pure functions of (seed, phase, epoch, image), so that a resume in the middle of
        an epoch goes on with exactly the batches that an uninterrupted run would have had.
        """
        training, progress = self._training, self._progress
        started = time.monotonic()
        self._entered.start_epoch()
        if self._guard is None:
            self._guard = PhaseGuard(training, self._entered, self.feed, self._rows)
            self._entered.start_epoch()
        self._guard.start_epoch(self.optimizer)
        progress.epoch_seconds += time.monotonic() - started
        chunks = self._chunks((training.plan.seed, progress.phase, progress.epoch))
        self._steps_per_epoch, waiting = len(chunks), chunks[progress.step :]
        self._steps_waited = len(waiting)
        observer, seen, images = training.observer, progress.images_seen, sum(map(len, chunks))
        self._advance = measured_span(observer, "training_steps", self._title, images, seen=seen)
        self._started = self._saved = time.monotonic()
        return self.feed.batches(waiting, epoch=self._epoch_of_views)

    @property
    def _epoch_of_views(self) -> int:
        """Number of the epoch that decides the augmented views, over all phases."""
        return len(self._progress.rows)

    @property
    def _title(self) -> str:
        """Name of the epoch for a progress bar."""
        progress = self._progress
        return f"{self.phase.name} {progress.epoch + 1}/{progress.rescued_after + self.phase.epochs}"

    def _chunks(self, position: tuple[int, int, int]) -> list[list[ImageRecord]]:
        """Batches of the epoch at a position."""
        return self._training.images.epoch_batches(self._training.plan.batch_size, position=position)

    @property
    def _rows(self) -> Positions | None:
        """Positions of the training images that steps use; None: all."""
        return None

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

    def loss_logits(self, outputs: Sequence[tuple[Tensor, float]]) -> Sequence[tuple[Tensor, float]]:
        """Logits (B, K) of the loss, and their weight in it: the outputs, logit-adjusted where the plan says so."""
        return adjusted_outputs(outputs, self._training.images.log_shares)

    def take_step(self) -> None:
        """One step by the gradients there are."""
        self._entered.take_step()

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
        if due and progress.step < self._steps_per_epoch:  # after the last step the epoch is evaluated, then saved
            progress.epoch_seconds, self._started = progress.epoch_seconds + now - self._started, now
            training.state.epoch_start = None if self._guard is None else self._guard.epoch_start
            self._save()
            training.state.epoch_start = None
            self._saved = time.monotonic()
            training.stop_if_requested()

    def check_and_evaluate_epoch(self) -> None:
        """Check an epoch, then validate its weights, or their average over steps where the plan has one.

        Raises:
            FrozenMovedError: something frozen moved.
            RunError: a group had another learning rate than the planned one.
        """
        self.check_epoch()
        with self._entered.averaged():
            self.evaluate_epoch()

    def check_epoch(self) -> None:
        """Check an epoch: frozen tensors are unchanged, learning rates are the planned ones, trainable groups moved.

        Raises:
            FrozenMovedError: something frozen moved.
            RunError: a group had another learning rate than the planned one.
        """
        progress, phase, guard = self._progress, self.phase, self._guard
        assert guard is not None, "an epoch has been trained"
        planned = self._rates(progress.step - 1)
        guard.check(self._entered, planned, where=f"phase {phase.name}, epoch {progress.epoch + 1}")
        self._planned = planned  # before the validation pass, whose loss a plateau reads
        if self._steps_waited > 1:  # behind a head of zeros the first step of all moves nothing but the head
            self._training.warn(guard.unchanged(phase.name, progress.epoch + 1, phase.lr_by_group))
        progress.epoch_seconds += time.monotonic() - self._started
        self._training.observer.span_ended("training_steps")

    def evaluate_epoch(self) -> None:
        """The validation pass: remember the best epoch, and start the next one's counts.

        The last step of an epoch can spoil the weights after its own loss was fine; then nothing is counted.
        """
        training, progress, state = self._training, self._progress, self._training.state
        started, validation = time.monotonic(), training.images.roles.validation
        logits = self._validation_logits(len(validation))
        if logits is None:
            return
        probabilities, labels = softmax(logits.astype(np.float64)), training.images.labels(validation)
        progress.epoch += 1
        candidate = candidate_of(
            f"{self.phase.name}/{progress.epoch}",
            probabilities,
            labels,
            training.torch_classifier(),
            training.images.metric,
        )
        state.validation_predictions.add(candidate.name, validation, candidate.correct, candidate.losses)
        if state.best is None and state.probe is not None:
            on, noise = training.images.roles.validation_source, training.plan.selection.significance_level
            lr = self.phase.lr_by_group
            training.warn(below_probe_warning(state.probe, candidate, on=on, significance_level=noise, lr=lr))
        better = state.best is None or candidate.is_better_than(state.best)
        if better:
            state.best = candidate
        progress.epochs_without_better = 0 if better else progress.epochs_without_better + 1
        progress.validation_losses.append(log_loss(probabilities, labels))
        entry = self._write_ledger(Validated(progress.validation_losses[-1], candidate.accuracy, len(labels)))
        self._add_row(entry, candidate.figure, since=started, improved=better)
        self._warn_of(alarms_of(training, entry, epochs=self.phase.epochs))

    def _validation_logits(self, images: int, rows: Positions | None = None) -> Singles | None:
        """(N, K) logits of images that validate; None, and the epoch has diverged, if not all are finite.

        Args:
            images: N.
            rows: Their positions among the images that validate; None: all.
        """
        observer = self._training.observer
        logits = self.feed.validation_logits(measured_span(observer, "validation_pass", "validation", images), rows)
        observer.span_ended("validation_pass")
        self.diverged = not np.isfinite(logits).all()
        return None if self.diverged else logits

    def _write_ledger(self, validated: Validated | None) -> LedgerEntry:
        """The line of the epoch that has ended in the ledger."""
        progress, guard = self._progress, self._guard
        assert guard is not None, "an epoch has been trained"
        entry = LedgerEntry(
            phase=self.phase.name,
            epoch=progress.epoch,
            round=self._round_number,
            rescues=progress.rescues,
            train_loss=progress.loss_sum / progress.images_seen,
        )
        return guard.record(entry, self.optimizer, self._planned, validated)

    @property
    def _round_number(self) -> int:
        """Round of the epoch; 0 where there are no rounds."""
        return 0

    def _warn_of(self, alarms: list[AlarmRaised]) -> None:
        """Note the alarms of an epoch."""
        self._alarms = alarms
        for alarm in alarms:
            self._training.warn(alarm)

    def _add_row(self, entry: LedgerEntry, value: float, *, since: float, improved: bool) -> None:
        """The line of the epoch that has ended, and the counts of the next.

        Args:
            entry: Its line in the ledger, with a validation pass.
            value: Of the metric that selects, on the images that validate.
            since: `time.monotonic()` when its validation pass began.
            improved: Whether it is the best so far.
        """
        progress = self._progress
        assert entry.validation_loss is not None
        assert entry.validation_accuracy is not None
        row = EpochDone(
            self.phase.name,
            progress.epoch,
            train_loss=entry.train_loss,
            validation_loss=entry.validation_loss,
            validation_accuracy=entry.validation_accuracy,
            lr={group["name"]: group["lr"] for group in self.optimizer.param_groups},
            improved=improved,
            seconds=progress.epoch_seconds + time.monotonic() - since,
            metric=self._training.images.metric,
            validation_value=value,
            movement=entry.movement,
        )
        progress.start_epoch()
        self._training.add_epoch_row(row)

    def end_epoch(self) -> None:
        """Save, or end the phase where something stopped being a number.

        Raises:
            Stopped: the run was asked to stop; everything is saved.
        """
        training, epoch = self._training, self._progress.epoch + 1
        if self.diverged:
            training.observer.noted(Diverged(self.phase.name, epoch))
            self._warn_of(alarms_of_broken_epoch(training, self.phase.name, epoch))
        if (alarm := self._to_be_rescued_from()) is not None:
            self._rescue(alarm)
        elif self.diverged:
            self.ended = f"the loss stopped being a number in epoch {epoch}"
            return
        self._save()
        training.stop_if_requested()

    def _save(self) -> None:
        average = self._entered.average
        self._training.save(optimizer=self.optimizer, average=None if average is None else average.state())

    def interpolate(self) -> None:
        """Validate weights between the linear probe's and those of the best epoch, in the last phase of a plan with it.

        Weights in between that are better than the epoch take its place among the candidates.
        """
        training, start, best = self._training, self._training.state.probe, self._training.state.best
        is_last = self.phase.name == training.plan.phases[-1].name
        if training.plan.selection.interpolate == "none" or not is_last or start is None or best is None:
            return
        validation = training.images.roles.validation
        labels, tried = training.images.labels(validation), [best]
        for share in SHARES:
            training.torch_classifier().restore(interpolated(start.weights, best.weights, share))
            if (logits := self._validation_logits(len(validation))) is None:
                continue
            name, probabilities = f"{best.name}@{share:g}", softmax(logits.astype(np.float64))
            tried.append(candidate_of(name, probabilities, labels, training.torch_classifier(), training.images.metric))
        for one in tried[1:]:
            training.state.validation_predictions.add(one.name, validation, one.correct, one.losses)
            if one.is_better_than(training.state.best or one):
                training.state.best = one
        losses = {one.name: one.loss for one in tried}
        training.observer.noted(WeightsInterpolated(losses, (training.state.best or best).name, len(validation)))

    def _to_be_rescued_from(self) -> AlarmRaised | None:
        """The alarm of the epoch that leads to a rescue; None where it goes on."""
        selection, alarm = self._training.plan.selection, curable(self._alarms)
        allowed = selection.after_alarm == "rescue" and self._progress.rescues < selection.most_rescues
        return alarm if allowed else None

    def _rescue(self, alarm: AlarmRaised) -> None:
        """Go back to the best weights; the schedule begins anew, with learning rates divided by ten."""
        training, progress = self._training, self._progress
        checkpoint, weights = weights_to_return_to(training)
        training.torch_classifier().restore(weights)
        progress.start_rescue()
        self.phase = lowered(training.planned(self.phase.name), progress.rescues)
        # What the optimizer remembers are steps that led away: it begins anew too.
        optimizer, start = training.plan.optimizer, training.start
        self._entered = enter(training.torch_classifier(), self.phase, optimizer, start=start)
        self.optimizer, self.diverged, self._alarms = self._entered.optimizer, False, []
        most = training.plan.selection.most_rescues
        rates = dict(self.phase.lr_by_group)
        training.warn(
            Rescued(alarm.phase, alarm.epoch, alarm.alarm, checkpoint, rates, number=progress.rescues, most=most)
        )

    def _rates(self, step: int) -> dict[str, float]:
        """Learning rate of every group at a step of the current epoch."""
        done, losses = self._epoch_of_schedule * self._steps_per_epoch + step, self._progress.validation_losses
        return learning_rates_at(self.phase, step=done, steps_per_epoch=self._steps_per_epoch, validation_losses=losses)

    @property
    def _epoch_of_schedule(self) -> int:
        """Epochs of the schedule that are done; a rescue begins it anew."""
        return self._progress.epoch - self._progress.rescued_after
