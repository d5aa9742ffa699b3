"""One forward pass of a network as steps, recorded while it runs.

The network is really run, so whatever its forward decides in plain Python is decided as always: no proxy stands in
for a tensor. Modules that are named as leaves are recorded as one call each; everything around them as torch
functions. Two passes with batches of different sizes tell which whole numbers belong to the batch; numbers that are
equal in both belong to the size of the images, and stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from headstart.engine.prefix.program import (
    IMAGES,
    Constant,
    Held,
    PerImage,
    SameDevice,
    Step,
    Template,
    Value,
    mapped,
    same_device,
    tensors_in,
)

Mode = Literal["evaluation", "training"]

MODES: tuple[Mode, ...] = ("evaluation", "training")

BATCHES = (2, 3)
"""Images in the two passes. One image alone would be ambiguous: networks may skip expanding to a batch of one."""

_READ_A_VALUE = frozenset(
    ("item", "tolist", "numpy", "__bool__", "__int__", "__float__", "__index__", "__complex__", "is_nonzero", "equal")
)
"""Names of functions by which Python reads what a tensor holds."""

_PLAIN = (type(None), bool, int, float, complex, str, torch.dtype, torch.memory_format, torch.layout, type(Ellipsis))


class Untraceable(Exception):  # noqa: N818 - a reason, not a fault of the network
    """Why the steps of a network cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Form:
    """What is the same of a tensor for every batch."""

    shape: tuple[int, ...] | None
    """Of one image, without the batch axis; None where the first axis does not grow with the batch."""
    dtype: torch.dtype
    channels_last: bool
    """Whether (B, C, H, W) lies in memory as (B, H, W, C)."""
    rows: int = 1
    """Rows of the first axis that an image has (windows side by side); where they are many, `shape` begins with it."""


@dataclass(frozen=True)
class Trace:
    """A whole forward pass."""

    steps: tuple[Step, ...]
    output: Template
    forms: Mapping[Value, Form]
    """Of every tensor that a step gives."""


@dataclass
class _Known:
    tensor: Tensor
    value: Value
    version: int


