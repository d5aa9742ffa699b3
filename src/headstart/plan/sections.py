"""The sections of a plan: each typed, frozen, with its defaults and ranges. `headstart.plan.plan` joins them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from headstart.errors import PlanError
from headstart.input_spec import BANDS_PATTERN, MOST_ADAPTED_BANDS, Contrast, Decoding
from headstart.knowledge.domain import Flip
from headstart.plan.faults import sentences
from headstart.plan.fold import Fold
from headstart.plan.group_rule import GroupRule
from headstart.plan.option import Option

BatchNormPolicy = Literal["pretrained_statistics", "adapt_statistics", "train"]
Grain = Literal["stage", "block"]
DEVICE = r"auto|cpu|mps|cuda(:\d+)?"
"""Pattern of names of devices."""
NoncommercialWeights = Literal["refuse", "allow"]
ChannelChoice = Literal["auto", "plain", "band_map", "repeat", "sum", "learned", "random_convolutions"]
"""`headstart.input_spec.ChannelMethod`, or none, or one that is decided by a probe."""
Requirement = Literal["channel_adaptation", "self_supervised_pretraining"]
"""A step that must come before training, or inside it, and that the phases do not describe."""


class Section(BaseModel):
    """Base of all parts of a plan: immutable, and an unknown key is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What differs from the defaults: a plan has a hundred values."""
        usual = {name: one.get_default(call_default_factory=True) for name, one in type(self).model_fields.items()}
        for name, value in super().__repr_args__():
            if name is None or value != usual.get(name):
                yield name, value


class DataPlan(Section):
    """Which images, and how they are split into train, validation and test."""

    source: str = Field(min_length=1)
    """Folder, tar file or name of an embedded set."""
    val: Annotated[str | None, Option("Folder of class folders that is the test set.", panel="Data")] = None
    """A folder of class folders that is the test set; None: the source's own splits, or a seeded one."""
    group: Annotated[
        str | None,
        Option(
            "Images that stay on one side of every split: those with the same group 1 of a regular expression on the "
            "image path, in the same folder (folder:2), with the same cell (column:patient) or DICOM field "
            "(dicom:PatientID), or taken within seconds of each other (exif:5s).",
            panel="Data",
        ),
    ] = None
    """Rule of groups, see `headstart.plan.group_rule`; images of one group stay on one side of every split."""
    fold: Annotated[
        str | None,
        Option(
            "Test set: one fold of all images, such as 2/5 for the second of five; by group and class.", panel="Data"
        ),
    ] = None
    """`2/5`: all splits are pooled and dealt into five folds by `test_seed`; the second is the test set."""
    unreadable: Annotated[
        Literal["leave_out", "stop"],
        Option(
            "Stop if anything in DATA cannot be used, instead of leaving it out.",
            panel="Data",
            spellings=("--strict",),
            switch="stop",
        ),
    ] = "leave_out"
    links: Annotated[
        Literal["inside", "follow"],
        Option("Whether links in folders are followed: inside DATA only, or wherever they lead.", panel="Data"),
    ] = "inside"
    """inside: links out of DATA are left out and named, because a set from elsewhere may link to private images."""
    limit_train: Annotated[str | None, Option("Train on a seeded sample: 1000, or 100/class.", panel="Data")] = None
    """`100/class` or `1000`: train on a seeded sample of this many images."""
    limit_test: Annotated[str | None, Option("Test on a seeded sample: 1000, or 100/class.", panel="Data")] = None
    """The same for the test set."""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Fraction of the images held out as the test set where the source has no split."""
    test_seed: Annotated[int, Field(ge=0, lt=2**32)] | None = None
    """Seed of the test set where the source has no split; None: the plan's seed. Runs with seeds of their own share one
    test set if they share this seed: no image is then in the validation set of one and the test set of another."""
    bits: Annotated[
        Annotated[int, Field(ge=1, le=16)] | None,
        Option("Bits that images of more than 8 bits use, such as 12; default: all.", panel="Data"),
    ] = None
    """Bits that values with more than 8 bits use, the same for all files: 12 makes 4,095 white. None: all bits of
    the file's type, so that values that use a part of it are dark."""
    bands: Annotated[
        str | None,
        Option("Bands to read by number, such as 3,2,1; default: all. See --channels.", panel="Data"),
    ] = None
    """Numbers of the bands that are read, counted from 1: three as red, green and blue, one as grey, or as many as
    `input.channels` brings to the network. None: all."""
    band_count: Annotated[int, Field(ge=2, le=MOST_ADAPTED_BANDS)] | None = None
    """Number of bands that are read of every image, where `input.channels` brings them to the network; None is found
    by looking at the first images. Images with another number are left out by name."""
    window: Annotated[
        str | None,
        Option("Grey of DICOM: file (its own window), full, percentiles, or CENTER,WIDTH.", panel="Data"),
    ] = None
    """Range of the grey values of DICOM files, one rule for all: file (None: the same) is the window that each file
    states, else its full range; percentiles: 0.5 to 99.5 of each image; CENTER,WIDTH: in units after the rescale."""
    contrast: Annotated[
        Contrast | None,
        Option("Contrast of images: file (as they are) or clahe; default: that of the domain.", panel="Data"),
    ] = None
    """clahe equalises the contrast of each image by regions, before the resize; file (None: the same) does not."""
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Fraction of the training images held out as the validation set where no other split can be it."""
    validation: Literal["auto", "held_out"] = "auto"
    """auto: out-of-fold in train where only a head is fitted or steps are trained in folds, held out of train where
    epochs are selected. held_out: always held out, so that both can be compared on the same validation images."""

    @field_validator("group")
    @classmethod
    def _group_is_a_rule(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            GroupRule.of(pattern)
        return pattern

    @field_validator("fold")
    @classmethod
    def _fold_is_one_of_several(cls, fold: str | None, others: ValidationInfo) -> str | None:
        if fold is not None:
            Fold.read(fold)
            if others.data.get("val") is not None:
                raise ValueError(f"{fold} and val {others.data['val']!r} are both the test set; leave one out")
        return fold

    @field_validator("bands", mode="before")
    @classmethod
    def _bands_as_text(cls, bands: object) -> object:
        """A plan may hold one number, or a list of them."""
        if isinstance(bands, list | tuple):
            return ",".join(map(str, bands))
        return str(bands) if isinstance(bands, int) else bands

    @field_validator("bands")
    @classmethod
    def _bands_are_numbers(cls, bands: str | None) -> str | None:
        if bands is not None and not re.fullmatch(BANDS_PATTERN, bands):
            raise ValueError(f"{bands!r} must be numbers such as 3,2,1, at most {MOST_ADAPTED_BANDS}, counted from 1")
        return bands

    @field_validator("window")
    @classmethod
    def _window_is_known(cls, window: str | None) -> str | None:
        if faults := Decoding(window=window).faults():
            raise ValueError(faults[0].removeprefix("data.window: "))
        return window

    @property
    def test_fold(self) -> Fold | None:
        """The fold that is the test set."""
        return None if self.fold is None else Fold.read(self.fold)

    @property
    def decoding(self) -> Decoding:
        """What the bytes of the image files become."""
        bands = None if self.bands is None else tuple(map(int, self.bands.split(",")))
        return Decoding(self.bits, bands, self.window, self.contrast, self._count_of(bands))

    def _count_of(self, bands: tuple[int, ...] | None) -> int | None:
        if self.band_count is not None or bands is None or len(bands) in (1, 3):
            return self.band_count
        return len(bands)

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
    """Size of the layer groups that phases count (`unfreeze`) and to which learning rates belong."""
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
    channels: ChannelChoice = "auto"
    """How bands reach weights of three channels (docs/guide/channels.md). plain: images of one or three bands as they
    are, with the statistics of the weights. auto: plain for one and three bands, else what a probe on the training
    images finds best."""


class HeadPlan(Section):
    """The new last part."""

    kind: Literal["linear", "mlp", "multi_depth"] = "linear"
    """mlp: dropout 0.5 - linear 256 - ReLU - dropout 0.3 - linear. multi_depth: linear, on the pooled outputs of all
    layer groups (of stage grain) next to what the ordinary head reads."""


class LrRule(Section):
    """Peak learning rates of the unfrozen backbone groups."""

    rule: Literal["uniform", "layer_decay", "by_depth", "by_group"] = "uniform"
    """uniform: `lr` for all. layer_decay: `lr` for the last group, and for each group before it the learning rate of
    the group after it times `decay`. by_depth: the usual discriminative learning rate at that relative depth.
    by_group: `groups` names them."""
    lr: Annotated[float, Field(gt=0, le=1)] = 1e-4
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    groups: dict[str, Annotated[float, Field(gt=0, le=1)]] = {}


class Schedule(Section):
    """Learning-rate schedule; all layer groups share its shape, each scaled to its own peak."""

    name: Literal["cosine", "one_cycle", "plateau", "multi_step", "constant"] = "cosine"
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Linear warm-up from zero before the shape starts (one_cycle has its own)."""
    final_lr: Annotated[float, Field(ge=0)] = 1e-6
    """cosine ends here; a group whose peak is lower stays at its peak."""
    pct_start: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """one_cycle: fraction of the steps in which the learning rate rises, as in PyTorch's OneCycleLR."""
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.5
    plateau_patience_epochs: Annotated[int, Field(ge=0)] = 5
    plateau_min_lr: Annotated[float, Field(ge=0)] = 1e-7
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.3, 0.6, 0.9)
    """multi_step: fractions of the phase's steps, warm-up included, at which the learning rate is multiplied by
    `milestone_factor`; rising."""
    milestone_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1

    @field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, milestones: tuple[float, ...]) -> tuple[float, ...]:
        if list(milestones) != sorted(set(milestones)):
            raise ValueError(f"{list(milestones)!r} must rise, each once, such as [0.3, 0.6, 0.9]")
        return milestones


