"""Frame of all pages, and the pieces of HTML that results consist of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources

PAGES: Mapping[str, str] = {"decide": "Decide", "transfer": "Transfer", "models": "Networks"}
"""Part of the address behind # -> name in the head of every page."""

ICON = (
    '<svg viewBox="0 0 26 26" aria-hidden="true"><rect x="1" y="3" width="6" height="20" rx="2" fill="#0072b2"/>'
    '<rect x="10" y="6" width="6" height="14" rx="2" fill="#56b4e9"/><rect x="19" y="9" width="6" height="8" rx="2" '
    'fill="#d55e00"/></svg>'
)
"""Three blocks of a network: frozen, fine-tuned, replaced."""


@cache
def resource(name: str) -> str:
    """Text of a file next to this module: look.css, page.js or field.js."""
    return resources.files("headstart.html").joinpath(name).read_text(encoding="utf-8")


def header() -> str:
    """HTML of the head: name, and links to the pages."""
    links = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title in PAGES.items())
    return (
        f'<div class="hs-head"><div class="hs-brand">{ICON}headstart</div>'
        f'<nav class="hs-nav" aria-label="Pages">{links}</nav></div>'
        '<div id="hs-status" class="hs-hidden" role="status"></div>'
    )


def footer() -> str:
    """HTML of the foot: scope of the pages."""
    return (
        '<div class="hs hs-foot"><p>The same rules as in <code>headstart advise</code>, <code>headstart models</code> '
        "and the library. Everything runs on this machine: no page contacts another host.</p></div>"
    )


def intro(title: str, lead: str) -> str:
    """HTML of the top of a page; the title takes the focus when the page is opened from a link."""
    return f'<div class="hs"><h1 class="hs-title" tabindex="-1">{escape(title)}</h1><p class="hs-lead">{lead}</p></div>'


def stack(*cards: str) -> str:
    """HTML of a result: cards below each other."""
    return f'<div class="hs hs-stack">{"".join(cards)}</div>'


def card(title: str, *parts: str) -> str:
    """HTML of a part of a result under a title.

    Args:
        title: Plain text.
        parts: HTML.
    """
    return f'<section class="hs-card"><h2>{escape(title)}</h2>{"".join(parts)}</section>'


def paragraph(text: str, *, style: str = "") -> str:
    """HTML of a paragraph of plain text."""
    return f'<p class="{style}">{escape(text)}</p>' if style else f"<p>{escape(text)}</p>"


def said(text: str, *, style: str = "hs-hidden") -> str:
    """HTML of a sentence that a screen reader speaks when the result changes; hidden unless another style is given."""
    return f'<p class="{style}" role="status">{escape(text)}</p>'


def facts(pairs: Mapping[str, str]) -> str:
    """HTML of names and values side by side."""
    inner = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs.items())
    return f'<dl class="hs-facts">{inner}</dl>'


def reasons(rows: Iterable[tuple[str, str, str]]) -> str:
    """HTML of a list of (what, sentence, source)."""
    inner = "".join(
        f"<li><strong>{escape(what)}</strong>: {escape(sentence)}"
        + (f'<span class="hs-source">{escape(source)}</span>' if source else "")
        + "</li>"
        for what, sentence, source in rows
    )
    return f'<ul class="hs-list">{inner}</ul>'


def notice(title: str, sentences: Sequence[str]) -> str:
    """HTML of a warning at the top."""
    inner = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f'<div class="hs-notice"><strong>{escape(title)}</strong><ul>{inner}</ul></div>'


def failure(sentences: Sequence[str]) -> str:
    """HTML of an error: the value, what was expected, the way out."""
    return stack(f'<div role="alert">{notice("No result", sentences)}</div>')


def fold(key: str, title: str, *parts: str) -> str:
    """HTML of a part that opens on a click; it stays open or closed when the result is redrawn.

    Args:
        key: Unique on all pages.
        title: Plain text.
        parts: HTML.
    """
    return f'<details data-fold="{key}"><summary>{escape(title)}</summary>{"".join(parts)}</details>'


def table(
    caption: str,
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numeric: Collection[int] = (),
    picked: int | None = None,
) -> str:
    """A table whose first column names the row.

    Args:
        caption: Plain text.
        headings: HTML, one a column; may carry attributes when it begins with `<th`.
        rows: HTML, one cell a column.
        numeric: Columns of numbers.
        picked: Row that is marked as chosen.
    """
    kinds = [' class="hs-num"' if column in numeric else "" for column in range(len(headings))]
    head = "".join(
        heading if heading.startswith("<th") else f'<th scope="col"{kind}>{heading}</th>'
        for heading, kind in zip(headings, kinds, strict=True)
    )
    body = "".join(
        ('<tr class="hs-picked">' if index == picked else "<tr>")
        + "".join(
            f'<th scope="row"{kind}>{cell}</th>' if column == 0 else f"<td{kind}>{cell}</td>"
            for column, (cell, kind) in enumerate(zip(row, kinds, strict=True))
        )
        + "</tr>"
        for index, row in enumerate(rows)
    )
    return (
        f'<div class="hs-scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def text_to_copy(key: str, text: str, *, what: str, label: str = "Copy") -> str:
    """HTML of a line of code with its button.

    Args:
        key: Unique on all pages.
        text: What is shown and copied.
        what: What it is, such as `command`.
        label: Visible label of the button.
    """
    return (
        f'<div class="hs-code"><pre id="{key}" tabindex="0">{escape(text)}</pre>'
        f"{copy_button(key, what=what, label=label)}</div>"
    )


def copy_button(key: str, *, what: str, label: str = "") -> str:
    """HTML of a button that copies the text of another element.

    Args:
        key: Id of that element.
        what: What it is, such as `plan.yaml`: spoken, also once it is copied.
        label: Visible label; `Copy` and `what` by default.
    """
    spoken = f"Copy {what}"
    seen = label or spoken
    return (
        f'<button type="button" class="hs-button" aria-label="{escape(spoken)}" data-copies="{key}" '
        f'data-what="{escape(what)}" data-label="{escape(seen)}"><span>{escape(seen)}</span></button>'
    )
