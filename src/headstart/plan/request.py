"""What the user said, and the plan that follows from it once a strategy has decided what it trains.

Strategies are in `headstart.plan.presets`; what they share is here: the request, which of its options a strategy has
no use for, and the defaults with their reasons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal, get_args

from headstart.errors import PlanError, nearest
from headstart.knowledge.transfer import LR_RULES, WEIGHT_DECAY
from headstart.plan.faults import cross_faults
from headstart.plan.plan import (
    AugmentationPlan,
    DataPlan,
    Domain,
    Grain,
    HeadPlan,
    InputPlan,
    ModelPlan,
    NoncommercialWeights,
    OptimizerPlan,
    Plan,
    ProbePhase,
    SelectionPlan,
    TrainPhase,
)

DEFAULT_MODEL = "tf_efficientnet_lite0"

Resize = Literal["crop", "squash", "letterbox"]
HeadKind = Literal["linear", "mlp", "multi_depth"]
HeadSolver = Literal["logistic", "ridge", "adam"]
PeakLr = Literal["planned", "find"]
OptimizerName = Literal["adamw", "adam", "sgd"]

_BOUNDS = (
    ("epochs", 1, 10_000),
    ("input_size", 32, 2048),
    ("batch_size", 1, 65_536),
    ("seed", 0, 2**32 - 1),
    ("unfreeze", 1, 10_000),
)


@dataclass(frozen=True, slots=True)
class Request:
    """What the user said, and what follows from the data and its domain; the same for every strategy."""

    data: DataPlan
    model: str | None = None
    """None takes the embedded default."""
    domain: Domain = "photo"
    augmentation: AugmentationPlan = field(default_factory=AugmentationPlan)
    input_size: int | None = None
    """Side in pixels; None takes the size of the weights."""
    resize: Resize | None = None
    """How an image becomes a square; None takes the way of the weights."""
    epochs: int | None = None
    """Epochs of every trained phase; None takes the strategy's own."""
    unfreeze: int | None = None
    """How many backbone groups learn, counted from the last; None takes the strategy's own."""
    lr_rule: str | None = None
    """Name of a preset in `knowledge.transfer.LR_RULES`; None takes the strategy's own rates."""
    peak_lr: PeakLr = "planned"
    """find: each phase that trains finds its peak rates when it begins, from the planned ones."""
    grain: Grain | None = None
    """What a layer group is; None takes what the rates want, else stages."""
    noncommercial_weights: NoncommercialWeights = "refuse"
    training_images: int | None = None
    """How many there are, if known: decides the default number of epochs."""
    fit_images: int | None = None
    """How many of them an epoch passes through, if known; the others choose between epochs."""
    seed: int = 0
    batch_size: int | None = None
    budget_seconds: float | None = None
    head: HeadKind = "linear"
    head_solver: HeadSolver = "logistic"
    lr: float | None = None
    """Peak learning rate of the head in the first phase that trains; the others keep their ratio to it. None takes the
    strategy's own."""
    optimizer: OptimizerName | None = None
    weight_decay: float | None = None
    class_weight: Literal["balanced"] | Mapping[str, float] | None = None
    """Of images in the loss; see `Plan.class_weight`."""
    reasons: tuple[tuple[str, str], ...] = ()
    """Reasons the caller already knows: (path, sentence)."""

    def __post_init__(self) -> None:
        faults = [
            f"{name}: {value} must be {low}..{high}"
            for name, low, high in _BOUNDS
            if (value := getattr(self, name)) is not None and not low <= value <= high
        ]
        if self.budget_seconds is not None and self.budget_seconds <= 0:
            faults.append(f"budget: {self.budget_seconds:g} s must be > 0")
        if self.lr_rule is not None and self.lr_rule not in LR_RULES:
            hint = nearest(self.lr_rule, LR_RULES)
            faults.append(
                f"lr_rule: {self.lr_rule!r} must be one of {', '.join(LR_RULES)}" + (f"; {hint}" * bool(hint))
            )
        if self.resize is not None and self.resize not in get_args(Resize):
            faults.append(f"resize: {self.resize!r} must be one of {', '.join(get_args(Resize))}")
        if self.lr is not None and not 0 < self.lr <= 1:
            faults.append(f"lr: {self.lr:g} must be > 0 and <= 1")
        if self.weight_decay is not None and not 0 <= self.weight_decay <= 1:
            faults.append(f"weight_decay: {self.weight_decay:g} must be 0..1")
        if self.optimizer is not None and self.optimizer not in get_args(OptimizerName):
            known = get_args(OptimizerName)
            hint = nearest(str(self.optimizer), known)
            faults.append(
                f"optimizer: {self.optimizer!r} must be one of {', '.join(known)}" + (f"; {hint}" * bool(hint))
            )
        if self.peak_lr not in get_args(PeakLr):
            faults.append(f"peak_lr: {self.peak_lr!r} must be one of {', '.join(get_args(PeakLr))}")
        if faults:
            raise PlanError(faults, source="the request")

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
            "batch_size": self.batch_size,
            "optimizer": self.optimizer if self.optimizer is not None else self.weight_decay,
        }
        return said.get(path) is not None


