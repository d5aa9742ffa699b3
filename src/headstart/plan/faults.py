"""Turns what is wrong with a plan into sentences: one a fault, each with the path of the value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from headstart.errors import nearest
from headstart.plan.keys import where_it_stands

_BOUNDS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}


def schema_fault(raw: dict[str, Any], readable: int) -> str | None:
    """The sentence for a plan of another schema, or None."""
    version = raw.get("schema_version", readable)
    if isinstance(version, int) and version > readable:
        return (
            f"schema_version: {version} is newer than {readable}, the newest this headstart reads; "
            "upgrade with pip install --upgrade headstart"
        )
    return None


def sentences(error: ValidationError, raw: dict[str, Any], *, keys: Sequence[str] = ()) -> list[str]:
    """One `path: sentence` for each value at fault, in the order of the file.

    Args:
        error: What pydantic found.
        raw: The values it looked at.
        keys: Paths of all keys that there are, to say where an unknown one may belong.
    """
    by_path: dict[str, list[str]] = {}
    for item in error.errors():
        if item["type"] == "too_short" and any(len(other["loc"]) > len(item["loc"]) for other in error.errors()):
            continue  # pydantic counts only the valid items: the faults of the others say it already
        path, value = _locate(item["loc"], raw, kind=item["type"])
        sentence = _sentence(item["type"], item.get("ctx", {}), item["msg"], value, item["loc"][-1])
        if item["type"] == "extra_forbidden":
            sentence += where_it_stands(str(item["loc"][-1]), keys)
        by_path.setdefault(path, []).append(sentence)
    return [f"{path}: {' or '.join(dict.fromkeys(found))}" for path, found in by_path.items()]


def cross_faults(raw: dict[str, Any]) -> list[str]:
    """Faults that lie between values; looks at raw values so that they are found with the others."""
    phases = [phase for phase in _items(raw.get("phases")) if isinstance(phase, dict)]
    head = raw.get("head")
    kind = head.get("kind", "linear") if isinstance(head, dict) else "linear"
    faults = []
    names = [phase.get("name", "probe" if phase.get("kind") == "linear_probe" else None) for phase in phases]
    for index, phase in enumerate(phases):
        if names[index] is not None and names[index] in names[:index]:
            faults.append(f"phases[{index}].name: {names[index]!r} is the name of an earlier phase too")
        if phase.get("kind") == "linear_probe" and index > 0:
            faults.append(f"phases[{index}].kind: a solve phase must come first; here it is phase {index}")
        if phase.get("kind") == "linear_probe" and kind == "mlp":
            faults.append(
                f"phases[{index}].kind: an mlp head cannot be a linear probe; use kind train or head.kind linear"
            )
        if phase.get("kind") == "train" and kind == "multi_depth":
            faults.append(
                f"phases[{index}].kind: a multi_depth head is a linear probe, not trained; use head.kind linear"
            )
        if phase.get("kind") == "train" and _number(phase.get("head_refit_views", 0)) > 0:
            faults += [f"phases[{index}].head_refit_views: {fault}" for fault in _head_views_faults(raw, phases)]
        schedule, epochs = phase.get("schedule"), phase.get("epochs")
        warmup = _number(schedule.get("warmup_epochs", 0) if isinstance(schedule, dict) else 0)
        if isinstance(epochs, int) and 0 < epochs <= warmup:
            faults.append(f"phases[{index}].schedule.warmup_epochs: {warmup:g} must be < epochs {epochs}")
    return faults + _random_weights_faults(raw.get("model"), phases) + _jitter_faults(raw, phases)


def _head_views_faults(raw: dict[str, Any], phases: list[dict[str, Any]]) -> list[str]:
    """Faults of views on which the linear probe is fitted again: it needs a probe, and augmentation."""
    faults = []
    if not any(phase.get("kind") == "linear_probe" for phase in phases):
        faults.append("needs a solve phase before it; without one leave it at 0")
    augmentation = raw.get("augmentation")
    if isinstance(augmentation, dict) and augmentation.get("preset") == "none":
        faults.append("augmentation.preset none makes no augmented views; leave it at 0")
    return faults


def _jitter_faults(raw: dict[str, Any], phases: list[dict[str, Any]]) -> list[str]:
    """Stored activations are varied, so something must be stored: never an option without effect."""
    augmentation = raw.get("augmentation")
    jitter = augmentation.get("channel_jitter", 0) if isinstance(augmentation, dict) else 0
    if not _number(jitter) > 0:
        return []
    if raw.get("activation_cache") == "off":
        return [
            "augmentation.channel_jitter: activation_cache is off, so there is nothing to shift; use float16 or float32"
        ]
    frozen = [
        phase.get("kind") == "train"
        and phase.get("unfreeze") != "all"
        and phase.get("batch_norm", "pretrained_statistics") == "pretrained_statistics"
        for phase in phases
    ]
    if any(frozen):
        return []
    return [
        "augmentation.channel_jitter: no phase trains on cached activations; it needs a train phase that unfreezes "
        "less than all, with batch_norm pretrained_statistics"
    ]


def _random_weights_faults(model: object, phases: list[dict[str, Any]]) -> list[str]:
    """What cannot go with a network whose weights are random: a file of weights, and pretrained statistics."""
    if not isinstance(model, dict) or model.get("weights") != "random":
        return []
    faults = []
    if ":file:" in str(model.get("name")):
        faults.append("model.weights: random reads no file; leave it out, or leave :file:PATH out of model.name")
    for index, phase in enumerate(phases):
        learns = phase.get("kind") == "train" and phase.get("unfreeze") != 0
        if learns and phase.get("batch_norm", "pretrained_statistics") == "pretrained_statistics":
            faults.append(f"phases[{index}].batch_norm: random weights have no pretrained statistics; use train")
    return faults


def _number(value: object) -> float:
    """What pydantic will make of it (YAML reads 1e1 as text), or 0 if that is a fault of its own."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0


def _items(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _locate(loc: tuple[int | str, ...], raw: Any, *, kind: str) -> tuple[str, Any]:  # noqa: ANN401 - any YAML value
    """Path as a user writes it, and the value there; steps that only name a type of a union are left out."""
    path, value = "", raw
    for position, step in enumerate(loc):
        last = position == len(loc) - 1
        if isinstance(value, dict) and step in value:  # noqa: SIM114 - mypy needs the two kinds apart
            value = value[step]
        elif isinstance(step, int) and isinstance(value, (list, tuple)) and step < len(value):
            value = value[step]
        elif not (last and kind in ("missing", "extra_forbidden")):
            continue
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path or "plan", value


def _sentence(kind: str, context: dict[str, Any], message: str, value: Any, key: object) -> str:  # noqa: ANN401
    if kind in _BOUNDS:
        sign, bound = _BOUNDS[kind]
        return f"{value!r} must be {sign} {context[bound]}"
    if kind == "literal_error":
        hint = nearest(str(value), context["expected"].replace("'", "").replace(" or ", ", ").split(", "), count=1)
        return f"{value!r} must be {context['expected']}" + (f" ({hint})" if hint else "")
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return f"is no key of a plan ({key!r} is unknown here)"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    return f"{value!r}: {message[0].lower()}{message[1:]}"
