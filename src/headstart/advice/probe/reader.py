"""Features after every layer group in one pass: pooled, and the strongest position of each channel.

The output of the last stage is often pooled already; its map is then taken from the last layer that has one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from headstart.advice.probe.receptive_field import receptive_sides
from headstart.data.preprocess import NetworkInput
from headstart.engine.prefix.cut import NetworkGraph
from headstart.engine.prefix.depth_features import WIDEST
from headstart.engine.prefix.parts import pooled
from headstart.engine.prefix.positions import PositionMap, position_map, prefix_tokens_of
from headstart.engine.prefix.torch_engine import to_tensor
from headstart.engine.prefix.tracing import sample, still
from headstart.machine import device_of
from headstart.networks.groups.layers import LayerGroup, owner_by_path

FIELD_IMAGES = 8
"""Number of images on which receptive fields are measured."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Features of one layer group for some images."""

    pooled_BF: npt.NDArray[np.float32]  # noqa: N815 - shapes
    strongest_BC: npt.NDArray[np.float32] | None  # noqa: N815
    """Each channel's largest value over the positions; None where the group has none."""
    positions_BC: npt.NDArray[np.int64] | None  # noqa: N815
    """Index of that position, row by row."""


class DepthReader:
    """Reader of one network, which is set to eval mode and not changed otherwise."""

    def __init__(self, network: nn.Module, groups: Sequence[LayerGroup], *, size: int, channels: int = 3) -> None:
        """Record the network's steps.

        Args:
            network: Maps (B, C, H, W) images to logits.
            groups: Its layer groups, stem to head.
            size: Side of the images in pixels.
            channels: Of the images.

        Raises:
            ModelError: the network cannot be run on such images, or its steps cannot be traced.
        """
        self._network = network.eval()
        self._device = device_of(network)
        self._prefix_tokens = prefix_tokens_of(network)
        example = torch.zeros(2, channels, size, size, device=self._device)
        example = example.contiguous(memory_format=torch.channels_last)
        self._part = NetworkGraph(network, groups, example=example).tapped()
        self.backbone_names = tuple(group.name for group in groups[:-1])
        """All groups before the head, stem to last stage."""
        self._caught_at: dict[str, str] = {}
        self.group_names: tuple[str, ...] = ()
        """Groups that can be read, stem to last stage."""
        self.grids: dict[str, tuple[int, int]] = {}
        """Group -> rows and columns of its positions; a group without any is left out."""
        self._look(groups, sample(example, 2))

    def _look(self, groups: Sequence[LayerGroup], images: Tensor) -> None:
        """Determine the outputs of the groups, and the layers whose maps are read."""
        paths = self._map_makers(groups, images)
        with still(self._network):
            leaving = self._part(images)[1]
        self.group_names = tuple(leaving)
        for name, tensors in leaving.items():
            if self._map_among(tensors) is None and name in paths:
                self._caught_at[name] = paths[name]
        with still(self._network):
            self.grids = {name: (found.rows, found.columns) for name, found in self.maps(images).items()}

    def _map_makers(self, groups: Sequence[LayerGroup], images: Tensor) -> dict[str, str]:
        """Group -> path of the last layer in it that ran and gave a map."""
        owners = owner_by_path((path for path, _ in self._network.named_modules()), groups)
        found: dict[str, str] = {}

        def note(path: str, output: Any) -> None:  # noqa: ANN401 - whatever a layer gives
            if isinstance(output, Tensor) and position_map(output, prefix_tokens=self._prefix_tokens) is not None:
                found[owners[path]] = path

        with self._watched(owners, note), still(self._network):
            self._part(images)
        return found

    @contextmanager
    def _watched(self, paths: Iterable[str], note: Callable[[str, Any], object]) -> Iterator[None]:
        """Call `note` with path and output of each of these layers while the block runs."""

        def hook_for(path: str) -> Any:  # noqa: ANN401 - a hook
            return lambda module, inputs, output: note(path, output)

        handles = [self._network.get_submodule(path).register_forward_hook(hook_for(path)) for path in paths]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _map_among(self, tensors: Sequence[Tensor]) -> PositionMap | None:
        """Last map among the outputs of a group."""
        maps = [position_map(tensor, prefix_tokens=self._prefix_tokens) for tensor in tensors]
        return next((found for found in reversed(maps) if found is not None), None)

    def _outputs(self, x_BCHW: Tensor) -> tuple[dict[str, list[Tensor]], dict[str, PositionMap]]:  # noqa: N803 - shapes
        """Outputs of every group, and its map if there is one."""
        caught: dict[str, Tensor] = {}
        with self._watched(self._caught_at.values(), caught.__setitem__):
            leaving: dict[str, list[Tensor]] = self._part(x_BCHW)[1]
        found = {}
        for name, tensors in leaving.items():
            from_layer = [caught[self._caught_at[name]]] if name in self._caught_at else tensors
            made = self._map_among(from_layer)
            if made is not None:
                found[name] = made
        return leaving, found

    def maps(self, x_BCHW: Tensor) -> dict[str, PositionMap]:  # noqa: N803 - shapes
        """Group -> map of its outputs for (B, C, H, W) images; groups without positions are left out."""
        return self._outputs(x_BCHW)[1]

    def read(self, inputs: NetworkInput) -> dict[str, Reading]:
        """Group -> features for B x height x width x channels images."""
        with torch.inference_mode():
            leaving, maps = self._outputs(to_tensor(inputs, self._device))
            return {name: _reading(tensors, maps.get(name)) for name, tensors in leaving.items()}

    def receptive_sides(self, inputs: NetworkInput) -> dict[str, int]:
        """Group -> side in pixels of its effective receptive field, on the first FIELD_IMAGES images.

        See `receptive_field.receptive_sides`.
        """
        return receptive_sides(self.maps, to_tensor(inputs[:FIELD_IMAGES], self._device))


def _reading(tensors: Sequence[Tensor], found: PositionMap | None) -> Reading:
    features = torch.cat([pooled(tensor) for tensor in tensors], dim=1)
    if found is None:
        return Reading(_array(features), None, None)
    if features.shape[1] > WIDEST:
        features = found.values_BPC.mean(1)
    strongest, where = found.values_BPC.max(dim=1)
    return Reading(_array(features), _array(strongest), where.cpu().numpy())


def _array(tensor: Tensor) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(tensor.float().cpu().numpy())


__all__ = ["FIELD_IMAGES", "WIDEST", "DepthReader", "Reading"]
