"""Markup: what is text stays text."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from headstart.html.markup import Html, joined, safe, tag


class Reader(HTMLParser):
    """Tags, attributes and text as a browser's parser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, name, attributes):
        self.tags.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def test_elements_nest_and_texts_are_escaped():
    assert tag("p", "a < b & c", tag("b", "x")) == "<p>a &lt; b &amp; c<b>x</b></p>"
    assert tag("br") == "<br>"
    assert tag("td", None, "", class_="num", data_x=3) == '<td class="num" data-x="3"></td>'
    assert tag("meta", name="viewport") == '<meta name="viewport">'
    assert tag("a", open=True, hidden=False, id=None) == "<a open></a>"
    assert joined(["<", Html("<i></i>"), None], " & ") == "&lt; &amp; <i></i>"


@given(st.text())
def test_no_text_becomes_markup(text: str):
    read = Reader(tag("p", text, title=text))
    assert [name for name, _ in read.tags] == ["p"]
    written = text.encode("utf-8", "replace").decode()
    assert read.tags[0][1]["title"] == written
    assert read.text == written


def test_surrogates_do_not_break_the_file():
    assert safe("a\udc80b").encode() == b"a?b"
