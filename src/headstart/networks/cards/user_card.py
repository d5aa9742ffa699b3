"""Card of a user's file of weights: what lies next to it, `mine.card.json` for `mine.safetensors`.

Weights from elsewhere seldom expect what the catalog's weights of their architecture do. The file may give `input`
(size, resize, interpolation, mean, std, crop), `domain`, `licence`, `paper`, `num_classes`, `builder_options` and
`source`; what it leaves out is that of the catalog.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from headstart.errors import HeadstartError, ModelError
from headstart.files import is_file
from headstart.input_spec import InputSpec
from headstart.networks.cards.catalog import ModelCard

_PLAIN: dict[str, type] = {"domain": str, "licence": str, "paper": str, "num_classes": int, "builder_options": dict}
"""Field of a card -> type of its value in the file."""
_KEYS = ("input", "source", *_PLAIN)


def card_file(weights: Path) -> Path:
    """Where the card of a file of weights lies."""
    return weights.with_suffix(".card.json")


def with_own_card(card: ModelCard, weights: Path) -> ModelCard:
    """The card with what the file next to the weights says otherwise; as it is where there is none.

    Args:
        card: Of the architecture, in the catalog.
        weights: The user's file.

    Raises:
        ModelError: that file cannot be read, or holds something else.
    """
    path = card_file(weights)
    if not is_file(path):
        # The catalog's licence and accuracy are those of other weights; `licence` decides about commercial use.
        return card
    raw = _read(path)
    spec = card.input
    try:
        if "input" in raw:
            spec = InputSpec.from_dict(spec.to_dict() | raw["input"])
    except (HeadstartError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: input: {error}", expected="size, resize, interpolation, mean, std, crop") from error
    given = {name: raw[name] for name in _PLAIN if name in raw}
    return replace(card, input=spec, imagenet_top1=None, imagenet_top1_size=None, **given)


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error})", expected="JSON, or no such file") from error
    if not isinstance(raw, dict) or (odd := sorted(set(raw) - set(_KEYS))):
        found = f"unknown keys {', '.join(odd)}" if isinstance(raw, dict) else "no object"
        raise ModelError(f"{path}: {found}", expected=f"some of {', '.join(_KEYS)}")
    for name, kind in _PLAIN.items():
        if name in raw and not isinstance(raw[name], kind):
            raise ModelError(f"{path}: {name}: {raw[name]!r} must be of type {kind.__name__}")
    return raw
