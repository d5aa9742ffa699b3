"""Chart of a depth probe: accuracy after every layer group next to the rule of thumb; SVG, or a page with its table.

Pure functions of the figures of a probe. Nothing is loaded from anywhere. Colours suit colour-blind readers (after
Okabe & Ito 2008), each series has its own mark, and both follow the light or dark setting of the reader.
"""

# ruff: noqa: D102 - the figures are described where they are made, in advice.probe.by_depth

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Protocol

from headstart.errors import HeadstartError
from headstart.files import write_atomically
from headstart.html.kit import paragraph, table
from headstart.html.markup import Html, tag

CHART_SUFFIXES = (".svg", ".html")

WIDTH, HEIGHT = 760, 430
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 18, 84, 66
_MOST_LEVEL_NAMES = 9
"""Largest number of groups whose names are not slanted."""
_LONGEST_NAME = 14

_Point = tuple[float, float]

_STYLE = """
.ground{fill:#fff} text{font:13px system-ui,sans-serif;fill:#1a1c20} .small{font-size:12px;fill:#4a4f57}
.title{font-size:15px;font-weight:600} .grid{stroke:#d8dbe0} .axis{stroke:#6b7078} .line{fill:none;stroke-width:2}
.probe{stroke:#005a9c} .probe-mark{fill:#005a9c;stroke:#fff} .knn{stroke:#b84a00} .knn-mark{fill:#b84a00;stroke:#fff}
.cka{stroke:#00755a} .cka-mark{fill:#00755a;stroke:#fff} .book{stroke:#666b73} .book-mark{fill:#fff;stroke:#666b73}
.chance{stroke:#666b73;stroke-dasharray:2 5}
.dash{stroke-dasharray:7 5} .dots{stroke-dasharray:2 4}
@media (prefers-color-scheme: dark){
.ground{fill:#15171c} text{fill:#eceef1} .small{fill:#b9bec7} .grid{stroke:#343840} .axis{stroke:#8d939d}
.probe{stroke:#62b6f0} .probe-mark{fill:#62b6f0;stroke:#15171c} .knn{stroke:#ff9f4d}
.knn-mark{fill:#ff9f4d;stroke:#15171c}
.cka{stroke:#38c79f} .cka-mark{fill:#38c79f;stroke:#15171c} .book{stroke:#b0b6bf}
.book-mark{fill:#15171c;stroke:#b0b6bf} .chance{stroke:#b0b6bf}
}
"""

