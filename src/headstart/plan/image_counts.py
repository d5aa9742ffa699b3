"""Values of a plan that depend on the images: input size, epochs, schedule, folds, steps, and MixUp of BiT-HyperRule.

A strategy makes its whole plan from the options alone, so that all faults are found before an image is read. These few
values are completed once the images are counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from headstart.knowledge.choosing import TINY_INPUT_PIXELS, TINY_PIXELS
from headstart.plan.hyperrule import counted_hyperrule
from headstart.plan.plan import InputPlan, LrRule, Plan, Schedule, TrainPhase
from headstart.plan.request import Request

FEW_TRAINING_IMAGES = 500
"""Below this a tuned network has seen everything it can learn after a few passes."""

FEW_EPOCHS, DEFAULT_EPOCHS = 5, 10
"""Epochs of tuning below `FEW_TRAINING_IMAGES`, and otherwise; also where the number of images is not known."""

TUNED_STRATEGIES = ("probe_then_tune", "discriminative", "partial", "full")
"""Strategies whose default number of epochs depends on the number of images."""

STEP_IMAGES = 4_000
"""Images that a step of `progressive` passes through, as near as FEWEST_STEP_EPOCHS to MOST_STEP_EPOCHS allow."""
FEWEST_STEP_EPOCHS, MOST_STEP_EPOCHS = 4, 8

MANY_TRAINING_IMAGES = 4_000
"""From here on a fifth of the images is held out to validate the steps of `progressive`: 800 images show a gain of 0.07
nats, as deeper steps had on small sets (docs/guide/progressive.md), with p = 0.005; folds would cost up to three
trainings in place of one."""

ENLARGED = 2.0
"""Images that are enlarged at least so many times lack the fine detail that every layer was trained on."""
ENLARGED_LR = 5e-4
_ENLARGED_REASON = (
    "the images are enlarged {times:.2g} times, so every layer meets what it was not trained on: the step that trains "
    "all of them follows the probe at once (CIFAR-10, 1,000 images at 128 px: probe 0.715, the last stages about as "
    "much, all layers 0.825)"
)
_ENLARGED_LR_REASON = f"{ENLARGED_LR:g}: 1e-3 and 2e-4 gained less over the probe on 1,000 CIFAR-10 images at 128 px"

_TINY_REASON = (
    f"{TINY_INPUT_PIXELS} px: the images' shorter sides are {{side:g}} px, and a larger input shows no more of them; "
    "every layer is trained and adapts (CIFAR-10, 1,000 images: 0.825 at 128 px, 0.807 at 224 px in three times the "
    "seconds)"
)

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

    def enlargement(self, input_size: int | Literal["auto"]) -> float:
        """How many times images are enlarged; 1 where it is not known.

        Args:
            input_size: Of the network, in pixels; `auto` is that of the weights.
        """
        size = self.weights_size if input_size == "auto" else input_size
        return size / self.shorter_side if size and self.shorter_side else 1.0


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
        if len(plan.phases) > 1:
            plan = _at_input_of_tiny_images(plan, request, counts)
            if (times := counts.enlargement(plan.input.size)) >= ENLARGED:
                plan = _of_enlarged_images(plan, request, times)
        return _counted_steps(plan, counts, epochs=request.epochs)
    if request.epochs is not None or plan.strategy not in TUNED_STRATEGIES:
        return plan
    probe, tune = plan.phases
    assert isinstance(tune, TrainPhase)
    epochs = FEW_EPOCHS if counts.pool < FEW_TRAINING_IMAGES else DEFAULT_EPOCHS
    # Only the rise follows the epochs: a learning-rate rule may have set where the schedule ends.
    rise = rise_and_cosine(epochs).warmup_epochs
    schedule = tune.schedule.model_copy(update={"warmup_epochs": rise})
    return plan.model_copy(update={"phases": (probe, tune.model_copy(update={"epochs": epochs, "schedule": schedule}))})


def steps_hold_out(plan: Plan, images: int) -> bool:
    """Whether images are held out to validate the steps of a plan that would otherwise validate them in folds.

    Args:
        plan: Of any strategy.
        images: Training images, and validation images that may be held out of them.
    """
    in_folds = any(isinstance(phase, TrainPhase) and phase.folds > 1 for phase in plan.phases)
    return in_folds and images >= MANY_TRAINING_IMAGES


def _at_input_of_tiny_images(plan: Plan, request: Request, counts: PlanCounts) -> Plan:
    """The plan with a smaller input where images are tiny, nobody named one, and enough of them adapt every layer."""
    side, own = counts.shorter_side, counts.weights_size
    if request.input_size is not None or counts.weights_sizes == "fixed" or side is None or own is None:
        return plan
    # Few images seldom select a step, and frozen features are best at the size that they were trained at.
    if counts.pool < FEW_TRAINING_IMAGES or side >= TINY_PIXELS or own <= TINY_INPUT_PIXELS:
        return plan
    changed = InputPlan(size=TINY_INPUT_PIXELS, resize=plan.input.resize)
    reasons = {**plan.reasons, "input.size": _TINY_REASON.format(side=side)}
    return plan.model_copy(update={"input": changed, "reasons": reasons})


def _of_enlarged_images(plan: Plan, request: Request, enlargement: float) -> Plan:
    """The plan of progressive tuning with one step, which trains every layer."""
    probe, *_, last = plan.phases
    assert isinstance(last, TrainPhase)
    lr = request.lr or ENLARGED_LR
    rates = dict.fromkeys(last.lr_by_group, lr)
    head_lr = request.head_lr or lr
    if rates:
        rates[list(rates)[-1]] = head_lr
    changes = {"head_lr": head_lr, "backbone_lr": LrRule(rule="uniform", lr=lr), "lr_by_group": rates}
    reasons = {path: why for path, why in plan.reasons.items() if not path.startswith(("phases[2]", "phases[3]"))}
    reasons["phases"] = _ENLARGED_REASON.format(times=enlargement)
    if request.lr is None:
        reasons["phases[1].backbone_lr"] = _ENLARGED_LR_REASON
    return plan.model_copy(update={"phases": (probe, last.model_copy(update=changes)), "reasons": reasons})


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
