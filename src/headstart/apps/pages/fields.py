"""What a user can set on a page: each field is its HTML, and a value that is always text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

FieldOption = tuple[str, str]
"""(value, what it is called)."""

DOMAIN_CHOICES: tuple[FieldOption, ...] = (
    ("photo", "Photos"),
    ("medical", "Medical"),
    ("satellite", "From above"),
    ("document", "Documents"),
    ("industrial", "Industrial"),
)
"""Domains of images, as the pages call them."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting. `html` is fixed; what the user does with it is in field.js."""

    name: str
    """Unique on all pages."""
    label: str
    value: Any
    """At first: text, or for a menu {choice, options}."""
    html: str

    @property
    def template(self) -> str:
        """The HTML as Gradio's templates take it: nothing in it is a placeholder."""
        return self.html.replace("\\", "&#92;").replace("`", "&#96;").replace("${", "&#36;{").replace("{{", "&#123;{")


def _wrap(name: str, kind: str, inner: str, *, hint: str, attributes: str = "") -> str:
    told = f'<div class="hs-hint" id="{name}-hint">{escape(hint)}</div>' if hint else ""
    return f'<div class="hs hs-field" data-field="{name}" data-kind="{kind}"{attributes}>{inner}{told}</div>'


def _described(name: str, hint: str) -> str:
    return f' aria-describedby="{name}-hint"' if hint else ""


def slider(
    name: str, label: str, stops: Sequence[FieldOption], value: str, *, hint: str = "", entry: Literal["none", "number"]
) -> Field:
    """A slider over stops that need not be equally far apart.

    Args:
        name: Unique on all pages.
        label: Plain text.
        stops: Values from left to right.
        value: One of the stops, or with an entry any number.
        hint: Plain text below.
        entry: number: beside the slider any number can be typed.
    """
    values = [stop for stop, _ in stops]
    position = values.index(value)
    text = stops[position][1]
    shown = (
        f'<input class="hs-short" type="number" min="0" step="1" value="{value}" aria-label="{escape(label)}, exactly"'
        f"{_described(name, hint)}>"
        if entry == "number"
        else f'<output for="{name}">{escape(text)}</output>'
    )
    inner = (
        f'<div class="hs-line"><label for="{name}">{escape(label)}</label>{shown}</div>'
        f'<input id="{name}" type="range" min="0" max="{len(stops) - 1}" step="1" value="{position}" '
        f'aria-valuetext="{escape(text)}"{_described(name, hint)}>'
    )
    positions = escape(json.dumps([list(stop) for stop in stops]))
    return Field(name, label, value, _wrap(name, "stops", inner, hint=hint, attributes=f' data-stops="{positions}"'))


def choice(name: str, label: str, options: Sequence[FieldOption], value: str, *, hint: str = "") -> Field:
    """A few options side by side, of which one holds."""
    inner = "".join(
        f'<label><input type="radio" name="{name}" value="{escape(option)}"{" checked" if option == value else ""}>'
        f"<span>{escape(text)}</span></label>"
        for option, text in options
    )
    inner = (
        f'<fieldset{_described(name, hint)}><legend>{escape(label)}</legend><div class="hs-segments">{inner}</div>'
        "</fieldset>"
    )
    return Field(name, label, value, _wrap(name, "choice", inner, hint=hint))


def menu(name: str, label: str, options: Sequence[FieldOption], value: str, *, hint: str = "") -> Field:
    """A list to choose from, whose options the page may change."""
    inner = f'<label for="{name}">{escape(label)}</label><select id="{name}"{_described(name, hint)}></select>'
    return Field(name, label, menu_value(options, value), _wrap(name, "menu", inner, hint=hint))


def menu_value(options: Sequence[FieldOption], value: str) -> dict[str, Any]:
    """What a menu holds: its choice and its options; a value that is called by itself is written once."""
    return {"choice": value, "options": [text if value == text else [value, text] for value, text in options]}


def number_field(name: str, label: str, value: str, *, least: int, placeholder: str = "", hint: str = "") -> Field:
    """A whole number, or nothing."""
    inner = (
        f'<label for="{name}">{escape(label)}</label><input id="{name}" type="number" min="{least}" step="1" '
        f'value="{value}" placeholder="{escape(placeholder)}"{_described(name, hint)}>'
    )
    return Field(name, label, value, _wrap(name, "number", inner, hint=hint))


def text(name: str, label: str, value: str, *, hint: str = "") -> Field:
    """A line of text."""
    inner = (
        f'<label for="{name}">{escape(label)}</label><input id="{name}" type="text" value="{escape(value)}" '
        f'autocomplete="off" spellcheck="false"{_described(name, hint)}>'
    )
    return Field(name, label, value, _wrap(name, "text", inner, hint=hint))


def file(name: str, label: str, *, accept: str, hint: str = "") -> Field:
    """The text of a file of the user's; the browser reads it, nothing is stored."""
    inner = (
        f'<label for="{name}">{escape(label)}</label><input id="{name}" type="file" accept="{accept}"'
        f'{_described(name, hint)}><div><button type="button" class="hs-plain">Forget the file</button></div>'
    )
    return Field(name, label, "", _wrap(name, "file", inner, hint=hint))
