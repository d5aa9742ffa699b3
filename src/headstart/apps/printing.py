"""Answers on stdout: as JSON for programs, as lines of one width for people."""

from __future__ import annotations

import json
import textwrap

WIDTH = 110
"""Of a line of text."""


def json_text(answer: object) -> str:
    """Indented, in the user's own letters; numbers that are none are a mistake of ours and raise."""
    return json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False)


def wrapped(text: str, *, first: str = "", rest: str = "") -> str:
    """Text in lines of at most WIDTH; names and commands are never broken.

    Args:
        text: One paragraph.
        first: What the first line begins with.
        rest: What the others begin with.
    """
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
