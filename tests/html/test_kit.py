"""The pieces that reports and pages are made of."""

from __future__ import annotations

import pytest

from headstart.html import kit
from headstart.html.markup import tag
from page_text import parsed

NASTY = '<b onclick="x">&'


def test_text_is_text_wherever_it_stands():
    html = kit.stack(
        kit.card(NASTY, kit.paragraph(NASTY), kit.said(NASTY), kit.facts([(NASTY, NASTY)])),
        kit.reasons([(NASTY, NASTY, NASTY)]),
        kit.notice(NASTY, kit.bullets([NASTY])),
        kit.fold(NASTY, NASTY, remembered="a"),
        kit.text_to_copy("b", NASTY, what=NASTY),
        kit.failure([NASTY]),
    )
    page = parsed(html)
    assert not page.all_of("b")
    assert page.text_of(id="b") == NASTY
    assert html.count("&lt;b onclick") >= 12


def test_tables_name_rows_and_columns_and_may_be_scrolled_with_the_keyboard():
    page = parsed(kit.table(("name", "value"), [("a", "1"), ("b", "2")], says="Figures", numeric=(1,), picked=(1,)))
    (region, _), *_ = page.all_of("div")
    assert (region["tabindex"], region["role"], region["aria-label"]) == ("0", "region", "Figures")
    assert [attributes["scope"] for attributes, _ in page.all_of("th")] == ["col", "col", "row", "row"]
    assert [text for _, text in page.all_of("td")] == ["1", "2"]
    assert [attributes.get("class") for attributes, _ in page.all_of("tr")] == [None, None, "hs-picked"]


def test_what_can_be_copied_names_its_button():
    page = parsed(kit.text_to_copy("line", "headstart demo", what="command"))
    (button, label), *_ = page.all_of("button")
    assert button["data-copies"] == "line"
    assert label == button["data-label"] == "Copy"
    assert button["aria-label"] == "Copy command"
    (named, label), *_ = parsed(kit.copy_button("plan", what="plan.yaml")).all_of("button")
    assert label == named["aria-label"] == "Copy plan.yaml"


def test_a_table_says_by_which_column_it_is_sorted_and_shows_its_caption():
    made = kit.table(("name", "value"), [("a", "1")], says="Figures", caption="shown", sorted_by=(1, "descending"))
    page = parsed(made)
    assert [attributes.get("aria-sort") for attributes, _ in page.all_of("th")] == [None, "descending", None]
    assert page.all_of("caption") == [({}, "Figures")]
    hidden = parsed(kit.table(("name",), [("a",)], says="Figures"))
    assert hidden.all_of("caption") == [({"class": "hs-hidden"}, "Figures")]


def test_a_card_with_an_id_is_named_by_its_title():
    page = parsed(kit.card("Why", kit.paragraph("so"), id="why"))
    (section, _), *_ = page.all_of("section")
    assert section == {"class": "hs-card", "id": "why", "aria-labelledby": "why-title"}
    assert page.text_of(id="why-title") == "Why"
    assert parsed(kit.card("Why")).all_of("section")[0][0] == {"class": "hs-card"}


def test_a_fold_is_remembered_by_its_key():
    (details, _), *_ = parsed(kit.fold("more", "text", remembered="plan")).all_of("details")
    assert details == {"data-fold": "plan"}


def test_an_error_is_an_alert():
    page = parsed(kit.failure(["no such file"]))
    assert "No result no such file" in page.text_of(role="alert")


def test_tables_scroll_name_their_rows_and_fold_away_the_many():
    rows = [[f"row {i}", f"{i}"] for i in range(5)]
    read = parsed(tag("div", kit.table(["what", "count"], rows, says="Counts", numeric=(1,), picked=(1,), most=3)))
    boxes = [a for a, _ in read.all_of("div") if a.get("class") == "hs-scroll"]
    assert all(box["tabindex"] == "0" and box["role"] == "region" for box in boxes)
    assert [box["aria-label"] for box in boxes] == ["Counts", "Counts, continued"]
    assert [a["scope"] for a, _ in read.all_of("th")].count("row") == 5
    assert read.all_of("summary")[0][1] == "2 more rows"
    assert [a.get("class") for a, _ in read.all_of("tr")][:4] == [None, None, "hs-picked", None]
    assert all(a["class"] == "hs-num" for a, _ in read.all_of("td"))


def test_a_row_without_a_cell_is_our_own_mistake():
    with pytest.raises(AssertionError, match="a cell for every column"):
        kit.table(["a", "b"], [["only one"]], says="x")


def test_pieces():
    assert "<dt>a</dt><dd>b &lt;</dd>" in kit.facts([("a", "b <")])
    assert kit.fold("more", kit.paragraph("x"), id="here") == (
        '<details><summary>more</summary><div id="here"><p>x</p></div></details>'
    )
    assert "<strong>Careful</strong> text" in kit.notice("Careful", "text")
    assert "<code>rm &amp;</code>" in kit.command("rm &")
    assert 'class="line one"' in kit.key([("one", "what")])