_PAGE_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;background:#fff;color:#1a1c20}
h1{font-size:1.4rem;overflow-wrap:anywhere}
svg.chart{width:100%;height:auto;max-width:60rem} table{border-collapse:collapse;width:100%} .hs-scroll{overflow-x:auto}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d8dbe0} td.hs-num,th.hs-num{text-align:right}
.hs-hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
@media (prefers-color-scheme: dark){body{background:#15171c;color:#eceef1} th,td{border-color:#343840}}
"""


class ChartedGroup(Protocol):
    """Figures of one layer group; `advice.probe.by_depth.GroupProbe` has them."""

    @property
    def group(self) -> str: ...
    @property
    def detects(self) -> str: ...
    @property
    def literature_share(self) -> float: ...
    @property
    def accuracy(self) -> float: ...
    @property
    def accuracy_interval(self) -> tuple[float, float]: ...
    @property
    def knn_accuracy(self) -> float: ...
    @property
    def knn_interval(self) -> tuple[float, float]: ...
    @property
    def cka(self) -> float | None: ...
    @property
    def features(self) -> int: ...


class ChartedCurve(Protocol):
    """Figures of all layer groups; `advice.probe.by_depth.DepthCurve` has them."""

    @property
    def groups(self) -> Sequence[ChartedGroup]: ...
    @property
    def sentence(self) -> str: ...
    @property
    def majority_share(self) -> float: ...
    @property
    def images(self) -> int: ...
    @property
    def folds(self) -> int: ...
    @property
    def neighbours(self) -> int: ...


class ChartedProbe(Protocol):
    """Result of a depth probe; `workflow.probing.DepthProbe` is one."""

    @property
    def curve(self) -> ChartedCurve: ...
    @property
    def model(self) -> str: ...
    @property
    def data(self) -> str: ...
    @property
    def classes(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class _Series:
    name: str
    style: str
    """Class of the line; `style`-mark is that of the marks."""
    stroke: str
    """dash, dots or nothing."""
    mark: Callable[[float, float], str]
    """Path data of a mark around a point."""
    values: Sequence[float]


def write_chart(probe: ChartedProbe, path: Path) -> None:
    """Write the chart as .svg, or as .html with its table.

    Raises:
        HeadstartError: another suffix, or the file cannot be written.
    """
    check_chart_path(path)
    text = chart_svg(probe) if path.suffix.lower() == ".svg" else chart_html(probe)
    try:
        write_atomically(path, lambda aside: aside.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise HeadstartError(f"{path} cannot be written ({error.strerror})", remedy="choose another --chart") from error


def check_chart_path(path: Path) -> None:
    """Refuse a suffix that no chart has, before anything is computed.

    Raises:
        HeadstartError: another suffix.
    """
    if path.suffix.lower() not in CHART_SUFFIXES:
        raise HeadstartError(f"--chart {path} has another suffix", expected=f"one of {', '.join(CHART_SUFFIXES)}")


def chart_svg(probe: ChartedProbe) -> str:
    """SVG of the chart alone.

    Args:
        probe: Result of the probe.
    """
    groups = probe.curve.groups
    title = f"{_subject(probe)}, after every layer group"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'aria-labelledby="probe-title probe-text">',
        f'<title id="probe-title">{escape(title)}</title>',
        f'<desc id="probe-text">{escape(_description(probe))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{_LEFT}" y="24">{escape(_shortened(title, 80))}</text>',
        *_axes(groups),
        *_chance(probe.curve.majority_share),
        *_whiskers(groups),
    ]
    series = _series(groups)
    for one in series:
        parts += _drawn(one, groups)
    return "\n".join([*parts, *_legend(series), "</svg>", ""])


def chart_html(probe: ChartedProbe) -> str:
    """HTML page of the chart, its interpretation and its data as a table; it loads nothing."""
    header, *rows = table_rows(probe)
    title = _subject(probe)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("title", title),
        tag("meta", name="viewport", content="width=device-width,initial-scale=1"),
        tag("style", Html(_PAGE_STYLE)),
    )
    body = tag(
        "body",
        tag("h1", f"Depth probe: {title}"),
        Html(chart_svg(probe)),
        paragraph(probe.curve.sentence),
        paragraph(method_text(probe)),
        table(header, rows, says="Figures of the chart", numeric=range(2, len(header)), most=None),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def table_rows(probe: ChartedProbe) -> list[list[str]]:
    """Rows of the chart's data as text, header first; CKA only where it was measured."""
    cka = _cka(probe.curve.groups)
    header = ["group", "detects", "accuracy", "95 %", "kNN", "95 %", "rule of thumb", "numbers"]
    if cka:
        header.insert(6, "CKA")
    rows = [header]
    for index, one in enumerate(probe.curve.groups):
        row = [one.group, one.detects, f"{one.accuracy:.3f}", _interval_text(one.accuracy_interval)]
        row += [f"{one.knn_accuracy:.3f}", _interval_text(one.knn_interval)]
        row += [f"{cka[index]:.3f}"] if cka else []
        rows.append([*row, f"{one.literature_share:.0%}", f"{one.features:,}"])
    return rows


def method_text(probe: ChartedProbe) -> str:
    """Method of the figures, in a sentence."""
    curve = probe.curve
    return (
        f"{curve.images:,} images of {len(probe.classes)} classes, {curve.folds} folds; accuracy of a "
        f"linear probe and of the {curve.neighbours} nearest neighbours, out of fold, with 95 % intervals in which "
        "images of one --group count together; always predicting the largest class gives "
        f"{curve.majority_share:.3f}; rule of thumb: the share of such a depth that teaching material "
        "says transfers (papers show the order, not these numbers)"
    )


def _subject(probe: ChartedProbe) -> str:
    """Name of the network and of the folder of images."""
    return f"{probe.model} on {Path(probe.data).name}"


def _interval_text(interval: Sequence[float]) -> str:
    return f"{interval[0]:.3f}..{interval[1]:.3f}"


def _cka(groups: Sequence[ChartedGroup]) -> list[float]:
    """CKA of every group; empty where no run was compared with."""
    known = [one.cka for one in groups if one.cka is not None]
    return known if len(known) == len(groups) else []


def _description(probe: ChartedProbe) -> str:
    rows = [
        f"{one.group}: probe {one.accuracy:.2f}, neighbours {one.knn_accuracy:.2f}, "
        f"rule of thumb {one.literature_share:.2f}"
        for one in probe.curve.groups
    ]
    return f"{probe.curve.sentence} " + "; ".join(rows)


def _series(groups: Sequence[ChartedGroup]) -> list[_Series]:
    """Series of the chart, the most important last and so on top."""
    found = [_Series("share by the rule of thumb", "book", "dash", _diamond, [one.literature_share for one in groups])]
    if cka := _cka(groups):
        found.append(_Series("CKA to the run", "cka", "dots", _triangle, cka))
    found.append(_Series("nearest neighbours", "knn", "", _square, [one.knn_accuracy for one in groups]))
    found.append(_Series("linear probe (95 %)", "probe", "", _circle, [one.accuracy for one in groups]))
    return found


def _x(index: int, count: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (index + 0.5) / count


def _y(value: float) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - value)


def _axes(groups: Sequence[ChartedGroup]) -> list[str]:
    parts = []
    for step in range(6):
        value, y = step / 5, _y(step / 5)
        style = "axis" if step == 0 else "grid"
        parts.append(f'<line class="{style}" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="small" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    slanted = len(groups) > _MOST_LEVEL_NAMES
    for index, one in enumerate(groups):
        x, y = _x(index, len(groups)), HEIGHT - _BOTTOM + 18
        turned = f' text-anchor="end" transform="rotate(-40 {x:.1f} {y})"' if slanted else ' text-anchor="middle"'
        name = escape(_shortened(one.group, _LONGEST_NAME))
        parts.append(f'<text class="small" x="{x:.1f}" y="{y}"{turned}>{name}</text>')
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="small" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">first layers to last layers</text>'
    )
    return parts


def _chance(share: float) -> list[str]:
    y = _y(share)
    return [
        f'<line class="chance" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
        f'<text class="small" x="{_LEFT + 4}" y="{y + 14:.1f}">always the largest class</text>',
    ]


def _whiskers(groups: Sequence[ChartedGroup]) -> list[str]:
    parts = []
    for index, one in enumerate(groups):
        x, (low, high) = _x(index, len(groups)), one.accuracy_interval
        bottom, top = f"{_y(low):.1f}", f"{_y(high):.1f}"
        left, right = f"{x - 5:.1f}", f"{x + 5:.1f}"
        parts.append(
            f'<path class="line probe" d="M{x:.1f} {bottom}V{top}M{left} {bottom}H{right}M{left} {top}H{right}"/>'
        )
    return parts


def _drawn(series: _Series, groups: Sequence[ChartedGroup]) -> list[str]:
    points = [(_x(index, len(groups)), _y(value)) for index, value in enumerate(series.values)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    parts = [f'<path class="line {series.style} {series.stroke}" d="M{path}"/>']
    for (x, y), one, value in zip(points, groups, series.values, strict=True):
        told = escape(f"{one.group}, {series.name}: {value:.3f}")
        parts.append(f'<path class="{series.style}-mark" d="{series.mark(x, y)}"><title>{told}</title></path>')
    return parts


def _legend(series: Sequence[_Series]) -> list[str]:
    parts, x, y = [], float(_LEFT), 52
    for one in reversed(series):
        parts.append(f'<path class="line {one.style} {one.stroke}" d="M{x:.0f} {y}h28"/>')
        parts.append(f'<path class="{one.style}-mark" d="{one.mark(x + 14, y)}"/>')
        parts.append(f'<text class="small" x="{x + 34:.0f}" y="{y + 4}">{escape(one.name)}</text>')
        x += 34 + 6.4 * len(one.name) + 22
    return parts


def _circle(x: float, y: float) -> str:
    return f"M{x - 5:.1f} {y:.1f}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"


def _square(x: float, y: float) -> str:
    return f"M{x - 4:.1f} {y - 4:.1f}h8v8h-8z"


def _diamond(x: float, y: float) -> str:
    return f"M{x:.1f} {y - 5.5:.1f}l5.5 5.5l-5.5 5.5l-5.5 -5.5z"


def _triangle(x: float, y: float) -> str:
    return f"M{x:.1f} {y - 5.5:.1f}l5.5 9.5h-11z"


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"
