"""The Plan: everything a run does, typed, frozen, complete, and checked when it is read.

A plan is made by a preset (or by hand as YAML), kept beside the result, and never changed in place:
`resolved` returns a new plan in which every `auto` has its value.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from headstart.errors import PlanError
from headstart.knowledge.domain import Domain
from headstart.knowledge.imbalance import Imbalance
from headstart.knowledge.transfer import SMALLEST_USEFUL_LR, depth_of
from headstart.plan.faults import cross_faults, read_yaml, schema_fault, sentences
from headstart.plan.keys import key_paths
from headstart.plan.reasons import ANY_SOURCE, FINGERPRINTS, reasons_still_true, value_at, value_fingerprints
from headstart.plan.sections import (
    DEVICE,
    AugmentationPlan,
    BatchNormPolicy,
    DataPlan,
    FrozenPrefixPlan,
    Grain,
    HeadPlan,
    InputPlan,
    LrRule,
    ModelPlan,
    NoncommercialWeights,
    OptimizerPlan,
    Phase,
    ProbePhase,
    Requirement,
    Schedule,
    Section,
    TrainPhase,
)
from headstart.plan.selection import SelectionPlan
from headstart.plan.upgrade import upgraded, with_imbalance

__all__ = [
    "SCHEMA_VERSION",
    "AugmentationPlan",
    "BatchNormPolicy",
    "DataPlan",
    "Domain",
    "FrozenPrefixPlan",
    "Grain",
    "HeadPlan",
    "InputPlan",
    "LrRule",
    "ModelPlan",
    "NoncommercialWeights",
    "OptimizerPlan",
    "Phase",
    "Plan",
    "ProbePhase",
    "Requirement",
    "Schedule",
    "Section",
    "SelectionPlan",
    "TrainPhase",
]

SCHEMA_VERSION = 2


class Plan(Section):
    """Everything a run does."""

    schema_version: Literal[2] = 2
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
    imbalance: Imbalance = "auto"
    """How classes of unequal size are made to count the same, in the linear probe and in tuning. class_weight: images
    count in inverse proportion to the size of their class. balanced_sampling: each epoch draws as many of every class;
    the linear probe, which sees all images at once, is weighted. logit_adjustment: the logarithms of the classes'
    shares are added to the logits in the loss and left out in predictions (Menon et al. 2021). With each of them
    probabilities are for classes of equal size. auto is resolved by the numbers of training images."""
    class_weight: dict[str, Annotated[float, Field(gt=0)]] | None = None
    """Weights for `imbalance: class_weight` by class name, 1 for classes that are not named. None: balanced. A plan may
    say `class_weight: balanced` for `imbalance: class_weight`."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: Annotated[str, Field(pattern=rf"^({DEVICE})$")] = "auto"
    """cpu, cuda, cuda:1 or mps; auto: a GPU if there is one."""
    workers: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"] = "auto"
    """Threads that decode images; auto: one for each core, at most 8. Changes no result."""
    engine: Literal["auto", "torch", "onnxruntime"] = "auto"
    """What runs the frozen prefix; auto is resolved when the first activations are computed, by what is faster."""
    activation_cache: Literal["float16", "float32", "off"] = "float16"
    """Activations of the frozen prefix are computed once and kept under $HEADSTART_HOME/store, in half precision
    (values outside its range in single) or in single precision; off: they are computed in every epoch."""
    requires: tuple[Requirement, ...] = ()
    """Steps that the plan counts on; `train` refuses a plan with one that it cannot do, and names it."""
    reasons: dict[str, str] = Field(default_factory=dict)
    """Path of a value that was not given -> one sentence why it is what it is; see `headstart.plan.reasons`."""

    def __repr__(self) -> str:
        phases = [f"{one.name} ({one.epochs} epochs)" if one.kind == "train" else one.name for one in self.phases]
        return f"Plan({self.strategy} with {self.model.name} on {self.data.source}: {', '.join(phases)})"

    @classmethod
    def from_dict(cls, raw: Any, *, source: str = "plan") -> Plan:  # noqa: ANN401 - whatever YAML holds
        """Check and build; reasons whose values were changed since they were written are left out.

        A plan of schema version 1 is upgraded; see `headstart.plan.upgrade`.

        Raises:
            PlanError: with every fault at once, each as `path: sentence`.
        """
        if not isinstance(raw, dict):
            raise PlanError([f"the file holds {type(raw).__name__}, not a mapping of keys"], source=source)
        if fault := schema_fault(raw, SCHEMA_VERSION):
            raise PlanError([fault], source=source)
        if raw.get("schema_version") == 1:
            source += " (upgraded from schema version 1)"
        raw = with_imbalance(upgraded(raw))
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
        return cls.from_dict(read_yaml(path), source=str(path))

    def to_yaml(self) -> str:
        """YAML that `read` turns into an equal plan."""
        raw = self.model_dump(mode="json")
        raw[FINGERPRINTS] = value_fingerprints(raw)
        text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=110)
        # YAML takes some rare letters for line breaks unless they are escaped; none of them is ASCII.
        if not text.isascii() and yaml.safe_load(text) != raw:
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
        return Plan.from_dict(after | {FINGERPRINTS: value_fingerprints(before)})

    def _with_reasons(self, reasons: dict[str, str]) -> Plan:
        return self if reasons == self.reasons else self.model_copy(update={"reasons": reasons})

    def resolved(
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
            PlanError: a learning rate names no group, or a phase unfreezes more groups than there are.
        """
        faults: list[str] = []
        phases: list[ProbePhase | TrainPhase] = []
        reasons = dict(self.reasons)
        for index, phase in enumerate(self.phases):
            if isinstance(phase, ProbePhase):
                phases.append(phase)
                continue
            if phase.unfreeze == "by_cost":  # decided when it begins: the network's MACs are counted by then
                phases.append(phase)
                continue
            lrs, phase_faults = lr_by_group(phase, group_names)
            phase_faults += _frozen_prefix_faults(phase, group_names, trained=tuple(lrs))
            faults += [f"phases[{index}].{fault}" for fault in phase_faults]
            phases.append(phase.model_copy(update={"lr_by_group": lrs}))
            if warning := _too_small(lrs):
                reasons[f"phases[{index}].lr_by_group"] = warning
        if faults:
            raise PlanError(faults)
        return self.model_copy(
            update={
                "model": self.model.model_copy(update={"name": model_name}),
                "input": InputPlan(
                    size=input_size if self.input.size == "auto" else self.input.size,
                    resize=input_resize if self.input.resize == "auto" else self.input.resize,
                    channels=self.input.channels,
                ),
                "phases": tuple(phases),
                "reasons": reasons,
            }
        )


def lr_by_group(phase: TrainPhase, group_names: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Peak learning rate of each trainable group, stem to head, and the faults found on the way.

    Args:
        phase: Whose `unfreeze` is a number or `all`.
        group_names: Stem to head.
    """
    *backbone, head = group_names
    rule = phase.backbone_lr
    count = phase.unfreeze if isinstance(phase.unfreeze, int) else len(backbone)
    if count > len(backbone):
        return {}, [f"unfreeze: {count} must be <= {len(backbone)}, the backbone groups ({', '.join(backbone)})"]
    unfrozen = backbone[len(backbone) - count :]
    if rule.rule == "by_group":
        unknown = [name for name in rule.groups if name not in unfrozen]
        missing = [name for name in unfrozen if name not in rule.groups]
        if unknown or missing:
            return {}, [
                f"backbone_lr.groups: must name exactly {', '.join(unfrozen) or 'nothing'}; "
                f"unknown: {', '.join(unknown) or '-'}; missing: {', '.join(missing) or '-'}"
            ]
    lrs = {
        name: _lr_of(rule, name, position, len(backbone)) for position, name in enumerate(backbone) if name in unfrozen
    }
    return {**lrs, head: phase.head_lr}, []


def _frozen_prefix_faults(phase: TrainPhase, group_names: Sequence[str], *, trained: Sequence[str]) -> list[str]:
    """Faults of a cut point that was given: it must lie before every trainable group."""
    given = phase.frozen_prefix
    if given == "auto" or given.cut_point is None or not trained:
        return []
    allowed = group_names[1 : group_names.index(trained[0]) + 1]
    if phase.batch_norm != "pretrained_statistics":
        return [f"frozen_prefix.activations: cached needs batch_norm pretrained_statistics, not {phase.batch_norm}"]
    if given.cut_point not in allowed:
        names = ", ".join(allowed) or "nothing: the first group is trainable"
        return [f"frozen_prefix.cut_point: {given.cut_point!r} must be one of {names}"]
    return []


def _too_small(lrs: dict[str, float]) -> str | None:
    """A warning about learning rates that hardly move a weight, or None; they are used as planned all the same."""
    small = [name for name, lr in lrs.items() if lr < SMALLEST_USEFUL_LR]
    if not small:
        return None
    last = f" to {small[-1]}" if len(small) > 1 else ""
    return (
        f"{small[0]}{last} ({len(small)} of {len(lrs)} groups) have peak learning rates below {SMALLEST_USEFUL_LR:g}, "
        f"the smallest {min(lrs.values()):.1e}: most of such steps are lost to rounding, so they stay nearly frozen; "
        "a decay nearer to 1 or a coarser grain moves them"
    )


def _lr_of(rule: LrRule, name: str, position: int, count: int) -> float:
    """Peak learning rate of backbone group `position` (0 = stem) of `count`."""
    if rule.rule == "layer_decay":
        return rule.lr * rule.decay ** (count - 1 - position)
    if rule.rule == "by_depth":
        return depth_of(position, count).lr
    if rule.rule == "by_group":
        return rule.groups[name]
    return rule.lr
