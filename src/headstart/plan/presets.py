"""One function per strategy; each returns a complete Plan and says why for every value nobody set.

A variant of a strategy is another call with other arguments, or the plan's YAML edited by hand.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Protocol

from headstart.errors import PlanError, nearest
from headstart.input_spec import Resize
from headstart.knowledge.transfer import HEAD_LEARNING_RATE, LR_RULES, WEIGHT_DECAY
from headstart.plan.assembly import assemble, probe_phase, refuse_what_has_no_use
from headstart.plan.hyperrule import bit_hyperrule
from headstart.plan.image_counts import (
    DEFAULT_EPOCHS,
    FEW_EPOCHS,
    FEW_TRAINING_IMAGES,
    FEWEST_STEP_EPOCHS,
    MOST_STEP_EPOCHS,
    STEP_IMAGES,
    rise_and_cosine,
)
from headstart.plan.plan import LrRule, OptimizerPlan, Plan, Schedule, TrainPhase
from headstart.plan.request import DEFAULT_MODEL, DEFAULT_STRATEGY, HeadKind, HeadSolver, OptimizerName, PeakLr, Request

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_STRATEGY",
    "PARTIAL_GROUPS",
    "SCRATCH_EPOCHS",
    "STRATEGIES",
    "HeadKind",
    "HeadSolver",
    "OptimizerName",
    "PeakLr",
    "Preset",
    "Request",
    "Resize",
    "discriminative",
    "feature_extraction",
    "full",
    "gradual",
    "partial",
    "probe_then_tune",
    "progressive",
    "scratch",
    "strategy_named",
]

PARTIAL_GROUPS = 2
"""Groups that `partial` unfreezes by default."""

SCRATCH_EPOCHS = 100


class StepRecipe(NamedTuple):
    """A step of `progressive`."""

    name: str
    most_trained_share: float | None
    """Of the network's MACs; None: every layer is trained."""
    lr: float
    """Peak learning rate of all that is trained."""


STEPS = (
    StepRecipe("last_stages", 0.4, 1e-3),
    StepRecipe("most_stages", 0.7, 5e-4),
    StepRecipe("all", None, 2e-4),
)
"""Steps of `progressive`, each deeper than the one before and slower: early layers are shared by all tasks."""

STEP_FOLDS = 3

_TUNED_LR = 2e-4
_SCRATCH_SMOOTHING = 0.1
_EPOCHS_REASON = (
    f"{FEW_EPOCHS} passes below {FEW_TRAINING_IMAGES} training images (more would memorise them), else "
    f"{DEFAULT_EPOCHS}; --budget ends it sooner"
)
_TUNED_LR_REASON = (
    "2e-4: of four settings tried, 3e-4 over a longer rise fell furthest below the probe in the middle; which ends "
    "best is not known (one seed each, docs/guide/strategies.md)"
)
_HEAD_LR_REASON = (
    "the backbone's: the ten-fold rule is for new heads, and this one is fitted already; a tenfold learning rate only "
    "moves it away from its optimum"
)
_HEAD_VIEWS_REASON = (
    "the linear probe is fitted again, on one augmented view and the plain one: tuning trains on augmented views, and "
    "a head that was fitted on plain ones alone loses accuracy in the first steps"
)
_ALTERNATIVE_REASON = (
    "a head on all depths read 2.9 points more than the plain one out of the same features (five sets, "
    "docs/benchmarks.md); it is fitted where enough errors are left and its fits cost little compared with the first "
    "step; --head linear leaves it out"
)
_RISE_REASON = (
    "a linear rise over the first epochs, because AdamW's first steps have full length however small gradients are, "
    "and at the peak they would undo the linear probe"
)
_DEEPER_LR_REASON = (
    "less than in the step before: earlier layers are shared by more tasks, and at 1e-3 they lost what they knew"
)
_NO_SMOOTHING_REASON = "none: the linear probe is fitted without it, and smoothing would train it away from its optimum"


class Preset(Protocol):
    """A strategy: a request -> a plan."""

    def __call__(self, request: Request) -> Plan:
        """The plan, with reasons; `image_counts.counted` completes it once the images are counted."""


