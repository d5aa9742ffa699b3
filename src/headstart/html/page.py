"""Frame of a report: one HTML file without script, which loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from headstart.html.markup import Html, joined, tag

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for the page: nothing."""

_MARK = Html(
    '<svg viewBox="0 0 26 26" class="brand-mark" aria-hidden="true"><rect x="2" y="3" width="22" height="5" rx="2"/>'
    '<rect x="5" y="10.5" width="16" height="5" rx="2"/><circle cx="8" cy="21" r="2.6"/>'
    '<circle cx="18" cy="21" r="2.6"/></svg>'
)


@dataclass(frozen=True, slots=True)
class PageSection:
    """One section of a report."""

    id: str
    """Id of the element, for links."""
    title: str
    body: Html


def page(*, title: str, kind: str, top: Html, sections: Sequence[PageSection]) -> str:
    """HTML of the whole report.

    Args:
        title: Of the window and the page.
        kind: Kind of report, in a word or two.
        top: The result, before everything else.
        sections: In order.
    """
    links = [tag("li", tag("a", section.title, href=f"#{section.id}")) for section in sections]
    parts = [
        tag(
            "section",
            tag("h2", section.title, id=f"{section.id}-title"),
            section.body,
            class_="card",
            id=section.id,
            aria_labelledby=f"{section.id}-title",
        )
        for section in sections
    ]
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


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str | None]],
    *,
    says: str,
    numeric: Sequence[int] = (),
    picked: Sequence[int] = (),
    most: int = 40,
) -> Html:
    """A table that scrolls inside its own box where it is wide; the first cell of a row names it.

    Args:
        header: One name a column.
        rows: Texts or elements; None is an empty cell.
        says: Caption for screen readers.
        numeric: Columns of figures.
        picked: Highlighted rows.
        most: Rows that are shown at once; further ones are folded away.
    """
    assert all(len(row) == len(header) for row in rows), "every row has a cell for every column"
    head = tag("tr", *(tag("th", name, scope="col", class_=_kind(i, numeric)) for i, name in enumerate(header)))
    lines = []
    for index, row in enumerate(rows):
        first = tag("th", row[0], scope="row", class_=_kind(0, numeric))
        rest = (tag("td", cell, class_=_kind(i + 1, numeric)) for i, cell in enumerate(row[1:]))
        lines.append(tag("tr", first, *rest, class_="picked" if index in picked else None))
    shown = _boxed(head, lines[:most], says)
    if len(lines) <= most:
        return shown
    return joined([shown, fold(f"{len(lines) - most:,} more rows", _boxed(head, lines[most:], f"{says}, continued"))])


def _boxed(head: Html, lines: Sequence[Html], says: str) -> Html:
    whole = tag("table", tag("caption", says, class_="hidden"), tag("thead", head), tag("tbody", *lines))
    return tag("div", whole, class_="scroll", role="region", aria_label=says, tabindex="0")


def _kind(column: int, numeric: Sequence[int]) -> str | None:
    return "num" if column in numeric else None


def fold(summary: str, body: Html, *, id: str | None = None) -> Html:
    """Part that opens on a click."""
    return tag("details", tag("summary", summary), tag("div", body, id=id))


def paragraph(*inside: str | None, style: str | None = None) -> Html:
    """A paragraph."""
    return tag("p", *inside, class_=style)


def facts(values: Sequence[tuple[str, str]]) -> Html:
    """Tiles of a name and a value each."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in values), class_="facts")


def notice(title: str, *inside: str | None) -> Html:
    """Box with a warning."""
    return tag("div", tag("strong", title), " ", *inside, class_="notice", role="note")


def command(text: str, *, says: str = "Command") -> Html:
    """Command or code."""
    return tag("pre", tag("code", text), tabindex="0", role="region", aria_label=says)


def key(entries: Sequence[tuple[str, str]]) -> Html:
    """Legend of a chart: (style, text)."""
    items = [
        tag("span", tag("svg", tag("line", class_=f"line {style}", x1="0", x2="26", y1="7", y2="7")), text)
        for style, text in entries
    ]
    return tag("div", *items, class_="key", aria_hidden="true")
