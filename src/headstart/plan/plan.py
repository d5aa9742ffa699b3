"""The Plan: everything a run does, typed, frozen, complete, and checked when it is read.

A plan is made by a preset (or by hand as YAML), kept beside the result, and never changed in place:
`settled` returns a new plan in which every `auto` has its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from headstart.errors import PlanError
from headstart.knowledge.domain import Domain
from headstart.knowledge.transfer import SMALLEST_USEFUL_RATE, depth_of
from headstart.plan.faults import cross_faults, schema_fault, sentences
from headstart.plan.keys import key_paths
from headstart.plan.reasons import ANY_SOURCE, FINGERPRINTS, fingerprints, reasons_still_true, value_at
from headstart.plan.sections import (
    AugmentationPlan,
    BatchNormPolicy,
    DataPlan,
    FrozenPartPlan,
    Grain,
    HeadPlan,
    InputPlan,
    ModelPlan,
    NoncommercialWeights,
    OptimizerPlan,
    Phase,
    RateRule,
    Requirement,
    Schedule,
    Section,
    SelectionPlan,
    SolvePhase,
    TrainPhase,
)

__all__ = [
    "SCHEMA_VERSION",
    "AugmentationPlan",
    "BatchNormPolicy",
    "DataPlan",
    "Domain",
    "FrozenPartPlan",
    "Grain",
    "HeadPlan",
    "InputPlan",
    "ModelPlan",
    "NoncommercialWeights",
    "OptimizerPlan",
    "Phase",
    "Plan",
    "RateRule",
    "Requirement",
    "Schedule",
    "Section",
    "SelectionPlan",
    "SolvePhase",
    "TrainPhase",
]

SCHEMA_VERSION = 1


class Plan(Section):
    """Everything a run does."""

    schema_version: Literal[1] = 1
    strategy: str = Field(min_length=1)
    data: DataPlan
    domain: Domain = "photo"
    model: ModelPlan
    input: InputPlan = InputPlan()
    head: HeadPlan = HeadPlan()
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    augmentation: AugmentationPlan = AugmentationPlan()
    optimizer: OptimizerPlan = OptimizerPlan()
    selection: SelectionPlan = SelectionPlan()
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 32
    budget_seconds: Annotated[float, Field(gt=0)] | None = None
    """Wall clock from the start of the command; training stops after the step that crosses it."""
    class_weight: Literal["balanced"] | dict[str, Annotated[float, Field(gt=0)]] | None = None
    """How much images of each class count in the loss, of the solved head too: a weight by class name, 1 for classes
    that are not named; balanced: in inverse proportion to their number of training images. Figures are not weighted."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    engine: Literal["auto", "torch", "onnxruntime"] = "auto"
    """What runs the frozen part; auto is settled when the first frozen part is computed, by what is sooner done."""
    store: Literal["float16", "float32", "off"] = "float16"
    """What is frozen is computed once and kept under $HEADSTART_HOME/store, in half precision (values outside its range
    in single) or in single precision; off: it is computed every time."""
    requires: tuple[Requirement, ...] = ()
    """Steps that the plan counts on; `train` refuses a plan with one that it cannot do, and names it."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Path of a value nobody asked for -> one sentence why it is what it is; see `headstart.plan.reasons`."""

    @classmethod
    def from_dict(cls, raw: Any, *, source: str = "plan") -> Plan:  # noqa: ANN401 - whatever YAML holds
        """Check and build; reasons whose values were changed since they were written are left out.

        Raises:
            PlanError: with every fault at once, each as `path: sentence`.
        """
        if not isinstance(raw, dict):
            raise PlanError([f"the file holds {type(raw).__name__}, not a mapping of keys"], source=source)
        if fault := schema_fault(raw, SCHEMA_VERSION):
            raise PlanError([fault], source=source)
        raw = dict(raw)
        written_for = raw.pop(FINGERPRINTS, None) or {}
        try:
            plan, faults = cls.model_validate(raw), []
        except ValidationError as error:
            plan, faults = None, sentences(error, raw, keys=key_paths(cls))
        faults += cross_faults(raw)
        if not isinstance(written_for, dict):
            faults.append(f"{FINGERPRINTS}: {written_for!r} must be a mapping; leave it out if in doubt")
        if faults or plan is None:
            raise PlanError(faults, source=source)
        return plan._with_reasons(reasons_still_true(plan.model_dump(mode="json"), written_for))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read YAML.

        Raises:
            PlanError: the file cannot be read, is not YAML, or has faults.
        """
        try:
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError([f"cannot be read ({error})"], source=str(path)) from error
        except yaml.YAMLError as error:
            raise PlanError([f"is not YAML ({' '.join(str(error).split())})"], source=str(path)) from error
        return cls.from_dict(raw, source=str(path))

    def to_yaml(self) -> str:
        """YAML that `read` turns into an equal plan."""
        raw = self.model_dump(mode="json")
        raw[FINGERPRINTS] = fingerprints(raw)
        text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=110)
        if yaml.safe_load(text) != raw:  # YAML takes some rare letters for line breaks unless they are escaped
            text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=False, width=110)
        return text

    def changed(self, **changes: Any) -> Plan:  # noqa: ANN401 - sections of any type
        """A checked copy with some sections replaced; reasons go with the values they were written for.

        Raises:
            PlanError: the changed plan has faults.
        """
        before = self.model_dump(mode="json")
        after = before | {key: v.model_dump(mode="json") if isinstance(v, Section) else v for key, v in changes.items()}
        if before["data"]["source"] == ANY_SOURCE:  # nobody had named the images: to name them changes no value
            before = before | {"data": before["data"] | {"source": value_at(after, "data.source")}}
        return Plan.from_dict(after | {FINGERPRINTS: fingerprints(before)})

    def _with_reasons(self, reasons: dict[str, str]) -> Plan:
        return self if reasons == self.reasons else self.model_copy(update={"reasons": reasons})

    def settled(
        self,
        *,
        model_name: str,
        input_size: int,
        group_names: Sequence[str],
        input_resize: Literal["crop", "squash", "letterbox"] = "crop",
    ) -> Plan:
        """The plan with every `auto` decided that the network decides.

        Args:
            model_name: Architecture and tag of the weights in full.
            input_size: Input side of the weights, in pixels.
            group_names: Layer groups, stem to head; the last is the head.
            input_resize: How the weights want an image made square.

        Raises:
            PlanError: a listed rate names no group, or a phase thaws more groups than there are.
        """
        faults: list[str] = []
        phases: list[SolvePhase | TrainPhase] = []
        reasons = dict(self.reasons)
        for index, phase in enumerate(self.phases):
            if isinstance(phase, SolvePhase):
                phases.append(phase)
                continue
            rates, phase_faults = _group_rates(phase, group_names)
            phase_faults += _frozen_part_faults(phase, group_names, trained=tuple(rates))
            faults += [f"phases[{index}].{fault}" for fault in phase_faults]
            phases.append(phase.model_copy(update={"learning_rates": rates}))
            if warning := _too_small(rates):
                reasons[f"phases[{index}].learning_rates"] = warning
        if faults:
            raise PlanError(faults)
        return self.model_copy(
            update={
                "model": self.model.model_copy(update={"name": model_name}),
                "input": InputPlan(
                    size=input_size if self.input.size == "auto" else self.input.size,
                    resize=input_resize if self.input.resize == "auto" else self.input.resize,
                ),
                "phases": tuple(phases),
                "reasons": reasons,
            }
        )


def _group_rates(phase: TrainPhase, group_names: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Peak rate of each trained group, stem to head, and the faults found on the way."""
    *backbone, head = group_names
    rule = phase.backbone_rates
    count = len(backbone) if phase.thaw == "all" else phase.thaw
    if count > len(backbone):
        return {}, [f"thaw: {count} must be <= {len(backbone)}, the backbone groups ({', '.join(backbone)})"]
    thawed = backbone[len(backbone) - count :]
    if rule.rule == "listed":
        unknown = [name for name in rule.rates if name not in thawed]
        missing = [name for name in thawed if name not in rule.rates]
        if unknown or missing:
            return {}, [
                f"backbone_rates.rates: must name exactly {', '.join(thawed) or 'nothing'}; "
                f"unknown: {', '.join(unknown) or '-'}; missing: {', '.join(missing) or '-'}"
            ]
    rates = {
        name: _rate_of(rule, name, position, len(backbone)) for position, name in enumerate(backbone) if name in thawed
    }
    return {**rates, head: phase.learning_rate}, []


