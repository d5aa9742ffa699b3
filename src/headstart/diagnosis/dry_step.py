"""One training step on a copy of network, optimizer and scheduler: what it does tells more than flags."""

from __future__ import annotations

import copy
import inspect
import math
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from headstart.diagnosis.layers import is_weight_layer
from headstart.diagnosis.loaders import LoaderBatch
from headstart.diagnosis.setup import Setup

MOST_DRY_IMAGES = 16
"""In the dry step, at most."""


@dataclass
class DryStep:
    """What happened in one step on the copy; a field is empty where the step did not come so far."""

    images: Tensor | None = None
    labels: Tensor | None = None
    forward_error: str = ""
    outputs: Tensor | None = None
    """(B, K) or whatever the network gives."""
    auxiliary: tuple[Tensor, ...] = ()
    """Further outputs of the same shape: logits of auxiliary heads."""
    entered: Tensor | None = None
    """(B, C, H, W) input of the first layer with weights."""
    first_layer: str = ""
    """Path of that layer."""
    executed: tuple[str, ...] = ()
    """Paths of modules without children or with tensors of their own, in order of their first call."""
    moved_buffers: frozenset[str] = frozenset()
    """Names of buffers that changed in the forward pass in training mode."""
    differs_by_mode: frozenset[str] = frozenset()
    """Paths of norm layers whose output in this mode is not that of evaluation, for the same input."""
    loss: float | None = None
    loss_error: str = ""
    gradients: Mapping[str, float] = field(default_factory=dict)
    """Parameter -> L2 norm of its gradient; missing where it got none."""
    backward_done: bool = False
    relative_updates: Mapping[str, float] = field(default_factory=dict)
    """Parameter -> L2 norm of its change in a step at the peak learning rate, over its own norm."""
    moved_frozen: tuple[str, ...] = ()
    """Frozen parameters that the optimizer changed."""
    step_error: str = ""
    solid: Tensor | None = None
    """(4, C, H, W) what enters the first layer for black, white, red and blue images."""
    varies_inside: bool = False
    """Whether two passes of one batch enter the first layer with different values: augmentation inside the network."""
    copy_error: str = ""


def dry_step(
    setup: Setup, batch: LoaderBatch | None, *, solid: Tensor | None, peaks: Mapping[tuple[int, int], float]
) -> DryStep:
    """One step on a copy of the set-up.

    Args:
        setup: Copied; nothing of it changes.
        batch: Of the training loader; None: of noise.
        solid: (4, C, H, W) images of one colour.
        peaks: (optimizer, group) -> highest learning rate of the schedule.
    """
    found = DryStep()
    assert setup.model is not None
    try:
        model, optimizers = copied(setup.model, setup.optimizers)
    except Exception as error:  # a network that cannot be copied is left alone
        found.copy_error = f"the network cannot be copied ({type(error).__name__})"
        return found
    if setup.mode_set_by == "framework":
        model.train()
    _fill_zero_layers(model)
    device = next((one.device for one in model.parameters()), torch.device("cpu"))
    if batch is None:
        return found
    images = batch.images[:MOST_DRY_IMAGES].to(device)
    labels = None if batch.labels is None else batch.labels[:MOST_DRY_IMAGES].to(device)
    found.images, found.labels = images, labels
    _forward(found, model, images)
    if found.outputs is not None and not found.forward_error:
        _backward(found, model, setup.criterion, labels)
    if found.backward_done and optimizers:
        _update(found, model, optimizers, setup, peaks)
    if solid is not None and not found.forward_error:
        found.solid = _entering(model, solid.to(device))
    return found


def copied(model: nn.Module, optimizers: tuple[Any, ...]) -> tuple[nn.Module, tuple[Any, ...]]:
    """Network and optimizers, copied together; observers among the hooks are left out of the copy."""
    model_copy, optimizer_copies = copy.deepcopy((model, optimizers))
    for module in model_copy.modules():
        for hooks in (module._forward_hooks, module._backward_hooks):
            for key in [key for key, hook in hooks.items() if isinstance(hook, types.FunctionType)]:
                del hooks[key]  # a function may write into something of the user's
    return model_copy, optimizer_copies


