"""Sections on variants: their table, accuracies with intervals, pairwise verdicts, and labels of learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.amounts import count_text
from headstart.html import wording
from headstart.html.markup import Html, joined, tag
from headstart.html.page import PageSection, fold, paragraph, table
from headstart.html.plot import Axis, Plot, log_axis, share_axis, starts_at
from headstart.html.tracks import interval_track, track_scale
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.reports.comparison.result import METRICS, NEEDS_DOWNLOAD, what_of
from headstart.runs.record import RecordValues

_LABEL_CHIPS = {"sweet spot": "good", "diverges": "warm", "forgets": "warm", "undertrains": "blue"}
_MOST_IN_MATRIX = 10
_LONGEST_ON_A_LINE = 28
_ROOM_BELOW = 0.15
"""Space for names below the intervals, as a share of their range."""


def variants_section(comparison: ComparisonFacts) -> PageSection:
    """Section with the table of variants."""
    rows = [_variant_row(comparison, one) for one in comparison.variants]
    chosen = (comparison.result.get("chosen") or {}).get("variant")
    picked = [index for index, one in enumerate(comparison.variants) if one["name"] == chosen]
    extra = [] if comparison.result["metric"] == "accuracy" else [METRICS[comparison.result["metric"]]]
    header = ["variant", "test accuracy", *extra, "validation accuracy", "seeds", "time per trial"]
    header += ["images/s", "latency", "training memory", "parameters"]
    changes = [_changes_line(one) for one in comparison.variants if one.get("changes")]
    parts = [
        paragraph(
            "Test accuracy is a mean over seeds with its 95\u00a0% interval; the recommendation is based on the "
            "validation metric, on other images. Images/s (throughput) and latency (one image) are of "
            f"prediction{_measured_how(comparison)}."
        ),
        table(header, rows, says="Variants", numeric=range(1, len(header)), picked=picked),
        fold("Changes of each variant", tag("ul", *changes, class_="plain")) if changes else None,
    ]
    return PageSection("variants", f"The {what_of(comparison)}", joined(parts))


def _measured_how(comparison: ComparisonFacts) -> str:
    found = next((one["inference"] for one in comparison.variants if one.get("inference")), None)
    if found is None:
        return ""
    threads = found.get("threads")
    return f", by {found['engine']}" + (f" with {count_text(threads, 'thread')}" if threads else "")


def _variant_row(comparison: ComparisonFacts, one: RecordValues) -> list[str | None]:
    test, validation, speed = one.get("test"), one.get("validation"), one.get("inference") or {}
    chip = tag("span", str(comparison.number(one["name"])), class_="chip")
    name = tag("span", chip, f" {one['name']}", class_="nowrap" if len(one["name"]) <= _LONGEST_ON_A_LINE else None)
    if one.get("same_model_as"):
        chip = tag("span", f"same model as {one['same_model_as']}", class_="chip")
        name = tag("span", name, " ", chip)
    status = one.get("accuracy_status")
    accuracy = tag("span", status or "\u2013", class_="soft")
    if test:
        small = tag("small", wording.interval_text(test["interval"]))
        accuracy = tag("span", tag("b", wording.percent(test["accuracy"])), small, class_="figure")
    if status == NEEDS_DOWNLOAD:
        accuracy = tag("span", NEEDS_DOWNLOAD, class_="soft")
    measured = (
        [] if comparison.result["metric"] == "accuracy" else [wording.number(test.get("value")) if test else "\u2013"]
    )
    return [
        name,
        accuracy,
        *measured,
        wording.percent(validation["accuracy"]) if validation else "\u2013",
        str(one.get("seeds_done", 0)),
        wording.duration((one.get("seconds") or {}).get("mean")),
        *_speeds(speed),
        wording.size(one.get("peak_memory_bytes")),
        wording.large(one.get("parameters")),
    ]


def _speeds(speed: RecordValues) -> tuple[str, str]:
    """Throughput and latency as text; ranges where they were unstable."""
    if speed.get("stability") == "unstable":
        least, most = speed.get("images_per_second_range") or [speed["images_per_second"]] * 2
        low, high = speed.get("one_image_ms_range") or [speed["one_image_ms"]] * 2
        return f"unstable: {least:,.0f} to {most:,.0f}", f"unstable: {low:,.0f} to {high:,.0f} ms"
    return (
        f"{speed['images_per_second']:,.0f}" if speed.get("images_per_second") else "\u2013",
        f"{speed['one_image_ms']:.1f} ms" if speed.get("one_image_ms") else "\u2013",
    )


def _changes_line(one: RecordValues) -> Html:
    said = ", ".join(f"{path}: {value}" for path, value in one["changes"].items())
    return tag("li", tag("b", one["name"]), f": {said}")


def forest_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section of test accuracies with intervals on one scale, the best first."""
    shown = [one for one in comparison.variants if one.get("test") and not one.get("same_model_as")]
    if not shown:
        return None
    shown.sort(key=lambda one: -one["test"]["accuracy"])
    axis = share_axis([share for one in shown for share in (*one["test"]["interval"], *_seeds(one))])
    items = [_forest_item(comparison, one, axis) for one in shown]
    items.append(tag("li", tag("span"), track_scale(axis, most=5), tag("span"), aria_hidden="true"))
    parts = [
        paragraph(
            "Dot: test accuracy, mean over seeds. Line: 95\u00a0% interval. Small dots below: "
            f"single seeds. Where intervals overlap widely, the order may be chance.{starts_at(axis)}"
        ),
        tag("ul", *items, class_="forest"),
    ]
    return PageSection("forest", "Test accuracy with 95\u00a0% intervals", joined(parts))


