"""The plan that follows from a request once a strategy has decided what it trains.

Strategies are in `headstart.plan.presets`; what they share is here: which options a strategy has no use for, and the
defaults with their reasons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, Literal

from headstart.errors import PlanError, nearest
from headstart.knowledge.imbalance import Imbalance
from headstart.knowledge.transfer import LR_RULES, WEIGHT_DECAY
from headstart.plan.faults import cross_faults
from headstart.plan.plan import (
    HeadPlan,
    InputPlan,
    ModelPlan,
    OptimizerPlan,
    Plan,
    ProbePhase,
    SelectionPlan,
    TrainPhase,
)
from headstart.plan.request import DEFAULT_MODEL, Request, given_domain

NO_USE_FOR: dict[str, dict[str, str]] = {
    "feature_extraction": {
        "unfreeze": "the whole backbone stays frozen; --strategy partial unfreezes the last N groups",
        "lr_rule": "no pretrained group is trained",
        "grain": "no pretrained group is trained",
    },
    "progressive": {
        "unfreeze": "its steps unfreeze more and more; --strategy partial unfreezes the last N groups",
        "lr_rule": "each step has one learning rate; --strategy probe_then_tune takes a rule",
    },
    "gradual": {
        "unfreeze": "its phases unfreeze one group more each",
        "lr_rule": "each of its phases has its own learning rate, a tenth of the one before",
    },
    "full": {"unfreeze": "every group is trained; --strategy partial unfreezes the last N"},
    "scratch": {
        "unfreeze": "layers of random weights must all be trained",
        "lr_rule": "learning rates by layer protect pretrained features, and random weights have none",
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
    probes = f"{strategy} starts from the linear probe"
    if strategy == "full" and request.lr_rule == "bit":
        probes = "BiT-HyperRule has one linear layer that starts from zeros"
    if request.head == "mlp" and strategy not in ("feature_extraction", "scratch"):
        faults.append(f"head: an mlp head goes with feature_extraction or scratch; {probes}")
    elif request.head_solver == "adam" and strategy != "feature_extraction":
        why = "scratch trains its head with the rest" if strategy == "scratch" else probes
        faults.append(f"head: head_solver adam goes with feature_extraction; {why}")
    elif request.head_solver == "ridge" and strategy == "scratch":
        faults.append(
            "head: head_solver ridge fits a head on pretrained features; scratch trains its head with the rest"
        )
    elif request.head_solver == "ridge" and request.lr_rule == "bit":
        faults.append(f"head: head_solver ridge fits the linear probe; {probes}")
    if request.head == "multi_depth":
        faults += _multi_depth_faults(strategy, request)
    if request.head == "mlp" and request.head_solver == "ridge":
        faults.append("head: head_solver ridge fits one linear layer; an mlp head is trained")
    if faults:
        raise PlanError(faults, source="the request")


def _multi_depth_faults(strategy: str, request: Request) -> list[str]:
    if strategy not in ("feature_extraction", "progressive"):
        return [
            "head: a multi_depth head goes with feature_extraction or progressive, where layers are frozen under it; "
            f"{strategy} trains them"
        ]
    if request.head_solver == "adam":
        return ["head: head_solver adam trains a head on the last layer; a multi_depth head is fitted"]
    return []


def probe_phase(request: Request, *, alternative_head: Literal["none", "multi_depth"] = "none") -> ProbePhase:
    """The phase that fits the linear probe, with the requested solver."""
    solver: Literal["ridge", "logistic"] = "ridge" if request.head_solver == "ridge" else "logistic"
    return ProbePhase(solver=solver, alternative_head=alternative_head)


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
    why = {**_default_reasons(request, phases, trained), **reasons}
    phases, lr_reasons = _at_lr(phases, request.lr, request.head_lr)
    optimizer, optimizer_reasons = _given_optimizer(optimizer or OptimizerPlan(weight_decay=WEIGHT_DECAY), request)
    plan = Plan(
        strategy=strategy,
        data=request.data,
        domain=given_domain(request) or "photo",
        model=ModelPlan(
            name=request.model or DEFAULT_MODEL,
            weights=weights,
            grain=request.grain or (rates.grain if rates else None) or "stage",
            noncommercial_weights=request.noncommercial_weights,
        ),
        input=InputPlan(
            size=request.input_size or "auto", resize=request.resize or "auto", channels=request.channels or "auto"
        ),
        head=HeadPlan(kind=request.head or "linear"),
        phases=phases,
        augmentation=request.views,
        optimizer=optimizer,
        selection=SelectionPlan(
            when_cannot_improve=when_cannot_improve,
            patience=request.patience or patience,
            metric=request.metric or "auto",
            interpolate=request.interpolate,
            after_alarm=request.after_alarm,
        ),
        batch_size=request.batch_size or batch_size,
        budget_seconds=None if request.budget_seconds == math.inf else request.budget_seconds,
        imbalance=_imbalance(request),
        class_weight=_class_weights(request.class_weight),
        seed=request.seed,
        device=request.device or "auto",
        workers=request.workers or "auto",
        reasons={path: text for path, text in why.items() if not request.says(path)} | lr_reasons | optimizer_reasons,
    )
    if faults := cross_faults(plan.model_dump(mode="json")):
        raise PlanError(faults)
    return plan


def _imbalance(request: Request) -> Imbalance:
    """How classes are balanced; weights by class say class_weight.

    Raises:
        PlanError: weights and another method.
    """
    if request.class_weight is None:
        return request.imbalance
    if request.imbalance not in ("auto", "class_weight"):
        text = f"class_weight: imbalance is {request.imbalance}, which takes no weights; leave one of both out"
        raise PlanError([text], source="the request")
    return "class_weight"


def _class_weights(given: Any) -> dict[str, float] | None:  # noqa: ANN401 - checked here
    """The weights as a plan holds them; None: balanced ones, or none at all.

    Raises:
        PlanError: another word, or a weight that is no number > 0.
    """
    if given is None or given == "balanced":
        return None
    if not isinstance(given, Mapping):
        hint = nearest(str(given), ("balanced",))
        text = f"class_weight: {given!r:.60} must be balanced, or a weight by class name" + (f"; {hint}" * bool(hint))
        raise PlanError([text], source="the request")
    wrong = [name for name, weight in given.items() if not (isinstance(weight, Real) and 0 < float(weight) < math.inf)]
    if wrong:
        raise PlanError([f"class_weight[{wrong[0]!r}]: {given[wrong[0]]!r} must be a number > 0"], source="the request")
    return {str(name): float(weight) for name, weight in given.items()}


def _at_lr(
    phases: tuple[ProbePhase | TrainPhase, ...], lr: float | None, head_lr: float | None
) -> tuple[tuple[ProbePhase | TrainPhase, ...], dict[str, str]]:
    """The phases with the peak learning rates that were given for the first that trains, and the reasons.

    `lr` scales all learning rates, those of `by_depth` excepted: they are fixed. `head_lr` scales the head's alone.
    """
    # Later phases keep their ratio to the first: gradual unfreezing lowers its learning rates from phase to phase.
    first = next((phase.head_lr for phase in phases if isinstance(phase, TrainPhase)), None)
    if first is None or (lr is None and head_lr is None):
        return phases, {}
    whole, head = (lr or first) / first, (head_lr or lr or first) / first
    found, reasons = list[ProbePhase | TrainPhase](), dict[str, str]()
    for index, phase in enumerate(phases):
        if isinstance(phase, TrainPhase):
            rule = phase.backbone_lr
            if lr is not None:
                groups = {name: min(1.0, whole * rate) for name, rate in rule.groups.items()}
                rule = rule.model_copy(update={"lr": min(1.0, whole * rule.lr), "groups": groups})
            given = head_lr or lr or first
            scaled = given if phase.head_lr == first else min(1.0, head * phase.head_lr)
            reasons[f"phases[{index}].head_lr"] = _lr_reason(lr, head_lr, rule=rule.rule)
            phase = phase.model_copy(update={"head_lr": scaled, "backbone_lr": rule})
        found.append(phase)
    return tuple(found), reasons


def _lr_reason(lr: float | None, head_lr: float | None, *, rule: str) -> str:
    """The sentence about learning rates that were given."""
    if lr is None:
        return f"given: learning rate {head_lr:g} for the head; the backbone keeps its own"
    backbone = "the fixed ladder of the backbone stays" if rule == "by_depth" else "the backbone's in ratio"
    return f"given: learning rate {lr:g}" + (f", {head_lr:g} for the head" if head_lr else "") + f"; {backbone}"


def _given_optimizer(planned: OptimizerPlan, request: Request) -> tuple[OptimizerPlan, dict[str, str]]:
    """The optimizer with what was given of it, and the reasons for that and for a given patience."""
    given = {"name": request.optimizer, "weight_decay": request.weight_decay}
    said = {name: value for name, value in given.items() if value is not None}
    reasons = {f"optimizer.{name}": f"given: {value}" for name, value in said.items()}
    if request.patience is not None:
        reasons["selection.patience"] = f"given: {request.patience}"
    return planned.model_copy(update=said), reasons


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
