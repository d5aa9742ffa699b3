"""Trainings of a prepared task, stopped where a test says, and what they report."""

from __future__ import annotations

import torch

from headstart.networks.backbone import Classifier
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.training.best_epoch import Outcome
from headstart.training.loop import fit
from headstart.training.stopping import StopRequest
from headstart.training.training import Training


class StopAfter(StopRequest):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int, reason: str = "signal") -> None:
        super().__init__()
        self.looks, self.why = looks, reason

    @property
    def reason(self) -> str | None:
        self.looks -= 1
        return self.why if self.looks <= 0 else None


class Rows(Observer):
    def __init__(self) -> None:
        self.epochs, self.phases, self.events = [], [], []

    def epoch_done(self, row) -> None:
        self.epochs.append(row.to_dict())

    def phase_done(self, row) -> None:
        self.phases.append(row.to_dict())

    def noted(self, event: Event) -> None:
        self.events.append((event.event, event.to_dict()))


def run_fit(task, *, stop: StopRequest | None = None, observer: Observer | None = None) -> tuple[Classifier, Outcome]:
    classifier = task.classifier()
    outcome = fit(
        Training(
            task.plan,
            classifier,
            task.images,
            run=task.run,
            observer=observer or Observer(),
            stop=stop or StopRequest(),
        )
    )
    return classifier, outcome


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Of the names both have; there must be many."""
    shared = first.keys() & second.keys()
    assert len(shared) > 100
    return all(torch.equal(first[name], second[name]) for name in shared)
