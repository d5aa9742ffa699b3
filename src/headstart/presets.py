"""One function per strategy; each returns a complete Plan and says why for every value nobody set.

A variant of a strategy is another call with other arguments, or the plan's YAML edited by hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from headstart.errors import PlanError, nearest
from headstart.facts import HEAD_LEARNING_RATE, PRETRAINED_RATE_RATIO, WEIGHT_DECAY
from headstart.plan import (
    AugmentationPlan,
    DataPlan,
    Domain,
    HeadPlan,
    InputPlan,
    ModelPlan,
    OptimizerPlan,
    Plan,
    RateRule,
    Schedule,
    SelectionPlan,
    SolvePhase,
    TrainPhase,
)

DEFAULT_MODEL = "tf_efficientnet_lite0"

HeadKind = Literal["linear", "mlp"]
HeadSolver = Literal["solved", "adam"]


FEW_TRAINING_IMAGES = 500
"""Below this a tuned network has seen everything it can learn after a few passes."""


_BOUNDS = (("epochs", 1, 10_000), ("input_size", 32, 2048), ("batch_size", 1, 65_536), ("seed", 0, 2**32 - 1))


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
    epochs: int | None = None
    """Epochs of every trained phase; None takes the strategy's own."""
    training_images: int | None = None
    """How many there are, if known: decides the default number of epochs."""
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
        if faults:
            raise PlanError(faults, source="the request")


class Preset(Protocol):
    """A strategy: what the user asked for -> a plan."""

    def __call__(self, request: Request) -> Plan:
        """The plan, with reasons."""


def feature_extraction(request: Request) -> Plan:
    """The whole backbone frozen, only a head is learned; the fastest, and it cannot forget."""
    if request.head == "linear" and request.head_solver == "solved":
        reasons = {
            "phases": "a linear head on frozen features is a convex problem: it is solved on one plain view, "
            "not trained, so augmentation and learning rates play no part",
        }
        return _plan("feature_extraction", request, (SolvePhase(),), reasons)
    train = TrainPhase(name="head", epochs=request.epochs or 20, thaw=0, learning_rate=HEAD_LEARNING_RATE)
    reasons = {
        "phases[0].learning_rate": "the usual rate of a new head under AdamW",
        "phases[0].epochs": "a head alone needs some twenty passes; early stopping ends it sooner",
    }
    return _plan("feature_extraction", request, (train,), reasons)


def probe_then_tune(request: Request) -> Plan:
    """The solved linear probe first, then every layer from there (Kumar et al. 2022). The default."""
    _refuse_unsolved_head("probe_then_tune", request)
    tune = TrainPhase(
        name="tune",
        epochs=request.epochs or _default_epochs(request),
        thaw="all",
        learning_rate=_TUNED_HEAD_RATE,
        backbone_rates=RateRule(rule="uniform", top=_TUNED_BACKBONE_RATE),
        schedule=Schedule(name="one_cycle"),
    )
    reasons = {
        "phases": "tuning from a solved head does not distort the features it starts from (Kumar et al. 2022); "
        "the probe is epoch 0 and stays a candidate for the best weights",
        "phases[1].backbone_rates": "a tenth of the head's rate (the ten-fold rule); 3e-4 was best of 1e-4, 3e-4, "
        "5e-4 and 1e-3 on 1,000 CIFAR-10 images, one seed each",
        "phases[1].epochs": _EPOCHS_REASON,
        "phases[1].schedule": "one cycle: the rise protects the solved head, the fall settles few-step training",
    }
    reasons["selection.patience_epochs"] = (
        "none: one cycle is at its worst in the middle, where the rates are high; stopping there would keep that"
    )
    return _plan("probe_then_tune", request, (SolvePhase(), tune), reasons, label_smoothing=0.1, patience_epochs=None)


def discriminative(request: Request) -> Plan:
    """One learning rate per layer group, growing from stem to head; the head starts from the solved probe."""
    _refuse_unsolved_head("discriminative", request)
    tune = TrainPhase(
        name="tune",
        epochs=request.epochs or _default_epochs(request),
        thaw="all",
        learning_rate=HEAD_LEARNING_RATE,
        backbone_rates=RateRule(rule="by_depth"),
    )
    reasons = {
        "phases[1].backbone_rates": "the literature's ladder by relative depth: 1e-6, 5e-6, 1e-5, 5e-5, head 1e-3",
        "phases[1].epochs": _EPOCHS_REASON,
    }
    return _plan("discriminative", request, (SolvePhase(), tune), reasons, when_futile="tune_anyway")


