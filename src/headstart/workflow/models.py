"""models: search of the catalog, and one card with its usage; torch only for measuring."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from headstart.errors import ModelError, require
from headstart.knowledge.transfer import FamilyFact, family_of
from headstart.networks.cards.catalog import ModelCard, all_cards, cards_of
from headstart.networks.cards.domain_cards import domain_cards
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.search import ModelQuery, search
from headstart.runs.progress import Progress, no_progress

MOST_MEASURED = 60
"""Measuring takes seconds for each network: a search that finds more is refused."""


@dataclass(frozen=True, slots=True)
class MeasuredThroughput:
    """Images a second of one network on this machine."""

    images_per_second: float | None
    """None where no figure was remembered."""
    unstable: tuple[float, float] | None = None
    """Least and most images a second, rounded, where the machine was too busy for a stable figure."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """Row of a list of networks."""

    card: ModelCard
    measured: MeasuredThroughput | None = None
    """None where nothing was timed."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        raw = self.card.to_dict()
        if self.measured is None:
            return raw
        raw |= {"measured_images_per_second": self.measured.images_per_second}
        return raw if self.measured.unstable is None else {**raw, "measured_unstable": list(self.measured.unstable)}


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """One network in full, with how to use it."""

    listed: ListedModel
    family: FamilyFact | None
    other_weights: tuple[str, ...]
    """Full names of the other weights of its architecture."""
    usage: dict[str, str]
    """Program -> line to copy."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        family = self.family
        fact = (
            None
            if family is None
            else {"name": family.name, "idea": family.idea, "good_for": family.good_for, "mind": family.mind}
        )
        others = {"family_fact": fact, "other_weights": list(self.other_weights), "usage": self.usage}
        return {**self.listed.to_dict(), **others}


def list_models(query: ModelQuery, *, measure: bool = False, progress: Progress = no_progress) -> list[ListedModel]:
    """Cards that match the query; with `measure`, also this machine's images a second.

    Raises:
        ModelError: no such family, or too many cards to measure.
        MissingExtraError: measuring needs torch.
    """
    if not measure:
        cards = all_cards() if query.domain is None else (*domain_cards(), *all_cards())
        return [ListedModel(card) for card in search(cards, query)]
    found = _few_enough(query)
    speeds = _measured(found, progress)
    return [speeds.listed(card) for card in search(found, query, measured=speeds.images_per_second)]


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


def show_model(name: str, *, measure: bool = False, progress: Progress = no_progress) -> ModelDetails:
    """One card, the other weights of its architecture, and how to use it.

    Raises:
        ModelError: no such model.
        MissingExtraError: measuring needs torch.
    """
    card = find_model(name).card
    listed = _measured([card], progress).listed(card) if measure else ListedModel(card)
    others = tuple(other.name for other in cards_of(card.architecture) if other.name != card.name)
    return ModelDetails(listed, family_of(card.family), others, usage_of(card))


def usage_of(card: ModelCard) -> dict[str, str]:
    """Lines to copy: the command line, this library, and the library the network comes from."""
    allow = " --allow-noncommercial" if card.commercial_use == "forbidden" else ""
    permit = ', noncommercial_weights="allow"' if allow else ""
    scratch = card.weights.kind == "none"
    command = f"headstart train DATA --model {card.name}{' --strategy scratch' if scratch else ''}{allow}"
    strategy = ', strategy="scratch"' if scratch else ""
    options = f'"DATA", model="{card.name}"{strategy}{permit}'
    usage = {"command line": command, "headstart": f"headstart.train({options})"}
    return usage | {card.library: _usage_elsewhere(card)}


def _usage_elsewhere(card: ModelCard) -> str:
    """Line that builds the network with the library it comes from."""
    if card.weights.kind == "library":
        return f'{card.weights.package}.models.DenseNet(weights="{card.weights.file}")'
    if card.weights.holds == "trunk":
        return f'torch.hub.load_state_dict_from_url("{card.weights.url}")'
    if card.library == "torchvision":
        return f'torchvision.models.get_model("{card.architecture}", weights="{card.tag}")'
    if card.weights.kind == "none":
        return f'timm.create_model("{card.architecture}")'
    name = card.tag if card.tag.startswith("hf-hub:") else f"{card.architecture}.{card.tag}"
    return f'timm.create_model("{name}", pretrained=True)'


def _few_enough(query: ModelQuery) -> list[ModelCard]:
    """Cards that may match the query once they are timed.

    Raises:
        ModelError: too many to measure.
    """
    unordered = replace(query, min_speed=None, front="all")
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

    def listed(self, card: ModelCard) -> ListedModel:
        """Row of a card that was timed."""
        ends = self.unstable.get(card.name)
        unstable = None if ends is None else (round(ends[0], 2), round(ends[1], 2))
        return ListedModel(card, MeasuredThroughput(self.images_per_second.get(card.name), unstable))


def _measured(cards: list[ModelCard], progress: Progress) -> _Speeds:
    require("torch", extra="train")
    from headstart.engine.costs.throughput import measured_throughputs

    unstable: dict[str, tuple[float, float]] = {}
    on_card = progress("measure", len(cards))
    return _Speeds(measured_throughputs(cards, on_card=on_card, on_unstable=unstable.__setitem__), unstable)
