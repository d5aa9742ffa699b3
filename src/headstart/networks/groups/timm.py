"""Layer groups of timm's networks, from the patterns that timm keeps with each architecture (`group_matcher`).

timm's patterns name parameters; here they also place buffers. Unmatched tensors belong to the stem before the
first match, after it to the group before. `PLACED` holds the few tensors whose position in the code
misleads, found by comparing the draft of every architecture with the order in which forward meets its tensors.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from headstart.networks.groups.torchvision import named_tensors_in_order
from headstart.plan.sections import Grain


@dataclass(frozen=True, slots=True)
class Placed:
    """Rule for tensors that forward uses elsewhere than their name suggests."""

    pattern: str
    """Of their names."""
    next_to: str
    """Start of the names of those whose group they join; may use groups of the pattern."""
    end: Literal["first", "last"] = "first"
    """Which of those, where they lie in several groups."""


_EFFICIENT_VIM = (Placed(r"norm\.(\d)", r"stages.\1.", "last"), Placed(r"weights", "stages.", "last"))

PLACED: dict[str, tuple[Placed, ...]] = {
    "Cait": (Placed(r"cls_token", "blocks_token_only.0."),),
    "CoaT": (Placed(r"(?:crpe|cls_token|cpe)(\d)", r"serial_blocks\1.0."),),
    "ConVit": (Placed(r"cls_token", "blocks.10."),),  # local_up_to_layer of every variant
    "EfficientViM": _EFFICIENT_VIM,
    "EfficientViMDistilled": _EFFICIENT_VIM,
    "Eva": (Placed(r"rope\.pos_embed", "blocks.0."),),
    "VOLO": (Placed(r"pos_embed", "network.2."), Placed(r"cls_token", "post_network.0.")),
    "Xcit": (Placed(r"cls_token", "cls_attn_blocks.0."),),
}
"""By class of network."""

MATCHERS: dict[str, Callable[[nn.Module, Grain], dict[str, Any]]] = {
    # timm counts the class-attention blocks in parallel with the last blocks; forward runs them afterwards.
    "Cait": lambda network, grain: {
        "stem": r"^pos_embed|patch_embed",
        "blocks": r"^blocks\.(\d+)",
        "token": [(r"^blocks_token_only\.(\d+)", None), (r"^norm", (99999,))],
    },
}
"""Class of network -> patterns in place of timm's own."""

_PREVIOUS = 99999.0
"""timm's ordinal for 'belongs to the group before'."""


def timm_draft(network: nn.Module, grain: Grain) -> list[tuple[str, list[str]]] | None:
    """(label, tensor names) stem to last stage, classifier included there; None without a matcher."""
    kind = type(network).__name__
    matcher = getattr(network, "group_matcher", None)
    if matcher is None:
        return None
    try:
        patterns = MATCHERS[kind](network, grain) if kind in MATCHERS else matcher(coarse=grain == "stage")
    except (AssertionError, NotImplementedError):  # RDNet knows no coarse grain
        return None
    names = [name for name, _ in named_tensors_in_order(network)]
    filled = _placed(names, _filled(_ordinals(names, patterns)), PLACED.get(kind, ()))
    order = sorted(set(filled))
    held = {key: [name for name, own in zip(names, filled, strict=True) if own == key] for key in order}
    labels = _labels([held[key] for key in order], grain)
    return list(zip(labels, held.values(), strict=True))


def _ordinals(names: Iterable[str], patterns: object) -> list[int | None]:
    """Position of each tensor's group, None where no pattern matches."""
    from timm.models._manipulate import group_with_matcher

    names = list(names)
    probe = "\0" if isinstance(patterns, dict) else ""  # a name that no pattern matches shows where those go
    grouped = group_with_matcher(((name, name) for name in [*names, probe] if name), patterns, reverse=True)
    nowhere = grouped.get(probe)
    return [None if grouped[name] == nowhere else grouped[name] for name in names]


def _filled(ordinals: list[int | None]) -> list[int]:
    """Ordinals in which unmatched tensors have that of the one before; before the first match, that of the first."""
    # What comes before every match (a class token, a position embedding) belongs to the first group.
    before = next(ordinal for ordinal in ordinals if ordinal is not None)
    filled = []
    for ordinal in ordinals:
        before = ordinal if ordinal is not None else before
        filled.append(before)
    return filled


def _placed(names: list[str], ordinals: list[int], rules: Sequence[Placed]) -> list[int]:
    """Ordinals in which tensors of a rule have the group of the tensors that the rule names."""
    moved = list(ordinals)
    for index, name in enumerate(names):
        for rule in rules:
            match = re.match(rule.pattern, name)
            start = match.expand(rule.next_to) if match else None
            # Looked up in the ordinals as they were: rules do not build on each other.
            found = [o for n, o in zip(names, ordinals, strict=True) if start and n.startswith(start)]
            if found:
                moved[index] = min(found) if rule.end == "first" else max(found)
    return moved


def _labels(groups: list[list[str]], grain: Grain) -> list[str]:
    """Stem or embedding first; a stage keeps a name that stands alone (layer1), a block the path its tensors share."""
    first = (
        "embedding" if any(re.match(r"(patch_embed|pos_embed|cls_token|embeds?)\b", n) for n in groups[0]) else "stem"
    )
    labels = [first]
    for number, names in enumerate(groups[1:], 1):
        shared = _shared_path(names)
        if grain == "block":
            label = shared or f"block{number}"
        else:
            label = shared if re.fullmatch(r"(layer|stage)_?\d+", shared) else f"stage{number}"
        # Two groups may share a path (blocks of one list): names must differ all the same.
        labels.append(label if label not in labels else f"{label}_{number}")
    return labels


def _shared_path(names: list[str]) -> str:
    """The path that the tensors of a group share, leaving out the few that lie elsewhere (a norm at the end)."""
    tops = [name.split(".")[0] for name in names]
    # By majority: a norm or a downsampling layer may carry another name than the blocks of its stage.
    top = max(set(tops), key=tops.count)
    paths = [name.split(".")[:-1] for name in names if name.split(".")[0] == top]
    shared = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)
