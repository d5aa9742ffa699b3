"""Frame of all pages: style sheet, scripts, head and foot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

from headstart.html.kit import paragraph
from headstart.html.markup import Html, joined, tag

PAGES: Mapping[str, str] = {"decide": "Decide", "transfer": "Transfer", "models": "Networks"}
"""Part of the address behind # -> name in the head of every page."""

ICON = Html(
    '<svg viewBox="0 0 26 26" aria-hidden="true"><rect x="1" y="3" width="6" height="20" rx="2" fill="#0072b2"/>'
    '<rect x="10" y="6" width="6" height="14" rx="2" fill="#56b4e9"/><rect x="19" y="9" width="6" height="8" rx="2" '
    'fill="#d55e00"/></svg>'
)
"""Three blocks of a network: frozen, fine-tuned, replaced."""


@cache
def resource(name: str) -> str:
    """Text of a file next to this module: look.css, page.js or field.js."""
    return resources.files("headstart.html").joinpath(name).read_text(encoding="utf-8")


def header() -> Html:
    """Head of all pages: name, and links to the pages."""
    links = [tag("a", title, href=f"#{name}") for name, title in PAGES.items()]
    return joined(
        [
            tag(
                "div",
                tag("div", ICON, "headstart", class_="hs-brand"),
                tag("nav", *links, class_="hs-nav", aria_label="Pages"),
                class_="hs-head",
            ),
            tag("div", id="hs-status", class_="hs-hidden", role="status"),
        ]
    )


def footer() -> Html:
    """Foot of all pages: their scope."""
    text = paragraph(
        "The same rules as in ",
        tag("code", "headstart advise"),
        ", ",
        tag("code", "headstart models"),
        " and the library. Everything runs on this machine: no page contacts another host.",
    )
    return tag("div", text, class_="hs hs-foot")


def intro(title: str, lead: str) -> Html:
    """Top of a page; the title takes the focus when the page is opened from a link."""
    heading = tag("h1", title, class_="hs-title", tabindex="-1")
    return tag("div", heading, paragraph(lead, style="hs-lead"), class_="hs")
