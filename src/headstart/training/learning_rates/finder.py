"""Finds the peak learning rates of a train phase before it begins, by range tests of the head and of the backbone.

    find_learning_rates -> head: frozen, then with its learning rate rising
                        -> backbone: only the head trains, then also the backbone, all groups by one rising factor

A test rehearses the first steps of the phase: its feed, batches, views, optimizer and BatchNorm. Each test is compared
with the same steps in which the tested groups are frozen, so the second test measures what the backbone adds to the
head. The ratios between backbone groups stay as planned. How the losses are read is in `range_test.py`. Afterwards
weights and buffers are bit for bit what they were.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from headstart.data.sources.reading import ImageRecord
from headstart.engine.costs.estimate import points_for
from headstart.engine.store.training_images import TrainingImages
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import copy_of, freeze, restore
from headstart.plan.plan import AugmentationPlan, LrRule, OptimizerPlan, TrainPhase
from headstart.runs.observers import Observer
from headstart.runs.training_events import LearningRatesFound, RangeTest
from headstart.training.augmentation.batches import augment_batch
from headstart.training.augmentation.mixup import adjusted_outputs, batch_loss, image_losses
from headstart.training.feeds import Feed
from headstart.training.learning_rates.param_groups import Entered, enter
from headstart.training.learning_rates.range_test import (
    HIGHEST_FACTOR,
    LOWEST_FACTOR,
    Point,
    Suggestion,
    TestedGroups,
    factors_for,
    has_diverged,
    suggest,
)

Losses = npt.NDArray[np.float64]
"""(B,) of the images of one batch."""

_HIGHEST_LR = 1.0
"""That a plan may hold."""


@dataclass(frozen=True)
class Rehearsal:
    """The first steps of a train phase, taken on trial and undone."""

    classifier: Classifier
    phase: TrainPhase
    """Resolved: every group has its planned learning rate."""
    phase_number: int
    feed: Feed
    """Of the phase."""
    images: TrainingImages
    optimizer: OptimizerPlan
    weights: Literal["pretrained", "random"]
    """random: all groups are tested together, because a head alone learns nothing on top of random features."""
    batch_size: int
    augmentation: AugmentationPlan
    seed: int
    epochs_before: int
    """Of all phases: decides the views."""
    observer: Observer
    stop_if_requested: Callable[[], object]
    """Called after every step; what it raises ends the search, once the network is back."""

    def batches(self, count: int) -> Iterator[tuple[int, int, Sequence[ImageRecord], tuple[Tensor, ...]]]:
        """(epoch, step, records, tensors) of the first `count` steps of the phase, going on into later epochs."""
        epoch = 0
        while count > 0:
            chunks = self.images.epoch_batches(self.batch_size, position=(self.seed, self.phase_number, epoch))[:count]
            batches = self.feed.batches(chunks, epoch=self.epochs_before + epoch)
            for step, (records, tensors) in enumerate(batches):
                yield epoch, step, records, tensors
            count, epoch = count - len(chunks), epoch + 1


@dataclass(frozen=True)
class LearningRateTest:
    """One range test, its points and its suggestion."""

    tested: TestedGroups
    groups: tuple[str, ...]
    points: tuple[Point, ...]
    suggestion: Suggestion

    def record(self) -> RangeTest:
        """Event of the test: points as (factor, loss, baseline, noise), None for what is not finite."""
        rows = [(point.factor, point.loss, point.baseline, point.noise) for point in self.points]
        shown = [tuple(float(f"{value:.4g}") if math.isfinite(value) else None for value in row) for row in rows]
        return RangeTest(tested=self.tested, groups=self.groups, points=tuple(shown), **self.suggestion.to_dict())


@dataclass(frozen=True)
class FoundLearningRates:
    """Learning rates that the tests of a phase found."""

    phase: TrainPhase
    """With the found learning rates, and `peak_lr` resolved."""
    planned: Mapping[str, float]
    """Group -> peak learning rate of the plan."""
    tests: tuple[LearningRateTest, ...]
    steps: int
    """Batches that were computed, with and without learning."""
    seconds: float

    def reasons(self, path: str) -> dict[str, str]:
        """Reasons (`Plan.reasons`) of the learning rates of the phase at `path`, such as `phases[1]`."""
        said: dict[str, str] = {}
        for test in self.tests:
            factor, why = test.suggestion.factor, test.suggestion.why
            for field in {"head": ("head_lr",), "backbone": ("backbone_lr",)}.get(test.tested, _BOTH):
                found = f"{factor:g} times the planned learning rate" if factor else "as planned"
                said[f"{path}.{field}"] = f"{found}, by a learning-rate range test (Smith 2017): {why}"
        return said

    def event(self) -> LearningRatesFound:
        """Event of the search."""
        return LearningRatesFound(
            phase=self.phase.name,
            planned=dict(self.planned),
            lr=self.phase.lr_by_group,
            schedule=self.phase.schedule.name,
            tests=tuple(test.record() for test in self.tests),
            steps=self.steps,
            seconds=round(self.seconds, 3),
        )


_BOTH = ("head_lr", "backbone_lr")


def find_learning_rates(rehearsal: Rehearsal) -> FoundLearningRates:
    """The learning rates by range tests; the network is afterwards as it was, bit for bit, in evaluation mode.

    A pure function of the network and of (seed, phase, epoch, step): the same again after a resume.

    Raises:
        DataError: an image cannot be read any more.
    """
    started, network = time.monotonic(), rehearsal.classifier.network
    search = _Search(rehearsal, copy_of(network))
    try:
        tests = tuple(search.run())
    finally:
        network.zero_grad(set_to_none=True)
        restore(network, search.before)
    phase = with_scaled_lr(rehearsal.phase, {test.tested: test.suggestion.factor for test in tests})
    return FoundLearningRates(phase, rehearsal.phase.lr_by_group, tests, search.steps, time.monotonic() - started)


def with_scaled_lr(phase: TrainPhase, factors: Mapping[TestedGroups, float | None]) -> TrainPhase:
    """The phase with its learning rates multiplied, and `peak_lr` resolved: `found`, or `planned` where nothing was.

    Learning rates that no factor can describe (by_depth) are listed by group from then on. None goes above 1.

    Args:
        phase: Resolved.
        factors: Of head and backbone, or of all; None leaves the planned learning rates.
    """
    *backbone, head = phase.lr_by_group
    both = factors.get("all")
    for_head = factors.get("head", both) or 1.0
    for_backbone = factors.get("backbone", both) or 1.0
    planned = {name: phase.lr_by_group[name] for name in (*backbone, head)}
    for_head = min(for_head, _HIGHEST_LR / planned[head])
    if backbone:
        for_backbone = min(for_backbone, _HIGHEST_LR / max(planned[name] for name in backbone))
    found = {name: _short(planned[name] * (for_head if name == head else for_backbone)) for name in planned}
    rule = phase.backbone_lr
    if rule.rule in ("uniform", "layer_decay"):
        rule = rule.model_copy(update={"lr": _short(rule.lr * for_backbone)})
    elif for_backbone != 1.0:
        rule = LrRule(rule="by_group", groups={name: found[name] for name in backbone})
    return phase.model_copy(
        update={
            "peak_lr": "found" if any(factors.values()) else "planned",
            "head_lr": found[head],
            "backbone_lr": rule,
            "lr_by_group": found,
        }
    )


def _short(lr: float) -> float:
    return float(f"{lr:.12g}")


@dataclass
class _Search:
    """The tests of one phase; counts the steps it takes."""

    rehearsal: Rehearsal
    before: Mapping[str, Tensor]
    steps: int = 0

    def run(self) -> Iterator[LearningRateTest]:
        """One test after the other; each starts from the network as it was."""
        planned = self.rehearsal.phase.lr_by_group
        *backbone, head = planned
        if backbone and self.rehearsal.weights == "random":
            yield self._test("all", (*backbone, head), constant={})
            return
        tested = self._test("head", (head,), constant={})
        yield tested
        if backbone:
            factor = with_scaled_lr(self.rehearsal.phase, {"head": tested.suggestion.factor})
            yield self._test("backbone", tuple(backbone), constant={head: factor.head_lr})

    def _test(
        self, tested: TestedGroups, groups: tuple[str, ...], *, constant: Mapping[str, float]
    ) -> LearningRateTest:
        """Test some groups while those in `constant` train at constant learning rates."""
        r = self.rehearsal
        images, guess = len(r.images.roles.train), math.log(len(r.images.roles.classes))
        count = points_for(r.phase.epochs * math.ceil(images / r.batch_size))
        r.observer.work_started(
            f"{r.phase.name}: learning rates of the {tested}", 2 * (count + 1) * min(r.batch_size, images)
        )
        baseline = list(self._losses(count + 1, lambda _: constant))
        points = self._points(groups, factors_for(count), constant, baseline, guess)
        found = suggest(points, guess=guess, tested=tested)
        if found.edge_lies == "above":
            further = factors_for(count, around=HIGHEST_FACTOR / LOWEST_FACTOR)
            points = points + self._points(groups, further, constant, baseline, guess)
        elif found.edge_lies == "below":
            further = factors_for(count, around=LOWEST_FACTOR / HIGHEST_FACTOR)
            points = self._points(groups, further, constant, baseline, guess) + points
        return LearningRateTest(tested, groups, tuple(points), suggest(points, guess=guess, tested=tested))

    def _points(
        self,
        groups: tuple[str, ...],
        factors: Sequence[float],
        constant: Mapping[str, float],
        baseline: Sequence[Losses],
        guess: float,
    ) -> list[Point]:
        """The loss after a step at each factor, until it has diverged."""
        planned, points = self.rehearsal.phase.lr_by_group, list[Point]()

        def lr_at(step: int) -> dict[str, float]:
            factor = factors[min(step, len(factors) - 1)]  # the last batch is only evaluated
            return {**constant, **{name: planned[name] * factor for name in groups}}

        for step, losses in enumerate(self._losses(len(factors) + 1, lr_at)):
            if step == 0:
                continue  # nothing was learned yet
            points.append(_point(factors[step - 1], losses, baseline[step]))
            if has_diverged(points, guess=guess):
                break
        return points

    def _losses(self, count: int, learning_rates_at: Callable[[int], Mapping[str, float]]) -> Iterator[Losses]:
        """Losses of each batch before its step, from the network as it was; groups without learning rate are frozen."""
        r = self.rehearsal
        network = r.classifier.network
        restore(network, self.before)
        entered = enter(r.classifier, r.phase, r.optimizer)
        moving = learning_rates_at(0)
        freeze(network, r.classifier.groups, trained=moving)  # modes stay those of the phase; frozen is cheaper
        for number, (epoch, step, records, tensors) in enumerate(r.batches(count)):
            entered.set_learning_rates({**dict.fromkeys(r.phase.lr_by_group, 0.0), **learning_rates_at(number)})
            position = (r.seed, r.phase_number, epoch, step)
            losses = self._step(entered, records, tensors, position=position, learns=bool(moving))
            self.steps += 1
            r.observer.work_done(len(records))
            r.stop_if_requested()
            yield losses

    def _step(
        self,
        entered: Entered,
        records: Sequence[ImageRecord],
        tensors: tuple[Tensor, ...],
        *,
        position: tuple[int, int, int, int],
        learns: bool,
    ) -> Losses:
        """A step as the loop takes it."""
        r = self.rehearsal
        smoothing = r.optimizer.label_smoothing
        tested, mixing = augment_batch(
            tensors,
            position=position,
            augmentation=r.augmentation,
            channel_jitter=r.feed.channel_jitter,
        )
        labels = torch.from_numpy(r.images.labels(records)).to(tested[0].device)
        weights = r.images.loss_weights(records)
        factors = None if weights is None else torch.from_numpy(weights).to(labels.device)
        with torch.set_grad_enabled(learns):
            with r.feed.rewrites:
                given = r.classifier.weighted_logits(r.feed.network(*tested))
            outputs = adjusted_outputs(given, r.images.log_shares)
            if learns:
                entered.optimizer.zero_grad(set_to_none=True)
                loss = batch_loss(outputs, labels, mixing, label_smoothing=smoothing, weights_B=factors)
                loss.backward()  # type: ignore[no-untyped-call]
                entered.take_step()
        with torch.no_grad():
            losses = image_losses(outputs, labels, mixing, label_smoothing=smoothing, weights_B=factors)
        return losses.double().cpu().numpy()


def _point(factor: float, losses: Losses, baseline: Losses) -> Point:
    """A point whose noise is that of differences paired by image, so that the spread between images is not in it."""
    with np.errstate(invalid="ignore", over="ignore"):
        difference = losses - baseline
        single = len(difference) == 1  # one image has no spread: the size of its own change instead
        noise = abs(difference[0]) if single else difference.std(ddof=1) / math.sqrt(len(difference))
        return Point(factor, float(losses.mean()), float(baseline.mean()), float(noise))
