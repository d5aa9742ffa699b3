"""Plans of comparisons of schema version 1 as plans of version 2: other names for the same changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headstart.plan.upgrade import upgraded_change

_KINDS = {"rates": "learning_rates"}
"""What is compared, in the words of version 1 -> version 2."""


def upgraded_grid(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison.yaml or grid file in the words of version 2; one of version 2 or newer is returned as it is.

    Names of variants stay the same, because folders of trials are called by them: a resume finds its trials. A file
    that names no version may hold words of both.

    Args:
        raw: A plan of a comparison as plain values, with or without faults.
    """
    version = raw.get("schema_version")
    if version not in (None, 1):
        return dict(raw)
    found = dict(raw)
    if isinstance(data := raw.get("data"), Mapping):
        found["data"] = upgraded_change("data", data)[1]
    if isinstance(base := raw.get("base"), Mapping):
        found["base"] = _upgraded_changes(base)
    if isinstance(vary := raw.get("vary"), Mapping):
        found["vary"] = dict(_upgraded_values(str(name), values) for name, values in vary.items())
    if isinstance(what := raw.get("what"), str):
        found["what"] = _KINDS.get(what, what)
    return found | ({} if version is None else {"schema_version": 2})


def _upgraded_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    return dict(upgraded_change(str(name), value) for name, value in changes.items())


def _upgraded_values(name: str, values: Any) -> tuple[str, Any]:  # noqa: ANN401 - whatever YAML holds
    """(key of `vary`, its values or named changes)."""
    if isinstance(values, Mapping):  # `name` is a label, the keys inside are options and paths
        return name, {
            label: _upgraded_changes(changes) if isinstance(changes, Mapping) else changes
            for label, changes in values.items()
        }
    path = upgraded_change(name, None)[0]
    if not isinstance(values, list):
        return path, values
    upgraded = [upgraded_change(name, value)[1] for value in values]
    if upgraded == values:
        return path, values
    # A variant is called by its value: as named changes, the names of before stay with the values of today.
    return path, {str(before): {path: now} for before, now in zip(values, upgraded, strict=True)}
