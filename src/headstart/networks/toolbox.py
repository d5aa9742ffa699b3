"""Freezing, learning rates and BatchNorm for a training loop of the user's own, on any torch network.

groups = headstart.layer_groups(model)
headstart.freeze(model, groups, train=["layer4"])  # layer4 and the head
headstart.batch_norm(model, groups, "pretrained_statistics")
optimizer = torch.optim.AdamW(headstart.param_groups(model, groups, head=1e-3, backbone=1e-4))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, Literal, get_args

from torch import nn

from headstart.arguments import ArgumentError, one_of, real_number
from headstart.errors import ModelError
from headstart.knowledge.transfer import depth_of
from headstart.networks.groups import layers
from headstart.networks.groups.grouping import layer_groups
from headstart.networks.groups.layers import Affine, LayerGroup, check_names
from headstart.plan.sections import BatchNormPolicy

HeadTraining = Literal["trained", "frozen"]


def freeze(
    model: nn.Module,
    groups: Sequence[LayerGroup] | None = None,
    *,
    train: Iterable[str] | str | int,
    head: HeadTraining = "trained",
) -> tuple[str, ...]:
    """Make some layer groups trainable and freeze all others: their parameters get no gradient.

    This stops gradients, not BatchNorm's running statistics: see `batch_norm`, which follows every call of this. An
    optimizer holds the parameters it was built from: after unfreezing, build it again from `param_groups`.

    Args:
        model: Any network.
        groups: From `layer_groups`; None finds them.
        train: Names of layer groups, or how many backbone groups are trainable, counted from the last stage. The head
            is trainable besides, named or not: a new head has random weights, and frozen it would stay random.
        head: frozen is for a head that was trained before; it then must not be named in `train`.

    Returns:
        Names of the trainable groups, stem to head.

    Raises:
        ModelError: no such group, more than there are, or groups of another network.
        ArgumentError: an argument is no network, no names, or no such word.
    """
    found = _groups_of(model, groups)
    one_of("head", head, get_args(HeadTraining))
    names = _trainable_names(found, train, head)
    layers.freeze(model, found, trained=names)
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.grad = None  # with a gradient left over, momentum and weight decay would go on moving it
    if handle := _handle_of(model):
        handle.forget()
    return names


def _trainable_names(groups: Sequence[LayerGroup], train: Iterable[str] | str | int, head: str) -> tuple[str, ...]:
    """Names of the trainable groups, stem to head.

    Raises:
        ModelError: no such group, or more than there are.
        ArgumentError: neither names nor a count; a head that is to be both.
    """
    *backbone, last = [group.name for group in groups]
    own = [last] if head == "trained" else []
    if isinstance(train, Integral) and not isinstance(train, bool):
        count = int(train)
        if not 0 <= count <= len(backbone):
            raise ModelError(f"{count} backbone groups cannot be trained", expected=f"0..{len(backbone)}")
        return (*backbone[len(backbone) - count :], *own)
    asked = [train] if isinstance(train, str) else train
    if isinstance(asked, bool | Mapping) or not isinstance(asked, Iterable):
        raise ArgumentError(f"train={train!r} is not valid", expected="names of layer groups, or how many")
    asked = list(asked)
    if odd := [name for name in asked if not isinstance(name, str)]:
        raise ArgumentError(f"train holds {odd[0]!r:.60}", expected=f"names: some of {', '.join((*backbone, last))}")
    if head == "frozen" and last in asked:
        raise ArgumentError(f"train names {last!r}, and head='frozen' freezes it", remedy="leave one of them out")
    return check_names([*asked, *own], groups)


def _groups_of(model: nn.Module, groups: Sequence[LayerGroup] | None) -> tuple[LayerGroup, ...]:
    """Groups of this network, found if None.

    Raises:
        ModelError: they are those of another network.
        ArgumentError: no network, or no groups.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"model is {type(model).__name__} {model!r:.60}", expected="a torch network (nn.Module)")
    if groups is None:
        return layer_groups(model)
    found = tuple(groups) if isinstance(groups, Iterable) and not isinstance(groups, str) else ()
    if len(found) < 2 or not all(isinstance(group, LayerGroup) for group in found):
        raise ArgumentError(f"groups={groups!r:.60} is not valid", expected="what headstart.layer_groups(model) gives")
    names = [name for name, _ in layers.named_tensors(model)]
    owners = layers.owner_by_path(names, found)
    missing = [name for name in names if name not in owners]
    paths = {name for name, _ in model.named_modules()} | {*names, *model.state_dict(keep_vars=True)}
    unknown = [member for group in found for member in group.members if member not in paths]
    if missing or unknown:
        which = f"they lack {missing[0]}" if missing else f"it has no {unknown[0]}"
        raise ModelError(
            f"the layer groups are not those of this network: {which}",
            remedy="headstart.layer_groups(model) finds them",
        )
    return found


