from __future__ import annotations

import pytest

from headstart.diagnosis.finished.causes import likely_causes
from headstart.diagnosis.finished.run_figures import RunFigures
from headstart.runs.training_events import EpochDone

BASE = {"name": "run", "source": "photos", "num_classes": 2, "train_images": 10_000, "validation_images": 100}


def epochs(*losses: float, accuracy: float = 0.8) -> dict[str, tuple[EpochDone, ...]]:
    rows = [EpochDone("tune", number, 0.05, loss, accuracy, {}, False, 1.0) for number, loss in enumerate(losses, 1)]
    return {"tune": tuple(rows)}


CASES = {
    "cause_leak": {"findings": {"near_duplicates_in_two_splits": "12 images are in train and test"}},
    "cause_little_data": {"train_images": 40},
    "cause_high_lr": {"phases": epochs(0.5, 0.9, 1.4, 2.0), "peak_lr": 1e-2},
    "cause_label_noise": {"findings": {"label_errors": "30 labels are probably wrong"}},
    "cause_preprocessing": {"phases": epochs(0.7, 0.7, 0.7, accuracy=0.5), "probe_accuracy": 0.9},
    "cause_drift": {"validation_accuracy": 0.9, "test_accuracy": 0.6, "test_interval": (0.55, 0.65)},
}


@pytest.mark.parametrize("cause", CASES)
def test_each_kind_of_evidence_ranks_its_cause_first(cause: str):
    found = likely_causes(RunFigures(**{**BASE, **CASES[cause]}))
    assert found[0].id == cause
    assert found[0].command.startswith("headstart ")
    assert 0 < found[0].weight < 1


def test_fewer_images_weigh_more():
    weights = [likely_causes(RunFigures(**{**BASE, "train_images": count}))[0].weight for count in (30, 60, 120)]
    assert weights == sorted(weights, reverse=True)


def test_without_evidence_there_is_no_cause():
    assert likely_causes(RunFigures(**BASE)) == ()
