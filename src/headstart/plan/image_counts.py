"""Values of a plan that depend on the images: input size, epochs, schedule, folds, steps, and MixUp of BiT-HyperRule.

A strategy makes its whole plan from the options alone, so that all faults are found before an image is read. These few
values are completed once the images are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headstart.knowledge.choosing import TINY_INPUT_PIXELS, TINY_PIXELS
from headstart.knowledge.imbalance import chosen_imbalance, chosen_metric
from headstart.plan.hyperrule import counted_hyperrule
from headstart.plan.plan import InputPlan, LrRule, Plan, Schedule, TrainPhase
from headstart.plan.request import Request

FEW_TRAINING_IMAGES = 500
"""Below this a tuned network has seen everything it can learn after a few passes."""

FEW_EPOCHS, DEFAULT_EPOCHS = 5, 10
"""Epochs of tuning below `FEW_TRAINING_IMAGES`, and otherwise; also where the number of images is not known."""

TUNED_STRATEGIES = ("probe_then_tune", "discriminative", "partial", "full")
"""Strategies whose default number of epochs depends on the number of images."""

STEP_IMAGES = 8_000
"""Images that a step of `progressive` passes through, as near as FEWEST_STEP_EPOCHS to MOST_STEP_EPOCHS allow."""
FEWEST_STEP_EPOCHS, MOST_STEP_EPOCHS = 4, 8

MANY_TRAINING_IMAGES = 4_000
"""From here on a fifth of the images is held out to validate the steps of `progressive`: 800 images show a gain of 0.07
nats, as deeper steps had on small sets (docs/guide/progressive.md), with p = 0.005; folds would cost up to three
trainings in place of one."""

_TINY_REASON = (
    f"{TINY_INPUT_PIXELS} px: the images' shorter sides are {{side:g}} px, and a larger input shows no more of them; "
    "every layer is trained, and adapts to it"
)
_TINY_STEP_REASON = (
    "the images are tiny, so every layer meets what it was not trained on: the step that trains all of them follows "
    "the probe at once (CIFAR-10, 1,000 images: docs/guide/progressive.md)"
)

_TINY_LR_REASON = (
    "a fifth of that for the last stages: early layers are shared by more tasks, and at 1e-3 they lost what they knew"
)

_TINY_FOLDS = 2
_TINY_FOLDS_REASON = (
    "none: every fold would train every layer anew, and a gain as large as that on tiny images shows on a fifth of them"
)
_TINY_FOLDS_LEFT_REASON = f"{_TINY_FOLDS}: no image is held out, and every fold trains every layer anew"

_HELD_OUT_REASON = (
    f"none: from {MANY_TRAINING_IMAGES:,} training images on, held-out images are enough to see a gain on, and folds "
    "would cost up to two more trainings a step"
)

_RISE_EPOCHS = 2.0


@dataclass(frozen=True)
class PlanCounts:
    """Numbers of images that the values of a plan depend on."""

    pool: int
    """Training and validation set together, >= 1."""
    train: int | None = None
    """Training set alone; None: as many as `pool`."""
    shorter_side: float | None = None
    """Median over the images, in pixels; None where it is not known."""
    weights_size: int | None = None
    """Input size of the weights, in pixels; None where the network is not known."""
    weights_sizes: Literal["any", "fixed"] = "fixed"
    """Whether the weights accept other input sizes."""

    @property
    def tiny(self) -> bool:
        """Whether images are so small that a smaller input of the network shows all of them, and it accepts one."""
        if self.weights_sizes == "fixed" or self.shorter_side is None or self.weights_size is None:
            return False
        return self.shorter_side < TINY_PIXELS and self.weights_size > TINY_INPUT_PIXELS


def rise_and_cosine(epochs: int) -> Schedule:
    """Schedule with a linear rise over two epochs (over 60 % of them where there are fewer than four), then cosine."""
    return Schedule(name="cosine", warmup_epochs=min(_RISE_EPOCHS, 0.6 * epochs))


def counted(plan: Plan, request: Request, counts: PlanCounts) -> Plan:
    """Plan of a request with the values that depend on the number of images; all others stay.

    Args:
        plan: What a strategy made of the request, resolved against its network or not.
        request: The options: whatever they decide stays.
        counts: Numbers of images.
    """
    if request.lr_rule == "bit":
        return counted_hyperrule(plan, request, pool=counts.pool, train=counts.train)
    if plan.strategy == "progressive":
        return _counted_steps(fitted_to_tiny_images(plan, request, counts), counts, epochs=request.epochs)
    if request.epochs is not None or plan.strategy not in TUNED_STRATEGIES:
        return plan
    probe, tune = plan.phases
    assert isinstance(tune, TrainPhase)
    epochs = FEW_EPOCHS if counts.pool < FEW_TRAINING_IMAGES else DEFAULT_EPOCHS
    # Only the rise follows the epochs: a learning-rate rule may have set where the schedule ends.
    rise = rise_and_cosine(epochs).warmup_epochs
    schedule = tune.schedule.model_copy(update={"warmup_epochs": rise})
    return plan.model_copy(update={"phases": (probe, tune.model_copy(update={"epochs": epochs, "schedule": schedule}))})


def balanced(plan: Plan, classes: Mapping[str, float]) -> Plan:
    """The plan with its imbalance and its metric resolved, and the reasons; what was given stays.

    Args:
        plan: Whose imbalance or metric may be auto.
        classes: Class -> its training and validation images, by their weights where they have some.
    """
    imbalance, metric, reasons = plan.imbalance, plan.selection.metric, dict(plan.reasons)
    if imbalance == "auto" and plan.class_weight is not None:
        imbalance = "class_weight"
    elif imbalance == "auto":
        if not classes:
            return plan
        imbalance, reasons["imbalance"] = chosen_imbalance(classes)
    if metric == "auto" and plan.class_weight is not None:
        metric = "accuracy"  # weights by hand may say anything
    elif metric == "auto":
        metric, reasons["selection.metric"] = chosen_metric(imbalance)
    selection = plan.selection.model_copy(update={"metric": metric})
    return plan.model_copy(update={"imbalance": imbalance, "selection": selection, "reasons": reasons})


def steps_hold_out(plan: Plan, images: int) -> bool:
    """Whether images are held out to validate the steps of a plan that would otherwise validate them in folds.

    Args:
        plan: Of any strategy.
        images: Training images, and validation images that may be held out of them.
    """
    in_folds = any(isinstance(phase, TrainPhase) and phase.folds > 1 for phase in plan.phases)
    return in_folds and images >= MANY_TRAINING_IMAGES


def fitted_to_tiny_images(plan: Plan, request: Request, counts: PlanCounts) -> Plan:
    """The plan; where it is progressive tuning of tiny images, with a small input and one step that trains every layer.

    The step is validated on held-out images, and in folds only if the images were divided without any. A requested
    input stays: with EfficientNet-Lite2 at 160 px on 1,000 CIFAR-10 images the last stages gained nothing over the head
    on all depths (0.754 on test), where all layers had reached 0.822.

    Args:
        plan: As the strategy made it.
        request: The options: whatever they decide stays.
        counts: Numbers and size of the images.
    """
    # Few images seldom select a step, and frozen features are best at the size that they were trained at.
    if plan.strategy != "progressive" or not counts.tiny or counts.pool < FEW_TRAINING_IMAGES or len(plan.phases) < 2:
        return plan
    reasons = {path: why for path, why in plan.reasons.items() if not path.startswith(("phases[2]", "phases[3]"))}
    reasons["phases"] = _TINY_STEP_REASON
    folds = _TINY_FOLDS if counts.train == counts.pool else 0
    reasons["phases[1].folds"] = _TINY_FOLDS_LEFT_REASON if folds else _TINY_FOLDS_REASON
    if request.lr is None:
        reasons["phases[1].backbone_lr"] = _TINY_LR_REASON
    changed = plan.input
    if request.input_size is None:
        changed = InputPlan(size=TINY_INPUT_PIXELS, resize=plan.input.resize)
        reasons["input.size"] = _TINY_REASON.format(side=counts.shorter_side)
    return plan.model_copy(
        update={
            "input": changed,
            "phases": (plan.phases[0], _only_step(plan, request, folds=folds)),
            "reasons": reasons,
        }
    )


def _only_step(plan: Plan, request: Request, *, folds: int) -> TrainPhase:
    """The last step as it is trained without those before: a given learning rate is its own."""
    step = plan.phases[-1]
    assert isinstance(step, TrainPhase)
    assert step.backbone_lr is not None
    lr, head_lr = request.lr or step.backbone_lr.lr, request.head_lr or request.lr or step.head_lr
    rates = dict.fromkeys(step.lr_by_group, lr)
    if rates:
        rates[list(rates)[-1]] = head_lr
    changed = {"backbone_lr": LrRule(rule="uniform", lr=lr), "head_lr": head_lr, "lr_by_group": rates}
    return step.model_copy(update={**changed, "folds": folds})


def _counted_steps(plan: Plan, counts: PlanCounts, *, epochs: int | None) -> Plan:
    """The plan of progressive tuning with the epochs and the folds of its steps.

    Args:
        plan: As the strategy made it.
        counts: Numbers of images.
        epochs: As requested; None: as many as the number of images says.
    """
    changes: dict[str, Any] = {}
    reasons = dict(plan.reasons)
    if epochs is None:
        epochs = max(FEWEST_STEP_EPOCHS, min(MOST_STEP_EPOCHS, round(STEP_IMAGES / counts.pool)))
        changes = {"epochs": epochs, "schedule": rise_and_cosine(epochs)}
    if steps_hold_out(plan, counts.pool) and counts.train != counts.pool:
        changes["folds"] = 0
        reasons["phases[1].folds"] = _HELD_OUT_REASON
    phases = tuple(
        phase.model_copy(update=changes) if isinstance(phase, TrainPhase) else phase for phase in plan.phases
    )
    return plan.model_copy(update={"phases": phases, "reasons": reasons})