class BatchNormHandle:
    """Keeps BatchNorm in the modes of its policy until `remove()`."""

    def __init__(self, model: nn.Module, groups: Sequence[LayerGroup], policy: BatchNormPolicy, affine: Affine) -> None:
        """Apply the policy; scale and shift that it freezes have no gradient from now on."""
        self._model, self._groups = model, groups
        self._policy, self._affine = policy, affine
        self._held: set[str] = set()
        """Parameters that would be trainable, were it not for this policy."""
        self._hold()
        self._hook = model.register_forward_pre_hook(self._before_forward)

    def remove(self) -> None:
        """End the policy; what it froze is trainable again. Modes stay until the next `train()` or `eval()`."""
        self._hook.remove()
        for name, parameter in self._model.named_parameters():
            if name in self._held:
                parameter.requires_grad = True
        self._held.clear()

    def forget(self) -> None:
        """Forget frozen parameters: `freeze` has just set all of them."""
        self._held.clear()
        self._hold()

    def _before_forward(self, model: nn.Module, inputs: Any) -> None:  # noqa: ANN401 - any forward
        del inputs
        if not model.training:
            return
        trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        owners = layers.owner_by_path(trainable | self._held, self._groups)
        self._hold()
        layers.set_batch_norm(
            model, self._groups, policy=self._policy, affine=self._affine, trained=set(owners.values())
        )

    def _hold(self) -> None:
        """Freeze scale and shift of every BatchNorm where the policy says so, and remember which were trainable."""
        if self._policy != "adapt_statistics" and self._affine != "frozen":
            return
        for path, module in self._model.named_modules():
            if layers.is_batch_norm(module):
                for name, parameter in module.named_parameters(recurse=False):
                    if parameter.requires_grad:
                        self._held.add(f"{path}.{name}" if path else name)
                        parameter.requires_grad, parameter.grad = False, None


def batch_norm(
    model: nn.Module,
    groups: Sequence[LayerGroup] | None = None,
    policy: BatchNormPolicy = "pretrained_statistics",
    *,
    affine: Affine = "trained",
) -> BatchNormHandle:
    """Keep BatchNorm, and all modules of frozen groups, in the mode that the policy names, on every step.

    A plain `model.eval()` of some layers is undone by the next `model.train()`; this one is not: modes are set again
    before each forward pass in training mode. In evaluation mode nothing is touched. Which groups are trainable is
    looked up each time (those with a parameter that requires a gradient), so a later `freeze` is followed. A second
    call takes the place of the first.

    Args:
        model: Any network.
        groups: From `layer_groups`; None finds them.
        policy: pretrained_statistics: no running buffer moves, training normalises as evaluation does.
            adapt_statistics: buffers move, affine weights are frozen. train: BatchNorm of trainable groups normalises
            by batch and moves, that of frozen groups does not.
        affine: Whether scale and shift of BatchNorm in trainable groups are trained or frozen.

    Returns:
        A handle; its `remove()` ends it.

    Raises:
        ModelError: groups of another network.
        ArgumentError: an argument is no network, or no such policy or word.
    """
    one_of("policy", policy, get_args(BatchNormPolicy))
    one_of("affine", affine, get_args(Affine))
    found = _groups_of(model, groups)
    if handle := _handle_of(model):
        handle.remove()
    return BatchNormHandle(model, found, policy, affine)


def _handle_of(model: nn.Module) -> BatchNormHandle | None:
    """Handle of this network; found among its hooks, so that copies of a network have their own."""
    owners = (getattr(hook, "__self__", None) for hook in model._forward_pre_hooks.values())
    return next((owner for owner in owners if isinstance(owner, BatchNormHandle)), None)


def param_groups(
    model: nn.Module,
    groups: Sequence[LayerGroup] | None = None,
    lrs: Mapping[str, float] | None = None,
    *,
    head: float = 1e-3,
    backbone: float | Literal["by_depth"] = 1e-4,
    decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Optimizer groups with a learning rate each: one a layer group, named, with only the trainable parameters.

    The learning rate stands in `lr` itself, so that every scheduler of torch scales it; nothing else is needed.

    Args:
        model: Any network; call `freeze` before, which decides what is trainable.
        groups: From `layer_groups`; None finds them.
        lrs: Name of a trainable group -> learning rate; overrides what follows.
        head: Learning rate of the head, > 0.
        backbone: That of the last backbone group, > 0; "by_depth" takes the textbook's at each relative depth.
        decay: Each group before the last has the learning rate of the one after it times this, in (0, 1]: 0.75 or 0.9
            at block grain, 1 / 2.6 (ULMFiT) at stage grain. Not with "by_depth".

    Returns:
        Parameter groups for torch's optimizers: [{"params", "lr", "name"}, ...], stem to head.

    Raises:
        ModelError: a learning rate names no group, or a frozen one; nothing is trainable; groups of another network.
        ArgumentError: a learning rate that is none, or no such word.
    """
    found = _groups_of(model, groups)
    given = _checked_lrs(lrs, found)
    *stages, last = found
    planned = {last.name: real_number("head", head, above=0)}
    by_depth = isinstance(backbone, str) and one_of("backbone", backbone, ("by_depth",)) == "by_depth"
    real_number("decay", decay, above=0, most=1)
    if by_depth and decay != 1:
        raise ArgumentError(f"decay={decay:g} has no effect with backbone='by_depth'", remedy="leave one of them out")
    top = 0.0 if by_depth else real_number("backbone", backbone, above=0)
    for position, group in enumerate(stages):
        planned[group.name] = (
            depth_of(position, len(stages)).lr if by_depth else top * decay ** (len(stages) - 1 - position)
        )
    made = layers.param_groups(model, found, {**planned, **given})
    if not made:
        raise ModelError("no parameter of the network is trainable", remedy="call headstart.freeze(model, train=...)")
    frozen = [name for name in given if name not in {group["name"] for group in made}]
    if frozen:
        raise ModelError(
            f"lrs names {frozen[0]!r}, which is frozen", remedy="make it trainable with freeze, or leave it out"
        )
    return made


def _checked_lrs(lrs: Mapping[str, float] | None, groups: Sequence[LayerGroup]) -> dict[str, float]:
    if lrs is None:
        return {}
    if not isinstance(lrs, Mapping):
        raise ArgumentError(f"lrs={lrs!r:.60} is not valid", expected="a mapping: name of a group -> learning rate")
    check_names(lrs, groups)
    return {name: real_number(f"lrs[{name!r}]", lr, above=0) for name, lr in lrs.items()}
