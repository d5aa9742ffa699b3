"""The Plan: everything a run does, typed, frozen, complete, and checked when it is read.

A plan is made by a preset (or by hand as YAML), kept beside the result, and never changed in place:
`settled` returns a new plan in which every `auto` has its value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from headstart.errors import PlanError
from headstart.facts import depth_of
from headstart.plan_faults import cross_faults, schema_fault, sentences

SCHEMA_VERSION = 1

Domain = Literal["photo", "medical", "satellite", "document"]
BatchNormPolicy = Literal["pretrained_statistics", "adapt_statistics", "train"]


class Section(BaseModel):
    """Base of all parts of a plan: immutable, and an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DataPlan(Section):
    """Which images, and who plays which role."""

    source: str = Field(min_length=1)
    """Folder, tar file or name of an embedded set."""
    val: str | None = None
    """A folder of class folders that reports; None lets the source's own splits or a seeded one decide."""
    group: str | None = None
    """Regular expression on the image path; images with the same group 1 stay on one side of every split."""
    unreadable: Literal["leave_out", "stop"] = "leave_out"
    limit_train: str | None = None
    """`100/class` or `1000`: train on a seeded sample of this many images."""
    limit_test: str | None = None
    """The same for the images that report."""
    report_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the images that reports when the source brings no split."""
    select_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the training images that chooses between epochs when no other split can."""

    @field_validator("group")
    @classmethod
    def _group_is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            try:
                groups = re.compile(pattern).groups
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression ({error})") from error
            if groups < 1:
                raise ValueError(f"{pattern!r} has no group 1; put the part that names the group in ( )")
        return pattern

    @field_validator("limit_train", "limit_test")
    @classmethod
    def _limit_is_a_count(cls, limit: str | None) -> str | None:
        if limit is not None and not re.fullmatch(r"[1-9]\d*(/class)?", limit):
            raise ValueError(f"{limit!r} must be a count such as 1000 or 100/class")
        return limit

    @classmethod
    def from_options(cls, **options: Any) -> DataPlan:  # noqa: ANN401 - one value an option
        """Build from command-line options.

        Raises:
            PlanError: with every fault.
        """
        try:
            return cls(**options)
        except ValidationError as error:
            raise PlanError(sentences(error, options), source="the data options") from error


class ModelPlan(Section):
    """Which pretrained network."""

    name: str = Field(min_length=1)
    """`ARCH`, `ARCH:TAG` or `ARCH:file:PATH`."""


class InputPlan(Section):
    """What the network sees."""

    size: Annotated[int, Field(ge=32, le=2048)] | Literal["auto"] = "auto"
    """Side of the input square in pixels; auto takes the size of the weights."""


class HeadPlan(Section):
    """The new last part."""

    kind: Literal["linear", "mlp"] = "linear"
    """mlp: dropout 0.5 - linear 256 - ReLU - dropout 0.3 - linear."""


class RateRule(Section):
    """Peak learning rates of the thawed backbone groups."""

    rule: Literal["uniform", "geometric", "by_depth", "listed"] = "uniform"
    """uniform: all at `top`. geometric: the last stage at `top`, each group before it at the rate times `factor`.
    by_depth: the literature's rate at that relative depth. listed: `rates`, by group name."""
    top: Annotated[float, Field(gt=0, le=1)] = 1e-4
    factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    rates: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}


class Schedule(Section):
    """How every group's rate moves from its peak; all groups share the shape."""

    name: Literal["cosine", "one_cycle", "plateau", "constant"] = "cosine"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Linear rise from zero before the shape starts (one_cycle has its own rise)."""
    final_rate: Annotated[float, Field(ge=0)] = 1e-6
    """cosine ends here; a group whose peak is lower stays at its peak."""
    rise_share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """one_cycle: share of the steps that rises."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    plateau_patience_epochs: Annotated[int, Field(ge=0)] = 5
    plateau_minimum: Annotated[float, Field(ge=0)] = 1e-7


class SolvePhase(Section):
    """The linear head as the solution of a convex problem on frozen features; no epochs, no learning rate."""

    kind: Literal["solve"] = "solve"
    name: str = Field(default="probe", min_length=1)
    strength: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """L2 penalty on standardised features; auto is cross-validated on out-of-fold predictions."""
    folds: Annotated[int, Field(ge=2, le=20)] = 5


