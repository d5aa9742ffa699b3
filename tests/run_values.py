"""Metrics and data of runs that nobody trained, as training writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.measures.figures import ClassFigures
from headstart.runs.run_data import ImageRole, RoleCounts, RunData
from headstart.runs.run_metrics import FinalFigures, RunMetrics, SelectedCheckpoint, ValidationFigures

CLASSES = ("a", "b")


def final_figures(
    accuracy: float, images: int = 100, *, classes: Sequence[str] = CLASSES, **given: Any
) -> FinalFigures:
    """Figures of a test set with as many images of each class, each with this accuracy."""
    each = images // len(classes)
    values: dict[str, Any] = {
        "images": images,
        "accuracy": accuracy,
        "accuracy_interval": (accuracy - 0.1, 1.0),
        "balanced_accuracy": accuracy,
        "log_loss": 0.3,
        "per_class": {
            name: ClassFigures(
                precision=accuracy, recall=accuracy, f1=accuracy, images=each, recall_interval=(0.0, 1.0)
            )
            for name in classes
        },
        "confusion": tuple(tuple(each * (i == j) for j in range(len(classes))) for i in range(len(classes))),
        "source": "val",
    }
    return FinalFigures(**values | given)


def run_metrics(accuracy: float = 0.9, *, images: int = 100, seconds: float = 60.0, **given: Any) -> RunMetrics:
    """Metrics of a finished run whose linear probe was selected."""
    values: dict[str, Any] = {
        "run": "runs/x",
        "bundle": "runs/x/bundle",
        "strategy": "probe_then_tune",
        "model": "resnet18:in1k",
        "test": final_figures(accuracy, images),
        "validation": ValidationFigures(accuracy=accuracy, source="held-out 20% of train"),
        "seconds": {"total": seconds},
        "phases": (),
        "epochs": (),
        "selected": SelectedCheckpoint("probe", "the linear probe is the only candidate"),
    }
    return RunMetrics(**values | given)


def run_data(content: str = "abc", *, classes: Sequence[str] = CLASSES, **given: Any) -> RunData:
    """Images of a run; by default none are named."""
    values: dict[str, Any] = {
        "source": "photos",
        "content": content,
        "classes": tuple(classes),
        "roles": {},
        "validation_source": "held-out 20% of train",
        "test_source": "val",
    }
    return RunData(**values | given)


def role_counts(counts: Mapping[ImageRole, int]) -> dict[ImageRole, RoleCounts]:
    """Roles with these numbers of images, without their classes."""
    return {role: RoleCounts(count) for role, count in counts.items()}
