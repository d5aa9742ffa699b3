"""MACs of a network group by group, and activations at every cut point, counted in a pass that computes nothing.

The pass runs on the meta device and sees every operation: some 60 ms for EfficientNet-Lite0, with any weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from headstart.engine.costs.network import CutPoint, NetworkFacts, classifier_facts
from headstart.networks.backbone import Classifier
from headstart.networks.groups.layers import in_evaluation_mode, owner_by_path


def counted_facts_of(classifier: Classifier, *, size: int) -> NetworkFacts:
    """Facts of the network as it is; where it cannot run without values, those of its card.

    Args:
        classifier: With its head; not changed.
        size: Side of the images in pixels.
    """
    expected = classifier_facts(classifier, size=size)
    network, groups = classifier.network, classifier.groups
    named = [*network.named_parameters(), *network.named_buffers()]
    stand_ins = {path: torch.empty_like(tensor, device="meta") for path, tensor in named}
    owners = owner_by_path(stand_ins, groups)
    index = {group.name: number for number, group in enumerate(groups)}
    watched = _Operations({_storage(tensor): index[owners[path]] for path, tensor in stand_ins.items()})
    images = torch.empty(1, classifier.image_channels, size, size, device="meta")
    try:
        with in_evaluation_mode(network), torch.no_grad(), watched:
            torch.func.functional_call(network, stand_ins, (images,))
    except Exception:  # whatever a foreign forward raises: a rough estimate is better than none
        return expected
    return _counted(expected, watched)


def _counted(expected: NetworkFacts, watched: _Operations) -> NetworkFacts:
    total = sum(watched.multiplications.values())
    if not total:
        return expected
    cut_points = []
    for number, name in enumerate(expected.groups[1:], start=1):
        before = sum(count for group, count in watched.multiplications.items() if group < number)
        cut_points.append(CutPoint(name, before / total, watched.crossing(number)))
    held = float(sum(watched.sizes.values()))
    return replace(expected, gmacs=total / 1e9, cut_points=tuple(cut_points), held_bytes=held, counted=True)


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows tensors from the group that made them to the last group that reads them."""

    def __init__(self, owner: dict[int, int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.multiplications: dict[int, int] = {}
        """Group number -> MACs."""
        self.sizes: dict[int, int] = {}
        """Storage -> bytes."""
        self._owner = owner
        self._made: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._alive: list[Tensor] = []
        """Keeps storages from being given to others."""
        self._now = 0

    def crossing(self, group: int) -> int:
        """Bytes that are made before the group number `group` and read in it or behind it."""
        return sum(self.sizes[s] for s, made in self._made.items() if made < group <= self._read.get(s, -1))

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's protocol
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        given = [_storage(tensor) for tensor in _tensors((*args, *kwargs.values()))]
        owned = [self._owner[storage] for storage in given if storage in self._owner]
        self._now = max([self._now, *owned])  # a weight that two groups share takes nothing back
        for storage in given:
            if storage in self._made:
                self._read[storage] = self._now
        out = func(*args, **kwargs)
        for tensor in _tensors((out,)):
            storage = _storage(tensor)
            if storage not in self._made and storage not in self._owner:
                self._made[storage] = self._now
                self.sizes[storage] = tensor.numel() * tensor.element_size()
                self._alive.append(tensor)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            found = int(count(*args, **kwargs, out_val=out)) // 2
            self.multiplications[self._now] = self.multiplications.get(self._now, 0) + found
        return out


def _tensors(values: object) -> Iterator[Tensor]:
    if isinstance(values, Tensor):
        yield values
    elif isinstance(values, (tuple, list)):
        for value in values:
            yield from _tensors(value)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
