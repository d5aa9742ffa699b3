"""The request: every option of training, declared once.

A field says its type, default, range, help and spellings; the command line, the keywords of the library, the estimator
and the keys of a comparison are derived from these fields, or checked against them by tests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

from headstart.errors import PlanError, nearest
from headstart.input_spec import Resize
from headstart.knowledge.domain import AugmentationName, Domain, RequestedDomain
from headstart.knowledge.domains import DOMAINS
from headstart.knowledge.imbalance import STRONG_RATIO, Imbalance
from headstart.measures.figures import SelectionMetric
from headstart.plan.option import Option, options_of, words_of
from headstart.plan.sections import DEVICE, AugmentationPlan, ChannelChoice, DataPlan, Grain, NoncommercialWeights

DEFAULT_MODEL = "tf_efficientnet_lite0"
DEFAULT_STRATEGY: Literal["progressive"] = "progressive"

StrategyName = Literal[
    "auto",
    "feature_extraction",
    "progressive",
    "probe_then_tune",
    "discriminative",
    "gradual",
    "partial",
    "full",
    "scratch",
]
LrRuleName = Literal["decay_0.75", "decay_0.9", "ulmfit", "ten_fold", "by_depth", "bit"]
HeadKind = Literal["linear", "mlp", "multi_depth"]
HeadSolver = Literal["logistic", "ridge", "adam"]
PeakLr = Literal["planned", "find"]
AfterAlarm = Literal["go_on", "rescue"]
OptimizerName = Literal["adamw", "adam", "sgd"]


@dataclass(frozen=True)
class Request:
    """Options of training; None leaves a value to the strategy, the weights or the domain.

    `Request("photos", epochs=3)` names a folder of images, `Request(DataPlan(source="photos", val="held"))` says more
    of them.
    """

    data: DataPlan
    """Which images; text or a path becomes the `DataPlan` of that source."""
    strategy: Annotated[
        StrategyName, Option(f"How to train; default: {DEFAULT_STRATEGY}. auto takes the advice.", panel="Usual")
    ] = DEFAULT_STRATEGY
    model: Annotated[str | None, Option("ARCH, ARCH:TAG or ARCH:file:PATH; see `headstart models`.", panel="Usual")] = (
        None
    )
    domain: Annotated[
        RequestedDomain | None,
        Option("What the images show; default: auto, which looks at some of them.", panel="Usual"),
    ] = None
    input_size: Annotated[
        int | None,
        Option(
            "Side in pixels; default: the size of the weights.",
            panel="Data",
            spellings=("--input-size", "--image-size", "--imgsz"),
            least=32,
            most=2048,
        ),
    ] = None
    resize: Annotated[
        Resize | None,
        Option(
            "How an image becomes square: squash and letterbox keep all of it; default: as the weights want, mostly "
            "crop.",
            panel="Data",
        ),
    ] = None
    channels: Annotated[
        ChannelChoice | None,
        Option(
            "How images of 2 or 4 to 16 bands reach weights of three channels; default: auto, which compares the ways "
            "by a probe on the training images.",
            panel="Data",
        ),
    ] = None
    epochs: Annotated[int | None, Option("Of every trained phase.", panel="Usual", least=1, most=10_000)] = None
    unfreeze: Annotated[
        int | None,
        Option("Layer groups to train besides the head, counted from the last; see --grain.", least=1, most=10_000),
    ] = None
    lr: Annotated[
        float | None,
        Option(
            "Peak learning rate of the first trained phase; all others keep their ratio to it.",
            least=0,
            most=1,
            ends="open below",
        ),
    ] = None
    head_lr: Annotated[
        float | None,
        Option(
            "Peak learning rate of the head in the first trained phase; the backbone keeps its own.",
            least=0,
            most=1,
            ends="open below",
        ),
    ] = None
    lr_rule: Annotated[LrRuleName | None, Option("How layer groups share the learning rate.")] = None
    peak_lr: Annotated[
        PeakLr,
        Option(
            "Find peak learning rates of head and backbone by range tests before training.",
            spellings=("--find-lr",),
            switch="find",
        ),
    ] = "planned"
    grain: Annotated[Grain | None, Option("What a layer group is; default: stage.")] = None
    noncommercial_weights: Annotated[
        NoncommercialWeights,
        Option(
            "Use weights whose licence forbids commercial use.", spellings=("--allow-noncommercial",), switch="allow"
        ),
    ] = "refuse"
    augmentation: Annotated[
        AugmentationName | None, Option("Magnitude of augmentation; default: that of the domain.")
    ] = None
    head: Annotated[
        HeadKind | None,
        Option(
            "Default: linear; progressive tries multi_depth too. multi_depth goes with feature_extraction, and with "
            "progressive, which then has no steps; mlp with feature_extraction and scratch."
        ),
    ] = None
    head_solver: Annotated[
        HeadSolver,
        Option(
            "How a linear head is fitted: logistic by L-BFGS, ridge in closed form, adam by training with augmentation."
        ),
    ] = "logistic"
    batch_size: Annotated[
        int | None, Option("Images a step; default: 32, with --lr-rule bit 128.", least=1, most=65_536)
    ] = None
    optimizer: Annotated[OptimizerName | None, Option("Default: adamw.")] = None
    weight_decay: Annotated[float | None, Option("Of the optimizer; default: 0.01.", least=0, most=1)] = None
    patience: Annotated[
        int | None,
        Option("Stop a trained phase after so many epochs without a better one.", least=1, most=10_000),
    ] = None
    after_alarm: Annotated[
        AfterAlarm,
        Option(
            "After an alarm go back to the best weights and divide learning rates by ten, twice a phase at most.",
            spellings=("--rescue",),
            switch="rescue",
        ),
    ] = "go_on"
    imbalance: Annotated[
        Imbalance,
        Option(
            "How classes of unequal size are made to count the same; default: auto, which adjusts logits where one "
            f"class has more than {STRONG_RATIO:g} times the images of another."
        ),
    ] = "auto"
    class_weight: Annotated[
        Literal["balanced"] | Mapping[str, float] | None,
        Option("Of images in the loss: balanced, or a weight by class name.", kind="library only"),
    ] = None
    metric: Annotated[
        SelectionMetric | None,
        Option(
            "Selects epochs and candidates, and comes first in results; default: accuracy, or balanced_accuracy where "
            "classes are balanced."
        ),
    ] = None
    interpolate: Annotated[
        Literal["none", "auto"],
        Option("auto: validate weights between the probe's network and the best epoch, too (WiSE-FT)."),
    ] = "none"
    seed: Annotated[int, Option("Of splits, order, augmentation and head.", panel="Run", least=0, most=2**32 - 1)] = 0
    budget_seconds: Annotated[
        float | None,
        Option(
            "Time limit, such as 90s, 10m, 2h or unlimited; the best epoch so far is selected.",
            panel="Usual",
            spellings=("--budget", "--time-limit"),
            kind="duration",
        ),
    ] = None
    workers: Annotated[
        int | None,
        Option("Threads that decode images; default: one a core, at most 8.", panel="Run", least=1, most=1024),
    ] = None
    device: Annotated[str | None, Option("cpu, cuda, cuda:1 or mps; default: a GPU if there is one.", panel="Run")] = (
        None
    )
    reasons: tuple[tuple[str, str], ...] = ()
    """Reasons that are known already: (path, sentence)."""

    def __post_init__(self) -> None:
        if not isinstance(self.data, DataPlan):
            object.__setattr__(self, "data", DataPlan.from_options(source=os.fspath(self.data)))
        faults = []
        for name, (words, option) in _checks().items():
            value = getattr(self, name)
            if value is None:
                continue
            if words and name != "class_weight" and value not in words:
                hint = nearest(str(value), words)
                faults.append(f"{name}: {value!r} must be one of {', '.join(words)}" + (f"; {hint}" if hint else ""))
            elif isinstance(value, (int, float)) and (fault := option.fault_of(name, value)):
                faults.append(fault)
        if self.budget_seconds is not None and not self.budget_seconds > 0:
            faults.append(f"budget: {self.budget_seconds:g} s must be > 0")
        if self.device is not None and not re.fullmatch(DEVICE, self.device):
            faults.append(f"device: {self.device!r} must be auto, cpu, mps, cuda or cuda:NUMBER")
        if faults:
            raise PlanError(faults, source="the request")

    def __repr__(self) -> str:
        """The images, and the options that differ from their defaults."""
        # The source alone unless more is said of the images: it fits a line.
        plain = DataPlan(source=self.data.source) == self.data
        given = [repr(self.data.source) if plain else repr(self.data)]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if field.name in OPTIONS and value != field.default:
                given.append(f"{field.name}={value!r}")
        return f"Request({', '.join(given)})"

    @property
    def views(self) -> AugmentationPlan:
        """Augmentation of training images: what was given, else what the domain wants."""
        domain = DOMAINS[given_domain(self) or "photo"]
        return AugmentationPlan(preset=self.augmentation or domain.augmentation, flip=domain.flip)

    def says(self, path: str) -> bool:
        """Whether the user decided the value at this path of the plan, so that it needs no reason."""
        if path.endswith(".epochs"):
            return self.epochs is not None
        if path.endswith(".unfreeze"):
            return self.unfreeze is not None
        said = {
            "model.name": self.model,
            "model.grain": self.grain,
            "input.size": self.input_size,
            "input.resize": self.resize,
            "input.channels": self.channels,
            "batch_size": self.batch_size,
            "optimizer": self.optimizer if self.optimizer is not None else self.weight_decay,
            "selection.metric": self.metric,
        }
        return said.get(path) is not None


OPTIONS: Mapping[str, Option] = options_of(Request)
"""Field of `Request` -> what the doors show of it."""


@cache
def _checks() -> Mapping[str, tuple[tuple[str, ...], Option]]:
    """Field -> words it may be (empty: any value) and its option."""
    hints: Mapping[str, Any] = get_type_hints(Request, include_extras=True)
    return {name: (words_of(hints[name]), option) for name, option in OPTIONS.items()}


def given_domain(request: Request) -> Domain | None:
    """The domain that the user named; None where looking at the images decides."""
    return None if request.domain is None or request.domain == "auto" else request.domain
