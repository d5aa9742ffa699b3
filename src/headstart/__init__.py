"""headstart: transfer learning on images, from a folder of labelled photos to a classifier that can be trusted.

Public names are loaded on first use, so that `import headstart` needs no torch and takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.advice.result import Advice
    from headstart.advice.shortlist.ranking import Shortlist
    from headstart.apps.library.networks import compare, embed, probe, resume_comparison, shortlist
    from headstart.apps.library.plans import make_plan, recommend
    from headstart.apps.library.training import check, fit, report, resume, score
    from headstart.comparison.grid import GridPlan
    from headstart.comparison.questions import question
    from headstart.errors import HeadstartError
    from headstart.networks.cards.catalog import find_model
    from headstart.networks.groups.grouping import layer_groups
    from headstart.networks.toolbox import batch_norm, freeze, param_groups
    from headstart.plan.plan import DataPlan, Plan
    from headstart.plan.presets import (
        Request,
        discriminative,
        feature_extraction,
        full,
        gradual,
        partial,
        probe_then_tune,
        scratch,
    )
    from headstart.prediction.predictor import Prediction, Predictor, load
    from headstart.runs.folder import Run
    from headstart.workflow.embedding import Embedding
    from headstart.workflow.estimator.estimator import HeadstartClassifier
    from headstart.workflow.plans import TrainOptions
    from headstart.workflow.probing import DepthProbe
    from headstart.workflow.training.train import TrainingAnswer

_HOME = {
    "Advice": ("headstart.advice.result", "Advice"),
    "DataPlan": ("headstart.plan.plan", "DataPlan"),
    "DepthProbe": ("headstart.workflow.probing", "DepthProbe"),
    "Embedding": ("headstart.workflow.embedding", "Embedding"),
    "GridPlan": ("headstart.comparison.grid", "GridPlan"),
    "HeadstartClassifier": ("headstart.workflow.estimator.estimator", "HeadstartClassifier"),
    "HeadstartError": ("headstart.errors", "HeadstartError"),
    "Plan": ("headstart.plan.plan", "Plan"),
    "Prediction": ("headstart.prediction.predictor", "Prediction"),
    "Predictor": ("headstart.prediction.predictor", "Predictor"),
    "Request": ("headstart.plan.presets", "Request"),
    "Run": ("headstart.runs.folder", "Run"),
    "Shortlist": ("headstart.advice.shortlist.ranking", "Shortlist"),
    "TrainOptions": ("headstart.workflow.plans", "TrainOptions"),
    "TrainingAnswer": ("headstart.workflow.training.train", "TrainingAnswer"),
    "batch_norm": ("headstart.networks.toolbox", "batch_norm"),
    "check": ("headstart.apps.library.training", "check"),
    "compare": ("headstart.apps.library.networks", "compare"),
    "discriminative": ("headstart.plan.presets", "discriminative"),
    "embed": ("headstart.apps.library.networks", "embed"),
    "feature_extraction": ("headstart.plan.presets", "feature_extraction"),
    "find_model": ("headstart.networks.cards.catalog", "find_model"),
    "fit": ("headstart.apps.library.training", "fit"),
    "freeze": ("headstart.networks.toolbox", "freeze"),
    "full": ("headstart.plan.presets", "full"),
    "gradual": ("headstart.plan.presets", "gradual"),
    "layer_groups": ("headstart.networks.groups.grouping", "layer_groups"),
    "load": ("headstart.prediction.predictor", "load"),
    "make_plan": ("headstart.apps.library.plans", "make_plan"),
    "param_groups": ("headstart.networks.toolbox", "param_groups"),
    "partial": ("headstart.plan.presets", "partial"),
    "probe": ("headstart.apps.library.networks", "probe"),
    "probe_then_tune": ("headstart.plan.presets", "probe_then_tune"),
    "question": ("headstart.comparison.questions", "question"),
    "recommend": ("headstart.apps.library.plans", "recommend"),
    "report": ("headstart.apps.library.training", "report"),
    "resume": ("headstart.apps.library.training", "resume"),
    "resume_comparison": ("headstart.apps.library.networks", "resume_comparison"),
    "score": ("headstart.apps.library.training", "score"),
    "scratch": ("headstart.plan.presets", "scratch"),
    "shortlist": ("headstart.apps.library.networks", "shortlist"),
}
"""Public name -> module and name there. `fit` and `score`, because `train` and `evaluate` are packages."""

__all__ = [
    "Advice",
    "DataPlan",
    "DepthProbe",
    "Embedding",
    "GridPlan",
    "HeadstartClassifier",
    "HeadstartError",
    "Plan",
    "Prediction",
    "Predictor",
    "Request",
    "Run",
    "Shortlist",
    "TrainOptions",
    "TrainingAnswer",
    "batch_norm",
    "check",
    "compare",
    "discriminative",
    "embed",
    "feature_extraction",
    "find_model",
    "fit",
    "freeze",
    "full",
    "gradual",
    "layer_groups",
    "load",
    "make_plan",
    "param_groups",
    "partial",
    "probe",
    "probe_then_tune",
    "question",
    "recommend",
    "report",
    "resume",
    "resume_comparison",
    "score",
    "scratch",
    "shortlist",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    module, attribute = _HOME[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
