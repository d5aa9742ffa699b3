"""Sections on variants: their table, accuracies with intervals, pairwise verdicts, and labels of learning rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from headstart.amounts import count_text
from headstart.comparison.learning_rate_labels import LearningRateLabel
from headstart.comparison.outcomes import VariantMetrics
from headstart.comparison.record import VariantResult
from headstart.comparison.verdicts import Pair, Role
from headstart.html import wording
from headstart.html.kit import PageSection, fold, paragraph, scrolled, table
from headstart.html.markup import Html, joined, tag
from headstart.html.plot import Axis, Plot, log_axis, share_axis, starts_at
from headstart.html.tracks import interval_track, track_scale
from headstart.prediction.inference_figures import InferenceFigures
from headstart.reports.comparison.facts import ComparisonFacts
from headstart.reports.comparison.result import METRICS, what_of

_LABEL_CHIPS = {"sweet spot": "good", "diverges": "warm", "forgets": "warm", "undertrains": "blue"}
_MOST_IN_MATRIX = 10
_LONGEST_ON_A_LINE = 28
_ROOM_BELOW = 0.15
"""Space for names below the intervals, as a share of their range."""


def variants_section(comparison: ComparisonFacts) -> PageSection:
    """Section with the table of variants."""
    rows = [_variant_row(comparison, one) for one in comparison.variants]
    chosen = comparison.record.chosen.variant if comparison.record.chosen else None
    picked = [index for index, one in enumerate(comparison.variants) if one.name == chosen]
    metric = comparison.record.metric
    extra = [] if metric == "accuracy" else [METRICS[metric]]
    header = ["variant", "test accuracy", *extra, "validation accuracy", comparison.record.repeats, "training time"]
    header += ["images/s", "latency", "peak training memory", "parameters"]
    changes = [_changes_line(one) for one in comparison.variants if one.changes]
    parts = [
        paragraph(
            f"Test accuracy is a mean over {comparison.record.repeats} with its 95\u00a0% interval; the recommendation "
            "is based on the validation metric, on other images. Training time is the mean of a trial. Images/s "
            f"(throughput) and latency (one image) are of prediction{_measured_how(comparison)}."
        ),
        table(header, rows, says="Variants", numeric=range(1, len(header)), picked=picked),
        fold("Changes of each variant", tag("ul", *changes, class_="plain")) if changes else None,
    ]
    return PageSection("variants", f"The {what_of(comparison)}", joined(parts))


def _measured_how(comparison: ComparisonFacts) -> str:
    found = next((one.inference for one in comparison.variants if one.inference is not None), None)
    return "" if found is None else f", by {found.engine} with {count_text(found.threads, 'thread')}"


def _variant_row(comparison: ComparisonFacts, one: VariantResult) -> list[str | None]:
    is_accuracy = comparison.record.metric == "accuracy"
    value = wording.number(one.test.value if one.test else None)
    return [
        _name_cell(comparison, one),
        _accuracy_cell(one),
        *([] if is_accuracy else [value]),
        wording.percent(one.validation.accuracy if one.validation else None),
        str(one.seeds_done),
        wording.duration(one.mean_seconds),
        *_speeds(one.inference),
        wording.size(one.peak_memory_bytes),
        wording.large(one.parameters),
    ]


def _name_cell(comparison: ComparisonFacts, one: VariantResult) -> Html:
    """Number and name; the variant whose model it shares."""
    chip = tag("span", str(comparison.number(one.name)), class_="chip")
    name = tag("span", chip, f" {one.name}", class_="nowrap" if len(one.name) <= _LONGEST_ON_A_LINE else None)
    if one.same_model_as is None:
        return name
    return tag("span", name, " ", tag("span", f"same model as {one.same_model_as}", class_="chip"))


def _accuracy_cell(one: VariantResult) -> Html:
    """Test accuracy with its interval, or why there is none."""
    if one.test is None:
        return tag("span", one.accuracy_status, class_="soft")
    small = tag("small", wording.interval_text(one.test.interval))
    return tag("span", tag("b", wording.percent(one.test.accuracy)), small, class_="figure")


def _speeds(speed: InferenceFigures | None) -> tuple[str, str]:
    """Throughput and latency as text; ranges where they were unstable."""
    if speed is None:
        return "\u2013", "\u2013"
    if speed.is_unstable:
        (least, most), (low, high) = speed.throughput_range, speed.latency_range
        return f"unstable: {least:,.0f} to {most:,.0f}", f"unstable: {low:,.0f} to {high:,.0f} ms"
    return f"{speed.images_per_second:,.0f}", f"{speed.one_image_ms:.1f} ms"


def _changes_line(one: VariantResult) -> Html:
    said = ", ".join(f"{path}: {_value_text(value)}" for path, value in one.changes.items())
    return tag("li", tag("b", one.name), f": {said}")


def _value_text(value: object) -> str:
    """Value of a change; of a mapping its keys and values."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_value_text(inner)}" for key, inner in value.items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def forest_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section of test accuracies with intervals on one scale, the best first."""
    found = [(one, one.test) for one in comparison.variants if one.test is not None and one.same_model_as is None]
    shown = sorted(found, key=lambda pair: -pair[1].accuracy)
    if not shown:
        return None
    axis = share_axis([share for _, test in shown for share in (*test.interval, *test.by_seed)])
    items = [_forest_item(comparison, one.name, test, axis) for one, test in shown]
    dots = (
        f"Small dots below: single {comparison.record.repeats}. "
        if any(len(test.by_seed) > 1 for _, test in shown)
        else ""
    )
    items.append(tag("li", tag("span"), track_scale(axis, most=5), tag("span"), aria_hidden="true"))
    parts = [
        paragraph(
            f"Dot: test accuracy, mean over {comparison.record.repeats}. Line: 95\u00a0% interval. {dots}Where "
            f"intervals overlap widely, the order may be chance.{starts_at(axis)}"
        ),
        tag("ul", *items, class_="forest"),
    ]
    return PageSection("forest", "Test accuracy with 95\u00a0% intervals", joined(parts))


def _forest_item(comparison: ComparisonFacts, name: str, test: VariantMetrics, axis: Axis) -> Html:
    figure = tag(
        "span",
        tag("b", wording.percent(test.accuracy)),
        tag("small", wording.interval_text(test.interval)),
        class_="value",
    )
    label = tag("span", tag("span", str(comparison.number(name)), class_="chip"), " ", tag("b", name))
    track = interval_track(axis, test.interval, test.accuracy, also=test.by_seed if len(test.by_seed) > 1 else ())
    return tag("li", label, track, figure)


def pairs_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section of pairwise verdicts: better, worse, or a tie and how many images would decide it."""
    if not comparison.record.pairs:
        return None
    metric = METRICS[comparison.record.metric]
    parts = [
        paragraph(
            f"Each pair was compared by {metric} on the same images and {comparison.record.repeats}, and the p-values "
            "were corrected for the number of pairs (Holm). A tie: no significant difference on these images."
        )
    ]
    titles: dict[Role, str] = {"validation": "Validation images", "test": "Test images"}
    for on, title in titles.items():
        found = comparison.record.pairs_on(on)
        if found:
            parts += [tag("h3", title), _matrix(comparison, found, title), _sentences(found)]
    return PageSection("pairs", "Pairwise comparison", joined(parts))