def feature_extraction(request: Request) -> Plan:
    """The whole backbone frozen, only a head is learned; the fastest, and it cannot forget."""
    refuse_what_has_no_use("feature_extraction", request)
    if request.head != "mlp" and request.head_solver != "adam":
        reasons = {
            "phases": "a linear head on frozen features is a convex problem: it is fitted on one plain view, "
            "not trained, so augmentation and learning rates play no part",
        }
        return assemble("feature_extraction", request, (probe_phase(request),), reasons)
    train = TrainPhase(name="head", epochs=request.epochs or 20, unfreeze=0, head_lr=HEAD_LEARNING_RATE)
    reasons = {
        "phases[0].head_lr": "the usual learning rate of a new head under AdamW",
        "phases[0].epochs": "a head alone needs some twenty passes; early stopping ends it sooner",
    }
    return assemble("feature_extraction", request, (train,), reasons)


def progressive(request: Request) -> Plan:
    """The linear probe, then the last stages, then deeper, each step only while it can pay. The default."""
    refuse_what_has_no_use("progressive", request)
    if request.head == "multi_depth":
        why = "a head on all depths cannot be tuned, so no steps follow the probe; without --head they do"
        return assemble("progressive", request, (probe_phase(request),), {"phases": why})
    epochs = request.epochs or MOST_STEP_EPOCHS
    steps = tuple(
        TrainPhase(
            name=step.name,
            epochs=epochs,
            unfreeze="all" if step.most_trained_share is None else "by_cost",
            most_trained_share=step.most_trained_share,
            begins="if_it_can_pay",
            folds=STEP_FOLDS,
            head_lr=step.lr,
            backbone_lr=LrRule(rule="uniform", lr=step.lr),
            schedule=rise_and_cosine(epochs),
            head_refit_views=_head_views(request),
        )
        for step in STEPS
    )
    reasons = {
        "phases": "each step trains more of the network, starts from the best so far and must be significantly better "
        "to be selected; one that is not worth its time is left out",
        **({"phases[0].alternative_head": _ALTERNATIVE_REASON} if request.head is None else {}),
        "phases[1].head_lr": _HEAD_LR_REASON,
        "phases[1].backbone_lr": "1e-3 for the last stages: 5e-4 and 2e-3 gained less over the probe",
        **{f"phases[{number}].head_lr": _DEEPER_LR_REASON for number in range(2, len(steps) + 1)},
        **{f"phases[{number}].schedule": "as in the step before" for number in range(2, len(steps) + 1)},
        "phases[1].folds": f"{STEP_FOLDS} networks, each validated on the images that it was not trained on: every "
        "image trains and every image validates",
        "phases[1].epochs": f"about {STEP_IMAGES:,} images a step, in {FEWEST_STEP_EPOCHS} to "
        f"{MOST_STEP_EPOCHS} passes",
        **_start_reasons(steps[0]),
        "optimizer.label_smoothing": _NO_SMOOTHING_REASON,
        "selection.patience": "none: learning rates fall until the last epoch of a step, and an earlier stop would "
        "keep an epoch that was trained at high ones",
    }
    return assemble(
        "progressive",
        request,
        (probe_phase(request, alternative_head="multi_depth" if request.head is None else "none"), *steps),
        reasons,
        optimizer=_adamw(0.0),
        patience=None,
        when_cannot_improve="skip_tuning",
    )


def probe_then_tune(request: Request) -> Plan:
    """The linear probe first, then every layer from there (Kumar et al. 2022)."""
    return _probe_and_tune("probe_then_tune", request, unfreeze="all", tunes_always=False, reasons={})


def partial(request: Request) -> Plan:
    """The linear probe first, then the last few layer groups and the head; what comes before stays as it is."""
    grain = request.grain or (LR_RULES[request.lr_rule].grain if request.lr_rule in LR_RULES else None) or "stage"
    reasons = {
        "phases[1].unfreeze": f"the last {PARTIAL_GROUPS} layer groups ({grain}s): late layers hold what is special to "
        "ImageNet, early ones edges and textures that nearly every task needs; --unfreeze N sets another number",
    }
    return _probe_and_tune("partial", request, unfreeze=PARTIAL_GROUPS, tunes_always=True, reasons=reasons)


def full(request: Request) -> Plan:
    """The linear probe first, then every layer, whatever the probe says; for a large gap and enough images."""
    if request.lr_rule == "bit":
        return bit_hyperrule(request)
    return _probe_and_tune("full", request, unfreeze="all", tunes_always=True, reasons={})


