"""The frame of all pages: links, scripts, colours."""

from __future__ import annotations

import re

import pytest

from headstart.html import frame
from page_text import parsed


def test_the_head_of_all_pages_leads_to_each():
    page = parsed(frame.header())
    assert [attributes["href"] for attributes, _ in page.all_of("a")] == [f"#{name}" for name in frame.PAGES]
    script = frame.resource("page.js")
    for name in frame.PAGES:
        assert re.search(rf"\b{name}: \"", script), "the script knows every page"


@pytest.mark.parametrize("name", ["look.css", "page.js", "field.js"])
def test_nothing_of_the_look_comes_from_elsewhere(name: str):
    text = frame.resource(name)
    assert len(text) > 500
    assert not re.search(r"https?:|@import|//[a-z]+\.", text)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [":root", ".dark"])
def test_text_can_be_read_in_both_modes(mode: str):
    css = frame.resource("look.css")
    block = css[css.index(f"{mode} {{") :]
    colours = dict(re.findall(r"--hs-([a-z-]+): (#[0-9a-f]{6});", block[: block.index("}")]))
    for ground in ("ground", "card", "sunk", "accent-soft", "warm-soft"):
        assert contrast(colours["text"], colours[ground]) >= 7
    for text in ("soft", "accent", "warm"):
        assert contrast(colours[text], colours["card"]) >= 4.5
        assert contrast(colours[text], colours["warm-soft" if text == "warm" else "sunk"]) >= 4.5
    assert contrast(colours["accent-text"], colours["accent"]) >= 4.5
    assert contrast(colours["edge"], colours["card"]) >= 3, "borders of fields"