def _matrix(comparison: ComparisonFacts, pairs: Sequence[Pair], title: str) -> Html:
    paired = {name for pair in pairs for name in (pair.a, pair.b)}
    names = [one.name for one in comparison.variants if one.name in paired]
    if len(names) > _MOST_IN_MATRIX:
        return joined([])
    found = {(pair.a, pair.b): pair for pair in pairs}
    head = [tag("th", "row against column", scope="col", class_="corner")]
    head += [tag("th", name, scope="col") for name in names]
    rows = []
    for one in names:
        cells = [_pair_cell(found, one, other) for other in names]
        rows.append(tag("tr", tag("th", one, scope="row"), *cells))
    whole = tag(
        "table",
        tag("caption", title, class_="hs-hidden"),
        tag("thead", tag("tr", *head)),
        tag("tbody", *rows),
        class_="matrix",
    )
    return scrolled(whole, says=title)


def _pair_cell(found: Mapping[tuple[str, str], Pair], one: str, other: str) -> Html:
    if one == other:
        return tag("td", tag("span", "\u2013"), class_="self")
    pair, turned = found.get((one, other)), False
    if pair is None:
        pair, turned = found.get((other, one)), True
    if pair is None:
        return tag("td", tag("span", "not compared", class_="soft"))
    if pair.verdict == "tie":
        return tag("td", tag("span", tag("span", "tie", class_="chip")))
    better = (pair.verdict == "a") != turned
    return tag(
        "td", tag("span", tag("span", "better" if better else "worse", class_=f"chip {'good' if better else 'warm'}"))
    )