def discriminative(request: Request) -> Plan:
    """One learning rate per layer group, growing from stem to head; the head starts from the linear probe."""
    refuse_what_has_no_use("discriminative", request)
    tune = TrainPhase(
        name="tune",
        epochs=request.epochs or DEFAULT_EPOCHS,
        unfreeze=request.unfreeze or "all",
        head_lr=HEAD_LEARNING_RATE,
        backbone_lr=LrRule(rule="by_depth"),
        schedule=rise_and_cosine(request.epochs or DEFAULT_EPOCHS),
        head_refit_views=_head_views(request),
    )
    reasons = _start_reasons(tune) | {
        "phases[1].backbone_lr": "the usual ladder by relative depth, a rule of thumb of teaching material: "
        "1e-6, 5e-6, 1e-5, 5e-5, head 1e-3",
        "phases[1].epochs": _EPOCHS_REASON,
    }
    tune, lr_reasons = _with_lr_rule("discriminative", tune, request)
    phases = (probe_phase(request), tune)
    return assemble("discriminative", request, phases, reasons | lr_reasons, when_cannot_improve="tune_anyway")


def gradual(request: Request) -> Plan:
    """Head first, then the last group, then the one before, each phase at a tenth of the learning rate before."""
    refuse_what_has_no_use("gradual", request)
    unit = request.grain or "stage"
    steps = (("head", 5, 0, 1e-3), (f"last_{unit}", 5, 1, 1e-4), (f"last_two_{unit}s", 10, 2, 1e-5))
    phases = tuple(
        TrainPhase(
            name=name,
            epochs=request.epochs or epochs,
            unfreeze=unfreeze,
            head_lr=rate,
            backbone_lr=LrRule(rule="uniform", lr=rate),
            schedule=rise_and_cosine(request.epochs or epochs),
            head_refit_views=_head_views(request) if unfreeze == 0 else 0,
        )
        for name, epochs, unfreeze, rate in steps
    )
    numbers = f"5 epochs of the head at 1e-3, 5 with the last {unit} at 1e-4, 10 with the one before at 1e-5: "
    reasons = _start_reasons(phases[0]) | {
        "phases": ("" if request.epochs else numbers)
        + f"a {unit} is unfrozen only once the layers after it have converged",
    }
    return assemble("gradual", request, (probe_phase(request), *phases), reasons, when_cannot_improve="tune_anyway")


def scratch(request: Request) -> Plan:
    """Random weights and no probe: the baseline that shows what pretraining is worth."""
    refuse_what_has_no_use("scratch", request)
    epochs = request.epochs or SCRATCH_EPOCHS
    train = TrainPhase(
        name="train",
        epochs=epochs,
        unfreeze="all",
        head_lr=HEAD_LEARNING_RATE,
        backbone_lr=LrRule(rule="uniform", lr=HEAD_LEARNING_RATE),
        schedule=Schedule(name="cosine", warmup_epochs=epochs / 20),
        batch_norm="train",
    )
    reasons = {
        "model.name": "the network the other strategies start from, so that they can be compared",
        "model.weights": "random: the baseline to compare with; to be good alone it wants 100,000 labelled images "
        "or more",
        "input.size": "the size the pretrained weights of this network want, so that the comparison is like for like",
        "phases[0].head_lr": "AdamW's usual learning rate for random weights",
        "phases[0].backbone_lr": "one learning rate for every layer: the ten-fold rule protects pretrained features, "
        "and there are none",
        "phases[0].epochs": f"{SCRATCH_EPOCHS} passes, ten times what tuning takes: edges and textures must be learned "
        "too; --budget ends it sooner",
        "phases[0].schedule": "a linear rise over a twentieth of the steps, because random layers give large first "
        "gradients, then cosine",
        "phases[0].batch_norm": "train: there are no pretrained statistics to keep",
        "optimizer.label_smoothing": "0.1: without it a network that is trained for a hundred epochs is overconfident",
        "selection.patience": "none: a network from random weights may stand still for many epochs and then "
        "learn, and cosine is best at its end",
    }
    return assemble(
        "scratch",
        request,
        (train,),
        reasons,
        weights="random",
        optimizer=_adamw(_SCRATCH_SMOOTHING),
        patience=None,
    )


STRATEGIES: dict[str, Preset] = {
    "feature_extraction": feature_extraction,
    "progressive": progressive,
    "probe_then_tune": probe_then_tune,
    "discriminative": discriminative,
    "gradual": gradual,
    "partial": partial,
    "full": full,
    "scratch": scratch,
}
"""Every strategy by name; the first line of each function is its description."""