def gradual(request: Request) -> Plan:
    """Head first, then the last stage, then the one before, each phase at a tenth of the rate before."""
    _refuse_unsolved_head("gradual", request)
    steps = (("head", 5, 0, 1e-3), ("last_stage", 5, 1, 1e-4), ("last_two_stages", 10, 2, 1e-5))
    phases = tuple(
        TrainPhase(
            name=name,
            epochs=request.epochs or epochs,
            thaw=thaw,
            learning_rate=rate,
            backbone_rates=RateRule(rule="uniform", top=rate),
        )
        for name, epochs, thaw, rate in steps
    )
    numbers = "5 epochs of the head at 1e-3, 5 with the last stage at 1e-4, 10 with the one before at 1e-5: "
    reasons = {
        "phases": ("" if request.epochs else numbers) + "a stage moves only once what follows it has settled",
    }
    return _plan("gradual", request, (SolvePhase(), *phases), reasons, when_futile="tune_anyway")


STRATEGIES: dict[str, Preset] = {
    "feature_extraction": feature_extraction,
    "probe_then_tune": probe_then_tune,
    "discriminative": discriminative,
    "gradual": gradual,
}
"""Every strategy by name; the first line of each function is its description."""

_TUNED_HEAD_RATE = 3e-3
_TUNED_BACKBONE_RATE = round(_TUNED_HEAD_RATE * PRETRAINED_RATE_RATIO, 12)
_EPOCHS_REASON = (
    f"5 passes below {FEW_TRAINING_IMAGES} training images (more would memorise them), else 10; --budget ends it sooner"
)

DEFAULT_STRATEGY = "probe_then_tune"


def strategy_named(name: str) -> Preset:
    """Look a strategy up.

    Raises:
        PlanError: there is none of that name.
    """
    if name not in STRATEGIES:
        hint = nearest(name, STRATEGIES)
        raise PlanError([f"strategy: {name!r} must be one of {', '.join(STRATEGIES)}" + (f"; {hint}" if hint else "")])
    return STRATEGIES[name]


def _default_epochs(request: Request) -> int:
    few = request.training_images is not None and request.training_images < FEW_TRAINING_IMAGES
    return 5 if few else 10


def _refuse_unsolved_head(strategy: str, request: Request) -> None:
    """Tuning starts from the solved probe, and only a linear head can be solved."""
    if request.head != "linear" or request.head_solver != "solved":
        asked = "an mlp head" if request.head == "mlp" else "head_solver adam"
        raise PlanError([f"head: {asked} goes with feature_extraction; {strategy} starts from the solved linear probe"])


def _plan(
    strategy: str,
    request: Request,
    phases: tuple[SolvePhase | TrainPhase, ...],
    reasons: dict[str, str],
    *,
    label_smoothing: float = 0.0,
    patience_epochs: int | None = 5,
    when_futile: Literal["skip_tuning", "tune_anyway"] = "skip_tuning",
) -> Plan:
    """What all strategies share; whatever the request leaves open gets its default and the reason."""
    trained = [index for index, phase in enumerate(phases) if isinstance(phase, TrainPhase)]
    why = dict(request.reasons)
    if request.model is None:
        why["model.name"] = "the default: its weights come with the installation, and it is quick on any CPU"
    if request.input_size is None:
        why["input.size"] = "the size these weights were trained at"
    if isinstance(phases[0], SolvePhase):
        why["phases[0].strength"] = "cross-validated on out-of-fold predictions inside the training images"
    if trained:
        why["optimizer"] = "AdamW with weight decay 0.01 forgives rates that are off (Loshchilov & Hutter 2019)"
        why["selection.patience_epochs"] = "five epochs without a better one end a phase"
    for index in trained:
        why[f"phases[{index}].batch_norm"] = (
            "small batches estimate poor statistics; the pretrained ones stay, in training as in evaluation"
        )
    if trained and request.epochs is not None:
        when_futile = "tune_anyway"  # whoever names the epochs wants to see them
        reasons = {path: text for path, text in reasons.items() if not path.endswith(".epochs")}
    if trained and request.batch_size is None:
        why["batch_size"] = "32 images: enough steps on small sets, and it fits any machine"
    return Plan(
        strategy=strategy,
        data=request.data,
        domain=request.domain,
        model=ModelPlan(name=request.model or DEFAULT_MODEL),
        input=InputPlan(size=request.input_size or "auto"),
        head=HeadPlan(kind=request.head),
        phases=phases,
        augmentation=request.augmentation,
        optimizer=OptimizerPlan(weight_decay=WEIGHT_DECAY, label_smoothing=label_smoothing),
        selection=SelectionPlan(when_futile=when_futile, patience_epochs=patience_epochs),
        batch_size=request.batch_size or 32,
        budget_seconds=request.budget_seconds,
        seed=request.seed,
        reasons={**why, **reasons},
    )
