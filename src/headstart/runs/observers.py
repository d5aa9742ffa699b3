"""Those who watch a run. The loop tells them what happened and asks nothing; only the loop acts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from headstart.plan.plan import Phase
from headstart.runs.folder import Run
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from headstart.plan.plan import OptimizerPlan, TrainPhase

ALL_EPOCHS = "all epochs done"
"""Why a phase ended that nothing cut short."""


class Observer:
    """The moments of a run, each a method that does nothing here."""

    def phase_started(self, index: int, phase: Phase) -> None:
        """A phase begins, or goes on after a resume."""

    def work_started(self, what: str, total: int) -> None:
        """Something with a known number of images begins."""

    def work_done(self, count: int) -> None:
        """So many more images of it are done."""

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """An epoch was trained, judged and saved."""

    def phase_done(self, row: Mapping[str, Any]) -> None:
        """A phase ended; the row says what was trained, at which rate, and why it ended."""

    def noted(self, event: str, values: Mapping[str, Any]) -> None:
        """Anything else worth keeping: what was chosen, skipped, saved."""


class EventLog(Observer):
    """Writes events.jsonl."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def phase_started(self, index: int, phase: Phase) -> None:
        """One line."""
        self._run.append_event("phase_started", index=index, name=phase.name, kind=phase.kind)

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """One line."""
        self._run.append_event("epoch_done", **row)

    def phase_done(self, row: Mapping[str, Any]) -> None:
        """One line."""
        self._run.append_event("phase_done", **row)

    def noted(self, event: str, values: Mapping[str, Any]) -> None:
        """One line."""
        self._run.append_event(event, **values)


class All(Observer):
    """Several observers as one, told in the order given."""

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

    def epoch_done(self, row: Mapping[str, Any]) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.epoch_done(row)

    def phase_done(self, row: Mapping[str, Any]) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.phase_done(row)

    def noted(self, event: str, values: Mapping[str, Any]) -> None:
        """Passed on."""
        for observer in self._observers:
            observer.noted(event, values)
