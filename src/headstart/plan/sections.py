"""The sections of a plan: each typed, frozen, with its defaults and ranges. `headstart.plan.plan` joins them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from headstart.errors import PlanError
from headstart.plan.faults import sentences

BatchNormPolicy = Literal["pretrained_statistics", "adapt_statistics", "train"]
Grain = Literal["stage", "block"]
NoncommercialWeights = Literal["refuse", "allow"]
Requirement = Literal["channel_adaptation", "self_supervised_pretraining"]
"""A step that must come before training, or inside it, and that the phases do not describe."""


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
    report_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Draws the images that report when the source brings no split; None takes the plan's seed. One for several runs
    with seeds of their own: no image then chooses in one run and reports in another."""
    bits: Annotated[int, Field(ge=1, le=16)] | None = None
    """Bits that grey values with more than 8 bits use, the same for all files: 12 makes 4,095 white. None: all bits of
    the file's type, so that values that use a part of it are dark."""
    select_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the training images that chooses between epochs when no other split can."""
    validation: Literal["auto", "held_out"] = "auto"
    """auto: out-of-fold in train where only a head is fitted, held out of train where epochs are selected. held_out:
    always held out, so that both can be compared on the same validation images."""

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
    """Which network, and what it starts from."""

    name: str = Field(min_length=1)
    """`ARCH`, `ARCH:TAG` or `ARCH:file:PATH`."""
    weights: Literal["pretrained", "random"] = "pretrained"
    """random: nothing is read or downloaded; the name then gives the architecture and what it expects of an image."""
    grain: Grain = "stage"
    """How finely the network is cut into the layer groups that phases count (`thaw`) and rates name."""
    noncommercial_weights: NoncommercialWeights = "refuse"
    """Whether weights whose licence forbids commercial use may be used."""


class InputPlan(Section):
    """What the network sees."""

    size: Annotated[int, Field(ge=32, le=2048)] | Literal["auto"] = "auto"
    """Side of the input square in pixels; auto takes the size of the weights."""
    resize: Literal["crop", "squash", "letterbox"] | Literal["auto"] = "auto"
    """How an image of any shape becomes the square. crop: keep the shape, cut off what sticks out. squash: bend the
    whole image to a square. letterbox: keep the whole image and its shape, fill up with the mean colour. auto takes the
    way of the weights, nearly always crop."""


class HeadPlan(Section):
    """The new last part."""

    kind: Literal["linear", "mlp", "multi_depth"] = "linear"
    """mlp: dropout 0.5 - linear 256 - ReLU - dropout 0.3 - linear. multi_depth: linear, on the pooled outputs of all
    layer groups (of stage grain) beside what the ordinary head reads."""


class RateRule(Section):
    """Peak learning rates of the thawed backbone groups."""

    rule: Literal["uniform", "geometric", "by_depth", "listed"] = "uniform"
    """uniform: all at `top`. geometric: the last stage at `top`, each group before it at the rate times `factor`.
    by_depth: the usual ladder's learning rate at that relative depth. listed: `rates`, by group name."""
    top: Annotated[float, Field(gt=0, le=1)] = 1e-4
    factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    rates: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}


class Schedule(Section):
    """How every group's rate moves from its peak; all groups share the shape."""

    name: Literal["cosine", "one_cycle", "plateau", "multi_step", "constant"] = "cosine"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Linear rise from zero before the shape starts (one_cycle has its own rise)."""
    final_rate: Annotated[float, Field(ge=0)] = 1e-6
    """cosine ends here; a group whose peak is lower stays at its peak."""
    rise_share: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """one_cycle: share of the steps that rises."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    plateau_patience_epochs: Annotated[int, Field(ge=0)] = 5
    plateau_minimum: Annotated[float, Field(ge=0)] = 1e-7
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.3, 0.6, 0.9)
    """multi_step: shares of the phase's steps, warm-up included, at which the rate is multiplied; rising."""
    milestone_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(f"{list(milestones)!r} must rise, each once, such as [0.3, 0.6, 0.9]")
        return milestones


class SolvePhase(Section):
    """The linear head as the solution of a convex problem on frozen features; no epochs, no learning rate."""

    kind: Literal["solve"] = "solve"
    name: str = Field(default="probe", min_length=1)
    strength: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """L2 penalty on standardised features; auto is cross-validated on out-of-fold predictions."""
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    solver: Literal["logistic", "ridge"] = "logistic"
    """logistic: cross-entropy, by L-BFGS. ridge: squared error onto the classes, exactly; one temperature makes its
    answers probabilities."""


class FrozenPartPlan(Section):
    """How a phase gets what lies before its first trained group."""

    way: Literal["stored", "computed"]
    """stored: once, as activations at the border, and only what lies behind it is run. computed: in every epoch."""
    border: str | None = None
    """stored: the layer group before which the network is cut."""
    views: Annotated[int, Field(ge=0, le=64)] = 0
    """stored: of each training image."""

    @model_validator(mode="after")
    def _stored_has_a_border(self) -> FrozenPartPlan:
        stored = self.way == "stored"
        if stored != (self.border is not None) or stored != (self.views > 0):
            raise ValueError("stored needs a border and at least one view, computed has neither")
        return self


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
    head_views: Annotated[int, Field(ge=0, le=64)] = 0
    """Before the first step the solved head is solved once more, with its L2 penalty, on the plain view and this many
    augmented views of each training image; 0 leaves it as it is."""
    frozen_part: FrozenPartPlan | Literal["auto"] = "auto"
    """auto is settled when the phase begins, by what is sooner done and what the store has room for."""
    peak_rates: Literal["planned", "find", "found"] = "planned"
    """planned: as they stand here. find: range tests multiply those of the head and of the backbone when the phase
    begins; it is then settled as found, or as planned where they found nothing useful."""
    learning_rates: dict[str, float] = {}
    """Settled: group name -> peak rate, stem to head; empty until the network is known."""


Phase = Annotated[SolvePhase | TrainPhase, Field(discriminator="kind")]


class AugmentationPlan(Section):
    """What varies between two views of one training image."""

    preset: Literal["none", "light", "standard", "strong", "trivial"] = "standard"
    flip: Literal["none", "horizontal", "all"] = "horizontal"
    """Mirrored views; none where a mirrored image means something else, all where there is no up."""
    mixup_alpha: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Each training batch is mixed with itself in another order, by a share from Beta(alpha, alpha); 0: not at all."""
    stored_views: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = "auto"
    """Views of a training image that are stored where a phase leaves a frozen prefix; epochs see them in turn. auto:
    four, or as many as there are epochs or room for. With as many as epochs nothing is lost to views made anew."""
    channel_jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Each channel of the stored activations of an image is shifted by a draw of its own, at most this many standard
    deviations of them, anew in each step; 0: not at all. Has nothing to vary where nothing is stored."""


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
    """What to do when the probe makes no mistake on the validation images, so that no tuned epoch can make fewer."""
