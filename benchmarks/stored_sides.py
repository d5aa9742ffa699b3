"""The sides of cached_views.py: headstart's loop on its store, and the same training written by hand without one."""

from __future__ import annotations

import itertools
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from measured import Row
from sets import folder_of

from headstart.data.checks.image_checks import read_all
from headstart.data.loading import read_pixels, read_view
from headstart.data.preprocess import NetworkInput, scale
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.data.splits import Roles
from headstart.engine.views import training_view, view_rng
from headstart.input_spec import InputSpec
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import (
    AugmentationPlan,
    DataPlan,
    LrRule,
    ModelPlan,
    Plan,
    Schedule,
    SelectionPlan,
    TrainPhase,
)
from headstart.runs.event import Event
from headstart.runs.run_data import RunData

BATCH, HEAD_RATE, BACKBONE_RATE, DECAY = 32, 1e-3, 1e-4, 0.01
PRESET, FLIP = "standard", "horizontal"

CaseName = Literal["head", "lite0", "resnet18"]
SideName = Literal["stored", "view_an_epoch", "fly", "full"]
"""stored: headstart with the views of the case. view_an_epoch: headstart with as many views as epochs. fly: the same
freeze, everything computed in every epoch. full: every layer learns."""
OURS: tuple[SideName, ...] = ("stored", "view_an_epoch")


@dataclass(frozen=True)
class Case:
    """What is trained, and what the ratios must be."""

    title: str
    model: str
    weights: Literal["pretrained", "random"]
    unfreeze: int
    epochs: int
    views: int
    goals: Mapping[SideName, float]
    """Peer -> how many times its time must be that of `stored`."""
    ours: tuple[SideName, ...] = ("stored",)


CASES: dict[CaseName, Case] = {
    "head": Case("EfficientNet-Lite0, the head", "tf_efficientnet_lite0", "pretrained", 0, 25, 4, {"fly": 10.0}),
    "lite0": Case(
        "EfficientNet-Lite0 from its last stage",
        "tf_efficientnet_lite0",
        "pretrained",
        1,
        10,
        2,
        {"fly": 2.7, "full": 5.0},
        OURS,
    ),
    "resnet18": Case(
        "ResNet-18 from layer4, random weights", "resnet18", "random", 1, 10, 2, {"fly": 2.0, "full": 3.3}
    ),
}


@dataclass(frozen=True)
class Images:
    """One set, as every side sees it."""

    roles: Roles
    spec: InputSpec

    @classmethod
    def of(cls, name: str, size: int, case: Case, limit: int | None) -> Images:
        """Train and val of a set of `sets.SETS`, at most `limit` images of each."""
        dataset = open_source(str(folder_of(name)))
        train, val = (dataset.of(split) for split in ("train", "val"))
        if limit is not None:  # every n-th: some of every class
            train, val = (part[:: math.ceil(len(part) / limit)] for part in (train, val))
        roles = Roles(train, val, val, dataset.classes(), "val", "val")
        return cls(roles, find_model(case.model).card.input.at_size(size))

    def labels(self, records: tuple[ImageRecord, ...]) -> torch.Tensor:
        """Class numbers."""
        return torch.tensor([self.roles.classes.index(record.label) for record in records])


def _data_of(roles: Roles) -> RunData:
    """The images of a run in words; nothing here reads them again."""
    places = {"validation_source": roles.validation_source, "test_source": roles.test_source}
    return RunData(source="memory", content="", classes=tuple(roles.classes), roles={}, **places)


def ours(case: Case, images: Images, *, side: SideName, epochs: int, seed: int) -> Row:
    """Train by headstart's own loop on its store."""
    import onnx  # noqa: F401 - start-up is not counted
    import onnxruntime  # noqa: F401

    from headstart.engine.prefix.inference import logits_of
    from headstart.engine.store.store import ActivationStore
    from headstart.engine.store.training_images import TrainingImages
    from headstart.networks.backbone import build_classifier
    from headstart.networks.groups.layers import restore
    from headstart.runs.folder import Run
    from headstart.runs.observers import All, EventLog
    from headstart.training.checkpoint import load_state
    from headstart.training.loop import fit
    from headstart.training.stopping import StopRequest
    from headstart.training.training import Training

    torch.use_deterministic_algorithms(True, warn_only=True)  # as `headstart train` does
    choice, roles, size = find_model(case.model), images.roles, images.spec.size
    classifier = build_classifier(
        choice, kind="linear", num_classes=len(roles.classes), seed=seed, input_size=size, weights=case.weights
    )
    views = epochs if side == "view_an_epoch" else min(case.views, epochs)
    plan = plan_of(case, views=views, epochs=epochs, seed=seed, size=size)
    resolved = plan.resolved(model_name=choice.name, input_size=size, group_names=classifier.group_names)
    facts = read_all((*roles.train, *roles.validation))
    digests = {name: bytes.fromhex(digest) for name, digest in facts.digests.items()}
    groups = {record.id: record.id for record in facts.readable}
    given = TrainingImages(roles, images.spec, groups, digests, ActivationStore())
    with tempfile.TemporaryDirectory() as folder:
        run = Run.create(Path(folder) / "run", given=plan, resolved=resolved, data=_data_of(roles))
        clock = Clock()
        watchers = All([EventLog(run), clock.observer()])
        clock.begin()
        fit(Training(resolved, classifier, given, run=run, observer=watchers, stop=StopRequest()))
        state = load_state(run.checkpoint)
    assert state is not None
    times = clock.times()
    assert times["stored"]["views"] == views, times["stored"]
    restore(classifier.network, state.network)  # `fit` leaves the best epoch; the last one is the answer
    logits = logits_of(classifier, roles.validation, images.spec)
    return {**times, "predicted": logits.argmax(axis=1).tolist(), "truth": images.labels(roles.validation).tolist()}


