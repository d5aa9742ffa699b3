"""Layer groups of a network: from torchvision's table, timm's matchers, or the order of execution.

Three sources give a draft: a label for each parameter and buffer, in order. All drafts are finished in the same
way: classifier layers become the head, norms and convolutions before them stay with the last stage, layers without
tensors go with their neighbours, and long flat lists are merged at stage grain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import get_args

from torch import Tensor, nn

from headstart.arguments import ArgumentError, one_of
from headstart.errors import ModelError
from headstart.networks.groups.layers import LayerGroup, assert_partition, named_tensors
from headstart.networks.groups.order import execution_draft, output_positions
from headstart.networks.groups.timm import timm_draft
from headstart.networks.groups.torchvision import torchvision_draft
from headstart.networks.head_layers import HeadSite
from headstart.networks.heads import head_sites
from headstart.plan.sections import Grain

HEAD = "head"

MOST_STAGES = 9
"""A stage-grain draft with more groups between stem and head is a flat list of blocks and is merged."""

FEWEST_STAGES = 4
"""Least number of stages after a merge, stem included; otherwise quarters."""

Draft = list[tuple[str, list[str]]]
"""(label, tensor names) stem to last stage, in the order in which forward meets them."""


def layer_groups(
    network: nn.Module,
    *,
    grain: Grain = "stage",
    example: Tensor | None = None,
    sites: Sequence[HeadSite] | None = None,
) -> tuple[LayerGroup, ...]:
    """Ordered groups of any network, stem to head; together they hold each parameter and buffer exactly once.

    Args:
        network: A torchvision or timm classification network, or any torch module that maps images to logits.
        grain: stage gives a handful (a ResNet: stem, layer1-4, head; a ViT: embedding, four quarters, head); block
            gives every residual block or layer of its own.
        example: (B, C, H, W) images that the network takes. Only needed for networks of neither library that do not
            take (1, 3, 224, 224); their order is read from a forward pass without computing (meta device).
        sites: New layers, if known; found if None, and then only the last layer of a head of several.

    Raises:
        ModelError: there is no classifier layer, or a forward pass that is needed fails.
        ArgumentError: an argument is no network, no such grain, or no images.
    """
    if not isinstance(network, nn.Module):
        raise ArgumentError(f"network is {type(network).__name__} {network!r:.60}", expected="a torch nn.Module")
    one_of("grain", grain, get_args(Grain))
    if example is not None and (not isinstance(example, Tensor) or example.ndim != 4):
        kind = f"a tensor of shape {tuple(example.shape)}" if isinstance(example, Tensor) else type(example).__name__
        raise ArgumentError(f"example is {kind}", expected="a tensor of images (B, C, H, W)")
    sites = head_sites(network) if sites is None else sites
    draft = _draft(network, grain, example)
    draft = _with_head(draft, network, sites)
    if grain == "stage" and len(draft) - 2 > MOST_STAGES:
        draft = _merged(network, draft, example)
    groups = _finished(network, draft)
    assert_partition(network, groups)
    return groups


def _draft(network: nn.Module, grain: Grain, example: Tensor | None) -> Draft:
    sources: tuple[Callable[[], Draft | None], ...] = (
        lambda: torchvision_draft(network, grain),
        lambda: timm_draft(network, grain),
        lambda: execution_draft(network, grain, example),
    )
    for source in sources:
        found = source()
        if found is not None:
            return found
    raise ModelError(f"no layer groups for {type(network).__name__}")


def _with_head(draft: Draft, network: nn.Module, sites: Sequence[HeadSite]) -> Draft:
    """Take the classifier layers, and whole auxiliary branches, out of the draft and put them last."""
    roots = [_head_root(site, sites) for site in sites]

    def in_head(name: str) -> bool:
        return any(name == root or name.startswith(f"{root}.") for root in roots)

    # Drafts hold the classifier too; an auxiliary branch may lie in the middle of one (GoogLeNet's aux1).
    held = {name for _, names in draft for name in names}
    head = [name for name, _ in named_tensors(network) if in_head(name)]
    rest = [(label, [name for name in names if not in_head(name)]) for label, names in draft]
    rest = [(label, names) for label, names in rest if names]
    # A tensor that no draft has would be neither frozen nor trained on purpose.
    strays = [name for name, _ in named_tensors(network) if name not in held and not in_head(name)]
    if strays:
        raise ModelError(f"the layer groups of {type(network).__name__} lack {strays[0]}")
    return [*rest, (HEAD, head)]


def _head_root(site: HeadSite, sites: Sequence[HeadSite]) -> str:
    """Path of all that belongs to the head.

    The classifier layer; of an auxiliary branch all of it; where several classifiers stand side by side, the norm of
    each with it.
    """
    if site.role == "auxiliary":
        return site.path.split(".")[0]
    # One classifier shares its norm with the last stage; of several, each has a norm that nothing else reads.
    several = sum(other.role == "main" for other in sites) > 1
    return site.path.rpartition(".")[0] or site.path if several else site.path


def _merged(network: nn.Module, draft: Draft, example: Tensor | None) -> Draft:
    """Stages of neighbours with equally many positions of the image; quarters where the network never shrinks."""
    first, *middle, head = draft
    positions = output_positions(network, [names for _, names in middle], example)
    runs: list[Draft] = []
    for index, item in enumerate(middle):
        # A stage ends where the map shrinks; a group of unknown size (no module of its own) goes with the one before.
        if index and positions[index] in (positions[index - 1], None):
            runs[-1].append(item)
        else:
            runs.append([item])
    # A ViT never shrinks its map, and some networks shrink it in every block: neither gives stages.
    if not FEWEST_STAGES - 1 <= len(runs) <= MOST_STAGES:
        runs = [middle[len(middle) * i // 4 : len(middle) * (i + 1) // 4] for i in range(4)]
        return [first, *((f"quarter{i}", _names_of(run)) for i, run in enumerate(runs, 1)), head]
    return [first, *((f"stage{i}", _names_of(run)) for i, run in enumerate(runs, 1)), head]


def _names_of(run: Draft) -> list[str]:
    return [name for _, names in run for name in names]


def _finished(network: nn.Module, draft: Draft) -> tuple[LayerGroup, ...]:
    """Groups with the largest modules that lie in one group as members, and layers without tensors."""
    label_of = {name: label for label, names in draft for name in names}
    _label_layers_without_tensors(network, label_of)
    members: dict[str, list[str]] = {label: [] for label, _ in draft}
    _collect(network, "", label_of, members)
    return tuple(LayerGroup(label, tuple(paths)) for label, paths in members.items())


def _label_layers_without_tensors(network: nn.Module, label_of: dict[str, str]) -> None:
    """Activations, pooling and dropout go with the module they are part of.

    Where that module is divided itself, they go with the layer before them; dropout right before the head goes with
    the head, so that it is off exactly when the head is frozen.
    """
    leaves = [(path, module) for path, module in network.named_modules() if path and not list(module.children())]
    labels_below = _labels_below(label_of)
    own = [_only(labels_below.get(path, set())) for path, _ in leaves]
    before = next(label for label in own if label is not None)
    for index, (path, module) in enumerate(leaves):
        # In order of registration, which is the order of execution for nearly all activations and pools.
        before = own[index] or before
        if own[index] is not None:
            continue
        part_of = _label_of_parents(path, labels_below)
        following = next((label for label in own[index:] if label is not None), HEAD)
        before_head = isinstance(module, nn.Dropout) and following == HEAD
        label_of[path] = part_of or (HEAD if before_head else before)


def _labels_below(label_of: dict[str, str]) -> dict[str, set[str]]:
    """Path of every module that holds tensors -> labels of the tensors below it."""
    found: dict[str, set[str]] = {}
    for name, label in label_of.items():
        path = name.rpartition(".")[0]
        while path:
            found.setdefault(path, set()).add(label)
            path = path.rpartition(".")[0]
    return found


def _only(labels: set[str]) -> str | None:
    return next(iter(labels)) if len(labels) == 1 else None


def _label_of_parents(path: str, labels_below: dict[str, set[str]]) -> str | None:
    """The label of the closest module around `path` that holds tensors, if it is of one piece."""
    while path := path.rpartition(".")[0]:
        if path in labels_below:
            return _only(labels_below[path])
    return None


def _collect(module: nn.Module, path: str, label_of: dict[str, str], members: dict[str, list[str]]) -> set[str]:
    """Labels found below `path`; a module whose label is one only becomes a member of its parent's collection."""
    # A tensor that is tied to another one has its label there.
    names = (name for name, _ in _own_tensors(module) if _joined(path, name) in label_of)
    here = {name: label_of[_joined(path, name)] for name in names}
    below = {name: _collect(child, _joined(path, name), label_of, members) for name, child in module.named_children()}
    labels = set(here.values()).union(*below.values()) if below or here else set()
    if not below and not here and path in label_of:
        labels = {label_of[path]}
    # Divided between groups: its parts become members one by one. A module of one group is left to its parent,
    # so that members are as large, and therefore as few, as can be.
    if len(labels) > 1 or not path:
        for name, label in here.items():
            members[label].append(_joined(path, name))
        for name, found in below.items():
            if len(found) == 1:
                members[next(iter(found))].append(_joined(path, name))
    return labels


def _own_tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
