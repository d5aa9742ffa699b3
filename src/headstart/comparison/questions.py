"""The three usual questions as grids: which network, which strategy, which learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from headstart.comparison.grid import GridPlan, Metric, What
from headstart.errors import PlanError

MODELS = ("tf_efficientnet_lite0", "mobilenet_v2", "resnet18", "resnet50", "efficientnet_b0")
STRATEGIES = ("feature_extraction", "probe_then_tune", "discriminative", "gradual")
RATES = ("1e-2", "1e-3", "1e-4", "1e-5", "1e-6")
SEEDS = 3

QUICK_DATA = {"limit_train": "30/class", "limit_test": "50/class"}
QUICK_BASE = {"input_size": 96, "epochs": 6}
"""A first look: what it sets where nobody said otherwise, beside one seed."""

_VARIED: dict[What, tuple[str, Sequence[str]]] = {
    "models": ("model", MODELS),
    "strategies": ("strategy", STRATEGIES),
    "rates": ("rate", RATES),
}
_USUAL_STRATEGY = {"models": "feature_extraction", "rates": "full"}


def question(
    what: What,
    source: str,
    values: Sequence[str] = (),
    *,
    data: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    seeds: Sequence[int] | None = None,
    metric: Metric = "accuracy",
    halving: Any = "none",  # noqa: ANN401 - checked by the plan
    extent: Any = "full",  # noqa: ANN401 - checked here
) -> GridPlan:
    """The grid of one of the usual questions.

    Args:
        what: models, strategies or rates.
        source: DATA.
        values: Names of networks or strategies, or rates as text; the usual ones if empty.
        data: Further options of the data, such as limit_train.
        base: Options of `train` that all trials share.
        seeds: Of the rounds; the first three numbers if None, the first alone of a quick look.
        metric: By which figure.
        halving: none or successive.
        extent: full, or quick: few images, few pixels, few epochs where nobody said otherwise.

    Raises:
        PlanError: with every fault.
    """
    if what not in _VARIED:
        raise PlanError([f"what: {what!r} must be one of {', '.join(_VARIED)}"], source="the question")
    varied, usual = _VARIED[what]
    part = {"source": source, **(data or {})}
    shared = dict(base or {})
    if varied in shared:
        raise PlanError([f"base.{varied}: is what varies; name the {what} that are compared"], source="the question")
    if what in _USUAL_STRATEGY:
        shared.setdefault("strategy", _USUAL_STRATEGY[what])
    if extent == "quick":
        part, shared = {**QUICK_DATA, **part}, {**QUICK_BASE, **shared}
        if shared.get("strategy") == "feature_extraction" and "epochs" not in (base or {}):
            shared.pop("epochs")
    chosen: Any = list(values or usual)
    if what == "rates":
        _refuse_equal(chosen)
        chosen = {text: rate_changes(text) for text in chosen}
    raw = {
        "what": what,
        "data": part,
        "base": shared,
        "vary": {varied: chosen},
        "seeds": list(seeds if seeds is not None else range(1 if extent == "quick" else SEEDS)),
        "metric": metric,
        "halving": halving,
    }
    return GridPlan.from_dict(raw, source="the question")


def _refuse_equal(rates: Sequence[str]) -> None:
    """The same rate twice, however it is written.

    Raises:
        PlanError: naming both ways.
    """
    seen: dict[float, str] = {}
    for text in rates:
        rate = rate_changes(text)["phases[tune].head_lr"]
        if rate in seen:
            raise PlanError([f"rates: {seen[rate]} and {text} are the same"], source="the question")
        seen[rate] = text


def rate_changes(text: str) -> dict[str, Any]:
    """One rate for the whole network in the phase that tunes.

    Raises:
        PlanError: it is no rate.
    """
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 < rate <= 1:
        raise PlanError([f"rates: {text!r} must be a number > 0 and <= 1, such as 1e-4"], source="the question")
    return {
        "phases[tune].head_lr": rate,
        "phases[tune].backbone_lr": {"rule": "uniform", "lr": rate},
    }