def plan_of(case: Case, *, views: int, epochs: int, seed: int, size: int) -> Plan:
    """The phase of a case, with nothing that could end it early."""
    phase = TrainPhase(
        name="tune",
        epochs=epochs,
        unfreeze=case.unfreeze,
        head_lr=HEAD_RATE,
        backbone_lr=LrRule(lr=BACKBONE_RATE),
        schedule=Schedule(name="constant"),
    )
    return Plan(
        strategy="benchmark",
        data=DataPlan(source="benchmark"),
        model=ModelPlan(name=case.model, weights=case.weights),
        input={"size": size},
        phases=(phase,),
        augmentation=AugmentationPlan(preset=PRESET, flip=FLIP, cached_views=views),
        selection=SelectionPlan(patience=None),
        batch_size=BATCH,
        seed=seed,
    )


class Clock:
    """When the moments of a run came, in seconds since `begin`."""

    def __init__(self) -> None:
        self._began = 0.0
        self._stored: dict[str, Any] = {}
        self._moments: dict[str, list[float]] = {}

    def begin(self) -> None:
        """From here on."""
        self._began = time.perf_counter()

    def tick(self, moment: str) -> None:
        """Now."""
        self._moments.setdefault(moment, []).append(time.perf_counter() - self._began)

    def observer(self) -> Any:  # noqa: ANN401 - an Observer, whose module imports nothing heavy but is ours
        """Watches a run."""
        from headstart.runs.observers import Observer

        clock = self

        class Watch(Observer):
            def noted(self, event: Event) -> None:
                clock.tick(event.event)
                if event.event == "not_cached":
                    raise RuntimeError(event.sentence())
                if event.event == "activations_cached":
                    values = event.to_dict()
                    clock._stored = {name: values[name] for name in ("border", "views", "engine")}

            def epoch_done(self, row: Mapping[str, Any]) -> None:
                clock.tick("epoch")

            def phase_done(self, row: Mapping[str, Any]) -> None:
                clock.tick("phase")

        return Watch()

    def times(self) -> Row:
        """Seconds in all, of filling the store, and of every epoch from then on."""
        stored, epochs = self._moments["stored"][0], self._moments["epoch"]
        ends = [stored, *epochs]
        return {
            "seconds": max(self._moments["phase"][0], epochs[-1]),
            "store_seconds": stored,
            "stored": self._stored,
            "epoch_seconds": [after - before for before, after in itertools.pairwise(ends)],
        }


class Views(torch.utils.data.Dataset):
    """Views of images by (epoch, position), made in loader processes by headstart's own code."""

    def __init__(self, records: tuple[ImageRecord, ...], labels: torch.Tensor, spec: InputSpec, seed: int) -> None:
        self._records, self._labels, self._spec, self._seed = records, labels, spec, seed

    def __getitem__(self, at: tuple[int, int]) -> tuple[NetworkInput, int]:
        """Epoch -1: the evaluation view."""
        epoch, position = at
        record = self._records[position]
        if epoch < 0:
            return read_view(record, self._spec), int(self._labels[position])
        rng = view_rng(self._seed, epoch, record.id)
        view = training_view(read_pixels(record), self._spec, preset=PRESET, flip=FLIP, rng=rng)
        return scale(view, self._spec), int(self._labels[position])