class TrainPhase(Section):
    """A number of epochs in which some groups learn."""

    kind: Literal["train"] = "train"
    name: str = Field(min_length=1)
    epochs: Annotated[int, Field(ge=1, le=10_000)]
    thaw: Annotated[int, Field(ge=0)] | Literal["all"]
    """How many backbone groups learn beside the head, counted from the last stage."""
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    """Peak rate of the head."""
    backbone_rates: RateRule = RateRule()
    schedule: Schedule = Schedule()
    batch_norm: BatchNormPolicy = "pretrained_statistics"
    """pretrained_statistics: evaluation mode on every step, no buffer moves. adapt_statistics: buffers move,
    affine weights do not. train: thawed groups normalise by batch and move."""
    batch_norm_affine: Literal["trained", "frozen"] = "trained"
    """Whether scale and shift of thawed BatchNorm layers learn."""
    learning_rates: dict[str, float] = {}
    """Settled: group name -> peak rate, stem to head; empty until the network is known."""


Phase = Annotated[SolvePhase | TrainPhase, Field(discriminator="kind")]


class AugmentationPlan(Section):
    """What varies between two views of one training image."""

    preset: Literal["none", "light", "standard", "strong", "trivial"] = "standard"
    flip: Literal["none", "horizontal", "all"] = "horizontal"
    """Mirrored views; none where a mirrored image means something else, all where there is no up."""


class OptimizerPlan(Section):
    """The rule that turns gradients into steps."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """sgd only."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread over all classes (Szegedy et al. 2016)."""


class SelectionPlan(Section):
    """Which weights are kept, judged on images that do not report."""

    patience_epochs: Annotated[int, Field(ge=1)] | None = 5
    """A phase ends after this many epochs without a better one; None never stops early."""
    noise_level: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """A tuned epoch replaces the solved probe only if it has fewer errors and a lower log loss (each at its
    best temperature) on the same images, with a one-sided paired p-value below this."""
    when_futile: Literal["skip_tuning", "tune_anyway"] = "skip_tuning"
    """What to do when the probe makes no mistake on the select images, so that no tuned epoch can make fewer."""


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
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    engine: Literal["auto", "torch"] = "auto"
    """What runs the frozen part."""
    reasons: dict[str, str] = {}
    """Path of a value nobody asked for -> one sentence why it is what it is."""

    @classmethod
    def from_dict(cls, raw: Any, *, source: str = "plan") -> Plan:  # noqa: ANN401 - whatever YAML holds
        """Check and build.

        Raises:
            PlanError: with every fault at once, each as `path: sentence`.
        """
        if not isinstance(raw, dict):
            raise PlanError([f"the file holds {type(raw).__name__}, not a mapping of keys"], source=source)
        if fault := schema_fault(raw, SCHEMA_VERSION):
            raise PlanError([fault], source=source)
        try:
            plan, faults = cls.model_validate(raw), []
        except ValidationError as error:
            plan, faults = None, sentences(error, raw)
        faults += cross_faults(raw)
        if faults or plan is None:
            raise PlanError(faults, source=source)
        return plan

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
        text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True, width=110)
        if yaml.safe_load(text) != raw:  # YAML takes some rare letters for line breaks unless they are escaped
            text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=False, width=110)
        return text

    def changed(self, **changes: Any) -> Plan:  # noqa: ANN401 - sections of any type
        """A checked copy with some sections replaced.

        Raises:
            PlanError: the changed plan has faults.
        """
        raw = self.model_dump(mode="json")
        raw.update({key: v.model_dump(mode="json") if isinstance(v, Section) else v for key, v in changes.items()})
        return Plan.from_dict(raw)

    def settled(self, *, model_name: str, input_size: int, group_names: Sequence[str]) -> Plan:
        """The plan with every `auto` decided that the network decides.

        Args:
            model_name: Architecture and tag of the weights in full.
            input_size: Input side of the weights, in pixels.
            group_names: Layer groups, stem to head; the last is the head.

        Raises:
            PlanError: a listed rate names no group, or a phase thaws more groups than there are.
        """
        faults: list[str] = []
        phases: list[SolvePhase | TrainPhase] = []
        for index, phase in enumerate(self.phases):
            if isinstance(phase, SolvePhase):
                phases.append(phase)
                continue
            rates, phase_faults = _group_rates(phase, group_names)
            faults += [f"phases[{index}].{fault}" for fault in phase_faults]
            phases.append(phase.model_copy(update={"learning_rates": rates}))
        if faults:
            raise PlanError(faults)
        return self.model_copy(
            update={
                "model": ModelPlan(name=model_name),
                "input": InputPlan(size=input_size if self.input.size == "auto" else self.input.size),
                "phases": tuple(phases),
                "engine": "torch",
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


def _rate_of(rule: RateRule, name: str, position: int, count: int) -> float:
    """Peak rate of backbone group `position` (0 = stem) of `count`."""
    if rule.rule == "geometric":
        return rule.top * rule.factor ** (count - 1 - position)
    if rule.rule == "by_depth":
        return depth_of(position, count).learning_rate
    if rule.rule == "listed":
        return rule.rates[name]
    return rule.top
