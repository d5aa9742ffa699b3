"""Observers of a run. The loop calls them with what happened and reads nothing from them; only the loop acts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

from headstart.plan.plan import Phase
from headstart.runs.event import Event
from headstart.runs.folder import Run
from headstart.runs.training_events import EpochDone, PhaseDone, PhaseStarted

ALL_EPOCHS = "all epochs done"
"""Why a phase ended that nothing cut short."""

SpanKind: TypeAlias = Literal["features", "frozen_part", "training_steps", "validation_pass", "test_images"]
"""What a measured span computes: pooled features of images, activations at a cut point, the steps of an epoch, the
validation pass after them, or predictions for the test images."""


class Observer:
    """The moments of a run, each a method that does nothing here."""

    def phase_started(self, index: int, phase: Phase) -> None:
        """A phase begins, or goes on after a resume."""

    def work_started(self, what: str, total: int) -> None:
        """Something with a known number of images begins."""

    def work_done(self, count: int) -> None:
        """So many more images of it are done."""

    def span_started(self, kind: SpanKind) -> None:
        """A span whose time is measured begins; spans do not overlap, and one that is never ended was left early."""

    def span_advanced(self, images: int) -> None:
        """So many more images of the span are done; the first call says that everything was set up before."""

    def span_ended(self, kind: SpanKind) -> None:
        """All images of the span are done."""

    def epoch_done(self, row: EpochDone) -> None:
        """An epoch was trained, validated and saved."""

    def phase_done(self, row: PhaseDone) -> None:
        """A phase ended; the row says what was trained, at which learning rates, and why it ended."""

    def noted(self, event: Event) -> None:
        """Anything else worth keeping: what was selected, skipped, saved."""


class EventLog(Observer):
    """Writes events.jsonl."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def phase_started(self, index: int, phase: Phase) -> None:
        """One line."""
        self.noted(PhaseStarted.of(index, phase))

    def epoch_done(self, row: EpochDone) -> None:
        """One line."""
        self.noted(row)

    def phase_done(self, row: PhaseDone) -> None:
        """One line."""
        self.noted(row)

    def noted(self, event: Event) -> None:
        """One line."""
        self._run.append_event(event.event, **event.to_dict())


class All(Observer):
    """Several observers as one, called in the order given."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        self._observers = tuple(observers)

    def phase_started(self, index: int, phase: Phase) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.phase_started(index, phase)

    def work_started(self, what: str, total: int) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.work_started(what, total)

    def work_done(self, count: int) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.work_done(count)

    def span_started(self, kind: SpanKind) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.span_started(kind)

    def span_advanced(self, images: int) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.span_advanced(images)

    def span_ended(self, kind: SpanKind) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.span_ended(kind)

    def epoch_done(self, row: EpochDone) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.epoch_done(row)

    def phase_done(self, row: PhaseDone) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.phase_done(row)

    def noted(self, event: Event) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.noted(event)


def measured_span(
    observer: Observer, kind: SpanKind, what: str, images: int, *, seen: int = 0
) -> Callable[[int], None]:
    """The function that advances a span and its progress bar, both of which begin now.

    Bars are for people and spans for the estimates of runtime: a bar without a span teaches nothing.

    Args:
        observer: Told of both; whoever begins the span tells it of the end.
        kind: Of the span.
        what: Title of the bar.
        images: Length of the bar.
        seen: How many of them an interrupted run had done; the span does not count them.
    """
    observer.work_started(what, images)
    if seen:
        observer.work_done(seen)
    observer.span_started(kind)

    def advance(images: int) -> None:
        observer.work_done(images)
        observer.span_advanced(images)

    return advance
