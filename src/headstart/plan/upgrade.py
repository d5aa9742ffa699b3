"""Plans of schema version 1 as plans of version 2: other names for the same values.

Version 1 spoke of thawing, rates and stored activations; version 2 takes the words of PyTorch, timm and scikit-learn.
Pure functions of plain values: a file that was written by hand and has faults is renamed too, so that its faults are
named with the keys that there are now.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headstart.plan.reasons import FINGERPRINTS, reasons_still_true

_FINGERPRINTS_V1 = "reasons_hold_for"

_RENAMED: dict[str, str] = {
    "data.report_share": "test_fraction",
    "data.report_seed": "test_seed",
    "data.select_share": "validation_fraction",
    "phases[].strength": "l2_penalty",
    "phases[].thaw": "unfreeze",
    "phases[].learning_rate": "head_lr",
    "phases[].backbone_rates": "backbone_lr",
    "phases[].backbone_rates.top": "lr",
    "phases[].backbone_rates.factor": "decay",
    "phases[].backbone_rates.rates": "groups",
    "phases[].schedule.final_rate": "final_lr",
    "phases[].schedule.rise_share": "pct_start",
    "phases[].schedule.plateau_minimum": "plateau_min_lr",
    "phases[].head_views": "head_refit_views",
    "phases[].frozen_part": "frozen_prefix",
    "phases[].frozen_part.way": "activations",
    "phases[].frozen_part.border": "cut_point",
    "phases[].peak_rates": "peak_lr",
    "phases[].learning_rates": "lr_by_group",
    "augmentation.stored_views": "cached_views",
    "selection.patience_epochs": "patience",
    "selection.noise_level": "significance_level",
    "selection.when_futile": "when_cannot_improve",
    "store": "activation_cache",
    _FINGERPRINTS_V1: FINGERPRINTS,
}
"""Path of a key in version 1, numbers and names of phases left out -> its name in version 2."""

_VALUES: dict[str, dict[str, str]] = {
    "phases[].kind": {"solve": "linear_probe"},
    "phases[].backbone_rates.rule": {"geometric": "layer_decay", "listed": "by_group"},
    "phases[].frozen_part.way": {"stored": "cached"},
}
"""Path of a key in version 1 -> words that its value might be, and those of version 2."""

_OPTIONS = {"--thaw": "--unfreeze", "--rates": "--lr-rule", "--find-rate": "--find-lr"}
"""Options of the command line that sentences of reasons name."""

_REQUEST_V1 = {"thaw": "unfreeze", "rates": "lr_rule", "peak_rates": "peak_lr", "learning_rate": "head_lr"}
"""Option of training in version 1 -> its name in version 2."""

_BEHIND_V1: dict[str, tuple[str, ...]] = {
    "strategy": ("data.source", "data.limit_train", "domain"),
    "domain": ("data.source",),
    "input.size": ("model.name",),
    "augmentation.preset": ("domain",),
    "augmentation.flip": ("domain",),
    "phases[].backbone_rates": ("phases[].learning_rate",),
    "phases[].learning_rate": ("optimizer.name",),
    "phases[].schedule": ("phases[].epochs", "optimizer.name"),
    "phases[].head_views": ("augmentation.preset",),
    "phases[].batch_norm": ("batch_size",),
    "selection.patience_epochs": ("phases",),
}
"""`reasons.BEHIND` as it was: fingerprints of version 1 are of these values."""


def upgraded(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A plan in the words of version 2; one that is of version 2 already, or newer, is returned as it is.

    Reasons whose values were changed since they were written are left out, because only the values as they were named
    then can be compared with their fingerprints. A file that names no version may hold words of both.

    Args:
        raw: A plan as plain values, with or without faults.
    """
    version = raw.get("schema_version")
    if version not in (None, 1):
        return dict(raw)
    found = dict(raw)
    written_for, reasons = found.pop(_FINGERPRINTS_V1, None), found.get("reasons")
    if isinstance(reasons, Mapping) and isinstance(written_for, Mapping):
        found["reasons"] = reasons_still_true(found, written_for, behind=_BEHIND_V1)
    elif written_for is not None:
        found[_FINGERPRINTS_V1] = written_for  # a fault of the file, named when it is checked
    found = dict(_renamed(found, ""))
    if isinstance(found.get("reasons"), Mapping):
        found["reasons"] = {
            upgraded_path(str(path)): _with_new_options(text) for path, text in found["reasons"].items()
        }
    return found | ({} if version is None else {"schema_version": 2})


def with_imbalance(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A plan whose `class_weight: balanced`, or weights by class, say `imbalance: class_weight`; others as they are.

    Args:
        raw: A plan as plain values, with or without faults.
    """
    found, weight = dict(raw), raw.get("class_weight")
    if weight is None or found.get("imbalance", "auto") not in ("auto", "class_weight"):
        return found  # another method is a fault, named when the plan is checked
    if weight == "balanced":
        found["class_weight"] = None
    return found | {"imbalance": "class_weight"}


def upgraded_path(path: str) -> str:
    """The path of a value in version 2, such as `phases[1].head_lr` for `phases[1].learning_rate`."""
    before, found = "", list[str]()
    for step in path.split("."):
        before = f"{before}.{step}" if before else step
        name, bracket, rest = step.partition("[")
        found.append(_RENAMED.get(re.sub(r"\[[^\]]*\]", "[]", before), name) + bracket + rest)
    return ".".join(found)


def upgraded_change(name: str, value: Any) -> tuple[str, Any]:  # noqa: ANN401 - a value of any key
    """(name, value) in version 2 of a change to a plan of version 1.

    Args:
        name: An option of training such as `thaw`, or a path such as `phases[tune].learning_rate`.
        value: Its value; keys and words inside are upgraded too.
    """
    if name in _REQUEST_V1:
        return _REQUEST_V1[name], value
    return upgraded_path(name), _renamed(value, re.sub(r"\[[^\]]*\]", "[]", name))


def _renamed(value: Any, path: str) -> Any:  # noqa: ANN401 - whatever YAML holds
    """The value at a path of version 1, with keys and words of version 2."""
    if isinstance(value, (list, tuple)):
        return [_renamed(inner, f"{path}[]") for inner in value]
    if not isinstance(value, Mapping):
        return _VALUES.get(path, {}).get(value, value) if isinstance(value, str) else value
    found = {}
    for key, inner in value.items():
        here = f"{path}.{key}" if path else str(key)
        name = _RENAMED.get(here, key)
        found[key if name in value else name] = _renamed(inner, here)  # both names: the old one is a fault
    return found


def _with_new_options(reason: Any) -> Any:  # noqa: ANN401 - a fault of the file where it is no text
    if not isinstance(reason, str):
        return reason
    for old, new in _OPTIONS.items():
        reason = re.sub(rf"{old}\b", new, reason)
    return reason
