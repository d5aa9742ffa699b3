"""A part of a network's forward pass as a list of steps, run with the network's own modules.

A step calls a module of the network or a torch function. What it is called with is a template: the structure of its
arguments with a mark wherever the value belongs to the batch, to the network or to the machine. Modules, parameters
and buffers are looked up in the network at every call, so that training, freezing, moving to a GPU and exchanging the
head all reach the steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

Template: TypeAlias = Any
"""Arguments or an output: tuples, lists, dicts and slices of marks and of plain values."""


@dataclass(frozen=True, slots=True)
class Value:
    """Mark: a tensor that an earlier step gave."""

    step: int
    """IMAGES for what the network is given."""
    index: int


IMAGES = -1


@dataclass(frozen=True, slots=True)
class Held:
    """Mark: a parameter or buffer of the network."""

    path: str


@dataclass(frozen=True, slots=True)
class PerImage:
    """Mark: a whole number that grows with the batch."""

    factor: int


@dataclass(frozen=True, slots=True)
class SameDevice:
    """Mark: the device that the batch lies on."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """Mark: a tensor that is neither the network's parameter or buffer nor made from the batch."""

    tensor: Tensor

    def __repr__(self) -> str:
        return f"Constant({tuple(self.tensor.shape)}, {self.tensor.flatten().tolist()})"


@dataclass(frozen=True, slots=True)
class Step:
    """One call."""

    target: str | Callable[..., Any]
    """Path of a module in the network, or a torch function."""
    args: Template
    kwargs: Template
    touched: tuple[Value, ...] = ()
    """Tensors that it changes in place. They become its outputs too, after those that it returns."""

    def values(self) -> Iterator[Value]:
        """Tensors of earlier steps that it needs."""
        yield from (mark for mark in marks((self.args, self.kwargs)) if isinstance(mark, Value))
        yield from self.touched

    def held(self) -> Iterator[str]:
        """Parameters and buffers that it is called with by name."""
        yield from (mark.path for mark in marks((self.args, self.kwargs)) if isinstance(mark, Held))


def mapped(template: Template, change: Callable[[Any], Any]) -> Template:
    """The same structure with every leaf changed. A size or another kind of tuple becomes a plain one."""
    if isinstance(template, tuple):
        items = [mapped(item, change) for item in template]
        # Named tuples are made from their fields one by one, plain ones from a sequence.
        return type(template)(*items) if hasattr(template, "_fields") else tuple(items)
    if isinstance(template, list):
        return [mapped(item, change) for item in template]
    if isinstance(template, dict):
        return {key: mapped(item, change) for key, item in template.items()}
    if isinstance(template, slice):
        return slice(*(mapped(item, change) for item in (template.start, template.stop, template.step)))
    return change(template)


def marks(template: Template) -> list[Any]:
    """All leaves of a template, in order."""
    found: list[Any] = []
    mapped(template, found.append)
    return found


def tensors_in(value: Template) -> list[Tensor]:
    """All tensors in a structure, in order."""
    return [leaf for leaf in marks(value) if isinstance(leaf, Tensor)]


@dataclass(frozen=True, eq=False)
class Program:
    """Steps from some tensors to others."""

    inputs: tuple[Value, ...]
    """What it is given, in order; the first one lies where the work is to be done."""
    steps: tuple[tuple[int, Step], ...]
    """Number and step, in order."""
    output: Template
    copied: frozenset[Value] = frozenset()
    """Inputs that are copied on entry, because a step changes them in place and they are the caller's."""
    _done_with: tuple[tuple[Value, ...], ...] = field(init=False)

    def __post_init__(self) -> None:
        # Found once here, not at every run.
        object.__setattr__(self, "_done_with", _last_uses(self.inputs, self.steps, self.output))

    def __deepcopy__(self, memo: dict[int, Any]) -> Program:
        """Programs never change and name everything of the network by path: a copied part shares them."""
        return self

    def run(self, network: nn.Module, given: Sequence[Tensor], *, batch: int | None = None) -> Template:
        """Run the steps with the modules, parameters and buffers that `network` has now.

        Args:
            network: Whose steps they are.
            given: The inputs.
            batch: Images in the batch; None takes the length of the first input.
        """
        known = {
            value: tensor.clone() if value in self.copied else tensor
            for value, tensor in zip(self.inputs, given, strict=True)
        }
        images = given[0].shape[0] if batch is None else batch
        device = given[0].device

        def filled(mark: Any) -> Any:  # noqa: ANN401 - any argument of any function
            if isinstance(mark, Value):
                return known[mark]
            if isinstance(mark, Held):
                # Looked up by path at every run: a head exchanged after the cut is the one that runs.
                owner, _, name = mark.path.rpartition(".")
                return getattr(network.get_submodule(owner), name)
            if isinstance(mark, PerImage):
                return mark.factor * images
            if isinstance(mark, SameDevice):
                return device
            # Constants are moved with the batch; they are small, and the device is only known now.
            return mark.tensor.to(device) if isinstance(mark, Constant) else mark

        for (number, step), done_with in zip(self.steps, self._done_with, strict=True):
            target = network.get_submodule(step.target) if isinstance(step.target, str) else step.target
            result = target(*mapped(step.args, filled), **mapped(step.kwargs, filled))
            # In-place changes make no new tensor: the changed input is also the step's output, under its new name.
            outputs = tensors_in(result) + [known[value] for value in step.touched]
            known.update((Value(number, index), tensor) for index, tensor in enumerate(outputs))
            for value in done_with:  # so that memory falls as it does in the network's own forward
                known.pop(value, None)
        return mapped(self.output, filled)


def _last_uses(
    inputs: Sequence[Value], steps: Sequence[tuple[int, Step]], output: Template
) -> tuple[tuple[Value, ...], ...]:
    """For each step the values that nothing needs after it."""
    last: dict[Value, int] = {}
    for position, (_, step) in enumerate(steps):
        last.update(dict.fromkeys(step.values(), position))
    # What the output contains must live until the end.
    kept = {mark for mark in marks(output) if isinstance(mark, Value)}
    return tuple(
        tuple(value for value, used in last.items() if used == position and value not in kept)
        for position in range(len(steps))
    )


def same_device(value: object, device: torch.device) -> bool:
    """Whether an argument names the device."""
    return isinstance(value, torch.device) and value == device
