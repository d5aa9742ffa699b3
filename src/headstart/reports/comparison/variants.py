"""What was compared: the table of variants, their accuracies with intervals, who beats whom, and what rates do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.markup import Html, joined, tag
from headstart.html.page import Section, fold, paragraph, table
from headstart.html.plot import Axis, Plot, log_axis, share_axis, starts_at
from headstart.html.tracks import interval_track, scale
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.reports.comparison.result import METRICS, NEEDS_DOWNLOAD, what_of
from headstart.runs.record import Values

_RATE_CHIPS = {"sweet spot": "good", "diverges": "warm", "forgets": "warm", "undertrains": "blue"}
_MOST_IN_MATRIX = 10
_LONGEST_ON_A_LINE = 28
_ROOM_BELOW = 0.15
"""Of the range of intervals, for names below them."""


def variants_section(comparison: ComparisonFacts) -> Section:
    """One row a variant."""
    rows = [_variant_row(comparison, one) for one in comparison.variants]
    chosen = (comparison.answer.get("chosen") or {}).get("variant")
    picked = [index for index, one in enumerate(comparison.variants) if one["name"] == chosen]
    extra = [] if comparison.answer["metric"] == "accuracy" else [METRICS[comparison.answer["metric"]]]
    header = ["variant", "accuracy, report", *extra, "accuracy, choosing", "seeds", "time a trial"]
    header += ["images/s", "one image", "memory, training", "parameters"]
    changes = [_changes_line(one) for one in comparison.variants if one.get("changes")]
    parts = [
        paragraph(
            "Accuracy is on the images that report, pooled over seeds, with its 95\u00a0% interval; the choice "
            f"was made by the column beside it, on other images. Images/s and one image are "
            f"prediction{_measured_how(comparison)}."
        ),
        table(header, rows, says="Variants", numeric=range(1, len(header)), picked=picked),
        fold("What each variant changes in the plan", tag("ul", *changes, class_="plain")) if changes else None,
    ]
    return Section("variants", f"The {what_of(comparison)}", joined(parts))


def _measured_how(comparison: ComparisonFacts) -> str:
    found = next((one["inference"] for one in comparison.variants if one.get("inference")), None)
    if found is None:
        return ""
    threads = found.get("threads")
    return f", by {found['engine']}" + (f" with {count_text(threads, 'thread')}" if threads else "")


def _variant_row(comparison: ComparisonFacts, one: Values) -> list[str | None]:
    report, select, speed = one.get("report"), one.get("select"), one.get("inference") or {}
    chip = tag("span", str(comparison.number(one["name"])), class_="chip")
    name = tag("span", chip, f" {one['name']}", class_="nowrap" if len(one["name"]) <= _LONGEST_ON_A_LINE else None)
    if one.get("same_model_as"):
        chip = tag("span", f"same model as {one['same_model_as']}", class_="chip")
        name = tag("span", name, " ", chip)
    status = one.get("accuracy_status")
    accuracy = tag("span", status or "\u2013", class_="soft")
    if report:
        small = tag("small", wording.interval(report["interval"]))
        accuracy = tag("span", tag("b", wording.percent(report["accuracy"])), small, class_="figure")
    if status == NEEDS_DOWNLOAD:
        accuracy = tag("span", NEEDS_DOWNLOAD, class_="soft")
    measured = (
        []
        if comparison.answer["metric"] == "accuracy"
        else [wording.number(report.get("value")) if report else "\u2013"]
    )
    return [
        name,
        accuracy,
        *measured,
        wording.percent(select["accuracy"]) if select else "\u2013",
        str(one.get("seeds_done", 0)),
        wording.duration((one.get("seconds") or {}).get("mean")),
        *_speeds(speed),
        wording.size(one.get("peak_memory_bytes")),
        wording.large(one.get("parameters")),
    ]


def _speeds(speed: Values) -> tuple[str, str]:
    """Images a second and time of one image; a range where the machine was too busy for a figure."""
    if speed.get("stability") == "unstable":
        least, most = speed.get("images_per_second_range") or [speed["images_per_second"]] * 2
        low, high = speed.get("one_image_ms_range") or [speed["one_image_ms"]] * 2
        return f"unstable: {least:,.0f} to {most:,.0f}", f"unstable: {low:,.0f} to {high:,.0f} ms"
    return (
        f"{speed['images_per_second']:,.0f}" if speed.get("images_per_second") else "\u2013",
        f"{speed['one_image_ms']:.1f} ms" if speed.get("one_image_ms") else "\u2013",
    )


def _changes_line(one: Values) -> Html:
    said = ", ".join(f"{path}: {value}" for path, value in one["changes"].items())
    return tag("li", tag("b", one["name"]), f": {said}")


def forest_section(comparison: ComparisonFacts) -> Section | None:
    """Accuracies with their intervals on one scale, the best first."""
    shown = [one for one in comparison.variants if one.get("report") and not one.get("same_model_as")]
    if not shown:
        return None
    shown.sort(key=lambda one: -one["report"]["accuracy"])
    axis = share_axis([share for one in shown for share in (*one["report"]["interval"], *_seeds(one))])
    items = [_forest_item(comparison, one, axis) for one in shown]
    items.append(tag("li", tag("span"), scale(axis, most=5), tag("span"), aria_hidden="true"))
    parts = [
        paragraph(
            "Dot: accuracy on the images that report, pooled over seeds. Line: 95\u00a0% interval. Small dots below: "
            f"single seeds. Where lines overlap widely, the order may be luck.{starts_at(axis)}"
        ),
        tag("ul", *items, class_="forest"),
    ]
    return Section("forest", "Accuracies with their intervals", joined(parts))


def _seeds(one: Values) -> Sequence[float]:
    return [share for share in one["report"].get("by_seed") or () if share is not None]


def _forest_item(comparison: ComparisonFacts, one: Values, axis: Axis) -> Html:
    report = one["report"]
    seeds = _seeds(one)
    figure = tag(
        "span",
        tag("b", wording.percent(report["accuracy"])),
        tag("small", wording.interval(report["interval"])),
        class_="value",
    )
    name = tag("span", tag("span", str(comparison.number(one["name"])), class_="chip"), " ", tag("b", one["name"]))
    track = interval_track(axis, report["interval"], report["accuracy"], also=seeds if len(seeds) > 1 else ())
    return tag("li", name, track, figure)


def pairs_section(comparison: ComparisonFacts) -> Section | None:
    """Every two variants: better, worse, or a tie and how many images would decide it."""
    pairs = comparison.answer["pairs"]
    if not pairs:
        return None
    metric = METRICS[comparison.answer["metric"]]
    parts = [
        paragraph(
            f"Each pair was compared by {metric} on the same images and seeds, and the p-values were corrected for the "
            "number of pairs. A tie is an answer: these images cannot tell the two apart."
        )
    ]
    for on, title in (("select", "On the images that choose"), ("report", "On the images that report")):
        found = [pair for pair in pairs if pair["on"] == on]
        if found:
            parts += [tag("h3", title), _matrix(comparison, found, title), _sentences(found)]
    return Section("pairs", "Who beats whom", joined(parts))


def _matrix(comparison: ComparisonFacts, pairs: Sequence[Values], title: str) -> Html:
    names = [one["name"] for one in comparison.variants]
    names = [name for name in names if any(name in (pair["a"], pair["b"]) for pair in pairs)]
    if len(names) > _MOST_IN_MATRIX:
        return joined([])
    found = {(pair["a"], pair["b"]): pair for pair in pairs}
    head = [tag("th", "row against column", scope="col", class_="corner")]
    head += [tag("th", name, scope="col") for name in names]
    rows = []
    for one in names:
        cells = [_pair_cell(found, one, other) for other in names]
        rows.append(tag("tr", tag("th", one, scope="row"), *cells))
    whole = tag(
        "table",
        tag("caption", title, class_="hidden"),
        tag("thead", tag("tr", *head)),
        tag("tbody", *rows),
        class_="matrix",
    )
    return tag("div", whole, class_="scroll", role="region", aria_label=title, tabindex="0")


def _pair_cell(found: Mapping[tuple[str, str], Values], one: str, other: str) -> Html:
    if one == other:
        return tag("td", tag("span", "\u2013"), class_="self")
    pair, turned = found.get((one, other)), False
    if pair is None:
        pair, turned = found.get((other, one)), True
    if pair is None:
        return tag("td", tag("span", "not compared", class_="soft"))
    if pair["verdict"] == "tie":
        return tag("td", tag("span", tag("span", "tie", class_="chip")))
    better = (pair["verdict"] == "a") != turned
    return tag(
        "td", tag("span", tag("span", "better" if better else "worse", class_=f"chip {'good' if better else 'warm'}"))
    )


def _sentences(pairs: Sequence[Values]) -> Html:
    items = [tag("li", pair["sentence"]) for pair in pairs]
    return (
        tag("ul", *items, class_="plain")
        if len(items) <= 10
        else fold(f"All {len(items)} pairs as sentences", tag("ul", *items, class_="plain"))
    )


def rates_section(comparison: ComparisonFacts) -> Section | None:
    """Rates named by rule, with accuracy over the logarithm of the rate."""
    rated = sorted((one for one in comparison.variants if one.get("rate")), key=lambda one: -one["rate"]["rate"])
    if not rated:
        return None
    rows: list[list[str | None]] = [
        [
            wording.rate(one["rate"]["rate"]),
            tag("span", one["rate"]["label"], class_=f"chip {_RATE_CHIPS.get(one['rate']['label'], '')}"),
            wording.percent(one["report"]["accuracy"]) if one.get("report") else "\u2013",
            one["rate"]["why"],
        ]
        for one in rated
    ]
    parts = [
        paragraph("Each rate was named by a rule that looks at its curves, not by eye; the last column says why."),
        _rate_chart(rated),
        table(["rate", "named", "accuracy, report", "why"], rows, says="Rates and their names", numeric=(2,)),
    ]
    return Section("rates", "What each learning rate does", joined(parts))


def _rate_chart(rated: Sequence[Values]) -> Html | None:
    shown = [one for one in reversed(rated) if one.get("report") and one["rate"]["rate"] > 0]
    if len(shown) < 2:
        return None
    ends = [share for one in shown for share in one["report"]["interval"]]
    below = min(ends) - _ROOM_BELOW * (max(ends) - min(ends))
    y = share_axis([max(0.0, below), *ends])
    rates = [one["rate"]["rate"] for one in shown]
    plot = Plot(log_axis(rates[0] * 0.7, rates[-1] * 1.4, wording.rate), y, height=230, top=26)
    plot.axis_name("peak learning rate (logarithmic)")
    points = [(one["rate"]["rate"], one["report"]["accuracy"]) for one in shown]
    plot.line(points, "one thin")
    for index, (one, (x, share)) in enumerate(zip(shown, points, strict=True)):
        low, high = one["report"]["interval"]
        plot.bar(x, low, high, "whisker")
        plot.mark(x, share, "circle", "one", f"{wording.rate(x)}: {wording.percent(share)}, {one['rate']['label']}")
        end, apart = (high, -7) if index % 2 == 0 else (low, 16)  # neighbours' names on two heights
        last = one is shown[-1]
        plot.text(x, end, one["rate"]["label"], dy=apart, dx=8 if last else 0, anchor="end" if last else "middle")
    says = "; ".join(f"{wording.rate(x)} {wording.percent(share)}" for x, share in points)
    caption = f"Accuracy on the images that report, with 95\u00a0% intervals.{starts_at(y)}"
    return tag("figure", tag("figcaption", caption), plot.svg("Accuracy by learning rate", says))
