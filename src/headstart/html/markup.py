"""HTML and SVG as nested calls: all text that is not markup is escaped, so a class named `<script>` is harmless."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

EMPTY = frozenset({"br", "img", "meta"})
"""Tags that hold nothing and are not closed."""


class Html(str):
    """Text that is markup; all other text is escaped inside tags."""

    __slots__ = ()


NOTHING = Html("")


def tag(name: str, /, *inside: str | None, **attributes: object) -> Html:
    """HTML of one element.

    Args:
        name: Tag name.
        inside: Elements and texts; None is left out.
        attributes: `_` becomes `-`, one at the end is dropped (`class_`); None and False are left out, True is an
            attribute without a value.
    """
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value not in (None, False))
    if name in EMPTY:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{joined(inside)}</{name}>")


def joined(parts: Iterable[str | None], between: str = "") -> Html:
    """HTML of elements and texts one after the other."""
    return Html(safe(between).join(safe(part) for part in parts if part is not None))


def safe(text: str) -> Html:
    """HTML of a text: markup unchanged, other text escaped, lone surrogates as question marks."""
    if isinstance(text, Html):
        return text
    return Html(escape(text.encode("utf-8", "replace").decode()))


def _attribute(name: str, value: object) -> str:
    written = name.rstrip("_").replace("_", "-")
    return f" {written}" if value is True else f' {written}="{safe(str(value))}"'
