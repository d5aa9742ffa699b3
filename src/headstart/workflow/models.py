"""models: search of the catalog, and one card with its usage; torch only for measuring."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from headstart.errors import ModelError, require
from headstart.knowledge.transfer import family_of
from headstart.networks.cards.catalog import ModelCard, all_cards, cards_of
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.search import ModelQuery, search, speed_of
from headstart.runs.progress import Progress, no_progress

MOST_MEASURED = 60
"""Measuring takes seconds for each network: a search that finds more is refused."""


def list_models(query: ModelQuery, *, measure: bool = False, progress: Progress = no_progress) -> list[dict[str, Any]]:
    """Cards that match the query, as plain values; with `measure`, also this machine's images a second.

    Raises:
        ModelError: no such family, or too many cards to measure.
        MissingExtraError: measuring needs torch.
    """
    if not measure:
        return [_plain(card) for card in search(all_cards(), query)]
    found = _few_enough(query)
    speeds = _measured(found, progress)
    return [_plain(card, speeds) for card in search(found, query, measured=speeds.images_per_second)]


def find_cards(
    query: ModelQuery | str, *, speed: Literal["published", "measured"], progress: Progress = no_progress
) -> tuple[list[ModelCard], dict[str, float | None]]:
    """(cards, name -> images a second on this machine): those that match the query, or the one of a name.

    Args:
        query: Search, or ARCH or ARCH:TAG.
        speed: measured times the networks; a name whose figure is not stable has None.
        progress: Receives the progress.

    Raises:
        ModelError: no such network or family, or too many cards to measure.
        MissingExtraError: measuring needs torch.
    """
    if isinstance(query, str):
        found = [find_model(query).card]
    elif speed == "published":
        found = search(all_cards(), query)
    else:
        found = _few_enough(query)
    if speed == "published":
        return found, {}
    speeds = _measured(found, progress)
    if not isinstance(query, str):
        found = search(found, query, measured=speeds.images_per_second)
    return found, {card.name: speeds.images_per_second.get(card.name) for card in found}


def show_model(name: str, *, measure: bool = False, progress: Progress = no_progress) -> dict[str, Any]:
    """One card, the other weights of its architecture, and how to use it.

    Raises:
        ModelError: no such model.
        MissingExtraError: measuring needs torch.
    """
    choice = find_model(name)
    card = choice.card
    speeds = _measured([card], progress) if measure else None
    others = [other.name for other in cards_of(card.architecture) if other.name != card.name]
    family = family_of(card.family)
    fact = (
        None
        if family is None
        else {"name": family.name, "idea": family.idea, "good_for": family.good_for, "mind": family.mind}
    )
    return {**_plain(card, speeds), "family_fact": fact, "other_weights": others, "usage": usage_of(card)}


def usage_of(card: ModelCard) -> dict[str, str]:
    """Lines to copy: the command line, this library, and the library the network comes from."""
    allow = " --allow-noncommercial" if card.commercial_use == "forbidden" else ""
    permit = ', noncommercial_weights="allow"' if allow else ""
    scratch = card.weights.kind == "none"
    command = f"headstart train DATA --model {card.name}{' --strategy scratch' if scratch else ''}{allow}"
    strategy = ', strategy="scratch"' if scratch else ""
    options = f'"DATA", model="{card.name}"{strategy}{permit}'
    usage = {
        "command line": command,
        "headstart": f"headstart.train({options})",
    }
    if card.library == "torchvision":
        usage["torchvision"] = f'torchvision.models.get_model("{card.architecture}", weights="{card.tag}")'
    elif card.weights.kind == "none":
        usage["timm"] = f'timm.create_model("{card.architecture}")'
    elif card.tag.startswith("hf-hub:"):
        usage["timm"] = f'timm.create_model("{card.tag}", pretrained=True)'
    else:
        usage["timm"] = f'timm.create_model("{card.architecture}.{card.tag}", pretrained=True)'
    return usage


def _few_enough(query: ModelQuery) -> list[ModelCard]:
    """Cards that may match the query once they are timed.

    Raises:
        ModelError: too many to measure.
    """
    unordered = ModelQuery(**{**_values(query), "min_speed": None, "front": "all"})
    found = search(all_cards(), unordered)
    if len(found) > MOST_MEASURED:
        raise ModelError(
            f"{len(found)} models are too many to measure",
            expected=f"at most {MOST_MEASURED}",
            remedy="narrow the search, for example with --family or --max-params",
        )
    return found


@dataclass(frozen=True)
class _Speeds:
    """Throughputs on this machine, by name of the card."""

    images_per_second: dict[str, float]
    unstable: dict[str, tuple[float, float]]
    """Least and most images a second, where the figure did not become stable."""


def _measured(cards: list[ModelCard], progress: Progress) -> _Speeds:
    require("torch", extra="train")
    from headstart.engine.costs.throughput import measured_throughputs

    unstable: dict[str, tuple[float, float]] = {}
    on_card = progress("measure", len(cards))
    return _Speeds(measured_throughputs(cards, on_card=on_card, on_unstable=unstable.__setitem__), unstable)


def _plain(card: ModelCard, speeds: _Speeds | None = None) -> dict[str, Any]:
    raw = card.to_dict()
    if speeds is None:
        return raw
    unstable = speeds.unstable.get(card.name)
    raw["measured_images_per_second"] = speed_of(card, speeds.images_per_second)
    return raw if unstable is None else {**raw, "measured_unstable": [round(end, 2) for end in unstable]}


def _values(query: ModelQuery) -> dict[str, Any]:
    return {name: getattr(query, name) for name in query.__dataclass_fields__}
