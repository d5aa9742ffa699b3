"""A step of progressive tuning in progress: a round for each fold until its images decide, then one on all images."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from headstart.amounts import count_text
from headstart.arrays import Positions
from headstart.data.sources.reading import ImageRecord
from headstart.measures.metrics import log_loss
from headstart.measures.selection import Scored
from headstart.networks.groups.layers import named_tensors
from headstart.plan.plan import TrainPhase
from headstart.runs.observers import ALL_EPOCHS
from headstart.runs.training_events import EpochDone, StepDone
from headstart.runs.warnings import AlarmRaised
from headstart.solvers.linear_head import softmax
from headstart.training.checkpoint import Candidate, StepState
from headstart.training.feeds import Batch, Feed
from headstart.training.guard.phase_guard import Validated, alarms_of
from headstart.training.learning_rates.param_groups import Entered, enter
from headstart.training.phase import PhaseTraining
from headstart.training.probe.probe import candidate_of, write_head
from headstart.training.steps.rounds import Round, on_same_images, rounds_of, rows_so_far, verdict
from headstart.training.steps.weights import tensors_of, write_tensors
from headstart.training.training import Training
from headstart.training.tuning_start import start_heads


class StepTraining(PhaseTraining):
    """A step; its candidate has the name of its phase, as the linear probe has."""

    def __init__(self, training: Training, phase: TrainPhase, entered: Entered, feed: Feed) -> None:
        """See `phase_start.entered_phase`."""
        super().__init__(training, phase, entered, feed)
        before, images = training.state.step, training.images
        # A later step goes on from the networks of the step before, which need not exist for every fold.
        folds = None if before is None else len(before.folds)
        self._rounds = rounds_of(phase, images, seed=training.plan.seed, folds=folds)
        self._folds = sum(one.validation_rows is not None for one in self._rounds)
        frozen = entered.frozen()
        self._names = frozenset(
            name for name, _ in named_tensors(training.torch_classifier().network) if name not in frozen
        )

    @property
    def _state(self) -> StepState:
        state = self._training.state
        if state.rounds is None:
            state.rounds = StepState()
        return state.rounds

    @property
    def _round(self) -> Round:
        return self._rounds[self._state.round]

    @property
    def _validating(self) -> tuple[ImageRecord, ...]:
        """Images that validate: those that were held out, or the training images."""
        roles = self._training.images.roles
        return roles.validation or roles.train

    @property
    def _epoch_of_schedule(self) -> int:
        return self._progress.epoch % self.phase.epochs

    @property
    def _epoch_of_views(self) -> int:
        return self._progress.epoch  # the round on all images adds no rows, and needs other views in each epoch too

    @property
    def _title(self) -> str:
        number, of = self._epoch_of_schedule + 1, self.phase.epochs
        which = "on all images"
        if self._round.validation_rows is not None:
            which = f"fold {self._state.round + 1} of {self._folds}"
        return f"{self.phase.name} {number}/{of}, {which}"

    def goes_on(self) -> bool:
        """Whether another epoch is to be trained; `ended` says why not."""
        return self._still_goes_on()

    def epoch_batches(self) -> Iterator[Batch]:
        """See `PhaseTraining.epoch_batches`; a round begins where the step, or the linear probe, before it ended."""
        if self._epoch_of_schedule == 0 and self._progress.step == 0:
            self._begin_round()
        return super().epoch_batches()

    def _to_be_rescued_from(self) -> AlarmRaised | None:
        return None  # a step that is not significantly better is not selected: what came before it is safe

    def _begin_round(self) -> None:
        """Put the network that a round starts from in place; it has not seen the images that will validate it."""
        training, state, before = self._training, self._state, self._training.step_start
        assert before is not None, "a step needs a linear probe before it"
        training.torch_classifier().restore(before.weights)  # numpy arrays where no torch had fitted the probe
        validated = self._round.validation_rows is not None
        if training.state.step is None:
            rows, l2_penalty = self._round.training_rows, training.progress.l2_penalty
            assert l2_penalty is not None
            (head,) = start_heads(training.plan, self.phase, training.source, [rows], l2_penalty=l2_penalty)
            write_head(training.torch_classifier(), head)
        elif validated:
            write_tensors(training.torch_classifier(), before.folds[state.round])
        optimizer, start = training.plan.optimizer, training.start
        self._entered = enter(training.torch_classifier(), self.phase, optimizer, start=start)
        self.optimizer = self._entered.optimizer
        self._guard = None  # the fixed batch is of the images of the round

    @property
    def _rows(self) -> Positions:
        return self._round.training_rows

    @property
    def _round_number(self) -> int:
        return self._state.round

    def _chunks(self, position: tuple[int, int, int]) -> list[list[ImageRecord]]:
        images, size = self._training.images, self._training.plan.batch_size
        return images.epoch_batches(size, position=position, rows=self._round.training_rows)

    def evaluate_epoch(self) -> None:
        """The validation pass on the fold of the round, if it has one; behind its last epoch the round ends."""
        progress, rows, started = self._progress, self._round.validation_rows, time.monotonic()
        if rows is None:
            self._state.seconds += progress.epoch_seconds
            progress.epoch += 1
            self._write_ledger(None)
            progress.start_epoch()
        else:
            logits = self._validation_logits(len(rows), rows)
            if logits is None:
                return
            probabilities, labels = softmax(logits.astype(np.float64)), self._labels()[rows]
            progress.epoch += 1
            accuracy = float((probabilities.argmax(axis=1) == labels).mean())
            scored = Scored.of(probabilities, labels, self._training.images.metric)
            entry = self._write_ledger(Validated(log_loss(probabilities, labels), accuracy, len(rows)))
            self._add_row(entry, scored.figure, since=started, improved=False)
            self._warn_of(alarms_of(self._training, entry, epochs=self.phase.epochs))
        if progress.epoch % self.phase.epochs == 0:
            self._end_round()

    def interpolate(self) -> None:
        """Nothing: a plan with steps is refused with it (`headstart.plan.faults`)."""

    def _labels(self) -> np.ndarray:
        """(N,) classes of the images that validate."""
        return self._training.images.labels(self._validating)

    def _end_round(self) -> None:
        """Decide on the images so far, or end with the round on all images."""
        state, rows = self._state, self._round.validation_rows
        if rows is not None:
            logits = self._validation_logits(len(rows), rows)
            if logits is None:
                return
            if state.logits is None:
                state.logits = np.full((len(self._validating), logits.shape[1]), np.nan, np.float32)
            state.logits[rows] = logits
            state.folds.append(tensors_of(self._training.torch_classifier(), self._names))
        candidate, loss = self._candidate()
        if rows is None:
            self._end_step(candidate, loss)
            return
        state.round += 1
        noise = self._training.plan.selection.significance_level
        found = verdict(
            *self._compared(candidate),
            looks=state.round,
            of=self._folds,
            significance_level=noise,
            # The first fold of a deeper step is its trial: most of them gain nothing, and they cost the most.
            give_up="no trend" if self._progress.steps else "no gain",
        )
        if found == "better":
            state.selected = True
            state.round = max(state.round, len(self._rounds) - 1)
        if found == "not better" or (found == "better" and self._rounds[-1].validation_rows is not None):
            self._end_step(candidate, loss)
        self._progress.epoch = state.round * self.phase.epochs

    def _candidate(self) -> tuple[Candidate, float]:
        """The network in place, with the results of the folds so far, and their mean log loss in nats."""
        training, state = self._training, self._state
        assert state.logits is not None
        rows = rows_so_far(self._rounds, len(state.folds))
        probabilities, labels = softmax(state.logits[rows].astype(np.float64)), self._labels()[rows]
        made = candidate_of(self.phase.name, probabilities, labels, training.torch_classifier(), training.images.metric)
        return replace(made, rows=rows, folds=tuple(state.folds)), log_loss(probabilities, labels)

    def _compared(self, candidate: Candidate) -> tuple[Candidate, Candidate]:
        """The step and what it must be better than, on the images that both were validated on."""
        before = self._training.before_step
        assert before is not None, "a step needs a candidate before it"
        return on_same_images(candidate, before)

    def _end_step(self, candidate: Candidate, loss: float) -> None:
        """Select the step or not, and write its lines."""
        training, state = self._training, self._state
        shared, before = self._compared(candidate)
        done = StepDone(
            self.phase.name,
            candidate.name,
            before.name,
            shared.loss,
            before.loss,
            shared.accuracy,
            before.accuracy,
            shared.loss_p_value_against(before),
            state.selected,
            len(shared.correct),
            "" if shared.metric == "accuracy" else shared.figures_against(before),
        )
        training.state.validation_predictions.add(
            candidate.name, self._validating, candidate.correct, candidate.losses, candidate.rows
        )
        if state.selected:
            training.state.step = candidate
        training.add_epoch_row(
            EpochDone(
                self.phase.name,
                0,
                train_loss=None,
                validation_loss=loss,
                validation_accuracy=candidate.accuracy,
                lr={},
                improved=state.selected,
                seconds=state.seconds,
                metric=candidate.metric,
                validation_value=candidate.figure,
            )
        )
        training.progress.steps.append(done)
        training.observer.noted(done)
        self.ended = ALL_EPOCHS if state.selected else f"not selected after {count_text(len(state.folds), 'fold')}"
