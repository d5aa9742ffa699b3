"""What the user said, and the plan that follows from it once a strategy has decided what it trains.

Strategies are in `headstart.presets`; what they share is here: the request, which of its options a strategy has
no use for, and the defaults with their reasons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from headstart.errors import PlanError, nearest
from headstart.facts import RATE_PRESETS, WEIGHT_DECAY
from headstart.plan import (
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
    SelectionPlan,
    SolvePhase,
    TrainPhase,
)
from headstart.plan_faults import cross_faults

DEFAULT_MODEL = "tf_efficientnet_lite0"

Resize = Literal["crop", "squash", "letterbox"]
HeadKind = Literal["linear", "mlp", "multi_depth"]
HeadSolver = Literal["solved", "ridge", "adam"]
PeakRates = Literal["planned", "find"]

_BOUNDS = (
    ("epochs", 1, 10_000),
    ("input_size", 32, 2048),
    ("batch_size", 1, 65_536),
    ("seed", 0, 2**32 - 1),
    ("thaw", 1, 10_000),
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
    thaw: int | None = None
    """How many backbone groups learn, counted from the last; None takes the strategy's own."""
    rates: str | None = None
    """Name of a preset in `facts.RATE_PRESETS`; None takes the strategy's own rates."""
    peak_rates: PeakRates = "planned"
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
    head_solver: HeadSolver = "solved"
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
        if self.rates is not None and self.rates not in RATE_PRESETS:
            hint = nearest(self.rates, RATE_PRESETS)
            faults.append(
                f"rates: {self.rates!r} must be one of {', '.join(RATE_PRESETS)}" + (f"; {hint}" * bool(hint))
            )
        if self.resize is not None and self.resize not in get_args(Resize):
            faults.append(f"resize: {self.resize!r} must be one of {', '.join(get_args(Resize))}")
        if self.peak_rates not in get_args(PeakRates):
            faults.append(f"peak_rates: {self.peak_rates!r} must be one of {', '.join(get_args(PeakRates))}")
        if faults:
            raise PlanError(faults, source="the request")

    def says(self, path: str) -> bool:
        """Whether the user decided the value at this path of the plan, so that it needs no reason."""
        if path.endswith(".epochs"):
            return self.epochs is not None
        if path.endswith(".thaw"):
            return self.thaw is not None
        said = {
            "model.name": self.model,
            "model.grain": self.grain,
            "input.size": self.input_size,
            "input.resize": self.resize,
            "batch_size": self.batch_size,
        }
        return said.get(path) is not None


NO_USE_FOR: dict[str, dict[str, str]] = {
    "feature_extraction": {
        "thaw": "the whole backbone stays frozen; --strategy partial thaws the last N groups",
        "rates": "no pretrained group learns",
        "grain": "no pretrained group learns",
    },
    "gradual": {
        "thaw": "its phases thaw one group more each",
        "rates": "each of its phases has its own rate, a tenth of the one before",
    },
    "full": {"thaw": "every group learns; --strategy partial thaws the last N"},
    "scratch": {
        "thaw": "random layers must all learn",
        "rates": "rates by layer protect pretrained features, and random weights have none",
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
    if strategy == "full" and request.rates == "bit":
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
    elif request.head_solver == "ridge" and request.rates == "bit":
        faults.append(f"head: head_solver ridge solves the probe; {probes}")
    if request.head == "multi_depth":
        faults += _multi_depth_faults(strategy, request)
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


def solved_probe(request: Request) -> SolvePhase:
    """The phase that solves the head, in the way the user chose."""
    return SolvePhase(solver="ridge" if request.head_solver == "ridge" else "logistic")


def assemble(
    strategy: str,
    request: Request,
    phases: tuple[SolvePhase | TrainPhase, ...],
    reasons: dict[str, str],
    *,
    weights: Literal["pretrained", "random"] = "pretrained",
    optimizer: OptimizerPlan | None = None,
    patience_epochs: int | None = 5,
    when_futile: Literal["skip_tuning", "tune_anyway"] = "skip_tuning",
    batch_size: int = 32,
    mixup_alpha: float | None = None,
) -> Plan:
    """What all strategies share; whatever the request leaves open gets its default and the reason.

    Raises:
        PlanError: values of the request contradict each other.
    """
    trained = [index for index, phase in enumerate(phases) if isinstance(phase, TrainPhase)]
    found = {"peak_rates": request.peak_rates}
    phases = tuple(p.model_copy(update=found) if isinstance(p, TrainPhase) else p for p in phases)
    rates = RATE_PRESETS.get(request.rates or "")
    if trained and request.epochs is not None:
        when_futile = "tune_anyway"  # whoever names the epochs wants to see them
    augmentation = request.augmentation
    if mixup_alpha is not None:
        augmentation = augmentation.model_copy(update={"mixup_alpha": mixup_alpha})
    why = {**_default_reasons(request, phases, trained), **reasons}
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
        optimizer=optimizer or OptimizerPlan(weight_decay=WEIGHT_DECAY),
        selection=SelectionPlan(when_futile=when_futile, patience_epochs=patience_epochs),
        batch_size=request.batch_size or batch_size,
        budget_seconds=request.budget_seconds,
        seed=request.seed,
        reasons={path: text for path, text in why.items() if not request.says(path)},
    )
    if faults := cross_faults(plan.model_dump(mode="json")):
        raise PlanError(faults)
    return plan


def _default_reasons(
    request: Request, phases: tuple[SolvePhase | TrainPhase, ...], trained: list[int]
) -> dict[str, str]:
    """Reasons for what no strategy decides, those of the caller first."""
    why = dict(request.reasons)
    why["model.name"] = "the default: its weights come with the installation, and it is quick on any CPU"
    why["input.size"] = "the size these weights were trained at"
    why["input.resize"] = (
        "the way these weights were evaluated; headstart check says how much of your images it cuts off"
    )
    if isinstance(phases[0], SolvePhase):
        why["phases[0].strength"] = "cross-validated on out-of-fold predictions inside the training images"
    if trained:
        why["optimizer"] = (
            "AdamW: its best weight decay depends less on the learning rate than that of Adam with an L2 penalty "
            f"(Loshchilov & Hutter 2019); {WEIGHT_DECAY:g} is PyTorch's default"
        )
        why["selection.patience_epochs"] = "five epochs without a better one end a phase"
        why["batch_size"] = "32 images: enough steps on small sets, and it fits any machine"
    for index in trained:
        why[f"phases[{index}].batch_norm"] = (
            "small batches estimate poor statistics; the pretrained ones stay, in training as in evaluation"
        )
    return why