class _Recorder(TorchFunctionMode):
    """Writes down calls while a network runs."""

    def __init__(self, network: nn.Module, images: Tensor) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self.outputs: dict[Value, Tensor] = {Value(IMAGES, 0): images}
        self.inside = 0
        self._known = {id(images): _Known(images, Value(IMAGES, 0), images._version)}
        self._held = {id(tensor): Held(name) for name, tensor in network.named_parameters()}
        self._parameters = {held.path for held in self._held.values()}
        self._fixed = {id(tensor): Held(name) for name, tensor in network.named_buffers()}
        self._moving = {IMAGES}
        """Steps whose outputs depend on images or on parameters."""
        self._device = images.device

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's protocol
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - torch's protocol
        kwargs = kwargs or {}
        # Inside a leaf module everything is one step, so functions in it are not recorded again.
        if self.inside:
            return func(*args, **kwargs)
        # Iteration does not pass through the protocol for its items: as an unbind its outputs are recorded.
        if func is Tensor.__iter__:
            return iter(self.called(Tensor.unbind, args, kwargs))
        return self.called(func, args, kwargs)

    def called(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401
        """Run a torch function and write it down if it gives or changes tensors."""
        # Arguments that cannot be written down only matter if a tensor comes out of it; `isinstance`-like helpers may
        # take anything.
        reason = None
        try:
            step = Step(func, self.marked(args), self.marked(kwargs))
        except Untraceable as error:
            step, reason = Step(func, (), {}), error
        # A branch on pixel values would be frozen into the program as this one image took it.
        if getattr(func, "__name__", "") in _READ_A_VALUE and self._moves(step):
            raise Untraceable(f"forward decides by what a tensor holds ({func.__name__})")
        result = func(*args, **kwargs)
        # Versions of tensors are compared after the call: torch counts every in-place change, also through views.
        touched = self._touched()
        if reason is not None and (tensors_in(result) or touched):
            raise reason
        return self.written(step, result, touched) if tensors_in(result) or touched else result

    def marked(self, value: Any) -> Template:  # noqa: ANN401 - any argument
        """Arguments as a template."""

        def mark(leaf: Any) -> Any:  # noqa: ANN401 - any argument
            if isinstance(leaf, Tensor):
                return self._mark(leaf)
            # The device of the batch is a mark, so that a program recorded on the CPU runs on a GPU.
            if same_device(leaf, self._device):
                return SameDevice()
            if isinstance(leaf, (*_PLAIN, torch.device)):
                return leaf
            raise Untraceable(f"{type(leaf).__name__} is passed between layers")

        return mapped(value, mark)

    def _mark(self, tensor: Tensor) -> Value | Held | Constant:
        key = id(tensor)
        if key in self._known:
            return self._known[key].value
        # Parameters and buffers are written down by name, so that training, moving or replacing them reaches the
        # program.
        return self._held.get(key) or self._fixed.get(key) or Constant(tensor)

    def written(self, step: Step, result: Any, touched: tuple[Value, ...]) -> Any:  # noqa: ANN401 - any result
        """Its result once a step has run and is noted: `result` with every tensor an object of its own.

        A layer that does nothing here (dropout in evaluation) returns what it was given. Without a fresh object for
        it, what uses the one and what uses the other could not be distinguished.
        """
        number = len(self.steps)
        if self._moves(step):
            self._moving.add(number)
        changed = {id(known.tensor) for known in self._known.values() if known.value in touched}
        seen = {id(t) for t in tensors_in(result)} & (self._known.keys() | self._held.keys() | self._fixed.keys())
        if seen - changed:
            # Detached views share memory with what they stand for, so in-place changes still reach both.
            result = mapped(
                result, lambda leaf: leaf.detach() if isinstance(leaf, Tensor) and id(leaf) in seen - changed else leaf
            )
        self.steps.append(replace(step, touched=touched))
        # After an in-place change the tensor is a new value: later steps must depend on the step that changed it.
        again = [known.tensor for value in touched for known in self._known.values() if known.value == value]
        for index, tensor in enumerate([*tensors_in(result), *again]):
            self._known[id(tensor)] = _Known(tensor, Value(number, index), tensor._version)
            # Keeping the tensors alive keeps their `id` unique; a freed tensor's id may be given to a new one.
            self.outputs[Value(number, index)] = tensor
        return result

    def _moves(self, step: Step) -> bool:
        return (
            # A module counts as moving even without images: leaves may hold state of their own.
            isinstance(step.target, str)
            or any(value.step in self._moving for value in step.values())
            or any(path in self._parameters for path in step.held())
        )

    def _touched(self) -> tuple[Value, ...]:
        """Tensors that were changed in place since the last step, themselves or through a view."""
        return tuple(known.value for known in self._known.values() if known.tensor._version != known.version)

    @contextmanager
    def leaves(self, modules: Mapping[nn.Module, str]) -> Iterator[None]:
        """Record calls of these modules as one step each."""
        begun: list[Step] = []

        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self.inside += 1
            # Only the outermost leaf is a step; leaves inside leaves belong to it.
            if self.inside == 1:
                # Arguments are marked before the module runs: in place, it may change them.
                begun.append(Step(modules[module], self.marked(args), self.marked(kwargs)))

        def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:  # noqa: ANN401
            if self.inside == 1:
                result = self.written(begun.pop(), result, self._touched())
            self.inside -= 1
            return result

        with ExitStack() as hooks:
            for module in modules:
                hooks.callback(module.register_forward_pre_hook(before, with_kwargs=True).remove)
                hooks.callback(module.register_forward_hook(after, with_kwargs=True).remove)
            yield


@dataclass(frozen=True)
class _Pass:
    batch: int
    steps: tuple[Step, ...]
    output: Template
    outputs: Mapping[Value, Tensor]


def trace_modes(network: nn.Module, leaves: Mapping[nn.Module, str], example: Tensor) -> dict[Mode, Trace]:
    """The steps in evaluation and in training; one and the same trace where they do not differ.

    Leaves are in evaluation mode in both, so that nothing moves: only what stands between them can differ.

    Args:
        network: Maps images to an output. As before afterwards.
        leaves: Modules that are one step each, and all inside them -> their path.
        example: (B, C, H, W); only its shape, type and device count.

    Raises:
        Untraceable: the steps cannot be recorded, or depend on more than the size of the images and of the batch.
    """
    with still(network):
        evaluation = [_one_pass(network, leaves, example, batch) for batch in BATCHES]
        evaluated = _joined(*evaluation)
        for module in network.modules():
            # Only containers are in training mode: leaves in evaluation neither draw random numbers nor move
            # BatchNorm's statistics.
            module.training = module not in leaves
        training = _one_pass(network, leaves, example, BATCHES[0])
        # Most networks have one forward for both modes; then the cut needs one set of levels only.
        if _same(evaluation[0], training):
            return dict.fromkeys(MODES, evaluated)
        again = _one_pass(network, leaves, example, BATCHES[1])
        return {"evaluation": evaluated, "training": _joined(training, again)}


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, without gradients and without a trace in the random generators."""
    modes = {module: module.training for module in network.modules()}
    devices = sorted({t.device.index for t in network.parameters() if t.device.type == "cuda"})
    network.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        network.train()  # networks that cache derived tensors in evaluation mode let go of them here
        for module, mode in modes.items():
            module.training = mode


def sample(example: Tensor, batch: int) -> Tensor:
    """Noise of the shape, type, device and layout of the example, always the same for a number of images."""
    # Seeded by the number of images, so that both passes of a batch size see the same images.
    generator = torch.Generator().manual_seed(batch)
    images = torch.randn(batch, *example.shape[1:], generator=generator).to(example.device, example.dtype)
    # The layout decides which kernels run, and kernels round differently.
    return images.contiguous(memory_format=torch.channels_last) if _channels_last(example) else images


def _one_pass(network: nn.Module, leaves: Mapping[nn.Module, str], example: Tensor, batch: int) -> _Pass:
    images = sample(example, batch)
    recorder = _Recorder(network, images)
    with recorder.leaves(leaves), recorder:
        output = network(images)
    return _Pass(batch, tuple(recorder.steps), recorder.marked(output), recorder.outputs)


def _joined(first: _Pass, second: _Pass) -> Trace:
    """One trace for every batch, from two passes."""
    if len(first.steps) != len(second.steps) or first.outputs.keys() != second.outputs.keys():
        raise Untraceable("forward takes other steps for other images")
    sizes = (first.batch, second.batch)
    steps = tuple(_joined_step(a, b, sizes) for a, b in zip(first.steps, second.steps, strict=True))
    forms = {value: _form(t, second.outputs[value], sizes) for value, t in first.outputs.items()}
    return Trace(steps, joined_templates(first.output, second.output, sizes), forms)


def _joined_step(a: Step, b: Step, sizes: tuple[int, int]) -> Step:
    if a.target != b.target or a.touched != b.touched:
        raise Untraceable("forward takes other steps for other images")
    args, kwargs = joined_templates(a.args, b.args, sizes), joined_templates(a.kwargs, b.kwargs, sizes)
    return Step(a.target, args, kwargs, a.touched)


def joined_templates(a: Template, b: Template, sizes: tuple[int, int]) -> Template:
    """Two templates of the same call as one; whole numbers in the ratio of the batch sizes become `PerImage`.

    Raises:
        Untraceable: they differ in another way.
    """
    if isinstance(a, (tuple, list)) and type(a) is type(b) and len(a) == len(b):
        items = [joined_templates(x, y, sizes) for x, y in zip(a, b, strict=True)]
        if isinstance(a, list):
            return items
        return type(a)(*items) if hasattr(a, "_fields") else tuple(items)
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return {key: joined_templates(a[key], b[key], sizes) for key in a}
    if isinstance(a, slice) and isinstance(b, slice):
        return slice(*joined_templates((a.start, a.stop, a.step), (b.start, b.stop, b.step), sizes))
    if isinstance(a, Constant) and isinstance(b, Constant):
        # Equality of the tensors' values: a table made outside torch's functions (from numpy) is the same in both
        # passes.
        if a.tensor.shape == b.tensor.shape and torch.equal(a.tensor, b.tensor):
            return a
        raise Untraceable("a tensor between the layers is made outside of torch's functions")
    # Numbers equal in both passes belong to the image size or the network; `a != a` is NaN, which equals nothing.
    if type(a) is type(b) and (a == b or a != a):  # not a number
        return a
    # What grows as the batch does is the batch's: 2 -> 3 images, 2k -> 3k.
    if type(a) is int and type(b) is int and a % sizes[0] == 0 and a * sizes[1] == b * sizes[0]:
        return PerImage(a // sizes[0])
    raise Untraceable(f"forward computes {a} for {sizes[0]} images and {b} for {sizes[1]}")


def _same(a: _Pass, b: _Pass) -> bool:
    """Whether two passes with equally many images took the same steps."""
    try:
        return len(a.steps) == len(b.steps) and _joined(a, b) is not None
    except Untraceable:
        return False


def _form(a: Tensor, b: Tensor, sizes: tuple[int, int]) -> Form:
    rows = a.shape[0] // sizes[0] if a.ndim else 0
    by_image = (
        rows > 0 and (a.shape[0], b.shape[0]) == (rows * sizes[0], rows * sizes[1]) and a.shape[1:] == b.shape[1:]
    )
    if not by_image:
        return Form(None, a.dtype, _channels_last(a), 0)
    return Form(tuple(a.shape[1:]) if rows == 1 else (rows, *a.shape[1:]), a.dtype, _channels_last(a), rows)


def _channels_last(tensor: Tensor) -> bool:
    return (
        # A tensor of one channel is contiguous in both layouts; it then counts as the ordinary one.
        tensor.ndim == 4
        and tensor.is_contiguous(memory_format=torch.channels_last)
        and not (tensor.is_contiguous() and tensor.shape[1] > 1)
    )
