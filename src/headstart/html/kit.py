"""Pieces of HTML that reports and pages consist of: cards, tables, facts, notices. Text is escaped by `markup.tag`.

Names of classes begin with `hs-`, because pages stand inside Gradio's, which has its own `hidden` and `card`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.html.markup import Html, joined, tag

SortOrder = Literal["ascending", "descending"]


@dataclass(frozen=True, slots=True)
class PageSection:
    """One section of a report."""

    id: str
    """Id of the element, for links."""
    title: str
    body: Html


def stack(*cards: str | None) -> Html:
    """Result of a page: cards below each other."""
    return tag("div", *cards, class_="hs hs-stack")


def card(title: str, *parts: str | None, id: str | None = None) -> Html:
    """Part of a result under a title.

    Args:
        title: Of the part.
        parts: Below the title.
        id: Of the element, for links.
    """
    heading = None if id is None else f"{id}-title"
    return tag("section", tag("h2", title, id=heading), *parts, class_="hs-card", id=id, aria_labelledby=heading)


def paragraph(*inside: str | None, style: str | None = None) -> Html:
    """A paragraph."""
    return tag("p", *inside, class_=style)


def said(text: str, *, style: str | None = "hs-hidden") -> Html:
    """Sentence that a screen reader speaks when the result changes; hidden unless another style is given."""
    return tag("p", text, class_=style, role="status")


def facts(values: Iterable[tuple[str, str]]) -> Html:
    """Tiles of a name and a value each."""
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in values), class_="hs-facts")


def bullets(items: Iterable[str | None], *, style: str | None = None) -> Html:
    """List with a bullet before each item."""
    return tag("ul", *(tag("li", item) for item in items), class_=style)


def reasons(rows: Iterable[tuple[str, str, str]]) -> Html:
    """List of (what, sentence, source); the source may be empty."""
    items = (
        joined([tag("strong", what), ": ", sentence, tag("span", source, class_="hs-source") if source else None])
        for what, sentence, source in rows
    )
    return bullets(items, style="hs-list")


def notice(title: str, *inside: str | None) -> Html:
    """Box with a warning."""
    return tag("div", tag("strong", title), " ", *inside, class_="hs-notice", role="note")


def failure(sentences: Iterable[str]) -> Html:
    """Error in place of a result: the value, what was expected, the way out."""
    return stack(tag("div", notice("No result", bullets(sentences)), role="alert"))


def fold(summary: str, *parts: str | None, id: str | None = None, remembered: str | None = None) -> Html:
    """Part that opens on a click.

    Args:
        summary: What is seen of it while it is closed.
        parts: Below the summary.
        id: Of the element around the parts, for links.
        remembered: Key, unique on all pages, by which it stays open or closed when the result is redrawn.
    """
    return tag("details", tag("summary", summary), tag("div", *parts, id=id), data_fold=remembered)


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[str | None]],
    *,
    says: str,
    numeric: Collection[int] = (),
    picked: Collection[int] = (),
    most: int | None = 40,
    caption: Literal["hidden", "shown"] = "hidden",
    sorted_by: tuple[int, SortOrder] | None = None,
) -> Html:
    """A table that scrolls inside its own box where it is wide; the first cell of a row names it.

    Args:
        header: One name a column.
        rows: Texts or elements; None is an empty cell.
        says: Caption.
        numeric: Columns of figures.
        picked: Highlighted rows.
        most: Rows that are shown at once; further ones are folded away. None shows all.
        caption: hidden captions are for screen readers alone.
        sorted_by: Column by which the rows are sorted, and in which order.
    """
    head = tag("tr", *(_heading(i, name, numeric, sorted_by) for i, name in enumerate(header)))
    lines = []
    for index, row in enumerate(rows):
        assert len(row) == len(header), "every row has a cell for every column"
        first = tag("th", row[0], scope="row", class_=_kind(0, numeric))
        rest = (tag("td", cell, class_=_kind(i + 1, numeric)) for i, cell in enumerate(row[1:]))
        lines.append(tag("tr", first, *rest, class_="hs-picked" if index in picked else None))
    shown = _table_of(head, lines[:most], says, caption)
    if most is None or len(lines) <= most:
        return shown
    rest_of = _table_of(head, lines[most:], f"{says}, continued", caption)
    return joined([shown, fold(f"{len(lines) - most:,} more rows", rest_of)])


def _heading(column: int, name: str, numeric: Collection[int], sorted_by: tuple[int, SortOrder] | None) -> Html:
    order = sorted_by[1] if sorted_by is not None and sorted_by[0] == column else None
    return tag("th", name, scope="col", class_=_kind(column, numeric), aria_sort=order)


def _table_of(head: Html, lines: Sequence[Html], says: str, caption: Literal["hidden", "shown"]) -> Html:
    style = "hs-hidden" if caption == "hidden" else None
    return scrolled(
        tag("table", tag("caption", says, class_=style), tag("thead", head), tag("tbody", *lines)), says=says
    )


def _kind(column: int, numeric: Collection[int]) -> str | None:
    return "hs-num" if column in numeric else None


def scrolled(wide: Html, *, says: str) -> Html:
    """Box in which something wide scrolls, with the keyboard too; `says` names it for screen readers."""
    return tag("div", wide, class_="hs-scroll", role="region", aria_label=says, tabindex="0")


def command(text: str, *, says: str = "Command") -> Html:
    """Command or code."""
    return tag("pre", tag("code", text), tabindex="0", role="region", aria_label=says)


def text_to_copy(id: str, text: str, *, what: str, label: str = "Copy") -> Html:
    """Line of code with its button.

    Args:
        id: Of the text, unique on all pages.
        text: What is shown and copied.
        what: What it is, such as `command`.
        label: Visible label of the button.
    """
    return tag("div", tag("pre", text, id=id, tabindex="0"), copy_button(id, what=what, label=label), class_="hs-code")


def copy_button(id: str, *, what: str, label: str = "") -> Html:
    """Button that copies the text of another element.

    Args:
        id: Of that element.
        what: What it is, such as `plan.yaml`: spoken, also once it is copied.
        label: Visible label; `Copy` and `what` by default.
    """
    spoken = f"Copy {what}"
    seen = label or spoken
    return tag(
        "button",
        tag("span", seen),
        type="button",
        class_="hs-button",
        aria_label=spoken,
        data_copies=id,
        data_what=what,
        data_label=seen,
    )


def key(entries: Sequence[tuple[str, str]]) -> Html:
    """Legend of a chart: (style, text)."""
    items = [
        tag("span", tag("svg", tag("line", class_=f"line {style}", x1="0", x2="26", y1="7", y2="7")), text)
        for style, text in entries
    ]
    return tag("div", *items, class_="hs-key", aria_hidden="true")