def strategy_named(name: str) -> Preset:
    """Look a strategy up.

    Raises:
        PlanError: there is none of that name.
    """
    if name not in STRATEGIES:
        hint = nearest(name, STRATEGIES)
        raise PlanError([f"strategy: {name!r} must be one of {', '.join(STRATEGIES)}" + (f"; {hint}" if hint else "")])
    return STRATEGIES[name]


def _probe_and_tune(
    strategy: str, request: Request, *, unfreeze: int | Literal["all"], tunes_always: bool, reasons: dict[str, str]
) -> Plan:
    """The linear probe, then the last `unfreeze` groups and the head from there, at one learning rate."""
    refuse_what_has_no_use(strategy, request)
    epochs = request.epochs or DEFAULT_EPOCHS
    tune = TrainPhase(
        name="tune",
        epochs=epochs,
        unfreeze=request.unfreeze or unfreeze,
        head_lr=_TUNED_LR,
        backbone_lr=LrRule(rule="uniform", lr=_TUNED_LR),
        schedule=rise_and_cosine(epochs),
        head_refit_views=_head_views(request),
    )
    why = {
        "phases": "tuning from a linear probe does not distort the features it starts from (Kumar et al. 2022); "
        "the probe is epoch 0 and stays a candidate for the best weights",
        "phases[1].head_lr": _HEAD_LR_REASON,
        "phases[1].backbone_lr": _TUNED_LR_REASON,
        "phases[1].epochs": _EPOCHS_REASON,
        **_start_reasons(tune),
        "optimizer.label_smoothing": _NO_SMOOTHING_REASON,
        "selection.patience": "none: learning rates fall until the last epoch, and an earlier stop would keep "
        "an epoch that was trained at high ones",
    }
    tune, lr_reasons = _with_lr_rule(strategy, tune, request)
    if request.lr_rule is not None:
        del why["phases[1].head_lr"]
    return assemble(
        strategy,
        request,
        (probe_phase(request), tune),
        why | reasons | lr_reasons,
        optimizer=_adamw(0.0),
        patience=None,
        when_cannot_improve="tune_anyway" if tunes_always else "skip_tuning",
    )


def _head_views(request: Request) -> int:
    """Augmented views on which the linear probe is fitted before tuning; none where training sees plain views only."""
    return 0 if request.views.preset == "none" else 1


def _start_reasons(tune: TrainPhase) -> dict[str, str]:
    """Why the first phase behind the probe begins as it does."""
    reasons = {"phases[1].schedule": f"{_RISE_REASON}; then cosine, which ends short training at small steps"}
    return reasons | ({"phases[1].head_refit_views": _HEAD_VIEWS_REASON} if tune.head_refit_views else {})


def _with_lr_rule(strategy: str, tune: TrainPhase, request: Request) -> tuple[TrainPhase, dict[str, str]]:
    """The phase with the requested learning-rate rule, and the reasons; as it is if there is none."""
    if request.lr_rule is None:
        return tune, {}
    if request.lr_rule == "bit":
        found = (
            f"lr_rule: bit goes with full, not with {strategy}: it is a whole recipe that trains every layer at one "
        )
        raise PlanError(
            [f"{found}learning rate with SGD, from a head of zeros instead of the probe"], source="the request"
        )
    fact = LR_RULES[request.lr_rule]
    head_lr = fact.head_lr or tune.head_lr
    rule = LrRule(rule=fact.rule)
    if fact.rule != "by_depth":
        lr, decay = round(head_lr * fact.top_ratio, 12), round(fact.decay, 12)
        rule = LrRule(rule=fact.rule, lr=lr, decay=decay)
    changes: dict[str, Any] = {"head_lr": head_lr, "backbone_lr": rule}
    reasons = {"phases[1].backbone_lr": f"{request.lr_rule}: {fact.sentence} ({fact.source})"}
    if fact.grain is not None:
        reasons["model.grain"] = f"{request.lr_rule} counts {fact.grain}s"
    if tune.schedule.name == "cosine" and fact.rule != "by_depth":
        changes["schedule"] = tune.schedule.model_copy(update={"final_lr": 0.0})
        reasons["phases[1].schedule"] = (
            f"{_RISE_REASON}; then cosine to zero instead of 1e-6: a floor would make all groups equal at the end"
        )
    return tune.model_copy(update=changes), reasons


def _adamw(label_smoothing: float) -> OptimizerPlan:
    return OptimizerPlan(weight_decay=WEIGHT_DECAY, label_smoothing=label_smoothing)