def _sentences(pairs: Sequence[Pair]) -> Html:
    items = [tag("li", pair.sentence) for pair in pairs]
    return (
        tag("ul", *items, class_="plain")
        if len(items) <= 10
        else fold(f"All {len(items)} pairs as sentences", tag("ul", *items, class_="plain"))
    )


def learning_rates_section(comparison: ComparisonFacts) -> PageSection | None:
    """Section of learning rates labelled by rule, with accuracy over their logarithm."""
    found = [(one.learning_rate_label, one.test) for one in comparison.variants if one.learning_rate_label is not None]
    labelled = sorted(found, key=lambda pair: -pair[0].learning_rate)
    if not labelled:
        return None
    rows: list[list[str | None]] = [
        [
            wording.learning_rate(of.learning_rate),
            tag("span", of.label, class_=f"chip {_LABEL_CHIPS[of.label]}"),
            wording.percent(test.accuracy if test else None),
            of.why,
        ]
        for of, test in labelled
    ]
    parts = [
        paragraph("Each learning rate is labelled by a rule from its curves; the last column gives the reason."),
        _learning_rate_chart([(of, test) for of, test in reversed(labelled) if test is not None]),
        table(
            ["learning rate", "label", "test accuracy", "reason"],
            rows,
            says="Learning rates and their labels",
            numeric=(2,),
        ),
    ]
    return PageSection("learning-rates", "Learning rates", joined(parts))


def _learning_rate_chart(shown: Sequence[tuple[LearningRateLabel, VariantMetrics]]) -> Html | None:
    """Test accuracy by learning rate, from the smallest on; None for a single one."""
    if len(shown) < 2:
        return None
    ends = [share for _, test in shown for share in test.interval]
    below = min(ends) - _ROOM_BELOW * (max(ends) - min(ends))
    y = share_axis([max(0.0, below), *ends])
    points = [(of.learning_rate, test.accuracy) for of, test in shown]
    plot = Plot(log_axis(points[0][0] * 0.7, points[-1][0] * 1.4, wording.learning_rate), y, height=230, top=26)
    plot.axis_name("peak learning rate (logarithmic)")
    plot.line(points, "one thin")
    for index, ((of, test), (x, share)) in enumerate(zip(shown, points, strict=True)):
        low, high = test.interval
        plot.bar(x, low, high, "whisker")
        plot.mark(x, share, "circle", "one", f"{wording.learning_rate(x)}: {wording.percent(share)}, {of.label}")
        end, shift = (high, -7) if index % 2 == 0 else (low, 16)  # labels of neighbours at two heights
        last = index == len(shown) - 1
        plot.text(x, end, of.label, dy=shift, dx=8 if last else 0, anchor="end" if last else "middle")
    says = "; ".join(f"{wording.learning_rate(x)} {wording.percent(share)}" for x, share in points)
    caption = f"Test accuracy with 95\u00a0% intervals.{starts_at(y)}"
    return tag("figure", tag("figcaption", caption), plot.svg("Accuracy by learning rate", says))
