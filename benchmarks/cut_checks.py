"""What a cut promises, checked from outside: answers bit for bit, and calls counted by hooks.

None of the package's own ways of knowing is used. The tests run it on some networks, `cut_coverage.py` on all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from headstart.engine.prefix.cut import CutNetwork, NetworkGraph
from headstart.errors import HeadstartError, ModelError
from headstart.networks.backbone import Classifier, build_network, with_new_head
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.groups.layers import LayerGroup, freeze, set_batch_norm

CLASSES = 3
SMALL_SIDES = (64, 96, 112, 128)
"""Tried in turn before a network's own: some shrink too much for the first, patches of others do not divide it."""
BATCHES = (1, 2, 5)
ALL_BELOW = 30_000_000
"""Parameters up to which every size of batch and the gradients are compared."""
TRAIN_BATCH = 3


@dataclass
class CutVerdict:
    """What was checked of one network."""

    name: str
    parameters: int = 0
    side: int = 0
    borders: int = 0
    most_crossing: int = 0
    faults: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Borders at which the network cannot be cut, as the error says it."""

    @property
    def holds(self) -> bool:
        """Whether every border could be cut, and every check was passed."""
        return bool(self.borders) and not self.faults and not self.refused


def classifier_for(card: ModelCard, side: int) -> Classifier:
    """With random weights everywhere; a head of zeros would make all answers equal."""
    torch.manual_seed(0)
    classifier = with_new_head(build_network(card, input_size=side), card, kind="linear", num_classes=CLASSES)
    for site in classifier.sites:
        for parameter in classifier.network.get_submodule(site.path).parameters():
            nn.init.normal_(parameter, std=0.1)
    return classifier


def images_of(side: int, batch: int) -> torch.Tensor:
    """Noise in the layout that engines use."""
    generator = torch.Generator().manual_seed(batch)
    return torch.randn(batch, 3, side, side, generator=generator).contiguous(memory_format=torch.channels_last)


def answers(value: Any) -> list[torch.Tensor]:  # noqa: ANN401 - a tensor, or several beside each other
    """Every tensor of an answer, or of what a layer is given."""
    if isinstance(value, torch.Tensor):
        return [value]
    return [tensor for item in value for tensor in answers(item)] if isinstance(value, (tuple, list)) else []


def equal(a: Sequence[torch.Tensor], b: Sequence[torch.Tensor]) -> bool:
    return len(a) == len(b) and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def composed(parts: CutNetwork) -> Callable[[torch.Tensor], Any]:
    return lambda images: parts.suffix(*parts.prefix(images))


def buffers_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: buffer.clone() for name, buffer in network.named_buffers()}


def put_back(network: nn.Module, buffers: dict[str, torch.Tensor]) -> None:
    for name, buffer in network.named_buffers():
        buffer.copy_(buffers[name])


def counted_layers(classifier: Classifier) -> list[tuple[str, nn.Module]]:
    return [
        (path, module)
        for path, module in classifier.network.named_modules()
        if position_of(classifier.groups, path) >= 0
        and [*module.parameters(recurse=False), *module.buffers(recurse=False)]
    ]


@torch.no_grad()
def tables_of(classifier: Classifier, side: int) -> set[str]:
    """Layers that are given the same for other images: they make tables, which the side that needs them makes."""
    given: list[dict[str, list[torch.Tensor]]] = []
    for seed in (1, 2):
        seen: dict[str, list[torch.Tensor]] = {}

        def note(path: str, seen: dict[str, list[torch.Tensor]] = seen) -> Callable[..., None]:
            return lambda _, args, kwargs: seen.update({path: answers([*args, *kwargs.values()])})

        layers = counted_layers(classifier)
        handles = [module.register_forward_pre_hook(note(path), with_kwargs=True) for path, module in layers]
        classifier.network.eval()(images_of(side, 2) + seed)
        for handle in handles:
            handle.remove()
        given.append(seen)
    return {path for path, tensors in given[0].items() if equal(tensors, given[1][path])}


@contextmanager
def calls_counted(classifier: Classifier, tables: Container[str] = ()) -> Iterator[Counter[str]]:
    """Calls of every layer that holds tensors itself and lies in one group, but for those that make tables."""
    counted: Counter[str] = Counter()
    layers = [(path, module) for path, module in counted_layers(classifier) if path not in tables]
    handles = [m.register_forward_pre_hook(lambda *_, path=p: counted.update([path])) for p, m in layers]
    yield counted
    for handle in handles:
        handle.remove()


def position_of(groups: tuple[LayerGroup, ...], name: str) -> int:
    """Index of the group that holds a layer, by the plain meaning of member paths; -1 for a layer of several groups."""
    held = [i for i, g in enumerate(groups) for m in g.members if name == m or name.startswith(f"{m}.")]
    return held[0] if held else -1


def call_faults(classifier: Classifier, border: str, *calls: Counter[str]) -> list[str]:
    """Layers that run on the wrong side, or more or less often than in the whole.

    A layer that the whole runs several times (CoaT shares its convolutions between stages) may run on both sides.

    Args:
        classifier: Whose layers were counted.
        border: Where it was cut.
        calls: Of the whole, of the prefix, of the suffix.
    """
    whole, below, above = calls
    first = classifier.group_names.index(border)
    once = [path for path, count in whole.items() if count == 1]
    late = {path for path in once if position_of(classifier.groups, path) >= first}
    faults = [f"{path} is called by the prefix" for path in below if path in late]
    faults += [f"{path} is called by the suffix" for path in above if path in once and path not in late]
    if below + above != whole:
        faults.append(f"calls differ: {sorted(((below + above) - whole) + (whole - (below + above)))[:3]}")
    return faults


@torch.no_grad()
def evaluation_faults(
    classifier: Classifier, parts: CutNetwork, side: int, batches: Sequence[int], tables: Container[str]
) -> list[str]:
    """Batch sizes at which the parts answer otherwise than the whole, wrong shapes, and layers on the wrong side."""
    faults = []
    network = classifier.network.eval()
    for batch in batches:
        with calls_counted(classifier, tables) as whole:
            expected = answers(network(images_of(side, batch)))
        with calls_counted(classifier, tables) as below:
            crossing = parts.prefix(images_of(side, batch))
        if [(batch, *c.shape) for c in parts.crossing] != [tuple(t.shape) for t in crossing]:
            faults.append(f"crossing has shapes {[tuple(t.shape) for t in crossing]}")
        with calls_counted(classifier, tables) as above:
            found = answers(parts.suffix(*crossing))
        if not equal(found, expected):
            faults.append(f"evaluation differs for {batch} images")
    return faults + call_faults(classifier, parts.cut_point, whole, below, above)


def frozen_faults(classifier: Classifier, parts: CutNetwork, side: int, *, gradients: bool) -> list[str]:
    """Training as the loop does it, the prefix frozen: answers, gradients and buffers against the whole's."""
    network, groups = classifier.network, classifier.groups
    trained = classifier.group_names[classifier.group_names.index(parts.cut_point) :]
    freeze(network, groups, trained=trained)
    found = []
    before = buffers_of(network)
    for run in (network, composed(parts)):
        set_batch_norm(network, groups, policy="pretrained_statistics", affine="trained", trained=trained)
        network.zero_grad()
        torch.manual_seed(1)
        with torch.set_grad_enabled(gradients):
            answer = answers(run(images_of(side, TRAIN_BATCH)))
        if gradients:
            torch.stack([tensor.square().sum() for tensor in answer]).sum().backward()
        found.append((answer, {n: p.grad for n, p in network.named_parameters() if p.grad is not None}))
    freeze(network, groups, trained=classifier.group_names)  # attention takes other kernels where weights rest
    (whole, wanted), (parted, got) = found
    faults = [] if equal(whole, parted) else ["training with a frozen prefix differs"]
    if wanted.keys() != got.keys() or not equal(list(wanted.values()), list(got.values())):
        faults.append("gradients differ")
    if not equal(list(before.values()), list(buffers_of(network).values())):
        faults.append("buffers moved")
    return faults


