"""headstart: transfer learning on images, from a folder of labelled photos to a classifier that can be trusted.

Public names are loaded on first use, so that `import headstart` needs no torch and takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headstart.advice.result import Advice
    from headstart.advice.shortlist.ranking import Shortlist
    from headstart.apps.library.comparison import compare, resume_comparison
    from headstart.apps.library.diagnosis import doctor
    from headstart.apps.library.evaluation import evaluate, predict, report
    from headstart.apps.library.images import advise, check, embed, probe
    from headstart.apps.library.networks import models, shortlist
    from headstart.apps.library.pretraining import pretrain, resume_pretraining
    from headstart.apps.library.results import CompareResult, ModelList
    from headstart.apps.library.training import make_plan, resume, train
    from headstart.comparison.grid import GridPlan
    from headstart.comparison.questions import question
    from headstart.data.checks.check_result import CheckResult
    from headstart.delivery.predictions import Predictions
    from headstart.diagnosis.finding import DoctorFinding, DoctorResult
    from headstart.errors import HeadstartError
    from headstart.networks.cards.finding import find_model
    from headstart.networks.groups.grouping import layer_groups
    from headstart.networks.toolbox import batch_norm, freeze, param_groups
    from headstart.plan.plan import DataPlan, Plan
    from headstart.plan.presets import (
        discriminative,
        feature_extraction,
        full,
        gradual,
        partial,
        probe_then_tune,
        scratch,
    )
    from headstart.plan.request import Request
    from headstart.prediction.evaluation import EvaluateResult
    from headstart.prediction.predictor import Prediction, Predictor, load
    from headstart.runs.folder import Run
    from headstart.workflow.embedding import Embedding
    from headstart.workflow.estimator.estimator import HeadstartClassifier
    from headstart.workflow.pretraining.pretrain import PretrainResult
    from headstart.workflow.probing import DepthProbe
    from headstart.workflow.training.result import TrainResult

_HOME = {
    "Advice": ("headstart.advice.result", "Advice"),
    "CheckResult": ("headstart.data.checks.check_result", "CheckResult"),
    "CompareResult": ("headstart.apps.library.results", "CompareResult"),
    "DataPlan": ("headstart.plan.plan", "DataPlan"),
    "DepthProbe": ("headstart.workflow.probing", "DepthProbe"),
    "DoctorFinding": ("headstart.diagnosis.finding", "DoctorFinding"),
    "DoctorResult": ("headstart.diagnosis.finding", "DoctorResult"),
    "Embedding": ("headstart.workflow.embedding", "Embedding"),
    "EvaluateResult": ("headstart.prediction.evaluation", "EvaluateResult"),
    "GridPlan": ("headstart.comparison.grid", "GridPlan"),
    "HeadstartClassifier": ("headstart.workflow.estimator.estimator", "HeadstartClassifier"),
    "HeadstartError": ("headstart.errors", "HeadstartError"),
    "ModelList": ("headstart.apps.library.results", "ModelList"),
    "Plan": ("headstart.plan.plan", "Plan"),
    "PretrainResult": ("headstart.workflow.pretraining.pretrain", "PretrainResult"),
    "Prediction": ("headstart.prediction.predictor", "Prediction"),
    "Predictions": ("headstart.delivery.predictions", "Predictions"),
    "Predictor": ("headstart.prediction.predictor", "Predictor"),
    "Run": ("headstart.runs.folder", "Run"),
    "Shortlist": ("headstart.advice.shortlist.ranking", "Shortlist"),
    "Request": ("headstart.plan.request", "Request"),
    "TrainResult": ("headstart.workflow.training.result", "TrainResult"),
    "advise": ("headstart.apps.library.images", "advise"),
    "batch_norm": ("headstart.networks.toolbox", "batch_norm"),
    "check": ("headstart.apps.library.images", "check"),
    "compare": ("headstart.apps.library.comparison", "compare"),
    "discriminative": ("headstart.plan.presets", "discriminative"),
    "doctor": ("headstart.apps.library.diagnosis", "doctor"),
    "embed": ("headstart.apps.library.images", "embed"),
    "evaluate": ("headstart.apps.library.evaluation", "evaluate"),
    "feature_extraction": ("headstart.plan.presets", "feature_extraction"),
    "find_model": ("headstart.networks.cards.finding", "find_model"),
    "freeze": ("headstart.networks.toolbox", "freeze"),
    "full": ("headstart.plan.presets", "full"),
    "gradual": ("headstart.plan.presets", "gradual"),
    "layer_groups": ("headstart.networks.groups.grouping", "layer_groups"),
    "load": ("headstart.prediction.predictor", "load"),
    "make_plan": ("headstart.apps.library.training", "make_plan"),
    "models": ("headstart.apps.library.networks", "models"),
    "param_groups": ("headstart.networks.toolbox", "param_groups"),
    "partial": ("headstart.plan.presets", "partial"),
    "predict": ("headstart.apps.library.evaluation", "predict"),
    "pretrain": ("headstart.apps.library.pretraining", "pretrain"),
    "probe": ("headstart.apps.library.images", "probe"),
    "probe_then_tune": ("headstart.plan.presets", "probe_then_tune"),
    "question": ("headstart.comparison.questions", "question"),
    "report": ("headstart.apps.library.evaluation", "report"),
    "resume": ("headstart.apps.library.training", "resume"),
    "resume_comparison": ("headstart.apps.library.comparison", "resume_comparison"),
    "resume_pretraining": ("headstart.apps.library.pretraining", "resume_pretraining"),
    "scratch": ("headstart.plan.presets", "scratch"),
    "shortlist": ("headstart.apps.library.networks", "shortlist"),
    "train": ("headstart.apps.library.training", "train"),
}
"""Public name -> module and name there."""

__all__ = [
    "Advice",
    "CheckResult",
    "CompareResult",
    "DataPlan",
    "DepthProbe",
    "DoctorFinding",
    "DoctorResult",
    "Embedding",
    "EvaluateResult",
    "GridPlan",
    "HeadstartClassifier",
    "HeadstartError",
    "ModelList",
    "Plan",
    "Prediction",
    "Predictions",
    "Predictor",
    "PretrainResult",
    "Request",
    "Run",
    "Shortlist",
    "TrainResult",
    "advise",
    "batch_norm",
    "check",
    "compare",
    "discriminative",
    "doctor",
    "embed",
    "evaluate",
    "feature_extraction",
    "find_model",
    "freeze",
    "full",
    "gradual",
    "layer_groups",
    "load",
    "make_plan",
    "models",
    "param_groups",
    "partial",
    "predict",
    "pretrain",
    "probe",
    "probe_then_tune",
    "question",
    "report",
    "resume",
    "resume_comparison",
    "resume_pretraining",
    "scratch",
    "shortlist",
    "train",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    if name == "__version__":
        from importlib import metadata

        return metadata.version("headstart")
    if name not in _HOME:
        raise AttributeError(f"module 'headstart' has no attribute {name!r}")
    module, attribute = _HOME[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
