"""fit: the one training loop, readable from top to bottom.

    fit -> each phase -> fit the linear probe, or epochs -> steps -> the network
        -> choose between the probe and the best tuned epoch -> refit the head on all of train

The loop is the only one that acts. A run can stop after any step and go on from there bit for bit: whatever is
random is a pure function of (seed, phase, epoch, step, image), and everything else is in the checkpoint.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from headstart.plan.plan import Phase, ProbePhase, TrainPhase
from headstart.runs.events import RunStopped, StopReason
from headstart.runs.observers import ALL_EPOCHS
from headstart.runs.training_events import EpochDone
from headstart.training.augmentation.batches import augment_batch
from headstart.training.augmentation.mixup import batch_loss
from headstart.training.best_epoch import Outcome
from headstart.training.bundling import end, interrupted, why_it_cannot_improve
from headstart.training.checkpoint import Candidate
from headstart.training.probe.depth_trial import DepthTrial, TrialTerms, try_depths
from headstart.training.probe.depth_worth import macs_that_follow
from headstart.training.probe.probe import FittedProbe, fit_probe
from headstart.training.steps.course import why_no_step
from headstart.training.stopping import SolveCheck, Stopped
from headstart.training.training import Training

if TYPE_CHECKING:
    from headstart.training.phase import PhaseTraining


def fit(training: Training) -> Outcome:
    """Outcome of training; the classifier, trained in place as the plan says, holds the selected weights.

    Goes on from the run's last checkpoint if it has one.

    Raises:
        FrozenMovedError: something frozen moved.
        RunError: a group had another learning rate than the planned one, or nothing was ever evaluated.
        DiskFullError: the last checkpoint is whole.
        DataError: an image cannot be read any more.
    """
    training.take_up()
    augmentation = training.plan.augmentation
    smoothing = training.plan.optimizer.label_smoothing
    stopped: StopReason | None = None
    try:
        # The number of the phase is part of the checkpoint: a resumed run enters the loop where it was left.
        while (planned := next_phase(training)) is not None:
            training.observer.phase_started(training.progress.phase, planned)
            if isinstance(planned, ProbePhase):
                fit_probe_phase(training, planned)
                continue
            classifier = training.torch_classifier()
            with _entered(training, planned) as phase:
                while phase.goes_on():
                    for records, tensors in phase.epoch_batches():
                        phase.set_learning_rates()
                        augmented, mixing = augment_batch(
                            tensors,
                            position=phase.position,
                            augmentation=augmentation,
                            channel_jitter=phase.feed.channel_jitter,
                        )
                        # The feed decides how much of the network a step runs: all of it, or what follows the
                        # cached activations. Networks with auxiliary heads give several logits in training.
                        with phase.feed.rewrites:
                            outputs = phase.loss_logits(classifier.weighted_logits(phase.feed.network(*augmented)))
                        labels, weights = phase.targets(records)
                        loss = batch_loss(outputs, labels, mixing, label_smoothing=smoothing, weights_B=weights)
                        phase.optimizer.zero_grad(set_to_none=True)
                        loss.backward()  # type: ignore[no-untyped-call]
                        phase.take_step()
                        phase.count_step(len(records), float(loss.detach()))
                        if phase.diverged:
                            break
                    else:  # weights that are no numbers any more are not evaluated
                        phase.check_and_evaluate_epoch()
                    phase.end_epoch()
                phase.interpolate()
            # A phase that ended early has trained past its best epoch, and the next one must not start from there.
            if phase.ended != ALL_EPOCHS and not _is_step(planned):
                training.restore_best()
            training.end_phase(phase.phase, reason=phase.ended or ALL_EPOCHS)
            training.save(optimizer=None)  # the next phase trains other groups and makes its own
    except Stopped as left:
        stopped = left.reason
        training.observer.noted(RunStopped(stopped))
    if stopped == "signal":  # everything is saved, nothing is chosen
        return interrupted(training.progress)
    return end(training, stopped=stopped)


def _entered(training: Training, phase: TrainPhase) -> AbstractContextManager[PhaseTraining]:
    """The phase, ready for its next step."""
    # Imported here: a run that only fits heads on known features needs no torch.
    from headstart.training.phase_start import entered_phase

    return entered_phase(training, phase)


def fit_probe_phase(training: Training, phase: ProbePhase) -> None:
    """Fit the linear probe: a phase without steps, and the first candidate; the plan may try a head on all depths too.

    Goes on where it was stopped between both heads: the first is fitted again, from the same features.
    """
    started, plan = time.monotonic(), training.plan
    level, seed = plan.selection.significance_level, plan.seed
    check = SolveCheck(training.stop, lambda: training.after_batch(None))
    if phase.alternative_head == "none":
        fitted = fit_probe(training.source, phase, seed=seed, significance_level=level, check_stop=check)
        _keep_probe(training, phase, fitted, seconds=time.monotonic() - started)
        reason = fitted.summary
    else:
        following = macs_that_follow(plan.phases, training.classifier.card, size=training.images.spec.size)
        trial = try_depths(
            training.source,
            phase,
            TrialTerms(seed, level, following),
            on_plain=lambda plain: _keep_probe(training, phase, plain, seconds=time.monotonic() - started),
            check_stop=check,
        )
        _keep_depths(training, trial)
        reason = trial.summary
    training.end_phase(phase, reason=reason)
    assert training.state.probe is not None
    _skip_what_cannot_improve(training, training.state.probe)
    training.save(optimizer=None)
    training.stop_if_requested()  # only now: a fitted probe that was not saved would be fitted again


def _keep_probe(training: Training, phase: ProbePhase, fitted: FittedProbe, *, seconds: float) -> None:
    """Make the linear probe a candidate."""
    training.resolve_engine(fitted.engine)
    training.progress.l2_penalty = fitted.l2_penalty
    training.state.probe = fitted.candidate
    if not training.progress.rows:  # it was not fitted before a stop
        _add_head(training, fitted, improved=True, seconds=seconds)


def _keep_depths(training: Training, trial: DepthTrial) -> None:
    """Make the head on all depths a candidate, where it was fitted: the one to beat, where it was selected."""
    if trial.deep is None:
        return
    _add_head(training, trial.deep, improved=trial.outcome == "selected", seconds=trial.seconds)
    if trial.selected is not None:
        training.state.depths = trial.selected.candidate
        training.progress.depths_l2_penalty = trial.selected.l2_penalty


def _add_head(training: Training, fitted: FittedProbe, *, improved: bool, seconds: float) -> None:
    """Put a fitted head into the tables of epochs and of validation images."""
    candidate, roles = fitted.candidate, training.images.roles
    training.state.validation_predictions.add(
        candidate.name, roles.validation or roles.train, candidate.correct, candidate.losses, candidate.rows
    )
    row = EpochDone(
        candidate.name,
        0,
        None,
        fitted.log_loss,
        candidate.accuracy,
        {},
        improved,
        seconds,
        metric=candidate.metric,
        validation_value=candidate.figure,
    )
    training.add_epoch_row(row)


def next_phase(training: Training) -> Phase | None:
    """The phase that is trained next, or goes on; None after the last.

    A step of progressive tuning that is not worth its time is left out, and all that would follow it.
    """
    progress = training.progress
    if progress.done:
        return None
    planned = training.plan.phases[progress.phase]
    if not _is_step(planned):
        return planned
    assert isinstance(planned, TrainPhase)
    begun = progress.epoch > 0 or progress.step > 0  # in another process
    if not begun and (why := why_no_step(training)):
        for phase in training.plan.phases[progress.phase :]:
            training.end_phase(phase, reason=why if phase is planned else f"left out with {planned.name}")
        training.save(optimizer=None)
        return None
    return training.begin_step(planned)


def _skip_what_cannot_improve(training: Training, probe: Candidate) -> None:
    """End here if no tuned epoch could make fewer errors than the probe."""
    plan, progress = training.plan, training.progress
    if (
        progress.done
        or plan.selection.when_cannot_improve == "tune_anyway"
        or _is_step(plan.phases[progress.phase])  # `next_phase` decides, with more than the probe's errors
        or not (why := why_it_cannot_improve(probe))
    ):
        return
    for phase in plan.phases[progress.phase :]:
        training.end_phase(phase, reason=why)


def _is_step(phase: Phase) -> bool:
    return isinstance(phase, TrainPhase) and phase.begins == "if_it_can_pay"