class Order(torch.utils.data.Sampler):
    """Batches of (epoch, position); a new order in every epoch, or always the same for evaluation."""

    def __init__(self, count: int, seed: int | None) -> None:
        self._count, self._seed, self._epoch = count, seed, 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        """One epoch."""
        epoch, order = -1, np.arange(self._count)
        if self._seed is not None:
            epoch, self._epoch = self._epoch, self._epoch + 1
            order = np.random.default_rng((self._seed, epoch)).permutation(self._count)
        for part in np.array_split(order, math.ceil(self._count / BATCH)):
            yield [(epoch, int(position)) for position in part]


@dataclass(frozen=True)
class Loop:
    """A network in two parts, as somebody who writes the loop by hand divides it."""

    frozen: torch.nn.Module
    learning: torch.nn.Module
    head: torch.nn.Module
    """The new layer inside `learning`."""
    normalise_by_batch: bool
    """Full fine-tuning leaves BatchNorm in training mode, as everybody does."""

    def start_epoch(self) -> None:
        """Frozen means pretrained statistics."""
        self.frozen.eval()
        self.learning.train()
        if not self.normalise_by_batch:
            for module in self.learning.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.eval()

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Only the learning part keeps what a backward pass needs."""
        with torch.no_grad():
            crossing = self.frozen(x)
        return self.learning(crossing)

    def optimizer(self) -> torch.optim.Optimizer:
        """AdamW, fused."""
        own = {id(parameter) for parameter in self.head.parameters()}
        rest = [parameter for parameter in self.learning.parameters() if id(parameter) not in own]
        groups = [{"params": list(self.head.parameters()), "lr": HEAD_RATE}]
        if rest:
            groups.append({"params": rest, "lr": BACKBONE_RATE})
        return torch.optim.AdamW(groups, weight_decay=DECAY, fused=True)


def lite0_parts(unfreeze: int | Literal["all"], num_classes: int) -> Loop:
    from peers.lite0 import lite0

    net = lite0(num_classes=num_classes).to(memory_format=torch.channels_last)
    top = [net.conv_head, net.bn2, net.global_pool]
    stages = list(net.blocks)
    below = [net.conv_stem, net.bn1]
    first = {0: len(stages), 1: len(stages) - 1, "all": 0}[unfreeze]
    if unfreeze == "all":
        return Loop(torch.nn.Identity(), net, net.classifier, normalise_by_batch=True)
    frozen, learning = [*below, *stages[:first]], [*stages[first:], *top, net.classifier]
    if unfreeze == 0:
        frozen, learning = [*frozen, *top], [net.classifier]
    return Loop(torch.nn.Sequential(*frozen), torch.nn.Sequential(*learning), net.classifier, normalise_by_batch=False)


def resnet18_parts(unfreeze: int | Literal["all"], num_classes: int) -> Loop:
    from torchvision.models import resnet18

    net = resnet18(num_classes=num_classes).to(memory_format=torch.channels_last)
    if unfreeze == "all":
        return Loop(torch.nn.Identity(), net, net.fc, normalise_by_batch=True)
    frozen = torch.nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3)
    learning = torch.nn.Sequential(net.layer4, net.avgpool, torch.nn.Flatten(), net.fc)
    return Loop(frozen, learning, net.fc, normalise_by_batch=False)


PARTS: dict[str, Callable[[int | Literal["all"], int], Loop]] = {
    "tf_efficientnet_lite0": lite0_parts,
    "resnet18": resnet18_parts,
}


def theirs(case: Case, images: Images, *, side: SideName, epochs: int, seed: int) -> Row:
    """The hand-written loop: loader processes, channels_last, no autograd in frozen layers, validated every epoch."""
    torch.manual_seed(seed)
    roles, spec = images.roles, images.spec
    train, val = (Views(part, images.labels(part), spec, seed) for part in (roles.train, roles.validation))
    loading: dict[str, Any] = {"num_workers": 2, "persistent_workers": True}
    train_loader = torch.utils.data.DataLoader(train, batch_sampler=Order(len(roles.train), seed), **loading)
    val_loader = torch.utils.data.DataLoader(val, batch_sampler=Order(len(roles.validation), None), **loading)
    loop = PARTS[case.model]("all" if side == "full" else case.unfreeze, len(roles.classes))
    optimizer = loop.optimizer()
    predicted: list[int] = []
    times = []
    for _ in range(epochs):
        began = time.perf_counter()
        loop.start_epoch()
        for x, y in train_loader:
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(loop.logits(x.permute(0, 3, 1, 2)), y).backward()
            optimizer.step()
        loop.frozen.eval()
        loop.learning.eval()
        with torch.no_grad():
            predicted = [k for x, _ in val_loader for k in loop.logits(x.permute(0, 3, 1, 2)).argmax(1).tolist()]
        times.append(time.perf_counter() - began)
    return {
        "seconds": sum(times),
        "epoch_seconds": times,
        "predicted": predicted,
        "truth": images.labels(roles.validation).tolist(),
    }