class ProbePhase(Section):
    """Linear probe: a linear head on frozen features, fitted as a convex problem; no epochs, no learning rate."""

    kind: Literal["linear_probe"] = "linear_probe"
    name: str = Field(default="probe", min_length=1)
    l2_penalty: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
    """On weights of standardised features; auto is cross-validated on out-of-fold predictions."""
    folds: Annotated[int, Field(ge=2, le=20)] = 5
    solver: Literal["logistic", "ridge"] = "logistic"
    """logistic: cross-entropy, by L-BFGS. ridge: squared error on one-hot classes, in closed form; a temperature turns
    its scores into probabilities."""
    alternative_head: Literal["none", "multi_depth"] = "none"
    """multi_depth: a head on the outputs of all layer groups is fitted too where it can pay, a candidate of its own. If
    it is significantly better, later phases must be better than it; they start from the linear probe all the same."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """Names of the candidates that it fits."""
        return (self.name,) if self.alternative_head == "none" else (self.name, self.alternative_head)


class FrozenPrefixPlan(Section):
    """How a phase gets the output of the frozen prefix: the layers before its first trainable group."""

    activations: Literal["cached", "computed"]
    """cached: computed once and kept at the cut point, so that only the trainable suffix runs. computed: in every
    epoch."""
    cut_point: str | None = None
    """cached: the layer group before which the network is cut."""
    views: Annotated[int, Field(ge=0, le=64)] = 0
    """cached: augmented views of each training image."""

    @model_validator(mode="after")
    def _cached_has_a_cut_point(self) -> FrozenPrefixPlan:
        cached = self.activations == "cached"
        if cached != (self.cut_point is not None) or cached != (self.views > 0):
            raise ValueError("cached needs a cut_point and at least one view, computed has neither")
        return self


class TrainPhase(Section):
    """A number of epochs in which the head and some backbone groups are trained."""

    kind: Literal["train"] = "train"
    name: str = Field(min_length=1)
    epochs: Annotated[int, Field(ge=1, le=10_000)]
    unfreeze: Annotated[int, Field(ge=0)] | Literal["all", "by_cost"]
    """How many backbone groups are trainable besides the head, counted from the last one. by_cost: as many as
    `most_trained_share` allows; resolved to a number when the phase begins."""
    most_trained_share: Annotated[float, Field(gt=0, le=1)] | None = None
    """by_cost: at most this share of the MACs of a forward pass lies in trainable groups; the last one always is
    trainable."""
    begins: Literal["always", "if_it_can_pay"] = "always"
    """if_it_can_pay: a step of progressive tuning (`headstart.training.steps`). It starts from the best candidate so
    far, must be significantly better to take its place, and is left out where it is not worth its time."""
    folds: Annotated[int, Field(ge=0, le=20)] = 0
    """From 2 on: up to so many networks are trained in turn, each without one fold of the training images, on which it
    is validated; one more is trained on all of them where the step is selected. Without effect where validation images
    are held out, as they are from 4,000 training images on."""
    head_lr: Annotated[float, Field(gt=0, le=1)]
    """Peak learning rate of the head."""
    backbone_lr: LrRule = LrRule()
    schedule: Schedule = Schedule()
    batch_norm: BatchNormPolicy = "pretrained_statistics"
    """pretrained_statistics: evaluation mode on every step, no buffer moves. adapt_statistics: buffers move,
    affine weights do not. train: unfrozen groups normalise by batch, and their buffers move."""
    batch_norm_affine: Literal["trained", "frozen"] = "trained"
    """Whether scale and shift of unfrozen BatchNorm layers are trained."""
    head_refit_views: Annotated[int, Field(ge=0, le=64)] = 0
    """Before the first step the linear probe is fitted again, with its L2 penalty, on the plain view and this many
    augmented views of each training image; 0 leaves it as it is."""
    frozen_prefix: FrozenPrefixPlan | Literal["auto"] = "auto"
    """auto is resolved when the phase begins, by what is faster and what the activation cache has room for."""
    peak_lr: Literal["planned", "find", "found"] = "planned"
    """planned: as they stand here. find: learning-rate range tests multiply those of the head and of the backbone when
    the phase begins; it is then resolved to found, or to planned where they found nothing useful."""
    lr_by_group: dict[str, float] = {}
    """Resolved: group name -> peak learning rate, stem to head; empty until the network is known."""

    @model_validator(mode="after")
    def _share_belongs_to_by_cost(self) -> TrainPhase:
        if (self.unfreeze == "by_cost") and self.most_trained_share is None:
            raise ValueError("unfreeze by_cost needs most_trained_share, such as 0.25")
        if self.folds == 1:
            raise ValueError("folds must be 0, or 2 and more: one fold leaves nothing to train on")
        return self


Phase = Annotated[ProbePhase | TrainPhase, Field(discriminator="kind")]


class AugmentationPlan(Section):
    """Random changes from one view of a training image to the next."""

    preset: Literal["none", "light", "standard", "strong", "trivial"] = "standard"
    flip: Flip = "horizontal"
    """Mirrored views: none where they mean something else, all or dihedral (quarter turns too) where there is no up."""
    mixup_alpha: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Each training batch is mixed with itself in another order, by a share from Beta(alpha, alpha); 0: not at all."""
    cutmix_alpha: Annotated[float, Field(ge=0, le=10)] = 0.0
    """A rectangle of each training image is taken from another one of the batch; its area is 1 - a draw from
    Beta(alpha, alpha) (Yun et al. 2019); 0: not at all. With `mixup_alpha` too, a coin decides for each batch."""
    cached_views: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = "auto"
    """Augmented views of a training image whose activations are cached where a phase has a frozen prefix; epochs take
    them in turn. auto: four, or fewer where there are fewer epochs or no room. With one for each epoch training sees
    as many different views as without a cache."""
    channel_jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Each channel of the cached activations of an image is shifted by a draw of its own, at most this many standard
    deviations of them, anew in each step; 0: not at all. Needs a phase that trains on cached activations."""


class OptimizerPlan(Section):
    """The rule that turns gradients into steps."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """sgd only."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread over all classes (Szegedy et al. 2016)."""
    l2_sp: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Coefficient of the pull of trained backbone weights towards the pretrained ones, times the learning rate of the
    step (L2-SP, Li et al. 2018); they then have no weight decay. 0: no pull."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of an exponential moving average of the trained weights over steps, which is then what is validated and selected;
    None: no average."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Gradients of a step are scaled down to this L2 norm over all trained parameters together (Pascanu et al. 2013);
    None: never."""
