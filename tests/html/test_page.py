"""The shell of a report."""

from __future__ import annotations

from headstart.html.kit import PageSection, paragraph
from headstart.html.markup import tag
from headstart.html.page import page
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