def _fill_zero_layers(model: nn.Module) -> None:
    """A head that starts at zero sends no gradient to the backbone in the first step, and in no later one."""
    for module in model.modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, nn.Parameter) and is_weight_layer(module) and not bool(weight.any()):
            nn.init.normal_(weight, std=0.02)


@contextmanager
def _watched(model: nn.Module, found: DryStep) -> Iterator[None]:
    """Note the order of modules, what enters the first layer with weights, and what norms do, in one forward pass."""
    paths = {module: path for path, module in model.named_modules()}
    executed: list[str] = []
    handles = []

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        path = paths[module]
        if path not in executed:
            executed.append(path)
        if found.entered is None and is_weight_layer(module) and inputs and isinstance(inputs[0], Tensor):
            found.entered, found.first_layer = inputs[0].detach(), path

    for module, _ in paths.items():
        # timm's norms hold their activation as a child: what has tensors of its own counts too.
        holds = any(True for _ in module.parameters(recurse=False)) or any(True for _ in module.buffers(recurse=False))
        if holds or not any(True for _ in module.children()):
            handles.append(module.register_forward_pre_hook(before))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        found.executed = tuple(executed)


@contextmanager
def _norms_watched(model: nn.Module, differing: set[str]) -> Iterator[None]:
    """Note norm layers that give something else than in evaluation for the same input."""
    handles = []

    def watch(path: str) -> Callable[..., None]:
        def after(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
            if not inputs or not isinstance(output, Tensor):
                return
            mean, variance = module.running_mean, module.running_var
            shape = [1, -1] + [1] * (inputs[0].ndim - 2)
            epsilon = getattr(module, "eps", 1e-5)
            assert isinstance(mean, Tensor)
            assert isinstance(variance, Tensor)
            stored = (inputs[0] - mean.view(shape)) / (variance.view(shape) + epsilon).sqrt()
            weight, bias = module.weight, module.bias
            if isinstance(weight, Tensor) and isinstance(bias, Tensor):
                stored = stored * weight.view(shape) + bias.view(shape)
            if type(module).forward is nn.BatchNorm2d.forward and not torch.allclose(
                stored, output, rtol=0.05, atol=0.05
            ):
                differing.add(path)

        return after

    for path, module in model.named_modules():
        if isinstance(getattr(module, "running_mean", None), Tensor):
            handles.append(module.register_forward_hook(watch(path)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _forward(found: DryStep, model: nn.Module, images: Tensor) -> None:
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    differing: set[str] = set()
    try:
        with torch.enable_grad(), _watched(model, found), _norms_watched(model, differing):
            raw = model(images)
    except Exception as error:  # what the user's loop would raise is the finding
        found.forward_error = _last_line(error)
        return
    found.outputs = output_tensor(raw)
    found.auxiliary = _auxiliary(raw, found.outputs)
    found.differs_by_mode = frozenset(differing)
    found.moved_buffers = frozenset(
        name
        for name, buffer in model.named_buffers()
        if name in before and not torch.equal(buffer, before[name]) and not name.endswith("num_batches_tracked")
    )
    first = found.entered
    probe = DryStep()
    try:
        with torch.no_grad(), _watched(model, probe):
            model(images)
    except Exception:  # it ran a moment ago; without a second pass nothing is concluded
        return
    again = probe.entered
    found.varies_inside = first is not None and again is not None and not _same(first, again)


def _entering(model: nn.Module, images: Tensor) -> Tensor | None:
    """What enters the first layer with weights in evaluation mode; None where it is no image."""
    probe = DryStep()
    model.eval()
    try:
        with torch.no_grad(), _watched(model, probe):
            model(images)
    except Exception:  # nothing is concluded from images that the network does not take
        return None
    entered = probe.entered
    return entered if entered is not None and entered.ndim == 4 and len(entered) == len(images) else None


def output_tensor(raw: Any) -> Tensor | None:  # noqa: ANN401 - what networks return
    """Logits of what a network returns: a tensor, the first of a tuple, or `logits` of a record."""
    if isinstance(raw, Tensor):
        return raw
    logits = raw.get("logits") if isinstance(raw, Mapping) else getattr(raw, "logits", None)
    if isinstance(logits, Tensor):
        return logits
    values = list(raw.values()) if isinstance(raw, Mapping) else list(raw) if isinstance(raw, list | tuple) else []
    return next((one for one in values if isinstance(one, Tensor)), None)


def _auxiliary(raw: Any, outputs: Tensor | None) -> tuple[Tensor, ...]:  # noqa: ANN401 - what networks return
    if outputs is None or not isinstance(raw, list | tuple):
        return ()
    tensors = (one for one in raw if isinstance(one, Tensor) and one is not outputs)
    return tuple(one for one in tensors if one.shape == outputs.shape)


def _backward(found: DryStep, model: nn.Module, criterion: Any, labels: Tensor | None) -> None:  # noqa: ANN401
    outputs = found.outputs
    assert outputs is not None
    model.zero_grad(set_to_none=True)
    try:
        loss = _loss(outputs, labels, criterion)
    except Exception as error:
        found.loss_error = _last_line(error)
        loss = outputs.float().square().mean()  # gradients can still be examined
    found.loss = float(loss.detach()) if not found.loss_error else None
    for logits in found.auxiliary:  # their parameters get gradients from a loss of their own
        loss = loss + logits.float().square().mean()
    if not loss.requires_grad:
        return
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    except Exception as error:
        found.loss_error = found.loss_error or _last_line(error)
        return
    found.backward_done = True
    found.gradients = {
        name: float(one.grad.float().norm()) for name, one in model.named_parameters() if one.grad is not None
    }


def _loss(outputs: Tensor, labels: Tensor | None, criterion: Any) -> Tensor:  # noqa: ANN401
    if labels is None:
        return outputs.float().square().mean()
    if criterion is not None:
        criterion = copy.deepcopy(criterion) if isinstance(criterion, nn.Module) else criterion
        loss = criterion(outputs, labels)
        assert isinstance(loss, Tensor)
        return loss.sum()
    if outputs.ndim == 2 and labels.ndim == 1 and not labels.dtype.is_floating_point:
        inside = labels.long().clamp(0, outputs.shape[1] - 1)  # labels out of range are a finding of their own
        return nn.functional.cross_entropy(outputs.float(), inside)
    return outputs.float().square().mean()


def _update(
    found: DryStep,
    model: nn.Module,
    optimizers: tuple[Any, ...],
    setup: Setup,
    peaks: Mapping[tuple[int, int], float],
) -> None:
    assert setup.model is not None
    before = {name: one.detach().clone() for name, one in model.named_parameters()}
    # A copy of a parameter has no gradient: one that was left over in a frozen parameter is brought along.
    for (_, one), (_, original) in zip(model.named_parameters(), setup.model.named_parameters(), strict=True):
        if not original.requires_grad and original.grad is not None:
            one.grad = original.grad.detach().clone()
    factors = {}
    for number, optimizer in enumerate(optimizers):
        for index, group in enumerate(optimizer.param_groups):
            group["lr"] = peaks.get((number, index), group.get("lr", 0.0))
            momentum = group.get("momentum") or 0.0
            for one in group["params"]:
                # In its steady state momentum multiplies a step, which the first step does not show.
                factors[id(one)] = 1.0 if "betas" in group else 1.0 / max(1e-3, 1.0 - float(momentum))
        try:
            if len(inspect.signature(optimizer.step).parameters) and type(optimizer).__name__ == "LBFGS":
                found.step_error = "LBFGS needs a closure"
                continue
            optimizer.step()
        except Exception as error:
            found.step_error = _last_line(error)
    updates, frozen = {}, []
    for name, one in model.named_parameters():
        size = float(before[name].float().norm())
        change = float((one.detach() - before[name]).float().norm())
        if change > 0 and not one.requires_grad:
            frozen.append(name)
        if size > 0 and math.isfinite(change):
            updates[name] = change / size * factors.get(id(one), 1.0)
    found.relative_updates, found.moved_frozen = updates, tuple(frozen)


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:200]
