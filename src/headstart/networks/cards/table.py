"""`cards.json` as typed rows: short keys become names here, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal

from headstart.input_spec import Crop, Interpolation

Library = Literal["timm", "torchvision"]

_FIELDS = {
    "a": "architecture",
    "t": "tag",
    "l": "library",
    "p": "parameters",
    "g": "gmacs",
    "s": "size",
    "r": "resize",
    "i": "interpolation",
    "n": "statistics",
    "c": "num_classes",
    "w": "weights",
    "o": "builder_options",
}
"""Key of a row in the file -> field of CardRow; the other keys are called as their fields (see scripts/make_cards.py).

The keys of 2,000 rows are short because the file is read whole whenever a network is named.
"""
_LIBRARIES: dict[str, Library] = {"tv": "torchvision", "timm": "timm"}


@dataclass(frozen=True, slots=True)
class CardRow:
    """One set of weights as the file has it; None stands for the usual value, see `catalog`."""

    architecture: str
    tag: str
    parameters: int
    size: int
    """Side of the input in pixels."""
    gmacs: float | None = None
    library: Literal["tv", "timm"] = "timm"
    resize: int | None = None
    interpolation: Interpolation = "bicubic"
    crop: Crop = "center"
    statistics: int = 0
    """Place in `CardTable.statistics`."""
    groups: int | None = None
    """Place in `CardTable.groups`; None: that of the architecture."""
    features: int | None = None
    num_classes: int = 1000
    fixed: int = 0
    """1: no other input size."""
    domain: str = "photo"
    licence: str = "apache-2.0"
    paper: str | None = None
    weights: Mapping[str, str] | None = None
    """Fields of a WeightSource; None: timm's repository of that name."""
    top1: float | None = None
    top1_size: int | None = None
    gpu: float | None = None
    cpu: float | None = None
    discarded_head: str = ""
    builder_options: dict[str, Any] = field(default_factory=dict)

    @property
    def library_name(self) -> Library:
        """Library of the architecture."""
        return _LIBRARIES[self.library]


@dataclass(frozen=True, slots=True)
class ArchitectureRow:
    """Values that the weights of one architecture share, as its first weights have them."""

    family: str
    features: int
    groups: int
    """Place in `CardTable.groups`."""
    paper: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Per-channel mean and standard deviation of values scaled to 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CardTable:
    """The whole file."""

    made_with: dict[str, str]
    """Library -> version."""
    architectures: dict[Library, dict[str, ArchitectureRow]]
    statistics: tuple[Statistics, ...]
    groups: tuple[tuple[str, ...], ...]
    cards: tuple[CardRow, ...]
    unpublished: tuple[CardRow, ...]
    """Architectures without published weights."""


@cache
def card_table() -> CardTable:
    """The rows of `cards.json`, read once."""
    text = resources.files("headstart.networks.cards").joinpath("cards.json").read_text(encoding="utf-8")
    return _typed(**json.loads(text))


def _typed(
    *,
    made_with: dict[str, str],
    architectures: dict[Library, dict[str, dict[str, Any]]],
    statistics: list[dict[str, list[float]]],
    groups: list[list[str]],
    cards: list[dict[str, Any]],
    unpublished: list[dict[str, Any]],
) -> CardTable:
    return CardTable(
        made_with,
        {
            library: {name: ArchitectureRow(**entry) for name, entry in entries.items()}
            for library, entries in architectures.items()
        },
        tuple(Statistics(**{name: tuple(values) for name, values in entry.items()}) for entry in statistics),
        tuple(map(tuple, groups)),
        tuple(map(_row, cards)),
        tuple(map(_row, unpublished)),
    )


def _row(raw: dict[str, Any]) -> CardRow:
    return CardRow(**{_FIELDS.get(key, key): value for key, value in raw.items()})
