"""Parts of a network (frozen prefix, trainable suffix, taps) as modules."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headstart.engine.prefix.program import Program
from headstart.engine.prefix.tracing import Form, Mode
from headstart.errors import ModelError


class Part(nn.Module):
    """A frozen prefix or a trainable suffix. Its modules and tensors are registered under their names in the network.

    They are the network's: what trains, freezes, moves or fills the one does so with the other, and training mode is
    the network's. What is computed follows the network even where a module of it is exchanged later (a new head);
    only what is registered here stays as it was cut.
    """

    def __init__(
        self,
        network: nn.Module,
        programs: Mapping[Mode, Program],
        takes: Sequence[Form],
        gives: Sequence[Form] = (),
    ) -> None:
        """Share the network.

        Args:
            network: Whose steps the programs are.
            programs: For either mode.
            takes: What the part is given.
            gives: Of its output tensors, where they are to be batch first.
        """
        super().__init__()
        self._network: tuple[nn.Module, ...] = (
            network,
        )  # in a tuple, so that the whole network is not registered in its part
        self._programs = dict(programs)
        self._takes = tuple(takes)
        self._gives = tuple(gives)
        for path in dict.fromkeys(path for program in programs.values() for path in _names_in(program)):
            # Modules are registered at their own paths, so that state_dict keys of the part are those of the network.
            self._share(network, path)
        self.training = network.training

    def _share(self, network: nn.Module, path: str) -> None:
        *parents, name = path.split(".")
        place: nn.Module = self
        for parent in parents:
            if parent not in place._modules:
                place.add_module(parent, nn.Module())
            place = place.get_submodule(parent)
        owner = network.get_submodule(".".join(parents))
        # Shared objects, not copies: an optimizer step on the part changes the network.
        for kind in ("_modules", "_parameters", "_buffers"):
            if name in getattr(owner, kind):
                getattr(place, kind)[name] = getattr(owner, kind)[name]

    def copied(self) -> Part:
        """A part with tensors of its own that knows no network: to be folded, converted or moved by an engine.

        It runs the modules that are registered in it, in its own mode; exchanging one of them changes what it computes.
        """
        made = copy.copy(self)
        # The programs are shared by a copy (see Program.__deepcopy__); only modules and tensors are copied.
        made._network = ()
        made = copy.deepcopy(made)
        for parameter in made.parameters():
            # Frozen: engines fold, convert and export it, none of them trains it.
            parameter.requires_grad = False
        return made

    def forward(self, *given: Tensor) -> Any:  # noqa: ANN401 - whatever the network answers
        """Tensors with the batch axis first -> what the steps give.

        Raises:
            ModelError: a tensor has another shape than those the network was cut with.
        """
        # A copy of a part stands on its own: it runs the modules registered in it.
        network = self._network[0] if self._network else self
        if not torch._C._get_tracing_state():  # an exporter would read the comparison as a step
            shapes = tuple(tuple(tensor.shape[1:]) for tensor in given)
            expected = tuple(form.shape for form in self._takes)
            if shapes != expected:
                raise ModelError(
                    f"this part of {type(network).__name__} is given {_listed(shapes)}",
                    expected=f"{_listed(expected)}, for which the network was cut",
                )
        # The mode of the network, not of the part: `network.train()` does not reach a part that is not its child.
        program = self._programs["training" if network.training else "evaluation"]
        # Tensors with several rows an image (windows) travel as (B, rows, ...), because the store keeps one entry an
        # image.
        rows = [t.flatten(0, 1) if form.rows > 1 else t for t, form in zip(given, self._takes, strict=True)]
        output = program.run(network, rows, batch=given[0].shape[0])
        if not self._gives:
            return output
        by_image = zip(output, self._gives, strict=True)
        return tuple(t.unflatten(0, (-1, form.rows)) if form.rows > 1 else t for t, form in by_image)


class Taps(Part):
    """Images -> the pooled output of layer groups: {name: (B, F)}."""

    def forward(self, *given: Tensor) -> dict[str, Tensor]:
        """(B, C, H, W) -> {group: (B, F)}; where several tensors leave a group they stand side by side."""
        outputs: dict[str, list[Tensor]] = super().forward(*given)
        return {name: torch.cat([pooled(t) for t in tensors], dim=1) for name, tensors in outputs.items()}


def pooled(tensor: Tensor) -> Tensor:
    """One vector per image: (B, C, H, W) or (B, H, W, C) averaged over positions, (B, ..., C) over tokens."""
    if tensor.ndim == 4:
        return tensor.mean((1, 2)) if channel_axis(tuple(tensor.shape)) == 3 else tensor.mean((2, 3))
    return tensor.flatten(1, -2).mean(1) if tensor.ndim > 2 else tensor


def channel_axis(shape: tuple[int, ...]) -> int:
    """Where the channels are: 1 of (B, C, H, W), the last of (B, H, W, C), (B, ..., C) and (B, F).

    Two equal sides next to each other are a map of positions; where that leaves a choice, channels come first.
    """
    if len(shape) == 4:
        _, a, b, c = shape
        return 3 if a == b != c else 1
    return len(shape) - 1


def _names_in(program: Program) -> Iterator[str]:
    for _, step in program.steps:
        if isinstance(step.target, str):
            yield step.target
        yield from step.held()


def _listed(shapes: Sequence[tuple[int, ...] | None]) -> str:
    return ", ".join(f"(B, {', '.join(map(str, shape))})" if shape is not None else "?" for shape in shapes)
