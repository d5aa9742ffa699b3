"""How a run ends: by itself, in vain, or because it was asked to; and what is kept then.

In the end the best weights go into the network, and its head is solved once more where there is time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.engine.prefix.engine_choice import EngineWish
from headstart.engine.store.training_images import TrainingImages
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import restore
from headstart.plan.plan import Phase, SolvePhase
from headstart.runs.observers import Observer
from headstart.training.best_epoch import Outcome, choose
from headstart.training.checkpoint import Candidate, Progress, State
from headstart.training.probe.probe import refit_head
from headstart.training.stopping import StopReason, StopRequest

SOLVE_GRACE_SECONDS = 2.0
"""A spent budget lets a solve of the head go on for so long: with few images that is all of it, with a result."""
NO_TIME = "; its head was not solved again on all of train, because the budget ran out"


class Stopped(Exception):  # noqa: N818 - not an error
    """Unwinds to where a run ends, with everything saved."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason)
        self.reason = reason


def leave_if_asked(stop: StopRequest) -> None:
    """Look whether to stop.

    Raises:
        Stopped: yes.
    """
    if (reason := stop.reason) is not None:
        raise Stopped(reason)


@dataclass
class SolveCheck:
    """Asks between the steps of a solve: a signal is heard at once, a spent budget after SOLVE_GRACE_SECONDS of it."""

    stop: StopRequest
    leave: Callable[[], object]
    """Called to look whether to stop, and to raise then."""
    _began: float | None = None

    def __call__(self) -> None:
        """Look, once it is time."""
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        if self.stop.reason == "signal" or now - self._began > SOLVE_GRACE_SECONDS:
            self.leave()


def why_futile(probe: Candidate) -> str:
    """Why no epoch could make fewer errors than the solved head, or an empty string."""
    if not probe.correct.all():
        return ""
    return (
        f"skipped: the probe has all {len(probe.correct)} validation images right, so no epoch could make fewer errors "
        "(--epochs N tunes anyway)"
    )


@dataclass(frozen=True)
class Ending:
    """What the plan says of the end."""

    phases: Sequence[Phase]
    head: str
    """Kind of head."""
    noise_level: float
    """The best epoch replaces the solved probe below this p-value."""
    seed: int
    engine: EngineWish


def end(
    ending: Ending,
    state: State,
    classifier: Classifier,
    images: TrainingImages,
    stop: StopRequest,
    observer: Observer,
    *,
    rows: list[dict[str, Any]],
    stopped: StopReason | None,
) -> Outcome:
    """Keep the best weights, and solve the head on all of train where the plan began with a solved one.

    That takes the features of all images, which are computed anew for a backbone that was tuned. A signal leaves in the
    middle of it, to go on another time; where the budget is spent, the head stays as it was judged.

    Args:
        ending: What the plan says.
        state: All that was trained; it is saved.
        classifier: Holds the chosen weights afterwards.
        images: Who plays which role.
        stop: Looked at while features are computed and the head is solved.
        observer: Told what was chosen.
        rows: One a phase that began.
        stopped: Why training ended before its phases did.

    Raises:
        RunError: nothing was ever judged.
    """
    chosen, why = choose(state.probe, state.best, on=images.roles.validation_source, noise_level=ending.noise_level)
    if ending.head == "multi_depth":
        why = state.progress.phases[0]["ended"]
    restore(classifier.network, chosen.weights)
    whole = len(images.roles.training_pool) > len(images.roles.train)
    if state.progress.strength is not None and (whole or chosen is not state.probe):
        try:
            _refit(ending, state.progress.strength, classifier, images, stop, observer)
        except Stopped as left:
            if left.reason != stopped:
                observer.noted("stopped", {"reason": left.reason})
            if left.reason == "signal":
                return interrupted(state.progress)
            stopped, why = left.reason, why + NO_TIME
    observer.noted("chosen", {"weights": chosen.name, "why": why})
    probe_accuracy = state.probe.accuracy if state.probe else None
    return Outcome(
        stopped,
        chosen.name,
        why,
        state.progress,
        rows,
        probe_accuracy,
        chosen.accuracy,
        judged=state.judged,
        confidences=chosen.confidences,
    )


def interrupted(progress: Progress) -> Outcome:
    """Of a run that a signal ended: everything is saved and nothing chosen."""
    return Outcome("signal", "none", "interrupted", progress, [], None, None)


def _refit(
    ending: Ending,
    strength: float,
    classifier: Classifier,
    images: TrainingImages,
    stop: StopRequest,
    observer: Observer,
) -> None:
    phase = next(phase for phase in reversed(ending.phases) if isinstance(phase, SolvePhase))
    refit_head(
        classifier,
        phase,
        images,
        strength=strength,
        seed=ending.seed,
        observer=observer,
        engine=ending.engine,
        after_batch=lambda engine: leave_if_asked(stop),
        check_stop=SolveCheck(stop, lambda: leave_if_asked(stop)),
    )
