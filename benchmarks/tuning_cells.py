"""Training of a suffix on cached activations, many ways in one process: the images, the activations and the loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from sets import SetName, folder_of, patient_of
from torch import Tensor

from headstart.arrays import Labels, Singles
from headstart.data.checks.image_checks import read_all
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.data.splits import deal_folds
from headstart.engine.store.activations import Activations, plain_view
from headstart.engine.store.frozen_part import cut_at, frozen_part, training_view_of
from headstart.engine.store.index import Reader
from headstart.engine.store.store import ActivationStore
from headstart.networks.backbone import build_classifier
from headstart.networks.cards.finding import find_model
from headstart.networks.groups.layers import restore
from headstart.plan.plan import AugmentationPlan, OptimizerPlan, Schedule, TrainPhase
from headstart.solvers.head_solver import head_problem
from headstart.solvers.linear_head import LinearHead
from headstart.solvers.rows import MatrixRows
from headstart.training.augmentation.batches import augment_batch
from headstart.training.augmentation.mixup import batch_loss
from headstart.training.feeds import view_number
from headstart.training.learning_rates.param_groups import enter
from headstart.training.learning_rates.schedules import learning_rates_at
from headstart.training.probe.probe import write_head

TRAIN_A_CLASS: dict[SetName, int | None] = {"rsscn7": 60, "cifar10": 50, "hymenoptera": None, "chest_xray": 60}
"""Training images of each class, drawn by the seed; None takes all."""
TEST_IMAGES = 600
"""At most; of rsscn7 and chest_xray also those of the training folder that were not drawn."""
PROBE_FOLDS = 5
EVALUATION_ROWS = 64

Rows = npt.NDArray[np.int64]
State = dict[str, Tensor]
Point = Literal["end", "average", "half", "average half"]
"""End of training, mean of the weights of its last epochs, and the points half-way to them from the start."""
POINTS: tuple[Point, ...] = get_args(Point)


@dataclass(frozen=True)
class Recipe:
    """How the suffix is trained."""

    lr: float = 1e-3
    head_lr: float | None = None
    """None: that of the backbone."""
    epochs: int = 8
    batch_size: int = 32
    schedule: Literal["cosine", "constant", "one_cycle"] = "cosine"
    rise_epochs: float = 2.0
    label_smoothing: float = 0.0
    views: int = 4
    """Cached augmented views; 0 trains on the plain view."""
    refit_views: int = 1
    """Augmented views on which the head is fitted besides the plain one before the first step."""
    mixup: float = 0.0
    channel_jitter: float = 0.0
    averaged: int = 3
    """The last epochs whose weights are averaged for `average`."""


@dataclass(frozen=True)
class Trained:
    """Weights of the trainable groups before, after, and on average over the last epochs."""

    start: State
    end: State
    average: State
    seconds: float
    """CPU seconds of the steps, without the evaluation."""

    def point(self, name: Point) -> State:
        """The weights of a point."""
        reached = self.average if name.startswith("average") else self.end
        if name in ("half", "average half"):
            return {key: torch.lerp(self.start[key], tensor, 0.5) for key, tensor in reached.items()}
        return reached


def images_of(name: SetName, seed: int) -> tuple[list[ImageRecord], list[ImageRecord], dict[str, str], tuple[str, ...]]:
    """(training images, test images, group of each image, classes); no group on both sides."""
    data = open_source(str(folder_of(name)))
    groups = {r.id: patient_of(r.id) if name == "chest_xray" else r.id for r in data.records}
    pool, test = ([r for r in data.records if r.split == split] for split in ("train", "val"))
    rng, train = np.random.default_rng(1000 + seed), []
    for label in data.classes():
        of_class = [r for r in pool if r.label == label]
        train += [of_class[i] for i in rng.permutation(len(of_class))[: TRAIN_A_CLASS[name]]]
    used = {groups[r.id] for r in train}
    if name in ("rsscn7", "chest_xray"):
        test += [r for r in pool if groups[r.id] not in used]
    order = np.random.default_rng(seed).permutation(len(test))[:TEST_IMAGES]
    return train, [test[i] for i in order], groups, tuple(data.classes())


class Cell:
    """A set, a seed and a cut point: the activations of its images, and the linear probe."""

    def __init__(self, name: SetName, *, seed: int, model: str, size: int, cut_point: str) -> None:
        """Build the network and compute the activations of the plain views; augmented ones when they are needed."""
        self.seed, self.train, self.images = seed, *images_of(name, seed)[:2]
        _, _, self.groups, classes = images_of(name, seed)
        index = {label: number for number, label in enumerate(classes)}
        self.labels, self.truth = (
            np.array([index[r.label] for r in records], np.int64) for records in (self.train, self.images)
        )
        choice = find_model(model)
        spec = choice.card.input
        self.spec = replace(spec, size=size, resize=round(size * spec.resize / spec.size))
        self.classifier = build_classifier(choice, kind="linear", num_classes=len(classes), seed=0)
        self.trained = self.classifier.group_names[self.classifier.group_names.index(cut_point) :]
        self.made = cut_at(self.classifier, cut_point, size=size)
        digests = read_all([*self.train, *self.images]).digests
        self.digests = {record: bytes.fromhex(digest) for record, digest in digests.items()}
        store = ActivationStore()
        self.activations = Activations(
            frozen_part(self.classifier, self.made), self.spec, self.digests, store, images_to_come=10_000
        )
        self.pretrained = copy.deepcopy(self.classifier.network.state_dict())
        plain = plain_view(self.spec)
        started = time.process_time()
        self.plain, self.test = (self.activations.reader(records, [plain]) for records in (self.train, self.images))
        self.prefix_seconds = (time.process_time() - started) / max(1, self.activations.computed)
        """CPU seconds of the prefix for one image; 0 where all was stored."""
        self._features: dict[int, Singles] = {}
        self._heads: dict[tuple[bytes, int], LinearHead] = {}

    def views(self, count: int) -> Reader:
        """Activations of the training images in the first augmented view, then in the second..."""
        augmentation = AugmentationPlan()
        made = [training_view_of(n, self.spec, self.digests, augmentation, seed=self.seed) for n in range(count)]
        return self.activations.reader(self.train, made)

    def logits(
        self, reader: Reader, rows: Rows | None = None, *, what: Literal["logits", "features"] = "logits"
    ) -> Singles:
        """(N, K) logits of rows of a reader, or (N, F) features, by the network as it is now."""
        self.classifier.network.eval()
        found = []
        rows = np.arange(len(reader)) if rows is None else rows
        read: list[Singles] = []
        hook = self.classifier.head.register_forward_pre_hook(
            lambda m, given: read.append(given[0].flatten(1).numpy().copy())
        )
        with torch.no_grad():
            for start in range(0, len(rows), EVALUATION_ROWS):
                found.append(self.made.suffix(*self.tensors(reader, rows[start : start + EVALUATION_ROWS])).numpy())
        hook.remove()
        return np.concatenate(read if what == "features" else found)

    def tensors(self, reader: Reader, rows: Sequence[int] | Rows) -> tuple[Tensor, ...]:
        """Activations of some rows, in the layout of the network."""
        tensors = (torch.from_numpy(array) for array in reader.take(rows))
        return tuple(t.contiguous(memory_format=torch.channels_last) if t.ndim == 4 else t for t in tensors)

    def restore(self) -> None:
        """Load the pretrained weights."""
        restore(self.classifier.network, self.pretrained)

    @cached_property
    def l2_penalty(self) -> float:
        """Of the probe, by cross-validation on the training images."""
        problem = head_problem(MatrixRows(self.features(0)), self.labels, self.classifier.num_classes)
        return problem.choose(self.folds(PROBE_FOLDS)).l2_penalty

    def features(self, view: int) -> Singles:
        """Pretrained features of the training images: plain (0), or of an augmented view that no epoch trains on."""
        if view not in self._features:
            self.restore()
            reader = self.plain
            if view:
                made = training_view_of(63 + view, self.spec, self.digests, AugmentationPlan(), seed=self.seed)
                reader = self.activations.reader(self.train, [made])
            self._features[view] = self.logits(reader, what="features")
        return self._features[view]

    def write_probe(self, rows: Rows, *, refit_views: int = 0) -> None:
        """Pretrained weights with the linear probe of some training images."""
        key = (rows.tobytes(), refit_views)
        if key not in self._heads:
            features = np.concatenate([self.features(view)[rows] for view in range(1 + refit_views)])
            labels = np.tile(self.labels[rows], 1 + refit_views)
            problem = head_problem(MatrixRows(features), labels, self.classifier.num_classes)
            self._heads[key] = problem.solve(self.l2_penalty)
        self.restore()
        write_head(self.classifier, self._heads[key])

    def folds(self, count: int) -> Labels:
        """Fold of each training image; groups stay together."""
        return np.array(deal_folds(self.train, self.groups, most=count, seed=self.seed + 2), np.int64)

    def state(self) -> State:
        """A copy of the weights of the trainable groups."""
        owned = [group for group in self.classifier.groups if group.name in self.trained]
        state = self.classifier.network.named_parameters()
        return {name: tensor.detach().clone() for name, tensor in state if any(g.owns(name) for g in owned)}

    def write(self, state: Mapping[str, Tensor]) -> None:
        """Overwrite weights of the trainable groups."""
        parameters = dict(self.classifier.network.named_parameters())
        with torch.no_grad():
            for name, tensor in state.items():
                parameters[name].copy_(tensor)

    def fit(self, recipe: Recipe, rows: Rows) -> Trained:
        """Train the suffix on some training images from the probe of the same images; the network keeps the end."""
        self.write_probe(rows, refit_views=recipe.refit_views)
        start, averages, seconds = self.state(), [], time.process_time()
        phase = self._phase(recipe)
        entered = enter(self.classifier, phase, OptimizerPlan(label_smoothing=recipe.label_smoothing))
        reader = self.views(recipe.views) if recipe.views else self.plain
        steps = -(-len(rows) // recipe.batch_size)
        for epoch in range(recipe.epochs):
            entered.start_epoch()
            for step, (batch, tensors) in enumerate(self._batches(recipe, reader, rows, epoch)):
                entered.set_learning_rates(
                    learning_rates_at(phase, step=epoch * steps + step, steps_per_epoch=steps, validation_losses=())
                )
                given, mixing = augment_batch(
                    tensors,
                    position=(self.seed, 1, epoch, step),
                    augmentation=AugmentationPlan(mixup_alpha=recipe.mixup),
                    channel_jitter=recipe.channel_jitter,
                )
                outputs = self.classifier.weighted_logits(self.made.suffix(*given))
                labels = torch.from_numpy(self.labels[batch])
                loss = batch_loss(outputs, labels, mixing, label_smoothing=recipe.label_smoothing)
                entered.optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                entered.optimizer.step()
            if epoch >= recipe.epochs - recipe.averaged:
                averages.append(self.state())
        seconds = time.process_time() - seconds
        return Trained(start, self.state(), mean_of(averages), seconds)

    def _phase(self, recipe: Recipe) -> TrainPhase:
        lr = dict.fromkeys(self.trained, recipe.lr)
        lr[self.trained[-1]] = recipe.head_lr or recipe.lr
        schedule = Schedule(
            name=recipe.schedule, warmup_epochs=0 if recipe.schedule == "one_cycle" else recipe.rise_epochs
        )
        return TrainPhase(
            name="tune",
            epochs=recipe.epochs,
            unfreeze=len(self.trained) - 1,
            head_lr=lr[self.trained[-1]],
            schedule=schedule,
            lr_by_group=lr,
        )

    def _batches(
        self, recipe: Recipe, reader: Reader, rows: Rows, epoch: int
    ) -> Iterator[tuple[Rows, tuple[Tensor, ...]]]:
        order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(rows))
        for part in np.array_split(order, -(-len(rows) // recipe.batch_size)):
            batch = rows[part]
            chosen = [
                row
                + len(self.train)
                * (view_number(self.seed, epoch, self.train[row].id, recipe.views) if recipe.views else 0)
                for row in batch
            ]
            yield batch, self.tensors(reader, chosen)


def mean_of(states: Sequence[State]) -> State:
    """The mean of several states, tensor by tensor."""
    return {name: torch.stack([state[name] for state in states]).mean(dim=0) for name in states[0]}


def changed(recipe: Recipe, **values: Any) -> Recipe:  # noqa: ANN401 - fields of the recipe
    """The recipe with other values."""
    return replace(recipe, **values)