def _frozen_part_faults(phase: TrainPhase, group_names: Sequence[str], *, trained: Sequence[str]) -> list[str]:
    """What is stored must rest: a border that someone set lies before everything that learns."""
    wanted = phase.frozen_part
    if wanted == "auto" or wanted.border is None or not trained:
        return []
    allowed = group_names[1 : group_names.index(trained[0]) + 1]
    if phase.batch_norm != "pretrained_statistics":
        return [f"frozen_part.way: stored needs batch_norm pretrained_statistics, not {phase.batch_norm}"]
    if wanted.border not in allowed:
        names = ", ".join(allowed) or "nothing: the first group learns"
        return [f"frozen_part.border: {wanted.border!r} must be one of {names}"]
    return []


def _too_small(rates: dict[str, float]) -> str | None:
    """The sentence for rates that hardly move a weight, or None; they are used as planned all the same."""
    small = [name for name, rate in rates.items() if rate < SMALLEST_USEFUL_RATE]
    if not small:
        return None
    last = f" to {small[-1]}" if len(small) > 1 else ""
    return (
        f"{small[0]}{last} ({len(small)} of {len(rates)} groups) have peak rates below {SMALLEST_USEFUL_RATE:g}, the "
        f"smallest {min(rates.values()):.1e}: rounding swallows most of such steps, so they stay nearly frozen; "
        "a factor nearer to 1 or a coarser grain moves them"
    )


def _rate_of(rule: RateRule, name: str, position: int, count: int) -> float:
    """Peak rate of backbone group `position` (0 = stem) of `count`."""
    if rule.rule == "geometric":
        return rule.top * rule.factor ** (count - 1 - position)
    if rule.rule == "by_depth":
        return depth_of(position, count).learning_rate
    if rule.rule == "listed":
        return rule.rates[name]
    return rule.top
