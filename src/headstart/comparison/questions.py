"""Plans of the three usual comparisons: of networks, strategies and learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.comparison.grid import ComparisonKind, GridPlan, Metric
from headstart.errors import PlanError

COMPARED_MODELS = ("tf_efficientnet_lite0", "mobilenet_v2", "resnet18", "resnet50", "efficientnet_b0")
COMPARED_STRATEGIES = ("feature_extraction", "progressive", "probe_then_tune", "discriminative", "gradual")
COMPARED_LEARNING_RATES = ("1e-2", "1e-3", "1e-4", "1e-5", "1e-6")
DEFAULT_SEEDS = 3

QUICK_DATA = {"limit_train": "30/class", "limit_test": "50/class"}
QUICK_BASE = {"input_size": 96, "epochs": 6}
"""Defaults of a quick comparison, which also has one seed."""

_VARIED: dict[ComparisonKind, tuple[str, Sequence[str]]] = {
    "models": ("model", COMPARED_MODELS),
    "strategies": ("strategy", COMPARED_STRATEGIES),
    "learning_rates": ("learning_rate", COMPARED_LEARNING_RATES),
}
_USUAL_STRATEGY = {"models": "feature_extraction", "learning_rates": "full"}


def question(
    what: ComparisonKind,
    source: str,
    values: Sequence[str] = (),
    *,
    data: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    seeds: Sequence[int] | None = None,
    metric: Metric = "accuracy",
    halving: Any = "none",  # noqa: ANN401 - checked by the plan
    folds: int | None = None,
    extent: Any = "full",  # noqa: ANN401 - checked here
) -> GridPlan:
    """Plan of one of the usual comparisons.

    Args:
        what: models, strategies or learning_rates.
        source: DATA, as for `train`.
        values: Names of networks or strategies, or learning rates as text; the usual ones if empty.
        data: Further options of the data, such as limit_train.
        base: Options of `train` that all trials share.
        seeds: Seeds; 0, 1 and 2 if None, 0 alone if quick or with folds.
        metric: By which variants are compared.
        halving: none or successive.
        folds: Number of folds of all images; None: one test set.
        extent: full, or quick: few images, pixels and epochs where not given.

    Raises:
        PlanError: with every fault.
    """
    if what not in _VARIED:
        raise PlanError([f"what: {what!r} must be one of {', '.join(_VARIED)}"], source="the question")
    varied, usual = _VARIED[what]
    part = {"source": source, **(data or {})}
    shared = dict(base or {})
    if varied in shared:
        raise PlanError([f"base.{varied}: varies; name the {what} to compare"], source="the question")
    if what in _USUAL_STRATEGY:
        shared.setdefault("strategy", _USUAL_STRATEGY[what])
    if extent == "quick":
        part, shared = {**QUICK_DATA, **part}, {**QUICK_BASE, **shared}
        if shared.get("strategy") == "feature_extraction" and "epochs" not in (base or {}):
            shared.pop("epochs")
    chosen: Any = list(values or usual)
    if what == "learning_rates":
        _refuse_equal(chosen)
        chosen = {text: learning_rate_changes(text) for text in chosen}
    raw = {
        "what": what,
        "data": part,
        "base": shared,
        "vary": {varied: chosen},
        "seeds": list(seeds if seeds is not None else range(1 if extent == "quick" or folds else DEFAULT_SEEDS)),
        "metric": metric,
        "halving": halving,
        "folds": folds,
    }
    return GridPlan.from_dict(raw, source="the question")


def _refuse_equal(rates: Sequence[str]) -> None:
    """Refuse a learning rate that is given twice, however it is written.

    Raises:
        PlanError: naming both spellings.
    """
    seen: dict[float, str] = {}
    for text in rates:
        rate = learning_rate_changes(text)["phases[tune].head_lr"]
        if rate in seen:
            raise PlanError([f"learning_rates: {seen[rate]} and {text} are the same"], source="the question")
        seen[rate] = text


def learning_rate_changes(text: str) -> dict[str, Any]:
    """Changes that set one learning rate for the whole network in the phase `tune`.

    Raises:
        PlanError: the text is no learning rate.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate <= 1:
        raise PlanError(
            [f"learning_rates: {text!r} must be a number > 0 and <= 1, such as 1e-4"], source="the question"
        )
    return {
        "phases[tune].head_lr": rate,
        "phases[tune].backbone_lr": {"rule": "uniform", "lr": rate},
    }
