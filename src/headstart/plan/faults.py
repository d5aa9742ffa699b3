"""Turns what is wrong with a plan into sentences: one a fault, each with the path of the value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from headstart.errors import PlanError, nearest
from headstart.plan.keys import where_it_stands

_BOUNDS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}


@dataclass(frozen=True, slots=True)
class _Phase:
    """Values of a phase as they were written: of any type, the defaults where they are missing."""

    kind: object = None
    name: object = None
    unfreeze: object = None
    epochs: object = None
    batch_norm: object = "pretrained_statistics"
    head_refit_views: object = 0
    schedule: object = None
    begins: object = "always"
    alternative_head: object = "none"
    folds: object = 0

    @property
    def is_probe(self) -> bool:
        return self.kind == "linear_probe"

    @property
    def is_train(self) -> bool:
        return self.kind == "train"

    @property
    def uses_pretrained_statistics(self) -> bool:
        return self.batch_norm == "pretrained_statistics"


@dataclass(frozen=True, slots=True)
class _Schedule:
    warmup_epochs: object = 0


@dataclass(frozen=True, slots=True)
class _Head:
    kind: object = "linear"


@dataclass(frozen=True, slots=True)
class _Model:
    name: object = None
    weights: object = None


@dataclass(frozen=True, slots=True)
class _Augmentation:
    preset: object = None
    channel_jitter: object = 0


@dataclass(frozen=True, slots=True)
class _Values:
    """Values of a plan as they were written: of any type, the defaults where they are missing."""

    phases: object = None
    head: object = None
    model: object = None
    augmentation: object = None
    optimizer: object = None
    selection: object = None
    activation_cache: object = None
    imbalance: object = "auto"
    class_weight: object = None


@dataclass(frozen=True, slots=True)
class _Optimizer:
    l2_sp: object = 0


@dataclass(frozen=True, slots=True)
class _Selection:
    interpolate: object = "none"
    after_alarm: object = "go_on"


_Read = TypeVar("_Read", _Values, _Phase, _Schedule, _Head, _Model, _Augmentation, _Optimizer, _Selection)


def _read(kind: type[_Read], raw: object) -> _Read:
    """The values that cross faults look at; the defaults where `raw` is no mapping, which is a fault of its own."""
    known = raw if isinstance(raw, dict) else {}
    return kind(**{field.name: known[field.name] for field in fields(kind) if field.name in known})


def _read_phase(raw: dict[str, Any]) -> _Phase:
    phase = _read(_Phase, raw)
    return replace(phase, name="probe") if phase.is_probe and "name" not in raw else phase


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whatever YAML holds
    """Values of a YAML file of a plan.

    Raises:
        PlanError: the file cannot be read, or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError([f"cannot be read ({error})"], source=str(path)) from error
    except yaml.YAMLError as error:
        raise PlanError([f"is not YAML ({' '.join(str(error).split())})"], source=str(path)) from error


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
    faults = [_Fault.of(**item) for item in error.errors()]
    for fault in faults:
        if fault.kind == "too_short" and any(len(other.steps) > len(fault.steps) for other in faults):
            continue  # pydantic counts only the valid items: the faults of the others say it already
        path, value = _locate(fault, raw)
        sentence = _sentence(fault, value)
        if fault.kind == "extra_forbidden":
            sentence += where_it_stands(str(fault.steps[-1]), keys)
        by_path.setdefault(path, []).append(sentence)
    return [f"{path}: {' or '.join(dict.fromkeys(found))}" for path, found in by_path.items()]


@dataclass(frozen=True, slots=True)
class _Fault:
    """One fault that pydantic found."""

    kind: str
    """Pydantic's name of it, such as less_than."""
    steps: tuple[int | str, ...]
    """Keys and numbers that lead to the value, and names of types in unions."""
    message: str
    context: dict[str, Any]
    """What the message is made of: bounds, words that are allowed."""

    @classmethod
    def of(
        cls, *, type: str, loc: tuple[int | str, ...], msg: str, ctx: dict[str, Any] | None = None, **_: object
    ) -> _Fault:
        return cls(type, loc, msg, ctx or {})