NO_USE_FOR: dict[str, dict[str, str]] = {
    "feature_extraction": {
        "unfreeze": "the whole backbone stays frozen; --strategy partial unfreezes the last N groups",
        "lr_rule": "no pretrained group learns",
        "grain": "no pretrained group learns",
    },
    "gradual": {
        "unfreeze": "its phases unfreeze one group more each",
        "lr_rule": "each of its phases has its own rate, a tenth of the one before",
    },
    "full": {"unfreeze": "every group learns; --strategy partial unfreezes the last N"},
    "scratch": {
        "unfreeze": "random layers must all learn",
        "lr_rule": "rates by layer protect pretrained features, and random weights have none",
    },
}
"""Strategy -> option it has no use for -> why. An option never does nothing silently."""


def refuse_what_has_no_use(strategy: str, request: Request) -> None:
    """Name every option that this strategy could not follow.

    Raises:
        PlanError: with one fault an option.
    """
    faults = [
        f"{option}: {strategy} has no use for it: {why}"
        for option, why in NO_USE_FOR.get(strategy, {}).items()
        if getattr(request, option) is not None
    ]
    probes = f"{strategy} starts from the solved linear probe"
    if strategy == "full" and request.lr_rule == "bit":
        probes = "BiT-HyperRule has one linear layer that starts from zeros"
    if request.head == "mlp" and strategy not in ("feature_extraction", "scratch"):
        faults.append(f"head: an mlp head goes with feature_extraction or scratch; {probes}")
    elif request.head_solver == "adam" and strategy != "feature_extraction":
        why = "scratch trains its head with the rest" if strategy == "scratch" else probes
        faults.append(f"head: head_solver adam goes with feature_extraction; {why}")
    elif request.head_solver == "ridge" and strategy == "scratch":
        faults.append(
            "head: head_solver ridge solves a head on pretrained features; scratch trains its head with the rest"
        )
    elif request.head_solver == "ridge" and request.lr_rule == "bit":
        faults.append(f"head: head_solver ridge solves the probe; {probes}")
    if request.head == "multi_depth":
        faults += _multi_depth_faults(strategy, request)
    if request.class_weight is not None and request.head == "multi_depth":
        faults.append("class_weight: a multi_depth head is solved without weights; a linear or mlp head takes them")
    if request.head == "mlp" and request.head_solver == "ridge":
        faults.append("head: head_solver ridge solves one linear layer; an mlp head is trained")
    if faults:
        raise PlanError(faults, source="the request")


def _multi_depth_faults(strategy: str, request: Request) -> list[str]:
    if strategy != "feature_extraction":
        return [f"head: a multi_depth head goes with feature_extraction, where all layers rest; {strategy} trains them"]
    if request.head_solver == "adam":
        return ["head: head_solver adam trains a head on the last layer; a multi_depth head is solved"]
    return []


def solved_probe(request: Request) -> ProbePhase:
    """The phase that solves the head, in the way the user chose."""
    return ProbePhase(solver="ridge" if request.head_solver == "ridge" else "logistic")


def assemble(
    strategy: str,
    request: Request,
    phases: tuple[ProbePhase | TrainPhase, ...],
    reasons: dict[str, str],
    *,
    weights: Literal["pretrained", "random"] = "pretrained",
    optimizer: OptimizerPlan | None = None,
    patience: int | None = 5,
    when_cannot_improve: Literal["skip_tuning", "tune_anyway"] = "skip_tuning",
    batch_size: int = 32,
    mixup_alpha: float | None = None,
) -> Plan:
    """What all strategies share; whatever the request leaves open gets its default and the reason.

    Raises:
        PlanError: values of the request contradict each other.
    """
    trained = [index for index, phase in enumerate(phases) if isinstance(phase, TrainPhase)]
    found = {"peak_lr": request.peak_lr}
    phases = tuple(p.model_copy(update=found) if isinstance(p, TrainPhase) else p for p in phases)
    rates = LR_RULES.get(request.lr_rule or "")
    if trained and request.epochs is not None:
        when_cannot_improve = "tune_anyway"  # whoever names the epochs wants to see them
    augmentation = request.augmentation
    if mixup_alpha is not None:
        augmentation = augmentation.model_copy(update={"mixup_alpha": mixup_alpha})
    why = {**_default_reasons(request, phases, trained), **reasons}
    phases, rate_reasons = _at_lr(phases, request.lr)
    optimizer, optimizer_reasons = _given_optimizer(optimizer or OptimizerPlan(weight_decay=WEIGHT_DECAY), request)
    plan = Plan(
        strategy=strategy,
        data=request.data,
        domain=request.domain,
        model=ModelPlan(
            name=request.model or DEFAULT_MODEL,
            weights=weights,
            grain=request.grain or (rates.grain if rates else None) or "stage",
            noncommercial_weights=request.noncommercial_weights,
        ),
        input=InputPlan(size=request.input_size or "auto", resize=request.resize or "auto"),
        head=HeadPlan(kind=request.head),
        phases=phases,
        augmentation=augmentation,
        optimizer=optimizer,
        selection=SelectionPlan(when_cannot_improve=when_cannot_improve, patience=patience),
        batch_size=request.batch_size or batch_size,
        budget_seconds=request.budget_seconds,
        class_weight=_class_weight(request.class_weight),
        seed=request.seed,
        reasons={path: text for path, text in why.items() if not request.says(path)} | rate_reasons | optimizer_reasons,
    )
    if faults := cross_faults(plan.model_dump(mode="json")):
        raise PlanError(faults)
    return plan


