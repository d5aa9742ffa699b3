"""fit: the one training loop, readable from top to bottom.

    fit -> each phase -> solve the head, or epochs -> steps -> the network
        -> choose between the probe and the best tuned epoch -> refit the head on all of train

The loop is the only one that acts. A run can stop after any step and go on from there bit for bit: whatever is
random is a pure function of (seed, phase, epoch, step, image), and everything else is in the checkpoint.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.sources.reading import ImageRecord
from headstart.engine.costs.forecast import Costs, costs_of
from headstart.engine.costs.timing import phase_row
from headstart.engine.prefix.cut import CutNetwork
from headstart.engine.store.training_images import TrainingImages
from headstart.measures.metrics import log_loss
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import restore
from headstart.plan.plan import FrozenPartPlan, Plan, SolvePhase, TrainPhase
from headstart.runs.folder import Run
from headstart.runs.observers import ALL_EPOCHS, Observer, measured_span
from headstart.solvers.in_memory import softmax
from headstart.training.augmentation.batches import vary_batch
from headstart.training.augmentation.mixup import batch_loss
from headstart.training.below_probe import below_probe_alarm
from headstart.training.best_epoch import Outcome
from headstart.training.bundling import Ending, SolveCheck, Stopped, end, interrupted, leave_if_asked, why_futile
from headstart.training.checkpoint import Candidate, Progress, State, copy_of, load_state, save_state
from headstart.training.feeds import Feed, feed_for
from headstart.training.guard.drift import MovedCheck
from headstart.training.guard.frozen import FrozenCheck
from headstart.training.learning_rates.finder import Rehearsal, find_rates
from headstart.training.learning_rates.param_groups import Entered, enter
from headstart.training.learning_rates.schedules import rates_at
from headstart.training.probe.probe import candidate_of, solve_probe
from headstart.training.stopping import StopReason, StopRequest
from headstart.training.tuning_start import start_head
from headstart.training.validation_predictions import epoch_row

SAVE_SECONDS = 120.0
"""Inside a long epoch the state is saved this often: more than this much work is never lost."""


def fit(
    plan: Plan,
    classifier: Classifier,
    images: TrainingImages,
    *,
    run: Run,
    observer: Observer,
    stop: StopRequest,
    costs: Costs | None = None,
) -> Outcome:
    """Train `classifier` in place as the settled plan says, from the run's last checkpoint if it has one.

    `costs` forecasts the phases and settles how each gets what rests; None starts from what is remembered.

    Raises:
        FrozenMovedError: something frozen moved.
        RunError: a group learned at another rate than the planned one.
        DiskFullError: the last checkpoint is whole.
        DataError: an image cannot be read any more.
    """
    state = load_state(run.checkpoint) or State(Progress(), {}, None, None, None)
    if state.network:
        restore(classifier.network, state.network)
        observer.noted("resumed", {"phase": state.progress.phase, "epoch": state.progress.epoch})
    costs = costs or costs_of(classifier, images)
    costs.under(plan.augmentation, plan.selection, batch_size=plan.batch_size, engine=plan.engine, seed=plan.seed)
    to_come, done = plan.phases[state.progress.phase :], state.progress.epoch
    observer.noted("forecast", costs.announced(to_come, epochs_done=done, budget_seconds=plan.budget_seconds))
    loop = _Loop(plan, classifier, images, run, observer, stop, state, costs)
    stopped: StopReason | None = None
    try:
        while not loop.state.progress.done:
            phase = plan.phases[loop.state.progress.phase]
            observer.phase_started(loop.state.progress.phase, phase)
            if isinstance(phase, SolvePhase):
                loop.solve(phase)
            else:
                loop.train_phase(phase)
    except Stopped as left:
        stopped = left.reason
        observer.noted("stopped", {"reason": stopped})
    if stopped == "signal":
        return interrupted(loop.state.progress)
    return loop.finish(stopped)


@dataclass
class _Loop:
    plan: Plan
    classifier: Classifier
    images: TrainingImages
    run: Run
    observer: Observer
    stop: StopRequest
    state: State
    costs: Costs
    feed: Feed = field(init=False)
    """Of the current train phase, while it lasts."""

    def solve(self, phase: SolvePhase) -> None:
        """The head in one go; a candidate for the best weights."""
        started = time.monotonic()
        solved = solve_probe(
            self.classifier,
            phase,
            self.images,
            seed=self.plan.seed,
            observer=self.observer,
            engine=self.plan.engine,
            noise_level=self.plan.selection.noise_level,
            after_batch=self._after_batch,
            check_stop=SolveCheck(self.stop, lambda: self._after_batch(None)),
        )
        self._settle_engine(solved.engine)
        self.state.progress.strength = solved.strength
        self.state.probe = probe = solved.candidate
        self.state.judged.add(phase.name, solved.judged_on, probe.correct, probe.losses)
        seconds = time.monotonic() - started
        self._add_row(epoch_row(phase.name, 0, accuracy=probe.accuracy, loss=solved.log_loss, seconds=seconds))
        self._end_phase(phase, reason=solved.summary)
        self._skip_if_futile(probe)
        self._save(optimizer=None)
        self._leave_if_asked()

    def train_phase(self, phase: TrainPhase) -> None:
        """Epochs until the phase's end, or until nothing gets better."""
        progress = self.state.progress
        started = time.monotonic()
        found = self.costs.settle(phase, self.observer)
        phase = self._settle_way(phase, found.plan)
        start_head(self.plan, phase, progress, self.classifier, self.images, self.observer, self._after_batch)
        entered = enter(self.classifier, phase, self.plan.optimizer)
        if self.state.optimizer is not None:
            entered.optimizer.load_state_dict(self.state.optimizer)
        with self._fed(phase, found.cut):
            phase = self._settle_way(phase, self.feed.way)  # a store that is too full after all changes it
            self._settle_engine(self.feed.engine)
            if phase.peak_rates == "find":
                phase = self._find_rates(phase)
                entered = enter(self.classifier, phase, self.plan.optimizer)
            progress.epoch_seconds += time.monotonic() - started
            reason, ended_early = ALL_EPOCHS, False
            while progress.epoch < phase.epochs:
                if self._is_out_of_patience():
                    reason, ended_early = f"no better epoch for {progress.epochs_without_better}", True
                    break
                if not (self._train_epoch(entered) and self._judge_epoch(entered)):
                    reason, ended_early = f"the loss stopped being a number in epoch {progress.epoch + 1}", True
                    self.observer.noted("diverged", {"phase": phase.name, "epoch": progress.epoch + 1})
                    break
                self._save(optimizer=entered.optimizer)
                self._leave_if_asked()
        if ended_early:
            self._back_to_best()
        self._end_phase(phase, reason=reason)
        self._save(optimizer=None)

    @contextmanager
    def _fed(self, phase: TrainPhase, cut: CutNetwork | None) -> Iterator[None]:
        """The feed of a phase, for as long as it lasts: what it reads in the store cannot make room for the next."""
        self.feed = feed_for(
            phase,
            self.classifier,
            self.images,
            augmentation=self.plan.augmentation,
            seed=self.plan.seed,
            observer=self.observer,
            engine=self.plan.engine,
            made=cut,
            after_batch=self._after_batch,
        )
        try:
            yield
        finally:
            del self.feed

    def _is_out_of_patience(self) -> bool:
        patience = self.plan.selection.patience_epochs
        return patience is not None and self.state.progress.epochs_without_better >= patience

    def _train_epoch(self, entered: Entered) -> bool:
        """The steps of one epoch; False if the loss stopped being a number."""
        progress, phase = self.state.progress, entered.phase
        entered.start_epoch()
        frozen, moved = FrozenCheck(entered.frozen()), MovedCheck(entered.optimizer)
        position = (self.plan.seed, progress.phase, progress.epoch)
        chunks = self.images.epoch_batches(self.plan.batch_size, position=position)
        waiting = chunks[progress.step :]
        what, images = f"{phase.name} {progress.epoch + 1}/{phase.epochs}", sum(map(len, chunks))
        advance = measured_span(self.observer, "training_steps", what, images, seen=progress.images_seen)
        started = saved = time.monotonic()
        for records, tensors in self.feed.batches(waiting, epoch=len(progress.rows)):
            entered.set_rate(self._rates(phase, progress.step, len(chunks)))
            loss = self._train_step(entered, records, tensors)
            progress.step += 1
            progress.loss_sum += loss * len(records)
            progress.images_seen += len(records)
            advance(len(records))
            if not math.isfinite(loss):
                return False
            now = time.monotonic()
            if (self.stop.reason is not None or now - saved > SAVE_SECONDS) and progress.step < len(chunks):
                progress.epoch_seconds, started = progress.epoch_seconds + now - started, now
                self._save(optimizer=entered.optimizer)
                saved = time.monotonic()
                self._leave_if_asked()
        where = f"phase {phase.name}, epoch {progress.epoch + 1}"
        frozen.assert_unmoved(entered.frozen(), where=where)
        entered.assert_rates(self._rates(phase, progress.step - 1, len(chunks)), where=where)
        if len(waiting) > 1:  # behind a head of zeros the first step of all moves nothing but the head
            self._raise_alarm(moved.alarm(phase.name, progress.epoch + 1, phase.learning_rates))
        progress.epoch_seconds += time.monotonic() - started
        self.observer.span_ended("training_steps")
        return True

    def _raise_alarm(self, alarm: dict[str, Any] | None) -> None:
        """Each kind once a phase: it may be right, so the run goes on."""
        alarms = self.state.progress.alarms
        if alarm and not any((one["alarm"], one["phase"]) == (alarm["alarm"], alarm["phase"]) for one in alarms):
            alarms.append(alarm)
            self.observer.noted("alarm", alarm)

    def _train_step(self, entered: Entered, records: Sequence[ImageRecord], tensors: tuple[Tensor, ...]) -> float:
        """One optimizer step; the mean loss of the batch."""
        device = next(self.classifier.network.parameters()).device
        plan, progress = self.plan, self.state.progress
        position = (plan.seed, progress.phase, progress.epoch, progress.step)
        alpha, jitter = plan.augmentation.mixup_alpha, self.feed.channel_jitter
        varied, mixing = vary_batch(tensors, position=position, mixup_alpha=alpha, channel_jitter=jitter)
        outputs = self.feed.outputs(varied)
        labels = torch.from_numpy(self.images.labels(records)).to(device)
        smoothing, weights = plan.optimizer.label_smoothing, self.images.loss_weights(records)
        factors = None if weights is None else torch.from_numpy(weights).to(device)
        loss = batch_loss(outputs, labels, mixing, label_smoothing=smoothing, weights_B=factors)
        entered.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        entered.optimizer.step()
        return float(loss.detach())

    def _judge_epoch(self, entered: Entered) -> bool:
        """Validate, remember the best epoch, start the next one's counts; False if an output is not finite.

        The last step of an epoch can spoil the weights after its own loss was fine.
        """
        progress, phase = self.state.progress, entered.phase
        started = time.monotonic()
        roles = self.images.roles
        advance = measured_span(self.observer, "validation_pass", "validation", len(roles.validation))
        logits = self.feed.select_logits(advance)
        if not np.isfinite(logits).all():
            return False
        probabilities, labels = softmax(logits.astype(np.float64)), self.images.labels(roles.validation)
        progress.epoch += 1
        candidate = candidate_of(f"{phase.name}/{progress.epoch}", probabilities, labels, self.classifier)
        self.state.judged.add(candidate.name, roles.validation, candidate.correct, candidate.losses)
        if self.state.best is None and self.state.probe is not None:
            on, noise, rates = roles.validation_source, self.plan.selection.noise_level, phase.learning_rates
            self._raise_alarm(below_probe_alarm(self.state.probe, candidate, on=on, noise_level=noise, rates=rates))
        better = self.state.best is None or candidate.is_better_than(self.state.best)
        if better:
            self.state.best = candidate
        progress.epochs_without_better = 0 if better else progress.epochs_without_better + 1
        progress.select_losses.append(log_loss(probabilities, labels))
        row = epoch_row(
            phase.name,
            progress.epoch,
            accuracy=candidate.accuracy,
            loss=progress.select_losses[-1],
            seconds=progress.epoch_seconds + time.monotonic() - started,
            train_loss=progress.loss_sum / progress.images_seen,
            rates={group["name"]: group["lr"] for group in entered.optimizer.param_groups},
            better=better,
        )
        progress.step, progress.loss_sum, progress.images_seen, progress.epoch_seconds = 0, 0.0, 0, 0.0
        self.observer.span_ended("validation_pass")
        self._add_row(row)
        return True

    def _add_row(self, row: dict[str, Any]) -> None:
        self.state.progress.rows.append(row)
        self.observer.epoch_done(row)

    def finish(self, stopped: StopReason | None) -> Outcome:
        """Choose, and solve the head once more; what comes after the phases, or after a budget that is spent."""
        plan, progress = self.plan, self.state.progress
        rows = list(progress.phases)
        if not progress.done:
            rows.append(self._phase_row(plan.phases[progress.phase], f"stopped by the {stopped}"))
        ending = Ending(plan.phases, plan.head.kind, plan.selection.noise_level, plan.seed, plan.engine)
        watched = self.stop, self.observer
        return end(ending, self.state, self.classifier, self.images, *watched, rows=rows, stopped=stopped)

    def _back_to_best(self) -> None:
        """What a later phase starts from when this one stopped getting better: not from where it strayed to."""
        if (best := self.state.best or self.state.probe) is not None:
            restore(self.classifier.network, best.weights)

    def _skip_if_futile(self, probe: Candidate) -> None:
        """End here if no tuned epoch could make fewer errors than the probe."""
        progress = self.state.progress
        if progress.done or self.plan.selection.when_futile == "tune_anyway" or not (why := why_futile(probe)):
            return
        for phase in self.plan.phases[progress.phase :]:
            self._end_phase(phase, reason=why)

    def _phase_row(self, phase: SolvePhase | TrainPhase, reason: str) -> dict[str, Any]:
        return phase_row(phase, self.state.progress.rows, head=self.classifier.group_names[-1], reason=reason)

    def _end_phase(self, phase: SolvePhase | TrainPhase, *, reason: str) -> None:
        progress = self.state.progress
        row = self._phase_row(phase, reason)
        progress.phases.append(row)
        progress.phase, progress.epoch, progress.step = progress.phase + 1, 0, 0
        progress.loss_sum, progress.images_seen, progress.epoch_seconds = 0.0, 0, 0.0
        progress.select_losses, progress.epochs_without_better = [], 0
        progress.done = progress.phase >= len(self.plan.phases)
        self.observer.phase_done(row)

    def _rates(self, phase: TrainPhase, step: int, steps_per_epoch: int) -> dict[str, float]:
        done, losses = self.state.progress.epoch * steps_per_epoch + step, self.state.progress.select_losses
        return rates_at(phase, step=done, steps_per_epoch=steps_per_epoch, select_losses=losses)

    def _settle_way(self, phase: TrainPhase, way: FrozenPartPlan) -> TrainPhase:
        """How a phase gets what rests stands in the plan: a resume takes the same way, whatever was measured since."""
        if phase.frozen_part == way:
            return phase
        return self._settle_phase(phase.model_copy(update={"frozen_part": way}))

    def _find_rates(self, phase: TrainPhase) -> TrainPhase:
        """Peak rates by range tests; they stand in the plan from then on, and a resume does not search again."""
        plan, progress = self.plan, self.state.progress
        rehearsal = Rehearsal(
            self.classifier,
            phase,
            progress.phase,
            self.feed,
            self.images,
            plan.optimizer,
            weights=plan.model.weights,
            batch_size=plan.batch_size,
            mixup_alpha=plan.augmentation.mixup_alpha,
            seed=plan.seed,
            epochs_before=len(progress.rows),
            observer=self.observer,
            leave_if_asked=self._leave_if_asked,
        )
        found = find_rates(rehearsal)
        self.observer.noted("rates_found", found.to_dict())
        return self._settle_phase(found.phase, found.reasons(f"phases[{progress.phase}]"))

    def _settle_phase(self, phase: TrainPhase, reasons: Mapping[str, str] | None = None) -> TrainPhase:
        """Put the phase in place of the one of its name in the plan."""
        phases = tuple(phase if one.name == phase.name else one for one in self.plan.phases)
        self.plan = self.plan.model_copy(update={"phases": phases, "reasons": {**self.plan.reasons, **(reasons or {})}})
        self.run.settle(self.plan)
        return phase

    def _settle_engine(self, name: str | None) -> None:
        """Say which engine computed what a phase reads."""
        self.observer.noted("computed_by", {"engine": name})
        self._keep_engine(name)

    def _keep_engine(self, name: str | None) -> None:
        """The first engine that computes something runs the rest of the run, a resume included."""
        if name is not None and self.plan.engine == "auto":
            self.plan = self.plan.model_copy(update={"engine": name})
            self.costs.engine = self.plan.engine
            self.run.settle(self.plan)

    def _save(self, *, optimizer: torch.optim.Optimizer | None) -> None:
        self.state.network = copy_of(self.classifier.network)
        self.state.optimizer = optimizer.state_dict() if optimizer is not None else None
        save_state(self.run.checkpoint, self.state)

    def _after_batch(self, engine: str | None) -> None:
        """Between batches of what a phase computes once, and between steps of a solve: a resume finds the rows."""
        self._keep_engine(engine)
        if self.stop.reason is not None:
            self.state.network = copy_of(self.classifier.network)
            save_state(self.run.checkpoint, self.state)  # with the optimizer of a phase that had begun
            self._leave_if_asked()

    def _leave_if_asked(self) -> None:
        if not self.state.progress.done:
            leave_if_asked(self.stop)
