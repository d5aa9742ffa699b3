"""Frame of a report: one HTML file without script, which loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from headstart.html.kit import PageSection, card
from headstart.html.markup import Html, tag

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for the page: nothing."""

_MARK = Html(
    '<svg viewBox="0 0 26 26" class="brand-mark" aria-hidden="true"><rect x="2" y="3" width="22" height="5" rx="2"/>'
    '<rect x="5" y="10.5" width="16" height="5" rx="2"/><circle cx="8" cy="21" r="2.6"/>'
    '<circle cx="18" cy="21" r="2.6"/></svg>'
)


def page(*, title: str, kind: str, top: Html, sections: Sequence[PageSection]) -> str:
    """HTML of the whole report.

    Args:
        title: Of the window and the page.
        kind: Kind of report, in a word or two.
        top: The result, before everything else.
        sections: In order.
    """
    links = [tag("li", tag("a", section.title, href=f"#{section.id}")) for section in sections]
    parts = [card(section.title, section.body, id=section.id) for section in sections]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} - headstart"),
        tag("style", _look()),
    )
    body = tag(
        "body",
        tag("a", "Skip to the result", class_="skip", href="#result"),
        tag("header", _MARK, tag("span", "headstart", class_="brand"), tag("span", kind, class_="kind")),
        tag(
            "div",
            tag("nav", tag("ul", *links), aria_label="Parts of this report"),
            tag("main", tag("h1", title), top, *parts),
            class_="frame",
        ),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


@cache
def _look() -> Html:
    return Html(Path(__file__).with_name("page.css").read_text(encoding="utf-8"))
