"""The comparison of networks: filters -> cards -> scatter, table and usage. Nothing here knows Gradio."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal, cast, get_args

from headstart.apps.pages.fields import Field, FieldOption, choice, menu, menu_value, slider, text
from headstart.arguments import parse_count
from headstart.errors import HeadstartError
from headstart.html import kit, networks
from headstart.html.kit import SortOrder
from headstart.html.markup import NOTHING, Html, tag
from headstart.knowledge.transfer import FAMILIES, family_of
from headstart.networks.cards.catalog import ModelCard, all_cards
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.search import ModelQuery, SortKey, pareto_front, search
from headstart.plan.request import DEFAULT_MODEL
from headstart.workflow.models import usage_of

TITLE = "Which network?"
LEAD = (
    "Every set of weights that torchvision and timm publish. Accuracy is ImageNet's, as published: it ranks networks "
    "for photos; the less your images look like photos, the less it says."
)

Cost = Literal["parameters", "gmacs", "speed"]
"""Cost against which accuracy is drawn."""

_AXES: Mapping[Cost, tuple[str, str, Literal[1, -1]]] = {
    "parameters": ("millions of parameters (logarithmic)", "parameters", 1),
    "gmacs": ("billions of multiply-accumulates an image (logarithmic)", "GMACs", 1),
    "speed": ("images a second on one CPU, published (logarithmic)", "speed", -1),
}
"""Cost -> (name of the axis, short name, 1 where small is good)."""

_COLOURS = dict(
    zip(
        (family.name for family in FAMILIES),
        (networks.SKY, networks.YELLOW, networks.PURPLE, networks.ORANGE, networks.GREEN, networks.VERMILLION),
        strict=True,
    )
)

ROWS: tuple[FieldOption, ...] = (("25", "25"), ("100", "100"), ("all", "All"))


@cache
def _families() -> tuple[FieldOption, ...]:
    counts = Counter(card.family for card in all_cards())
    named = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return (("", "All families"), *((name, f"{name} ({count})") for name, count in named))


_SIZES = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 1000)

FIELDS: tuple[Field, ...] = (
    choice(
        "models-cost",
        "Accuracy against",
        (("parameters", "Parameters"), ("gmacs", "GMACs"), ("speed", "CPU speed")),
        "parameters",
    ),
    menu("models-family", "Family", _families(), ""),
    choice("models-licence", "Commercial use", (("", "Any licence"), ("allowed", "Clearly allowed")), ""),
    choice("models-library", "Library", (("", "Both"), ("torchvision", "torchvision"), ("timm", "timm")), ""),
    slider(
        "models-parameters",
        "Parameters at most",
        (*((f"{size}M", f"{size} million") for size in _SIZES), ("", "any number")),
        "",
        entry="none",
    ),
    choice("models-sizes", "Input sizes", (("", "All"), ("any", "Takes any size")), ""),
    text("models-contains", "Name contains", ""),
    choice("models-front", "Show", (("all", "All matches"), ("pareto", "Pareto front only")), "all"),
    menu(
        "models-sort",
        "Sorted by",
        (
            *(("parameters", "parameters"), ("top1", "accuracy"), ("gmacs", "GMACs"), ("speed", "CPU speed")),
            *(("gpu_speed", "GPU speed"), ("input_size", "input size"), ("name", "name")),
        ),
        "top1",
    ),
    choice("models-rows", "Rows of the table", ROWS, "25"),
)
"""Fields in the order of the form."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Values of the form: a search of the catalog, and how its result is shown."""

    query: ModelQuery
    """With the order of the table; `front` keeps the Pareto front alone."""
    cost: Cost
    max_params: str
    """As it was entered."""
    rows: int | None
    """Number of rows of the table; None for all."""

    @classmethod
    def from_fields(cls, values: Mapping[str, str]) -> Filters:
        """The values that the form holds.

        Raises:
            HeadstartError: a value that the form does not offer.
        """
        most = values["models-parameters"]
        sort, cost = values["models-sort"], values["models-cost"]
        if sort not in get_args(SortKey) or cost not in _AXES:
            raise HeadstartError(f"{sort!r} and {cost!r}", expected="a way to sort and a cost that the form offers")
        options: dict[str, Any] = {
            "family": values["models-family"] or None,
            "commercial_use": values["models-licence"] or None,
            "library": values["models-library"] or None,
            "sizes": values["models-sizes"] or None,
            "contains": values["models-contains"].strip() or None,
            "front": values["models-front"],
            "max_params": parse_count(most or None, option="parameters"),
            "sort": sort,
        }
        rows = values["models-rows"]
        return cls(ModelQuery(**options), cast(Cost, cost), most, None if rows == "all" else int(rows))

    def command(self) -> str:
        """The same search on the command line; of a front, in the order of its cost."""
        query = self.query
        options = [
            f"--{name} {shlex.quote(value)}"
            for name, value in (
                ("contains", query.contains),
                ("family", query.family),
                ("library", query.library),
                ("max-params", self.max_params or None),
                ("sizes", query.sizes),
            )
            if value is not None
        ]
        options += ["--commercial"] if query.commercial_use else []
        options.append(f"--sort {self.cost if query.front == 'pareto' else query.sort}")
        options += ["--pareto"] if query.front == "pareto" else []
        return f"headstart models {' '.join(options)}"


