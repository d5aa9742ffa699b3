"""Order in which forward uses the tensors of a network, from a pass on the meta device.

For networks whose structure no table and no pattern describes, this order and the module tree give the layer groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from headstart.errors import ModelError
from headstart.networks.groups.layers import in_evaluation_mode, named_tensors
from headstart.plan.sections import Grain

FEWEST_WEIGHTED_LAYERS = 2
"""A module whose children mostly hold this many convolutions or linear layers is a row of blocks, not a block."""


@dataclass
class ForwardTrace:
    """Record of one forward pass."""

    order: dict[str, int] = field(default_factory=dict)
    """Tensor name -> position of its first use; tensors that were never used are missing."""
    positions: dict[str, int] = field(default_factory=dict)
    """Module path -> number of image positions (pixels of the map, tokens) in its last output, in order of its end."""


class _FirstUse(TorchFunctionMode):
    """Recorder of the first use of each tensor by a torch function."""

    def __init__(self, name_of: dict[int, str]) -> None:
        super().__init__()
        self.name_of = name_of
        self.order: dict[str, int] = {}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's protocol
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - torch's protocol
        # Tensors arrive alone, or in a list as in torch.cat.
        for value in (*args, *(kwargs or {}).values()):
            for tensor in value if isinstance(value, (list, tuple)) else (value,):
                name = self.name_of.get(id(tensor))
                if name is not None:
                    self.order.setdefault(name, len(self.order))
        return func(*args, **(kwargs or {}))


def trace(network: nn.Module, example_BCHW: Tensor | None = None) -> ForwardTrace:  # noqa: N803 - shapes
    """Trace of forward in evaluation mode on the meta device. The network is restored.

    Args:
        network: Any module that maps images to logits.
        example_BCHW: Images it takes; None tries one of the size the network states, or 224 pixels.

    Raises:
        ModelError: forward fails on the example.
    """
    # Stand-ins are new tensors, so their ids name the places in the network while it runs.
    stand_ins = _stand_ins(network)
    example = torch.empty_like(example_BCHW, device="meta") if example_BCHW is not None else _example_for(network)
    watched = _FirstUse({id(stand_ins[name]): name for name, _ in named_tensors(network)})
    found = ForwardTrace(order=watched.order)
    try:
        with in_evaluation_mode(network), _outputs_noted(network, found), torch.no_grad(), watched:
            # Ties are kept by shared stand-ins; `tie_weights` would look for them in the real tensors.
            torch.func.functional_call(network, stand_ins, (example,), tie_weights=False)
    except Exception as error:  # whatever a foreign forward raises
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{type(network).__name__} cannot be run on images of {tuple(example.shape)} ({first})",
            expected="a module that maps (B, C, H, W) images to logits",
            remedy="give an example it takes: layer_groups(model, example=images)",
        ) from error
    return found


def _stand_ins(network: nn.Module) -> dict[str, Tensor]:
    """A tensor without values for every place that holds one; places that share a tensor share the stand-in."""
    made: dict[int, Tensor] = {}
    found: dict[str, Tensor] = {}
    for path, module in network.named_modules():  # each module once, also where it is used under several names
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            stand_in = made.setdefault(id(tensor), torch.empty_like(tensor, device="meta"))
            found[f"{path}.{name}" if path else name] = stand_in
    return found


def _example_for(network: nn.Module) -> Tensor:
    config = getattr(network, "pretrained_cfg", None) or {}
    channels, height, width = config.get("input_size", (3, 224, 224))
    size = getattr(getattr(network, "patch_embed", None), "img_size", None) or getattr(network, "image_size", None)
    if isinstance(size, int):
        size = (size, size)
    if size is not None:
        height, width = size
    return torch.empty(1, channels, height, width, device="meta")


@contextmanager
def _outputs_noted(network: nn.Module, found: ForwardTrace) -> Iterator[None]:
    def note(path: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:  # noqa: ANN401 - any forward
            tensor = output[0] if isinstance(output, (tuple, list)) and output else output
            if isinstance(tensor, Tensor) and tensor.ndim >= 2:
                # Removed first, so that a module that runs twice stands where its last call ended.
                found.positions.pop(path, None)
                found.positions[path] = positions_of(tuple(tensor.shape))

        return hook

    handles = [module.register_forward_hook(note(path)) for path, module in network.named_modules() if path]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def positions_of(shape: tuple[int, ...]) -> int:
    """Image positions of an output: H * W of (B, C, H, W) or (B, H, W, C), N of (B, N, C), 1 of (B, C).

    A square map has two equal sides next to each other; where that leaves a choice, channels come first.
    """
    if len(shape) == 3:
        return shape[1]
    if len(shape) == 4:
        channels_last = shape[1] == shape[2] and shape[2] != shape[3]
        return shape[1] * shape[2] if channels_last else shape[2] * shape[3]
    return 1


def output_positions(
    network: nn.Module, groups: Sequence[Sequence[str]], example: Tensor | None = None
) -> list[int | None]:
    """Image positions in the output of each group of tensors; None if unknown."""
    try:
        found = trace(network, example)
    except ModelError:
        return [None] * len(groups)
    names = {path: {n for n, _ in named_tensors(module)} for path, module in network.named_modules() if path}
    positions: list[int | None] = []
    for group in groups:
        held = set(group)
        inside = [p for p in found.positions if names[p] and all(f"{p}.{name}" in held for name in names[p])]
        largest = max(inside, key=lambda path: len(names[path]), default=None)  # not the norm at the end
        positions.append(found.positions[largest] if largest is not None else None)
    return positions


def execution_draft(network: nn.Module, grain: Grain, example: Tensor | None) -> list[tuple[str, list[str]]]:
    """(label, tensor names) stem to last stage in the order of execution, classifier included.

    Raises:
        ModelError: forward fails on the example.
    """
    order = trace(network, example).order
    units = [unit for unit in _units(network, "") if unit[1]]
    first_use = {path: min((order[n] for n in names if n in order), default=-1) for path, names in units}
    # A unit that forward never met (a mask token, an unused branch) stays behind the one registered before it.
    before = 0
    for path, _ in units:
        before = first_use[path] = first_use[path] if first_use[path] >= 0 else before
    ordered = sorted(units, key=lambda unit: first_use[unit[0]])
    draft: list[tuple[str, list[str]]] = []
    axes = {name: tensor.ndim for name, tensor in named_tensors(network)}
    for path, names in ordered:
        # A norm, or a token that is no module, goes with the layer before it.
        if draft and (names == [path] or all(axes[name] <= 1 for name in names)):
            draft[-1][1].extend(names)
        else:
            draft.append((path, list(names)))
    labels = ["stem", *(f"stage{i}" if grain == "stage" else path for i, (path, _) in enumerate(draft[1:], 1))]
    return [(label, names) for label, (_, names) in zip(labels, draft, strict=True)]


def _units(module: nn.Module, path: str) -> Iterator[tuple[str, list[str]]]:
    """The finest modules that are blocks rather than rows of blocks, with the tensors they hold."""
    own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
    for name, _ in own:
        yield (f"{path}.{name}" if path else name), [f"{path}.{name}" if path else name]
    for name, child in module.named_children():
        below = f"{path}.{name}" if path else name
        if _is_row_of_blocks(child):
            yield from _units(child, below)
        else:
            yield below, [f"{below}.{n}" for n, _ in named_tensors(child)]


def _is_row_of_blocks(module: nn.Module) -> bool:
    if isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict)):
        return True
    rows = [child for child in module.children() if isinstance(child, (nn.Sequential, nn.ModuleList))]
    return any(_mostly_blocks(list(row.children())) for row in rows)


def _mostly_blocks(children: Sequence[nn.Module]) -> bool:
    large = [child for child in children if _weighted_layers(child) >= FEWEST_WEIGHTED_LAYERS]
    return bool(large) and 2 * len(large) >= len(children)


def _weighted_layers(module: nn.Module) -> int:
    return sum(isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)) for m in module.modules())


def without_weights(build: Callable[[], nn.Module]) -> nn.Module:
    """Module of `build` with parameters without values (meta device): structure at no cost.

    Some constructors compute with tensors on the way (RegNet its widths), which the meta device does not allow;
    they are run with their buffers real and only the parameters taken away.
    """
    try:
        with torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError):
        with _unfilled_parameters():
            return build().to("meta")


@contextmanager
def _unfilled_parameters() -> Iterator[None]:
    original = nn.Module.register_parameter

    def register(module: nn.Module, name: str, param: nn.Parameter | None) -> None:
        original(module, name, param)
        if param is not None:
            module._parameters[name] = nn.Parameter(param.to("meta"), requires_grad=param.requires_grad)

    nn.Module.register_parameter = register  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        nn.Module.register_parameter = original  # type: ignore[method-assign]