def _seeds(one: RecordValues) -> Sequence[float]:
    return [share for share in one["test"].get("by_seed") or () if share is not None]


def _forest_item(comparison: ComparisonFacts, one: RecordValues, axis: Axis) -> Html:
    test = one["test"]
    seeds = _seeds(one)
    figure = tag(
        "span",
        tag("b", wording.percent(test["accuracy"])),
        tag("small", wording.interval_text(test["interval"])),
        class_="value",
    )
    name = tag("span", tag("span", str(comparison.number(one["name"])), class_="chip"), " ", tag("b", one["name"]))
    track = interval_track(axis, test["interval"], test["accuracy"], also=seeds if len(seeds) > 1 else ())
    return tag("li", name, track, figure)


def pairs_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section of pairwise verdicts: better, worse, or a tie and how many images would decide it."""
    pairs = comparison.result["pairs"]
    if not pairs:
        return None
    metric = METRICS[comparison.result["metric"]]
    parts = [
        paragraph(
            f"Each pair was compared by {metric} on the same images and seeds, and the p-values were corrected for the "
            "number of pairs (Holm). A tie: no significant difference on these images."
        )
    ]
    for on, title in (("validation", "Validation images"), ("test", "Test images")):
        found = [pair for pair in pairs if pair["on"] == on]
        if found:
            parts += [tag("h3", title), _matrix(comparison, found, title), _sentences(found)]
    return PageSection("pairs", "Pairwise comparison", joined(parts))


def _matrix(comparison: ComparisonFacts, pairs: Sequence[RecordValues], title: str) -> Html:
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


def _pair_cell(found: Mapping[tuple[str, str], RecordValues], one: str, other: str) -> Html:
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


def _sentences(pairs: Sequence[RecordValues]) -> Html:
    items = [tag("li", pair["sentence"]) for pair in pairs]
    return (
        tag("ul", *items, class_="plain")
        if len(items) <= 10
        else fold(f"All {len(items)} pairs as sentences", tag("ul", *items, class_="plain"))
    )


def learning_rates_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section of learning rates labelled by rule, with accuracy over their logarithm."""
    labelled = sorted(
        (one for one in comparison.variants if one.get("learning_rate_label")),
        key=lambda one: -one["learning_rate_label"]["learning_rate"],
    )
    if not labelled:
        return None
    rows: list[list[str | None]] = [
        [
            wording.learning_rate(one["learning_rate_label"]["learning_rate"]),
            tag(
                "span",
                one["learning_rate_label"]["label"],
                class_=f"chip {_LABEL_CHIPS.get(one['learning_rate_label']['label'], '')}",
            ),
            wording.percent(one["test"]["accuracy"]) if one.get("test") else "\u2013",
            one["learning_rate_label"]["why"],
        ]
        for one in labelled
    ]
    parts = [
        paragraph("Each learning rate is labelled by a rule from its curves; the last column gives the reason."),
        _learning_rate_chart(labelled),
        table(
            ["learning rate", "label", "test accuracy", "reason"],
            rows,
            says="Learning rates and their labels",
            numeric=(2,),
        ),
    ]
    return PageSection("learning-rates", "Learning rates", joined(parts))


def _learning_rate_chart(labelled: Sequence[RecordValues]) -> Html | None:
    shown = [one for one in reversed(labelled) if one.get("test") and one["learning_rate_label"]["learning_rate"] > 0]
    if len(shown) < 2:
        return None
    ends = [share for one in shown for share in one["test"]["interval"]]
    below = min(ends) - _ROOM_BELOW * (max(ends) - min(ends))
    y = share_axis([max(0.0, below), *ends])
    rates = [one["learning_rate_label"]["learning_rate"] for one in shown]
    plot = Plot(log_axis(rates[0] * 0.7, rates[-1] * 1.4, wording.learning_rate), y, height=230, top=26)
    plot.axis_name("peak learning rate (logarithmic)")
    points = [(one["learning_rate_label"]["learning_rate"], one["test"]["accuracy"]) for one in shown]
    plot.line(points, "one thin")
    for index, (one, (x, share)) in enumerate(zip(shown, points, strict=True)):
        low, high = one["test"]["interval"]
        plot.bar(x, low, high, "whisker")
        plot.mark(
            x,
            share,
            "circle",
            "one",
            f"{wording.learning_rate(x)}: {wording.percent(share)}, {one['learning_rate_label']['label']}",
        )
        end, shift = (high, -7) if index % 2 == 0 else (low, 16)  # labels of neighbours at two heights
        last = one is shown[-1]
        plot.text(
            x,
            end,
            one["learning_rate_label"]["label"],
            dy=shift,
            dx=8 if last else 0,
            anchor="end" if last else "middle",
        )
    says = "; ".join(f"{wording.learning_rate(x)} {wording.percent(share)}" for x, share in points)
    caption = f"Test accuracy with 95\u00a0% intervals.{starts_at(y)}"
    return tag("figure", tag("figcaption", caption), plot.svg("Accuracy by learning rate", says))
