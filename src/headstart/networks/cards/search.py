"""Searching the catalog: filters, order, and the Pareto front, as pure functions of cards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.errors import ModelError, nearest
from headstart.measures.pareto import front
from headstart.networks.cards.catalog import CommercialUse, ModelCard
from headstart.networks.cards.table import Library

SortKey = Literal["parameters", "top1", "gmacs", "speed", "gpu_speed", "input_size", "name"]


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """Search of the catalog; None sets no limit."""

    max_parameters: float | None = None
    max_gmacs: float | None = None
    max_input_size: int | None = None
    min_top1: float | None = None
    """Percent."""
    min_speed: float | None = None
    """Images per second, see `speed_of`."""
    family: str | None = None
    library: Library | None = None
    domain: str | None = None
    commercial_use: CommercialUse | None = None
    sizes: Literal["any", "fixed"] | None = None
    name: str | None = None
    """Part of the full name."""
    sort: SortKey = "parameters"
    front: Literal["all", "pareto"] = "all"
    """pareto keeps what no other card beats in accuracy and in the sort key (parameters, gmacs or speed) at once."""


def search(
    cards: Iterable[ModelCard], query: ModelQuery, *, measured: Mapping[str, float] | None = None
) -> list[ModelCard]:
    """Matching cards, in order: cheapest first by parameters, GMACs and input size, best first by the rest.

    Cards without a value do not pass its limit.

    Args:
        cards: Cards to search.
        query: The search.
        measured: Name of a card -> images a second on this machine; takes the place of published CPU speeds.

    Raises:
        ModelError: no card belongs to the family, with the nearest names.
    """
    known = list(cards)
    if query.family is not None:
        _refuse_unknown_family(query.family, known)
    found = [card for card in known if _fits(card, query, measured)]
    if query.front == "pareto":
        found = pareto_front(found, query.sort, measured)
    return sorted(found, key=lambda card: (_order(card, query.sort, measured), card.name))


def speed_of(card: ModelCard, measured: Mapping[str, float] | None = None) -> float | None:
    """Images a second on this machine where it was measured, else as published for a CPU."""
    if measured is not None:
        return measured.get(card.name)
    return card.cpu_images_per_second


def _refuse_unknown_family(family: str, cards: Sequence[ModelCard]) -> None:
    families = sorted({card.family for card in cards})
    if family not in families:
        hint = nearest(family, families)
        raise ModelError(
            f"no family {family!r}" + (f"; {hint}" if hint else ""), expected=f"one of {', '.join(families)}"
        )


def _fits(card: ModelCard, query: ModelQuery, measured: Mapping[str, float] | None) -> bool:
    equal = (
        (query.family, card.family),
        (query.library, card.library),
        (query.domain, card.domain),
        (query.commercial_use, card.commercial_use),
        (query.sizes, card.sizes),
    )
    return (
        all(asked is None or asked == value for asked, value in equal)
        and _within(card.parameters, most=query.max_parameters)
        and _within(card.gmacs, most=query.max_gmacs)
        and _within(card.input.size, most=query.max_input_size)
        and _within(card.imagenet_top1, least=query.min_top1)
        and _within(speed_of(card, measured), least=query.min_speed)
        and (query.name is None or query.name.lower() in card.name.lower())
    )


def _within(value: float | None, *, most: float | None = None, least: float | None = None) -> bool:
    """Whether the given limits hold; an unknown value passes none."""
    if most is None and least is None:
        return True
    return value is not None and (most is None or value <= most) and (least is None or value >= least)


def _order(card: ModelCard, sort: SortKey, measured: Mapping[str, float] | None) -> float:
    """Sort key: small first, cards without the value last."""
    if sort == "name":
        return 0.0
    cheap: dict[str, float | None] = {
        "parameters": card.parameters,
        "gmacs": card.gmacs,
        "input_size": card.input.size,
    }
    good = {
        "top1": card.imagenet_top1,
        "speed": speed_of(card, measured),
        "gpu_speed": card.gpu_images_per_second,
    }
    value = cheap[sort] if sort in cheap else good[sort]
    if value is None:
        return math.inf
    return value if sort in cheap else -value


def pareto_front(
    cards: Sequence[ModelCard], sort: SortKey, measured: Mapping[str, float] | None = None
) -> list[ModelCard]:
    """Cards that no other card equals or beats in accuracy and in cost at once, and beats in one of them.

    Args:
        cards: Those without a published accuracy or without the cost never stand on the front.
        sort: What accuracy costs; top1 and name mean parameters.
        measured: See `search`.
    """
    cost: SortKey = "parameters" if sort in ("top1", "name") else sort
    cost_of: Callable[[ModelCard], float] = lambda card: _order(card, cost, measured)  # noqa: E731
    named = sorted(cards, key=lambda card: card.name)
    points = {
        card.name: (cost_of(card), card.imagenet_top1)
        for card in named
        if card.imagenet_top1 is not None and cost_of(card) < math.inf
    }
    front_names: dict[tuple[float, float], str] = {}
    for name in front(points):
        front_names.setdefault(points[name], name)  # of equal cards the first name stands for all
    by_name = {card.name: card for card in named}
    return [by_name[name] for name in front_names.values()]
