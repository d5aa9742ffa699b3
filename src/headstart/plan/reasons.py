"""Reasons of a plan that are still true: a reason belongs to values, and goes when one of them changes.

A plan file keeps a fingerprint of the values behind each reason. Whoever edits the file edits values, not fingerprints,
so what no longer fits is found when the file is read. Pure functions of plain values.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

ANY_SOURCE = "DATA"
"""Stands for images that nobody has named yet; naming them changes no reason."""

FINGERPRINTS = "reason_fingerprints"
"""Key of a plan file: path of a reason -> fingerprint of the values it was written for."""

BEHIND: dict[str, tuple[str, ...]] = {
    "strategy": ("data.source", "data.limit_train", "domain"),
    "domain": ("data.source",),
    "input.size": ("model.name",),
    "augmentation.preset": ("domain",),
    "augmentation.flip": ("domain",),
    "phases[].backbone_lr": ("phases[].head_lr",),
    "phases[].head_lr": ("optimizer.name",),
    "phases[].schedule": ("phases[].epochs", "optimizer.name"),
    "phases[].head_refit_views": ("augmentation.preset",),
    "phases[].batch_norm": ("batch_size",),
    "selection.patience": ("phases",),
    "selection.metric": ("imbalance",),
    "imbalance": ("data.source",),
}
"""Path of a reason -> further values its sentence speaks of; `[]` is the number of the same phase."""


def value_fingerprints(plan: Mapping[str, Any]) -> dict[str, str]:
    """Path of every reason -> eight hexadecimal digits of the values behind it.

    Args:
        plan: A complete plan as plain values, defaults included.
    """
    return {path: _fingerprint(plan, path, BEHIND) for path in plan["reasons"]}


def reasons_still_true(
    plan: Mapping[str, Any], written_for: Mapping[str, str], *, behind: Mapping[str, tuple[str, ...]] = BEHIND
) -> dict[str, str]:
    """The reasons whose values are as they were when the sentence was written.

    Args:
        plan: A complete plan as plain values.
        written_for: What `fingerprints` gave then; a reason that it does not name was written by hand, and stays.
        behind: As `BEHIND`, of the schema version that the plan and its fingerprints are of.
    """
    return {
        path: reason
        for path, reason in plan["reasons"].items()
        if path not in written_for or written_for[path] == _fingerprint(plan, path, behind)
    }


def value_at(plan: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever the plan holds there
    """The value at a path such as `phases[1].head_lr`; None where there is none."""
    value: Any = plan
    for step in re.findall(r"[^.\[\]]+", path):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, (list, tuple)) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _fingerprint(plan: Mapping[str, Any], path: str, behind: Mapping[str, tuple[str, ...]]) -> str:
    number = re.search(r"\[\d+\]", path)
    further = behind.get(re.sub(r"\[\d+\]", "[]", path), ())
    paths = [path, *(one.replace("[]", number[0]) if number else one for one in further)]
    text = json.dumps([value_at(plan, one) for one in paths], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