def found_by(filters: Filters) -> list[ModelCard]:
    """Cards in the order of the table.

    Raises:
        ModelError: no such family.
    """
    if filters.query.front == "all":
        return search(all_cards(), filters.query)
    front = search(all_cards(), replace(filters.query, sort=filters.cost))
    return search(front, ModelQuery(sort=filters.query.sort))


def chosen_of(cards: Sequence[ModelCard], requested: str) -> str:
    """The requested card if it was found, else the default network, else the first; empty where nothing was found."""
    names = {card.name for card in cards}
    default = find_model(DEFAULT_MODEL).card.name
    if requested in names:
        return requested
    return default if default in names else next((card.name for card in cards), "")


def pick(cards: Sequence[ModelCard], requested: str) -> dict[str, Any]:
    """Menu of the networks that match."""
    return menu_value([(card.name, card.name) for card in cards], chosen_of(cards, requested))


PICK = Field(
    "models-pick",
    "How to use",
    pick(search(all_cards(), ModelQuery(sort="top1")), ""),
    menu("models-pick", "How to use", (), "").html,
)
"""Set by the menu, by a click on a point, or by the name in a row."""


def page(values: Mapping[str, Any]) -> tuple[Html, dict[str, Any], Html, Html]:
    """Scatter, the menu of found cards, how to use the chosen one, and the table.

    Args:
        values: Name of a field -> its text; of a menu -> its choice.
    """
    try:
        filters = Filters.from_fields(values)
        cards = found_by(filters)
    except HeadstartError as error:
        return kit.failure([str(error)]), menu_value((), ""), NOTHING, NOTHING
    menu_now = pick(cards, values["models-pick"])
    chosen = menu_now["choice"]
    if not chosen:
        nothing = "no network matches; loosen a filter (a network whose value is unknown passes no limit on it)"
        return kit.failure([nothing]), menu_now, NOTHING, NOTHING
    front = {card.name for card in pareto_front(cards, filters.cost)}
    return _chart(filters.cost, cards, front, chosen), menu_now, usage(chosen), _rows(filters, cards, front, chosen)


def _chart(cost: Cost, cards: Sequence[ModelCard], front: set[str], chosen: str) -> Html:
    told = f"{len(cards):,} of {len(all_cards()):,} sets of weights match; {len(front)} are on the Pareto front."
    families = [(colour, name, "round") for name, colour in _COLOURS.items()]
    return kit.stack(
        kit.card(
            f"Accuracy against {_AXES[cost][1]}",
            kit.said(told, style="hs-soft"),
            _scatter(cost, cards, front, chosen),
            networks.legend_key([*families, (networks.GREY, "others", "round")]),  # type: ignore[list-item]  # literals
            kit.paragraph(
                "Outlined and joined by the line: the Pareto front, where no other network is both more accurate and "
                "cheaper. Click a point, or a name in the table, to see how to use it.",
                style="hs-soft hs-small",
            ),
        )
    )


def _rows(filters: Filters, cards: Sequence[ModelCard], front: set[str], chosen: str) -> Html:
    shown = cards[: filters.rows] if filters.rows else cards
    title = f"The same as a table: {len(shown):,} of {len(cards):,}"
    command = kit.text_to_copy("models-command", filters.command(), what="search")
    return kit.stack(
        kit.card(title, _table(filters, shown, front, chosen)),
        kit.card("The same search on the command line", command),
    )


def cost_of(card: ModelCard, cost: Cost) -> float | None:
    """Cost of a network: millions of parameters, GMACs, or images a second."""
    if cost == "parameters":
        return card.parameters / 1e6
    return card.gmacs if cost == "gmacs" else card.cpu_images_per_second


def _scatter(cost: Cost, cards: Sequence[ModelCard], front: set[str], chosen: str) -> Html:
    points = [
        networks.ScatterPoint(
            card.name, value, card.imagenet_top1, colour_of(card), "front" if card.name in front else "inside"
        )
        for card in cards
        if card.imagenet_top1 is not None and (value := cost_of(card, cost))
    ]
    if not points:
        return kit.paragraph("None of them has a published accuracy and this figure: see the table.")
    name, short, rising = _AXES[cost]
    across = _log_axis(name, [point.x for point in points])
    up = _percent_axis([point.y for point in points])
    says = (
        f"{len(points)} networks, ImageNet accuracy against {short}. From {across.ticks[0][1]} to "
        f"{across.ticks[-1][1]}; accuracy from {min(p.y for p in points):.1f} to {max(p.y for p in points):.1f} "
        f"percent. {len(front)} on the Pareto front. The table below has the figures."
    )
    return networks.scatter(points, x=across, y=up, says=says, chooses="models-pick", chosen=chosen, rising=rising)


def colour_of(card: ModelCard) -> str:
    """Colour of a network's family; grey for families that are not described."""
    family = family_of(card.family)
    return networks.GREY if family is None else _COLOURS[family.name]


