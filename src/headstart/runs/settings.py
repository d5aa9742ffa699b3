"""The settings of a run as one flat table, and in which of them runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from headstart.errors import RunError
from headstart.files import is_file
from headstart.plan.reasons import FINGERPRINTS
from headstart.plan.upgrade import upgraded
from headstart.runs.folder import Run

Setting = str | int | float | bool

_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # twenty times as quick where PyYAML has it


@dataclass(frozen=True, slots=True)
class _Source:
    source: str


@dataclass(frozen=True, slots=True)
class _Network:
    name: str


@dataclass(frozen=True, slots=True)
class PlanOutline:
    """The settings by which a run is listed; a plan that is otherwise of a newer version has them too."""

    strategy: str
    data: _Source
    model: _Network
    seed: int


def raw_plan(folder: Path) -> dict[str, Any]:
    """Values of the resolved plan, not checked: a plan of a newer version can be shown too.

    Raises:
        RunError: it is missing or no YAML.
    """
    path = folder / "plan.resolved.yaml"
    if not is_file(path):
        raise RunError(
            "plan.resolved.yaml is missing: the run ended while its folder was made", remedy="start it again"
        )
    try:
        plan = yaml.load(path.read_text(encoding="utf-8"), _YAML)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RunError(f"plan.resolved.yaml cannot be read ({_first_line(error)})") from error
    if not isinstance(plan, dict):
        raise RunError(f"plan.resolved.yaml holds a {type(plan).__name__}", expected="the settings of a plan")
    return upgraded(plan)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def settings_of(run: Run) -> dict[str, Setting]:
    """Settings of the resolved plan as one flat table, without the reasons.

    Raises:
        RunError: the plan is damaged.
    """
    left_out = ("reasons", FINGERPRINTS, "schema_version")
    return flat({name: value for name, value in raw_plan(run.folder).items() if name not in left_out})


def differing_settings(runs: Sequence[Run]) -> dict[str, tuple[Setting | None, ...]]:
    """Name of each setting that is not the same in all runs -> its value in each; None where a plan has none."""
    plans = [settings_of(run) for run in runs]
    names = dict.fromkeys(name for plan in plans for name in plan)
    values = {name: tuple(plan.get(name) for plan in plans) for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found)}


def flat(values: Mapping[str, Any]) -> dict[str, Setting]:
    """Nested values under dotted names; of a list each part by its `name`, else by its number; None is left out.

    >>> flat({"a": {"b": 1}, "phases": [{"name": "tune", "epochs": 2}], "c": None})
    {'a.b': 1, 'phases.tune.epochs': 2}
    """
    found: dict[str, Setting] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= {f"{key}.{name}": inner for name, inner in flat(value).items()}
        elif isinstance(value, list | tuple):
            found |= {f"{key}.{name}": inner for name, inner in flat(_by_name(value)).items()}
        elif value is not None:
            found[key] = value if isinstance(value, Setting) else str(value)
    return found


def _by_name(values: Sequence[Any]) -> dict[str, Any]:
    if values and all(isinstance(value, Mapping) and "name" in value for value in values):
        return {value["name"]: {k: v for k, v in value.items() if k != "name"} for value in values}
    return {str(index): value for index, value in enumerate(values)}
