"""The end of training: selects a checkpoint, loads its weights, and fits its head once more on all of train.

A run ends by itself, because no epoch could improve on the linear probe, or because it was stopped. The last fit of
the head is left out where the budget is spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from headstart.plan.plan import Phase, ProbePhase
from headstart.runs.events import CheckpointSelected, RunStopped, StopReason
from headstart.training.best_epoch import Outcome, choose
from headstart.training.checkpoint import Candidate, TrainingProgress
from headstart.training.probe.probe import refit_head
from headstart.training.steps.course import why_selected
from headstart.training.stopping import SolveCheck, Stopped, stop_if_requested
from headstart.training.training import Training

NO_TIME = "; its head was not fitted again on all of train, because the budget ran out"


def why_it_cannot_improve(probe: Candidate) -> str:
    """The reason why no epoch could make fewer errors than the linear probe, or an empty string."""
    if not probe.correct.all() or probe.metric == "log_loss":
        return ""
    return (
        f"skipped: the linear probe classifies all {len(probe.correct)} validation images correctly, "
        "so no epoch could make fewer errors (--epochs N tunes anyway)"
    )


def end(training: Training, *, stopped: StopReason | None) -> Outcome:
    """The outcome, with the selected weights loaded and the head fitted on all of train (if the plan has a probe).

    That takes the features of all images, which are computed anew for a backbone that was tuned. A signal leaves in the
    middle of it, to go on another time; where the budget is spent, the head stays as it was evaluated.

    Args:
        training: All that was trained; its classifier holds the selected weights afterwards.
        stopped: Why training ended before its phases did.

    Raises:
        RunError: nothing was ever evaluated.
    """
    plan, progress, state = training.plan, training.progress, training.state
    images, observer = training.images, training.observer
    rows = list(progress.phases)
    if not progress.done:
        rows.append(training.phase_row(plan.phases[progress.phase], f"stopped by the {stopped}"))
    on, noise = images.roles.validation_source, plan.selection.significance_level
    chosen, why = choose(training.before_step, state.best, on=on, significance_level=noise)
    if progress.steps and state.best is None:
        why = why_selected(progress.steps)
    elif state.best is None and progress.phases and (plan.head.kind == "multi_depth" or _tries_depths(plan.phases)):
        why = progress.phases[0].ended
    training.restore(chosen)
    whole = len(images.roles.training_pool) > len(images.roles.train)
    # A step that validates out of fold ends with a network, and a head, trained on all of train.
    trained_on_all = bool(chosen.folds) and not images.roles.validation
    fitted = chosen is state.probe or chosen is state.depths
    l2_penalty = progress.depths_l2_penalty if chosen is state.depths else progress.l2_penalty
    if l2_penalty is not None and (whole or not fitted) and not trained_on_all:
        try:
            _refit(training, l2_penalty)
        except Stopped as left:
            if left.reason != stopped:
                observer.noted(RunStopped(left.reason))
            if left.reason == "signal":
                return interrupted(progress)
            stopped, why = left.reason, why + NO_TIME
    observer.noted(CheckpointSelected(chosen.name, why))
    return Outcome(
        stopped,
        chosen.name,
        why,
        progress,
        rows,
        state.probe.accuracy if state.probe else None,
        chosen.accuracy,
        validation_predictions=state.validation_predictions,
        metric=chosen.metric,
        selected_value=chosen.figure,
        confidences=chosen.confidences,
    )


def _tries_depths(phases: Sequence[Phase]) -> bool:
    return any(isinstance(phase, ProbePhase) and phase.alternative_head == "multi_depth" for phase in phases)


def interrupted(progress: TrainingProgress) -> Outcome:
    """The outcome of a run that a signal ended: everything is saved and nothing is selected."""
    return Outcome("signal", "none", "interrupted", progress, [], None, None)


def _refit(training: Training, l2_penalty: float) -> None:
    """Fit the head on all of train; when this is interrupted nothing is saved, because it starts anew the next time."""
    leave = partial(stop_if_requested, training.stop)
    phase = next(phase for phase in reversed(training.plan.phases) if isinstance(phase, ProbePhase))
    source = replace(training.source, after_batch=lambda engine: leave())
    refit_head(
        source, phase, l2_penalty=l2_penalty, seed=training.plan.seed, check_stop=SolveCheck(training.stop, leave)
    )
