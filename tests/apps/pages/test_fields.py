"""What a user can set."""

from __future__ import annotations

import json
import re

import pytest

from headstart.apps.pages import compare_page, decide_page, fields, transfer_page
from headstart.html import frame
from page_text import parsed

ALL = (*decide_page.FIELDS, *transfer_page.FIELDS, *compare_page.FIELDS, compare_page.PICK)


def test_names_are_unique_on_all_pages():
    assert len(ALL) == len({field.name for field in ALL}) == 26


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_every_field_has_a_name_that_is_seen_and_spoken(field: fields.Field):
    page = parsed(field.html)
    controls = [*page.all_of("input"), *page.all_of("select")]
    labels = {attributes.get("for") for attributes, _ in page.all_of("label")}
    for attributes, _ in controls:
        grouped = attributes.get("type") == "radio" and page.all_of("legend")
        assert grouped or attributes.get("id") in labels or attributes.get("aria-label")
        if told := attributes.get("aria-describedby"):
            assert page.text_of(id=told)
    seen = [text for _, text in (*page.all_of("label"), *page.all_of("legend"))]
    assert field.label in seen
    assert page.tags[0][1]["data-field"] == field.name


@pytest.mark.parametrize("field", ALL, ids=lambda field: field.name)
def test_a_template_holds_no_placeholder(field: fields.Field):
    assert not re.search(r"`|\$\{|\{\{|\\", field.template)
    assert parsed(field.template).text_of(data_field=field.name) == parsed(field.html).text_of(data_field=field.name)


def test_placeholders_in_texts_are_taken_as_they_are():
    odd = fields.text("a", "`${x}` {{y}} \\", "v")
    assert not re.search(r"`|\$\{|\{\{|\\", odd.template)
    assert odd.label in parsed(odd.template).text_of(data_field="a")


def test_a_slider_says_its_value_in_words():
    made = fields.slider("n", "Images", (("1", "one"), ("10", "ten")), "10", entry="none")
    page = parsed(made.html)
    (control, _), *_ = page.all_of("input")
    assert (control["max"], control["value"], control["aria-valuetext"]) == ("1", "1", "ten")
    assert json.loads(page.tags[0][1]["data-stops"]) == [["1", "one"], ["10", "ten"]]
    assert made.value == "10"


def test_a_choice_checks_one_option():
    page = parsed(fields.choice("c", "Colour", (("r", "red"), ("b", "blue")), "b").html)
    assert ["checked" in attributes for attributes, _ in page.all_of("input")] == [False, True]


def test_a_menu_keeps_its_options_in_its_value():
    assert fields.menu("m", "Name", (("a", "a"), ("", "all")), "a").value == {
        "choice": "a",
        "options": ["a", ["", "all"]],
    }


def test_every_kind_is_known_to_the_script():
    kinds = {parsed(field.html).tags[0][1]["data-kind"] for field in ALL}
    assert kinds == {"stops", "choice", "menu", "number", "text", "file"}
    script = frame.resource("field.js")
    for kind in kinds - {"choice", "number"}:  # these two just send what they hold
        assert f'"{kind}"' in script