@torch.no_grad()
def training_run(network: nn.Module, run: Callable[[torch.Tensor], Any], side: int) -> list[torch.Tensor]:
    """Answers and buffers of one pass with everything in training mode; buffers are put back."""
    before = buffers_of(network)
    network.train()
    torch.manual_seed(2)
    answer = answers(run(images_of(side, TRAIN_BATCH)))
    after = list(buffers_of(network).values())
    put_back(network, before)
    return [*answer, *after]


def graph_for(card: ModelCard, asked_side: int | None = None) -> tuple[Classifier, NetworkGraph, int]:
    """At the smallest side that the network takes, in training too, or at the one that is asked for."""
    sides = [s for s in SMALL_SIDES if s < card.input.size]
    for side in [asked_side] if asked_side else [*sides, card.input.size]:
        try:
            classifier = classifier_for(card, side)
            training_run(classifier.network, classifier.network, side)  # may need larger images than evaluation does
            return classifier, NetworkGraph(classifier.network, classifier.groups, example=images_of(side, 1)), side
        except (HeadstartError, RuntimeError, ValueError, AssertionError):
            if side not in sides:
                raise
    raise AssertionError("a card has a size")


def cut_verdict(card: ModelCard, side: int | None = None) -> CutVerdict:
    """Every border of a network with random weights; large ones for one size of batch and without gradients.

    Args:
        card: Which network.
        side: Of the images, in pixels; None takes the smallest that works.
    """
    verdict = CutVerdict(card.name, card.parameters)
    classifier, graph, verdict.side = graph_for(card, side)
    network, side = classifier.network, verdict.side
    small = card.parameters < ALL_BELOW
    in_training, tables = training_run(network, network, side), tables_of(classifier, side)
    for border in graph.cut_points:
        try:
            parts = graph.cut(border)
        except ModelError as error:
            verdict.refused.append(str(error))
            continue
        verdict.borders += 1
        verdict.most_crossing = max(verdict.most_crossing, len(parts.crossing))
        faults = evaluation_faults(classifier, parts, side, BATCHES if small else BATCHES[1:2], tables)
        if not equal(training_run(network, composed(parts), side), in_training):
            faults.append("training of everything differs")
        faults += frozen_faults(classifier, parts, side, gradients=small)
        verdict.faults += [f"{border}: {fault}" for fault in faults]
    return verdict