def cross_faults(raw: dict[str, Any]) -> list[str]:
    """Faults that lie between values; looks at raw values so that they are found with the others."""
    plan = _read(_Values, raw)
    phases = [_read_phase(phase) for phase in _items(plan.phases) if isinstance(phase, dict)]
    head = _read(_Head, plan.head)
    faults = []
    names = [phase.name for phase in phases]
    for index, phase in enumerate(phases):
        if phases[0].alternative_head == phase.name:
            faults.append(f"phases[{index}].name: {phase.name!r} is the name of the alternative head too")
        if names[index] is not None and names[index] in names[:index]:
            faults.append(f"phases[{index}].name: {names[index]!r} is the name of an earlier phase too")
        faults += _kind_faults(index, phase, head)
        if phase.is_train and _number(phase.head_refit_views) > 0:
            faults += [f"phases[{index}].head_refit_views: {fault}" for fault in _head_views_faults(plan, phases)]
        if phase.begins == "if_it_can_pay" and not phases[0].is_probe:
            faults.append(f"phases[{index}].begins: if_it_can_pay needs a linear probe first, to be better than")
        warmup, epochs = _number(_read(_Schedule, phase.schedule).warmup_epochs), phase.epochs
        if isinstance(epochs, int) and 0 < epochs <= warmup:
            faults.append(f"phases[{index}].schedule.warmup_epochs: {warmup:g} must be < epochs {epochs}")
    folds = sorted({int(_number(phase.folds)) for phase in phases if phase.is_train and _number(phase.folds) > 0})
    if len(folds) > 1:
        faults.append(f"phases: folds {', '.join(map(str, folds))} must be equal: each network goes on in its own fold")
    if plan.class_weight is not None and plan.imbalance not in ("auto", "class_weight"):
        faults.append(f"class_weight: imbalance is {plan.imbalance}, which takes no weights; leave one of both out")
    faults += _near_start_faults(plan, phases)
    return faults + _random_weights_faults(_read(_Model, plan.model), phases) + _jitter_faults(plan, phases)


def _near_start_faults(plan: _Values, phases: Sequence[_Phase]) -> list[str]:
    """What cannot stay near its start: random weights; and plans without epochs, or a start, to mix weights of."""
    faults = []
    if _number(_read(_Optimizer, plan.optimizer).l2_sp) > 0 and _read(_Model, plan.model).weights == "random":
        faults.append("optimizer.l2_sp: random weights are no start to stay near; leave it at 0")
    trained = [phase for phase in phases if phase.is_train]
    steps_only = trained and all(phase.begins == "if_it_can_pay" for phase in trained)
    if steps_only and _read(_Selection, plan.selection).after_alarm == "rescue":
        faults.append(
            "selection.after_alarm: rescue is for epochs that replace each other; a step of progressive tuning that is "
            "not better is never selected; leave it at go_on, or use --strategy probe_then_tune"
        )
    if _read(_Selection, plan.selection).interpolate == "auto":
        if any(phase.begins == "if_it_can_pay" for phase in phases):
            faults.append(
                "selection.interpolate: auto needs epochs that are validated, and steps of progressive tuning are "
                "compared as a whole; use --strategy probe_then_tune"
            )
        elif not any(phase.is_probe for phase in phases):
            faults.append(
                "selection.interpolate: auto needs a linear_probe phase, from whose network weights are mixed"
            )
    return faults