def _class_weight(given: Any) -> Literal["balanced"] | dict[str, float] | None:  # noqa: ANN401 - checked here
    """The weights as a plan holds them.

    Raises:
        PlanError: another word, or a weight that is no number > 0.
    """
    if given is None:
        return None
    if given == "balanced":
        return "balanced"
    if not isinstance(given, Mapping):
        hint = nearest(str(given), ("balanced",))
        text = f"class_weight: {given!r:.60} must be balanced, or a weight by class name" + (f"; {hint}" * bool(hint))
        raise PlanError([text], source="the request")
    wrong = [name for name, weight in given.items() if not (isinstance(weight, Real) and 0 < float(weight) < math.inf)]
    if wrong:
        raise PlanError([f"class_weight[{wrong[0]!r}]: {given[wrong[0]]!r} must be a number > 0"], source="the request")
    return {str(name): float(weight) for name, weight in given.items()}


def _at_lr(
    phases: tuple[ProbePhase | TrainPhase, ...], lr: float | None
) -> tuple[tuple[ProbePhase | TrainPhase, ...], dict[str, str]]:
    """The phases with the learning rate that was given for the head of the first that trains, and the reasons.

    All others are scaled with it, those of `by_depth` excepted: that ladder is a fixed one.
    """
    first = next((phase.head_lr for phase in phases if isinstance(phase, TrainPhase)), None)
    if lr is None or first is None:
        return phases, {}
    factor, found, reasons = lr / first, list[ProbePhase | TrainPhase](), dict[str, str]()
    for index, phase in enumerate(phases):
        if isinstance(phase, TrainPhase):
            rule = phase.backbone_lr
            groups = {name: min(1.0, factor * rate) for name, rate in rule.groups.items()}
            scaled = rule.model_copy(update={"lr": min(1.0, factor * rule.lr), "groups": groups})
            backbone = (
                "the fixed ladder of the backbone stays" if rule.rule == "by_depth" else "the backbone's in ratio"
            )
            reasons[f"phases[{index}].head_lr"] = f"given: learning rate {lr:g}; {backbone}"
            rate = lr if phase.head_lr == first else min(1.0, factor * phase.head_lr)
            phase = phase.model_copy(update={"head_lr": rate, "backbone_lr": scaled})
        found.append(phase)
    return tuple(found), reasons


def _given_optimizer(planned: OptimizerPlan, request: Request) -> tuple[OptimizerPlan, dict[str, str]]:
    """The optimizer with what was given of it, and the reasons."""
    given = {"name": request.optimizer, "weight_decay": request.weight_decay}
    said = {name: value for name, value in given.items() if value is not None}
    return planned.model_copy(update=said), {f"optimizer.{name}": f"given: {value}" for name, value in said.items()}


def _default_reasons(
    request: Request, phases: tuple[ProbePhase | TrainPhase, ...], trained: list[int]
) -> dict[str, str]:
    """Reasons for what no strategy decides, those of the caller first."""
    why = dict(request.reasons)
    why["model.name"] = "the default: its weights come with the installation, and it is quick on any CPU"
    why["input.size"] = "the size these weights were trained at"
    why["input.resize"] = (
        "the way these weights were evaluated; headstart check says how much of your images it cuts off"
    )
    if isinstance(phases[0], ProbePhase):
        why["phases[0].l2_penalty"] = "cross-validated on out-of-fold predictions inside the training images"
    if trained:
        why["optimizer"] = (
            "AdamW: its best weight decay depends less on the learning rate than that of Adam with an L2 penalty "
            f"(Loshchilov & Hutter 2019); {WEIGHT_DECAY:g} is PyTorch's default"
        )
        why["selection.patience"] = "five epochs without a better one end a phase"
        why["batch_size"] = "32 images: enough steps on small sets, and it fits any machine"
    for index in trained:
        why[f"phases[{index}].batch_norm"] = (
            "small batches estimate poor statistics; the pretrained ones stay, in training as in evaluation"
        )
    return why