def _log_axis(name: str, values: Sequence[float]) -> networks.ScatterAxis:
    low, high = min(values) * 0.85, max(values) * 1.18
    marks = [m * 10.0**p for p in range(-3, 6) for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    wide = [value for value in marks if math.isclose(math.log10(value) % 1, 0, abs_tol=1e-9)]
    ticks = wide if len(marks) > 7 and len(wide) > 2 else marks or [math.sqrt(low * high)]
    return networks.ScatterAxis(
        name, low, high, "log", tuple((value, f"{value:,.0f}" if value >= 1 else f"{value:g}") for value in ticks)
    )


def _percent_axis(values: Sequence[float]) -> networks.ScatterAxis:
    low, high = max(0.0, min(values) - 1), min(100.0, max(values) + 1)
    step = next(step for step in (1, 2, 5, 10, 20) if (high - low) / step <= 8)
    first = math.ceil(low / step)
    ticks = tuple((step * at, f"{step * at} %") for at in range(first, math.floor(high / step) + 1))
    return networks.ScatterAxis("ImageNet accuracy", low, high, "linear", ticks)


_COLUMNS: tuple[tuple[str, SortKey | None], ...] = (
    *(("network", "name"), ("parameters", "parameters"), ("GMACs", "gmacs"), ("input", "input_size")),
    *(("top-1", "top1"), ("CPU img/s", "speed"), ("GPU img/s", "gpu_speed"), ("licence", None), ("Pareto front", None)),
)
"""Heading -> key by which a click on it sorts."""


def _table(filters: Filters, cards: Sequence[ModelCard], front: set[str], chosen: str) -> Html:
    header = [title if sort is None else _sort_button(title, sort, filters.query.sort) for title, sort in _COLUMNS]
    picked = next((index for index, card in enumerate(cards) if card.name == chosen), None)
    by = next((index for index, (_, sort) in enumerate(_COLUMNS) if sort == filters.query.sort), None)
    return kit.table(
        header,
        [_row(card, front) for card in cards],
        says="Networks that match. Speeds are published: CPU Intel i9-10940X one image at a time, GPU RTX 4090",
        numeric=range(1, 7),
        picked=() if picked is None else (picked,),
        most=None,
        caption="shown",
        sorted_by=None if by is None else (by, _order(filters.query.sort)),
    )


def _order(sort: SortKey) -> SortOrder:
    return "ascending" if sort in ("parameters", "gmacs", "input_size", "name") else "descending"


def _sort_button(title: str, sort: SortKey, now: SortKey) -> Html:
    """Heading that sorts by its column; of the present one with its direction."""
    arrow = "\u25b2" if _order(sort) == "ascending" else "\u25bc"
    mark = tag("span", f" {arrow}" if sort == now else "", aria_hidden="true")
    return _choosing(title, mark, field="models-sort", value=sort)


def _choosing(*inside: str, field: str, value: str) -> Html:
    """Text that sets a field when it is clicked."""
    return tag("button", *inside, type="button", class_="hs-plain", data_chooses=field, data_value=value)


def _row(card: ModelCard, front: set[str]) -> tuple[str, ...]:
    forbidden = " (not for commercial use)" if card.commercial_use == "forbidden" else ""
    return (
        _choosing(card.name, field="models-pick", value=card.name),
        f"{card.parameters / 1e6:,.1f}M",
        _figure(card.gmacs, 2),
        f"{card.input.size} px",
        _figure(card.imagenet_top1, 2),
        _figure(card.cpu_images_per_second, 1),
        _figure(card.gpu_images_per_second, 0),
        card.licence + forbidden,
        "yes" if card.name in front else "",
    )


def _figure(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def usage(name: str) -> Html:
    """One card with the lines that use it."""
    card = find_model(name).card
    family = family_of(card.family)
    accuracy = "not published"
    if card.imagenet_top1 is not None:
        accuracy = f"{card.imagenet_top1:.2f} % at {card.imagenet_top1_size} px"
    figures = [
        ("parameters", f"{card.parameters / 1e6:,.1f} million"),
        ("ImageNet", accuracy),
        ("input", f"{card.input.size} px"),
        ("commercial use", card.commercial_use),
    ]
    lines = []
    for index, (where, line) in enumerate(usage_of(card).items()):
        lines.append(kit.paragraph(where, style="hs-small hs-soft"))
        lines.append(kit.text_to_copy(f"use-{index}", line, what=f"{where} line"))
    about = None if family is None else kit.paragraph(f"{family.name}: {family.idea}; good for {family.good_for}.")
    groups = f"Layer groups: {', '.join(card.groups)}." if card.groups else "It cannot be given classes."
    source = f"Licence of the weights: {card.licence}. {card.paper}"
    return kit.stack(
        kit.card(
            name,
            kit.facts(figures),
            kit.said(f"How to use {name}"),
            tag("div", style="height:14px"),
            about,
            *lines,
            kit.paragraph(groups, style="hs-small hs-soft"),
            kit.paragraph(source, style="hs-small hs-soft"),
        )
    )
