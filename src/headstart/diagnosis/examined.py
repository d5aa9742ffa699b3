"""Everything the checks read, computed once: facts of loaders, parameters, weights and schedule, and one dry step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from headstart.diagnosis.augmented import is_random
from headstart.diagnosis.dry_step import DryStep, dry_step
from headstart.diagnosis.expected_input import ExpectedInput, expected_of
from headstart.diagnosis.layers import InitialShare, initial_share, is_weight_layer
from headstart.diagnosis.loaders import LoaderFacts, facts_of_loader
from headstart.diagnosis.parameters import ParameterFacts, facts_of_parameters
from headstart.diagnosis.schedule_probe import ScheduleFacts, facts_of_schedule, peak_lrs
from headstart.diagnosis.setup import LoaderRole, Setup
from headstart.diagnosis.transform_probe import SolidViews, ValueMap, map_of_values, solid_views


@dataclass(frozen=True)
class Examined:
    """A set-up and what was measured of it."""

    setup: Setup
    expected: ExpectedInput | None
    loaders: Mapping[LoaderRole, LoaderFacts]
    transforms: Mapping[LoaderRole, SolidViews]
    """Role -> what its transform makes of images of one colour; missing where it takes none."""
    random_views: Mapping[LoaderRole, bool]
    """Role -> whether one image is given differently each time; missing where that could not be tried."""
    parameters: tuple[ParameterFacts, ...]
    foreign: int
    """Tensors of the optimizers that are not of the network."""
    schedules: tuple[ScheduleFacts, ...]
    peaks: Mapping[tuple[int, int], float]
    """(optimizer, group) -> highest learning rate of its schedule."""
    dry: DryStep
    initial: InitialShare | None
    """Of the network without its head."""

    @property
    def train(self) -> LoaderFacts | None:
        """The training loader."""
        return self.loaders.get("train")

    @property
    def outputs(self) -> int | None:
        """Number of outputs for one image; None where that is not one vector."""
        outputs = self.dry.outputs
        return int(outputs.shape[1]) if outputs is not None and outputs.ndim == 2 else None

    @cached_property
    def class_count(self) -> int | None:
        """Number of classes of the images: as given, as the data set names them, or from all its labels."""
        setup = self.setup
        if setup.num_classes is not None:
            return setup.num_classes
        if setup.classes is not None:
            return len(setup.classes)
        named = [facts.dataset.classes for facts in self.loaders.values() if facts.dataset.classes]
        if named:
            return max(map(len, named))
        labels = [facts.dataset.labels for facts in self.loaders.values() if facts.dataset.labels is not None]
        lowest = min((int(one.min()) for one in labels if len(one)), default=0)
        highest = max((int(one.max()) for one in labels if len(one)), default=-1)
        return highest - lowest + 1 if labels and highest >= 0 else None

    @cached_property
    def head(self) -> str:
        """Path of the classifier layer: the last weight layer that forward calls; empty where that is not known."""
        if self.setup.model is None:
            return ""
        modules = dict(self.setup.model.named_modules())
        calls = [path for path in self.dry.executed if path in modules and is_weight_layer(modules[path])]
        if not calls:
            calls = [path for path, module in modules.items() if path and is_weight_layer(module)]
        return calls[-1] if calls else ""

    @property
    def backbone(self) -> tuple[ParameterFacts, ...]:
        """Parameters outside the classifier layer."""
        return tuple(one for one in self.parameters if not one.name.startswith(f"{self.head}."))

    @property
    def is_pretrained(self) -> bool:
        """Whether the weights outside the head are trained ones, by their statistics."""
        return self.initial is not None and self.initial.layers > 0 and not self.initial.is_random

    @property
    def entered(self) -> Tensor | None:
        """(B, C, H, W) training images as they enter the first layer with weights."""
        entered = self.dry.entered
        if entered is not None and entered.ndim == 4:
            return entered
        images = self.dry.images
        return images if images is not None and images.ndim == 4 else None

    def value_map(self, role: LoaderRole) -> ValueMap | None:
        """Values that black and white become for a role, where they enter the first layer; None where not known."""
        views = self.transforms.get(role)
        if views is None:
            return None
        if role == "train" and self.dry.solid is not None:
            return map_of_values(self.dry.solid)
        return map_of_values(views.stacked()) if _stackable(views) else None


def examine(setup: Setup) -> Examined:
    """Facts of a set-up; nothing of it changes, random states included when called inside `untouched_randomness`."""
    model = setup.model
    loaders = {role: facts_of_loader(role, loader) for role, loader in setup.loaders.items()}
    transforms, random_views = {}, {}
    for role, facts in loaders.items():
        given = setup.transform if role == "train" and setup.transform is not None else facts.dataset.transform
        views = solid_views(given) if given is not None else None
        if views is not None and _stackable(views):
            transforms[role] = views
        varies = is_random(facts)
        if varies is not None:
            random_views[role] = varies
    if "train" not in loaders and setup.transform is not None:
        views = solid_views(setup.transform)
        if views is not None and _stackable(views):
            transforms["train"] = views
    steps = None if setup.epochs is None or "train" not in loaders else setup.epochs * (loaders["train"].steps or 1)
    schedules = tuple(facts_of_schedule(one, setup.optimizers, steps=steps) for one in setup.schedulers)
    peaks = peak_lrs(schedules, setup.optimizers)
    solid = transforms["train"].stacked() if "train" in transforms else None
    batch = loaders["train"].batches[0] if "train" in loaders and loaders["train"].batches else None
    dry = DryStep()
    if model is not None:
        solid = None if solid is None else _floating(solid)
        dry = dry_step(setup, batch, solid=solid, peaks=peaks)
    parameters, foreign = facts_of_parameters(model, setup.optimizers)
    examined = Examined(
        setup,
        expected_of(setup.weights, model),
        loaders,
        transforms,
        random_views,
        parameters,
        foreign,
        schedules,
        peaks,
        dry,
        None,
    )
    return examined if model is None else _with_initial(examined, model)


def _with_initial(examined: Examined, model: nn.Module) -> Examined:
    from dataclasses import replace

    return replace(examined, initial=initial_share(model, without=examined.head))


def _stackable(views: SolidViews) -> bool:
    return len({tuple(one.shape) for one in (views.black, views.white, views.red, views.blue)}) == 1


def _floating(images: Tensor) -> Tensor:
    return images if images.dtype.is_floating_point else images.to(torch.float32)
