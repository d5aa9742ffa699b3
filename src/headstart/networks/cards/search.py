"""Searching the catalog: filters, order, and the Pareto front, as pure functions of cards."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from headstart.errors import ModelError, nearest
from headstart.measures.pareto import front
from headstart.networks.cards.catalog import CommercialUse, ModelCard
from headstart.networks.cards.table import Library
from headstart.plan.option import Option, options_of

SortKey = Literal["parameters", "top1", "gmacs", "speed", "gpu_speed", "input_size", "name"]


@dataclass(frozen=True, slots=True)
class ModelQuery:
    """Search of the catalog; None sets no limit. Options of `models` and `shortlist` are derived from its fields."""

    contains: Annotated[str | None, Option("Part of the name.", panel="Search")] = None
    family: Annotated[str | None, Option("Such as resnet, efficientnet, convnext.", panel="Search")] = None
    library: Annotated[Library | None, Option("Library of the network.", panel="Search")] = None
    domain: Annotated[str | None, Option("Domain the weights were trained on, such as photo.", panel="Search")] = None
    max_params: Annotated[
        float | None, Option("Most parameters, such as 10M.", panel="Search", kind="count", least=0)
    ] = None
    max_gmacs: Annotated[
        float | None, Option("Most GMACs: billions of multiply-accumulates an image.", panel="Search", least=0)
    ] = None
    max_input: Annotated[int | None, Option("Largest input side in pixels.", panel="Search", least=0)] = None
    min_top1: Annotated[
        float | None, Option("Least ImageNet top-1 accuracy in percent.", panel="Search", least=0, most=100)
    ] = None
    min_speed: Annotated[
        float | None,
        Option(
            "Least CPU throughput in images/s, as published; with `models --measure` on this machine.",
            panel="Search",
            least=0,
        ),
    ] = None
    sizes: Annotated[
        Literal["any", "fixed"] | None, Option("any: networks that take images of any size.", panel="Search")
    ] = None
    commercial_use: Annotated[
        CommercialUse | None,
        Option(
            "Only licences that plainly allow commercial use.",
            panel="Search",
            spellings=("--commercial",),
            switch="allowed",
        ),
    ] = None
    front: Annotated[
        Literal["all", "pareto"],
        Option(
            "Only networks that no other beats in accuracy and in parameters (or the key of --sort) at once.",
            panel="Search",
            spellings=("--pareto",),
            switch="pareto",
        ),
    ] = "all"
    sort: Annotated[
        SortKey,
        Option("speed: published CPU images a second, or this machine's with --measure.", panel="Search"),
    ] = "parameters"


QUERY_OPTIONS: Mapping[str, Option] = options_of(ModelQuery)
"""Field of `ModelQuery` -> what the doors show of it."""


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
        and _within(card.parameters, most=query.max_params)
        and _within(card.gmacs, most=query.max_gmacs)
        and _within(card.input.size, most=query.max_input)
        and _within(card.imagenet_top1, least=query.min_top1)
        and _within(speed_of(card, measured), least=query.min_speed)
        and (query.contains is None or query.contains.lower() in card.name.lower())
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
