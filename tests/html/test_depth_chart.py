"""The chart of a probe: well-formed, needs nothing from elsewhere, true to its figures, readable in light and dark."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest

from headstart.advice.probe.by_depth import GroupProbe
from headstart.errors import HeadstartError
from headstart.html.depth_chart import chart_html, chart_svg, method_text, table_rows, write_chart

SVG = "{http://www.w3.org/2000/svg}"


def group(index: int, count: int, *, cka: float | None = None) -> GroupProbe:
    accuracy = 0.4 + 0.5 * index / count
    return GroupProbe(
        group=f"stage{index}",
        position=index,
        count=count,
        detects="edges & corners",
        literature_share=0.95 - 0.6 * index / count,
        default_action="freeze",
        accuracy=accuracy,
        accuracy_interval=(accuracy - 0.05, accuracy + 0.04),
        knn_accuracy=accuracy - 0.1,
        knn_interval=(accuracy - 0.16, accuracy - 0.05),
        cka=cka,
        features=1280,
    )


def answer(count: int = 5, *, cka: float | None = None) -> SimpleNamespace:
    curve = SimpleNamespace(
        images=244,
        folds=5,
        groups=[group(index, count, cka=cka) for index in range(count)],
        sentence="The probe rises.",
        neighbours=10,
        majority_share=0.51,
    )
    return SimpleNamespace(model="net<x>:tag", data="/some/where/ants & bees", classes=("ants", "bees"), curve=curve)


def marks(svg: str, kind: str) -> list[tuple[float, float]]:
    """Where the marks of a series begin."""
    found = [p.get("d", "") for p in ET.fromstring(svg).iter(f"{SVG}path") if p.get("class") == f"{kind}-mark"]
    numbers = [re.findall(r"-?\d+\.?\d*", path)[:2] for path in found]
    return [(float(x), float(y)) for x, y in numbers]


def test_every_value_has_its_mark_and_higher_is_higher():
    svg = chart_svg(answer())
    for kind, count in (("probe", 6), ("knn", 6), ("book", 6), ("cka", 0)):  # five values and one in the legend
        assert len(marks(svg, kind)) == count
    probe, book = marks(svg, "probe")[:5], marks(svg, "book")[:5]
    assert [x for x, _ in probe] == sorted(x for x, _ in probe)
    assert [y for _, y in probe] == sorted((y for _, y in probe), reverse=True)
    assert [y for _, y in book] == sorted(y for _, y in book)
    steps = [a[1] - b[1] for a, b in pairwise(probe)]
    assert steps == pytest.approx([0.1 * 280] * 4, abs=0.2)


def test_whiskers_reach_from_end_to_end_of_the_interval():
    paths = [p.get("d", "") for p in ET.fromstring(chart_svg(answer())).iter(f"{SVG}path")]
    whisker = next(path for path in paths if "V" in path)
    bottom, top = (float(number) for number in re.findall(r"M\S+ ([\d.]+)V([\d.]+)", whisker)[0])
    assert bottom - top == pytest.approx(0.09 * 280, abs=0.2)


def test_cka_is_drawn_where_it_was_measured():
    assert "CKA" not in chart_svg(answer())
    svg = chart_svg(answer(cka=0.8))
    assert len(marks(svg, "cka")) == 6
    assert "CKA to the run" in svg
    texts = list(ET.fromstring(svg).iter(f"{SVG}text"))
    ends = [float(t.get("x")) + 6.8 * len(t.text) for t in texts if t.get("text-anchor") is None]  # as fonts go
    assert max(ends) < 760


def test_names_are_text_and_screen_readers_are_told_everything():
    root = ET.fromstring(chart_svg(answer()))
    assert root.get("role") == "img"
    title, told = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("aria-labelledby") == f"{title.get('id')} {told.get('id')}"
    assert title.text == "net<x>:tag on ants & bees, after every layer group"
    assert told.text.startswith("The probe rises.")
    assert "stage4: probe 0.80, neighbours 0.70, rule of thumb 0.47" in told.text


def test_many_groups_have_slanted_names():
    assert "rotate" not in chart_svg(answer(9))
    assert chart_svg(answer(20)).count("rotate") == 20


def test_nothing_is_loaded_from_elsewhere():
    page = chart_html(answer(cka=0.5))
    assert re.findall(r"https?://[^\s\"']+", page) == ["http://www.w3.org/2000/svg"]  # a name, not an address
    assert not re.search(r"<script|<link|<img|@import|url\(", page)


class _Cells(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self._open = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._open = tag in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._open:
            self.cells.append(data)
        self._open = False


def test_the_page_has_the_data_as_a_table():
    parser = _Cells()
    parser.feed(chart_html(answer(cka=0.25)))
    assert parser.cells == [cell for row in table_rows(answer(cka=0.25)) for cell in row]
    assert "The probe rises." in chart_html(answer())
    assert method_text(answer()).startswith("244 images of 2 classes, 5 folds")


def test_the_table_says_what_was_measured():
    header, first, *_ = table_rows(answer())
    assert header == ["group", "detects", "accuracy", "95 %", "kNN", "95 %", "rule of thumb", "numbers"]
    assert first[:4] == ["stage0", "edges & corners", "0.400", "0.350..0.440"]
    assert first[6:] == ["95%", "1,280"]
    assert table_rows(answer(cka=0.25))[1][6] == "0.250"


def luminance(colour: str) -> float:
    full = colour if len(colour) == 6 else "".join(2 * digit for digit in colour)
    parts = [int(full[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("setting", ["light", "dark"])
def test_lines_and_text_stand_out_from_the_ground(setting: str):
    """WCAG 2.2: 3 to 1 for lines and marks, 4.5 to 1 for text."""
    style = ET.fromstring(chart_svg(answer())).find(f"{SVG}style").text
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    rules = light if setting == "light" else dark
    ground = luminance(re.search(r"\.ground\{fill:#(\w+)", rules)[1])

    def contrast(colour: str) -> float:
        high, low = sorted((luminance(colour), ground), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for name in ("probe", "knn", "cka", "book", "chance", "axis"):
        assert contrast(re.search(rf"\.{name}\{{stroke:#(\w+)", rules)[1]) >= 3
    for name in ("text", r"\.small"):
        assert contrast(re.search(rf"{name}\{{[^}}]*fill:#(\w+)", rules)[1]) >= 4.5


@pytest.mark.parametrize("suffix", ["svg", "html"])
def test_it_is_written_whole(tmp_path: Path, suffix: str):
    path = tmp_path / f"chart.{suffix}"
    write_chart(answer(), path)
    assert path.read_text(encoding="utf-8") == (chart_svg if suffix == "svg" else chart_html)(answer())
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_cannot_be_written_is_said(tmp_path: Path):
    with pytest.raises(HeadstartError, match=r"chart\.png has another suffix; expected one of \.svg, \.html"):
        write_chart(answer(), tmp_path / "chart.png")
    with pytest.raises(HeadstartError, match="choose another --chart"):
        write_chart(answer(), tmp_path / "not there" / "chart.svg")
