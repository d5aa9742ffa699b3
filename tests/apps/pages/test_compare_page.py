"""The comparison of networks as pure functions."""

from __future__ import annotations

import re

import pytest

from headstart.apps.pages import compare_page
from headstart.html import networks
from headstart.networks.cards.catalog import all_cards
from headstart.networks.cards.finding import find_model
from headstart.networks.cards.search import ModelQuery, pareto_front, search
from headstart.workflow.models import show_model
from page_text import first_values, parsed


def asked(**said: str) -> dict[str, str]:
    changed = {f"models-{name}": value for name, value in said.items()}
    return {**first_values((*compare_page.FIELDS, compare_page.PICK)), **changed}


def names_in(html: str) -> list[str]:
    """Of the rows of the table."""
    buttons = parsed(html).all_of("button")
    return [text for attributes, text in buttons if attributes.get("data-chooses") == "models-pick"]


def drawn_in(html: str) -> dict[str, dict[str, str]]:
    """Name of a point -> its attributes."""
    return {a["data-value"]: a for a, _ in parsed(html).all_of("circle") if "data-value" in a}


def test_at_first_everything_with_an_accuracy_is_drawn():
    chart, menu, usage, table = compare_page.page(asked())
    known = {card.name for card in all_cards() if card.imagenet_top1 is not None}
    assert set(drawn_in(chart)) == known
    assert len(menu["options"]) == len(all_cards())
    assert menu["choice"] == find_model("tf_efficientnet_lite0").card.name
    assert menu["choice"] in usage
    assert len(names_in(table)) == 25


@pytest.mark.parametrize("cost", ["parameters", "gmacs", "speed"])
def test_the_outlined_points_are_the_front(cost):
    chart, *_ = compare_page.page(asked(cost=cost, licence="allowed", library="timm"))
    fit = search(all_cards(), ModelQuery(commercial_use="allowed", library="timm"))
    outlined = {name for name, attributes in drawn_in(chart).items() if attributes.get("class") == "hs-on"}
    assert outlined == {card.name for card in pareto_front(fit, cost)}
    for name in outlined:  # by hand: nothing is at least as good in both and better in one
        card = find_model(name).card
        price = compare_page.cost_of(card, cost)
        for other in fit:
            there = compare_page.cost_of(other, cost)
            if other.imagenet_top1 is None or there is None or price is None:
                continue
            cheaper = there > price if cost == "speed" else there < price
            assert not (cheaper and other.imagenet_top1 >= card.imagenet_top1)


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ({"family": "densenet"}, lambda card: card.family == "densenet"),
        ({"library": "torchvision"}, lambda card: card.library == "torchvision"),
        ({"licence": "allowed"}, lambda card: card.commercial_use == "allowed"),
        ({"parameters": "10M"}, lambda card: card.parameters <= 10e6),
        ({"sizes": "any"}, lambda card: card.sizes == "any"),
        ({"contains": "LITE"}, lambda card: "lite" in card.name.lower()),
    ],
)
def test_filters_filter(said: dict[str, str], holds):
    chart, menu, _, table = compare_page.page(asked(**said, rows="all"))
    expected = {card.name for card in all_cards() if holds(card)}
    assert set(menu["options"]) == set(names_in(table)) == expected
    assert set(drawn_in(chart)) <= expected
    assert len(expected) < len(all_cards())


@pytest.mark.parametrize(
    ("sort", "spoken"), [("parameters", "ascending"), ("speed", "descending"), ("name", "ascending")]
)
def test_the_table_is_in_the_order_of_its_heading(sort, spoken: str):
    *_, table = compare_page.page(asked(sort=sort, rows="100"))
    assert names_in(table) == [card.name for card in search(all_cards(), ModelQuery(sort=sort))[:100]]
    sorted_by = [(a["aria-sort"], text) for a, text in parsed(table).all_of("th") if "aria-sort" in a]
    assert [state for state, _ in sorted_by] == [spoken]


def test_the_front_alone_may_be_sorted_by_something_else():
    *_, table = compare_page.page(asked(front="pareto", cost="gmacs", sort="name", rows="all"))
    front = {card.name for card in pareto_front(all_cards(), "gmacs")}
    assert names_in(table) == sorted(front)


def test_a_choice_stays_while_it_fits():
    *_, first = compare_page.page(asked(sort="name"))
    some = names_in(first)[3]
    chart, menu, usage, table = compare_page.page(asked(sort="name", pick=some))
    assert menu["choice"] == some
    assert [text for _, text in parsed(chart).all_of("text")] in ([some], [])
    assert some in usage
    picked = [text for attributes, text in parsed(table).all_of("tr") if attributes.get("class") == "hs-picked"]
    assert len(picked) == 1
    assert picked[0].startswith(some)
    _, menu, *_ = compare_page.page(asked(sort="name", pick=some, family="vgg"))
    assert menu["choice"].startswith("vgg")


@pytest.mark.parametrize("name", ["resnet50:IMAGENET1K_V2", "tf_efficientnet_lite0:in1k"])
def test_usage_is_that_of_the_command(name: str):
    page = parsed(compare_page.usage(name))
    lines = [text for attributes, text in page.all_of("pre")]
    assert lines == list(show_model(name).usage.values())


def test_where_nothing_fits_the_way_out_is_shown():
    chart, menu, usage, table = compare_page.page(asked(contains="no such network"))
    assert "loosen a filter" in chart
    assert (menu["choice"], menu["options"], usage, table) == ("", [], "", "")
    chart, *_ = compare_page.page(asked(family="resnets"))
    assert "did you mean resnet" in chart
    chart, *_ = compare_page.page(asked(sort="beauty"))
    assert "a way to sort" in chart


def test_networks_without_figures_are_in_the_table_alone():
    chart, *_, table = compare_page.page(asked(contains="dinov3", rows="all"))
    assert len(names_in(table)) > 3
    assert "None of them has a published accuracy" in chart


def test_names_of_cards_find_them_again():
    """The menu hands back a name; it must mean the same card."""
    for card in all_cards():
        assert find_model(card.name).card == card


def test_axes_have_a_few_round_ticks():
    for low, high in ((0.3, 6_716.0), (1.2, 9.9), (5.0, 5.0), (40.0, 90.0)):
        axis = compare_page._log_axis("x", [low, high])
        assert 1 <= len(axis.ticks) <= 7
        assert all(axis.low <= value <= axis.high for value, _ in axis.ticks)
    axis = compare_page._percent_axis([71.2, 90.1])
    assert 3 <= len(axis.ticks) <= 9
    assert all(re.fullmatch(r"\d+ %", text) for _, text in axis.ticks)


def test_families_have_colours_of_their_own_and_the_rest_is_grey():
    names = ("resnet50", "vgg16", "densenet121", "efficientnet_b0", "convnext_base", "vit_b_16")
    colours = [compare_page.colour_of(find_model(name).card) for name in names]
    assert len(set(colours)) == 6
    assert networks.GREY not in colours
    assert compare_page.colour_of(find_model("mobilenet_v2").card) == networks.GREY