def _kind_faults(index: int, phase: _Phase, head: _Head) -> list[str]:
    """Faults of a kind of phase in its place, and with the kind of head."""
    faults = []
    if phase.is_probe and index > 0:
        faults.append(f"phases[{index}].kind: a linear probe must come first; here it is phase {index}")
    if phase.is_probe and head.kind == "mlp":
        faults.append(f"phases[{index}].kind: an mlp head cannot be a linear probe; use kind train or head.kind linear")
    if phase.is_probe and head.kind == "multi_depth" and phase.alternative_head == "multi_depth":
        faults.append(f"phases[{index}].alternative_head: multi_depth is head.kind already; use none, or kind linear")
    if phase.is_train and head.kind == "multi_depth":
        faults.append(f"phases[{index}].kind: a multi_depth head is a linear probe, not trained; use head.kind linear")
    return faults


def _head_views_faults(plan: _Values, phases: Sequence[_Phase]) -> list[str]:
    """Faults of views on which the linear probe is fitted again: it needs a probe, and augmentation."""
    faults = []
    if not any(phase.is_probe for phase in phases):
        faults.append("needs a linear probe before it; without one leave it at 0")
    if _read(_Augmentation, plan.augmentation).preset == "none":
        faults.append("augmentation.preset none makes no augmented views; leave it at 0")
    return faults


def _jitter_faults(plan: _Values, phases: Sequence[_Phase]) -> list[str]:
    """Faults of channel jitter: it changes cached activations, so without any it would have no effect."""
    if not _number(_read(_Augmentation, plan.augmentation).channel_jitter) > 0:
        return []
    if plan.activation_cache == "off":
        return [
            "augmentation.channel_jitter: activation_cache is off, so there is nothing to shift; use float16 or float32"
        ]
    if any(phase.is_train and phase.unfreeze != "all" and phase.uses_pretrained_statistics for phase in phases):
        return []
    return [
        "augmentation.channel_jitter: no phase trains on cached activations; it needs a train phase that unfreezes "
        "less than all, with batch_norm pretrained_statistics"
    ]


def _random_weights_faults(model: _Model, phases: Sequence[_Phase]) -> list[str]:
    """What cannot go with a network whose weights are random: a file of weights, and pretrained statistics."""
    if model.weights != "random":
        return []
    faults = []
    if ":file:" in str(model.name):
        faults.append("model.weights: random reads no file; leave it out, or leave :file:PATH out of model.name")
    for index, phase in enumerate(phases):
        if phase.is_train and phase.unfreeze != 0 and phase.uses_pretrained_statistics:
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


def _locate(fault: _Fault, raw: Any) -> tuple[str, Any]:  # noqa: ANN401 - any YAML value
    """Path as a user writes it, and the value there; steps that only name a type of a union are left out."""
    path, value = "", raw
    for position, step in enumerate(fault.steps):
        last = position == len(fault.steps) - 1
        if isinstance(value, dict) and step in value:  # noqa: SIM114 - mypy needs the two kinds apart
            value = value[step]
        elif isinstance(step, int) and isinstance(value, (list, tuple)) and step < len(value):
            value = value[step]
        elif not (last and fault.kind in ("missing", "extra_forbidden")):
            continue
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path or "plan", value


def _sentence(fault: _Fault, value: Any) -> str:  # noqa: ANN401
    if fault.kind in _BOUNDS:
        sign, bound = _BOUNDS[fault.kind]
        return f"{value!r} must be {sign} {fault.context[bound]}"
    if fault.kind == "literal_error":
        allowed: str = fault.context["expected"]
        hint = nearest(str(value), allowed.replace("'", "").replace(" or ", ", ").split(", "), count=1)
        return f"{value!r} must be {allowed}" + (f" ({hint})" if hint else "")
    if fault.kind == "missing":
        return "is missing"
    if fault.kind == "extra_forbidden":
        return f"is no key of a plan ({fault.steps[-1]!r} is unknown here)"
    if fault.kind == "value_error":
        return fault.message.removeprefix("Value error, ")
    return f"{value!r}: {fault.message[0].lower()}{fault.message[1:]}"
