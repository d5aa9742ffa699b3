"""The shell of a report."""

from __future__ import annotations

import pytest

from headstart.html.markup import tag
from headstart.html.page import PageSection, command, facts, fold, key, notice, page, paragraph, table
from page_text import parsed

SECTIONS = [PageSection("one", "First & last", paragraph("text")), PageSection("two", "Second", paragraph("more"))]


def test_the_file_loads_nothing_and_leads_to_its_sections():
    html = page(title="A <title>", kind="report", top=tag("section", id="result"), sections=SECTIONS)
    read = parsed(html.removeprefix("<!doctype html>\n"))
    metas = {a.get("http-equiv") or a.get("name", ""): a.get("content", "") for a, _ in read.all_of("meta")}
    assert metas["Content-Security-Policy"].startswith("default-src 'none'")
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert not read.all_of("script")
    assert not read.all_of("link")
    assert "url(" not in html
    assert "@import" not in html
    assert read.all_of("title")[0][1] == "A <title> - headstart"
    ids = {a["id"] for _, a in read.tags if "id" in a}
    links = [a["href"] for a, _ in read.all_of("a")]
    assert links == ["#result", "#one", "#two"]
    assert {link[1:] for link in links} <= ids
    assert [text for _, text in read.all_of("h2")] == ["First & last", "Second"]
    assert read.all_of("html")[0][0]["lang"] == "en"


def test_tables_scroll_name_their_rows_and_fold_away_the_many():
    rows = [[f"row {i}", f"{i}"] for i in range(5)]
    read = parsed(tag("div", table(["what", "count"], rows, says="Counts", numeric=(1,), picked=(1,), most=3)))
    boxes = [a for a, _ in read.all_of("div") if a.get("class") == "scroll"]
    assert all(box["tabindex"] == "0" and box["role"] == "region" for box in boxes)
    assert [box["aria-label"] for box in boxes] == ["Counts", "Counts, continued"]
    assert [a["scope"] for a, _ in read.all_of("th")].count("row") == 5
    assert read.all_of("summary")[0][1] == "2 more rows"
    assert [a.get("class") for a, _ in read.all_of("tr")][:4] == [None, None, "picked", None]
    assert all(a["class"] == "num" for a, _ in read.all_of("td"))


def test_a_row_without_a_cell_is_our_own_mistake():
    with pytest.raises(AssertionError, match="a cell for every column"):
        table(["a", "b"], [["only one"]], says="x")


def test_pieces():
    assert "<dt>a</dt><dd>b &lt;</dd>" in facts([("a", "b <")])
    assert fold("more", paragraph("x"), id="here") == (
        '<details><summary>more</summary><div id="here"><p>x</p></div></details>'
    )
    assert "<strong>Careful</strong> text" in notice("Careful", "text")
    assert "<code>rm &amp;</code>" in command("rm &")
    assert 'class="line one"' in key([("one", "what")])
