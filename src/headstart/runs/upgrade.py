"""Records of runs in today's names: the one place that knows how earlier versions of headstart wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_EVENT_NAMES = {
    "chosen": "checkpoint_selected",
    "head": "head_selected",
    "head_start": "head_fitted_on_views",
    "strength_sample": "penalty_sampled",
    "computed_by": "prefix_computed",
    "cost": "prefix_planned",
    "stored": "activations_cached",
    "not_stored": "not_cached",
    "weights": "weights_loaded",
    "no_effect": "option_without_effect",
    "no_jitter": "jitter_without_effect",
    "rates_found": "learning_rates_found",
    "forecast": "estimates",
    "not_measured": "latency_not_measured",
}
"""Name that an event had -> its name today."""

_EPOCH_FIELDS = {
    "select_loss": "validation_loss",
    "select_accuracy": "validation_accuracy",
    "rates": "lr",
    "better": "improved",
}
_PHASE_FIELDS = {"learning_rates": "lr", "select_accuracy": "validation_accuracy"}
_PROGRESS_FIELDS = {"select_losses": "validation_losses", "strength": "l2_penalty", "alarms": "warnings"}
_EVENT_FIELDS: Mapping[str, Mapping[str, str]] = {
    "cost": {"way": "activations", "border": "cut_point"},
    "stored": {"border": "cut_point"},
    "not_stored": {"border": "cut_point"},
    "chosen": {"weights": "checkpoint", "why": "reason"},
    "head": {"kept": "head", "why": "reason"},
    "engine": {"why": "reason"},
    "advice": {"warning": "text"},
    "rates_found": {"rates": "lr"},
    "epoch_done": _EPOCH_FIELDS,
    "phase_done": _PHASE_FIELDS,
    "still_groups": {"rates": "lr"},
    "first_epoch_below_probe": {"rates": "lr"},
}
"""Event, or kind of alarm -> the name that a field had -> its name today."""


_VALUES = {"kind": {"solve": "linear_probe"}, "activations": {"stored": "cached"}}
"""Field -> the value that it had -> its value today."""


def upgraded_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line of events.jsonl in today's names; one of today comes back as it is."""
    name = str(row.get("event", ""))
    if name == "alarm":
        return {**_renamed(row, _EVENT_FIELDS.get(str(row.get("alarm")), {})), "event": _alarm_name(row)}
    if name == "forecast":
        return {**(upgraded_estimates(row) or {}), "event": _EVENT_NAMES[name]}
    values = {**_renamed(row, _EVENT_FIELDS.get(name, {})), "event": _EVENT_NAMES.get(name, name)}
    return {field: _VALUES.get(field, {}).get(str(value), value) for field, value in values.items()}


def _alarm_name(row: Mapping[str, Any]) -> str:
    kind = str(row.get("alarm"))
    return "groups_unchanged" if kind == "still_groups" else kind


def _renamed(row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """The same values; a name that is there already wins over the one it replaces."""
    return {names.get(name, name): value for name, value in row.items() if names.get(name) not in row}


def upgraded_epoch(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table of epochs, as checkpoints and metrics.json have it."""
    return _renamed(row, _EPOCH_FIELDS)


def upgraded_checkpoint(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint in today's names; one of today comes back as it is."""
    progress = _renamed(raw["progress"], _PROGRESS_FIELDS)
    rows = {
        "rows": [upgraded_epoch(row) for row in progress["rows"]],
        "phases": [upgraded_phase(row) for row in progress["phases"]],
        "warnings": [upgraded_warning(row) for row in progress["warnings"]],
    }
    return {**_renamed(raw, {"judged": "validation_predictions"}), "progress": {**progress, **rows}}


def upgraded_phase(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table of phases, as checkpoints and metrics.json have it."""
    values = _renamed(row, _PHASE_FIELDS)
    return {**values, "kind": _VALUES["kind"].get(values["kind"], values["kind"])}


def upgraded_warning(row: Mapping[str, Any]) -> dict[str, Any]:
    """A warning of a checkpoint or of metrics.json, which were called alarms."""
    if "alarm" not in row:
        return dict(row)
    values = _renamed(row, {"rates": "lr"})
    del values["alarm"]
    return {"kind": _alarm_name(row), **values}


_ESTIMATE_FIELDS = {
    "futile_seconds": "without_tuning_seconds",
    "before_seconds": "previous_total_seconds",
    "bytes": "stored_bytes",
    "rates": "speeds",
    "kept_runs": "past_runs",
    "took_seconds": "measured_seconds",
    "border": "cut_point",
    "frozen_part": "activations",
}


def upgraded_metrics(raw: Mapping[str, Any]) -> dict[str, Any]:
    """metrics.json in today's names; one of today comes back as it is."""
    if "val" not in raw:
        return dict(raw)
    old = ("val", "validation", "kept", "alarms", "forecast", "phases", "epochs")
    figures, kept = raw["val"], raw.get("kept") or {}
    test = {name: value for name, value in figures.items() if name not in ("reported_on", "selected_on")}
    validation = {"accuracy": kept.get("select_accuracy"), **(raw.get("validation") or {})}
    estimates = raw.get("estimates") or upgraded_estimates(raw.get("forecast"))
    return {
        **{name: value for name, value in raw.items() if name not in old},
        "test": {**test, "source": figures.get("reported_on")},
        "validation": {**validation, "source": figures.get("selected_on")},
        "selected": {
            "checkpoint": kept.get("weights"),
            "reason": kept.get("why", ""),
            "probe_validation_accuracy": kept.get("probe_select_accuracy"),
            "unused_tuning": kept.get("unused_tuning"),
        },
        "estimates": estimates,
        "phases": [upgraded_phase(row) for row in raw.get("phases", ())],
        "epochs": [upgraded_epoch(row) for row in raw.get("epochs", ())],
        "warnings": [upgraded_warning(row) for row in raw.get("alarms", ())],
    }


def upgraded_estimates(raw: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Estimates of a run beside what was measured, which were called a forecast."""
    if not raw:
        return None
    phases = [_renamed(phase, _ESTIMATE_FIELDS) for phase in raw.get("phases", ())]
    cached = _VALUES["activations"]
    phases = [
        {name: cached.get(str(value), value) if name == "activations" else value for name, value in phase.items()}
        for phase in phases
    ]
    return {**_renamed(raw, _ESTIMATE_FIELDS), "phases": phases}


TABLE_COLUMNS: Mapping[str, str] = {"right": "correct", "kept": "selected"}
"""Column of selection.parquet -> its name today."""

_ROLES = {"fit": "train", "select": "validation", "report": "test"}


def upgraded_data(raw: Mapping[str, Any]) -> dict[str, Any]:
    """data.json in today's names; one of today comes back as it is."""
    values = _renamed(raw, {"selected_on": "validation_source", "reported_on": "test_source"})
    for part in ("roles", "images", "content_of"):
        if isinstance(values.get(part), Mapping):
            values[part] = _renamed(values[part], _ROLES)
    return values
