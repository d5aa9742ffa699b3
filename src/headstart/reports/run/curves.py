"""Learning curves: loss and accuracy by epoch, of one run or as the band of several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median

from headstart.html import wording
from headstart.html.markup import Html, tag
from headstart.html.plot import Axis, Plot, epoch_axis, linear_axis, share_axis, starts_at
from headstart.measures.intervals import wilson_interval
from headstart.runs.record import Epoch, RunRecord

_CUT_FACTOR, _FIRST_FACTOR = 4.0, 2.0
"""A loss above so many times the median of all, and of first epochs, is drawn at the top edge: one bad epoch must not
flatten the rest."""
_MOST_MARKED = 24
"""With more candidates lines have no marks and intervals become a band."""
_MOST_PHASES_NAMED = 6
"""More names would overlap; the table has them."""
_LOSS_CAPTION = "Cross-entropy in nats; lower is better."
_ACCURACY_CAPTION = "Validation accuracy; higher is better"
_RIGHT_PIXELS = 76
"""Room for the names of lines."""


@dataclass(frozen=True, slots=True)
class CurveSpread:
    """Mean, minimum and maximum over several seeds at one epoch."""

    mean: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> CurveSpread:
        """Of at least one value."""
        return cls(fmean(values), min(values), max(values), len(values))


@dataclass(frozen=True, slots=True)
class CurveStep:
    """Epochs of all seeds with the same phase and number."""

    position: int
    phase: str
    number: int
    train_loss: CurveSpread | None
    validation_loss: CurveSpread | None
    validation_accuracy: CurveSpread | None


def steps_of(runs: Sequence[Sequence[Epoch]]) -> tuple[CurveStep, ...]:
    """Epochs of runs of one variant laid side by side, in the order of the run that has most."""
    order = {
        (epoch.row.phase, epoch.number): None for epochs in sorted(runs, key=len, reverse=True) for epoch in epochs
    }
    first = 0 if runs and any(epochs and epochs[0].number == 0 for epochs in runs) else 1
    found = []
    for place, key in enumerate(order):
        same = [epoch for epochs in runs for epoch in epochs if (epoch.row.phase, epoch.number) == key]
        found.append(
            CurveStep(
                first + place,
                *key,
                _spread([epoch.row.train_loss for epoch in same]),
                _spread([epoch.row.validation_loss for epoch in same]),
                _spread([epoch.row.validation_accuracy for epoch in same]),
            )
        )
    return tuple(found)


def _spread(values: Sequence[float | None]) -> CurveSpread | None:
    known = [value for value in values if value is not None]
    return CurveSpread.of(known) if known else None


@dataclass(frozen=True, slots=True)
class Scales:
    """Axes that several charts share, so that they can be compared."""

    epochs: Axis
    loss: Axis
    accuracy: Axis
    cut_at: float | None
    """Losses above are drawn at the top edge; None where all are drawn in place."""


def scales_of(steps: Sequence[CurveStep], *, intervals: Sequence[tuple[float, float]] = ()) -> Scales:
    """Axes that hold all of them."""
    losses = [s.high for step in steps for s in (step.train_loss, step.validation_loss) if s is not None]
    shares = [x for step in steps if (s := step.validation_accuracy) is not None for x in (s.low, s.high)]
    shares += [end for pair in intervals for end in pair]
    most = max(losses, default=1.0)
    firsts = [
        s.high for step in steps if step.number == 1 for s in (step.train_loss, step.validation_loss) if s is not None
    ]
    limit = max(_CUT_FACTOR * median(losses or [most]), _FIRST_FACTOR * median(firsts or [0.0]))
    loss_axis = linear_axis(0.0, min(most, limit) or 1.0, lambda value: f"{value:.3g}")
    positions = [step.position for step in steps]
    return Scales(
        epoch_axis(min(positions), max(positions)),
        loss_axis,
        share_axis(shares or [0.0, 1.0]),
        loss_axis.high if most > loss_axis.high else None,
    )


def curves_of_run(run: RunRecord) -> Html:
    """Two charts: training and validation loss, and validation accuracy."""
    steps = steps_of([run.epochs])
    images = run.validation_images
    spans = {step.position: _interval(step, images) for step in steps if step.validation_accuracy is not None}
    counted = {epoch.position: run.validation_intervals.get(epoch.row.checkpoint) for epoch in run.epochs}
    spans |= {place: span for place, span in counted.items() if span is not None}
    scales = scales_of(steps, intervals=list(spans.values()))
    selected = run.selected.position if run.selected else None
    return tag(
        "div",
        _loss_figure(steps, scales, "Loss", _LOSS_CAPTION + _cut_words(scales), selected=selected),
        _accuracy_figure(
            steps,
            scales,
            "Accuracy",
            f"{_ACCURACY_CAPTION}, with 95\u00a0% intervals{_start_words(scales)}",
            selected=selected,
            spans=spans,
        ),
        class_="charts",
    )


def loss_of_variant(name: str, steps: Sequence[CurveStep], scales: Scales) -> Html:
    """Chart of the loss by epoch, with the range over seeds."""
    return _loss_figure(steps, scales, name, "", selected=None)


def accuracy_of_variant(name: str, steps: Sequence[CurveStep], scales: Scales) -> Html:
    """Chart of the validation accuracy by epoch, with the range over seeds."""
    return _accuracy_figure(steps, scales, name, "", selected=None, spans={})


def captions(scales: Scales) -> tuple[str, str]:
    """(caption of accuracy charts, caption of loss charts), for several that share their axes."""
    return f"{_ACCURACY_CAPTION}{_start_words(scales)}", _LOSS_CAPTION + _cut_words(scales)


def _start_words(scales: Scales) -> str:
    return f".{starts_at(scales.accuracy)}"


def _cut_words(scales: Scales) -> str:
    return f" Losses above {scales.cut_at:.3g} are drawn at the top edge." if scales.cut_at else ""


def _interval(step: CurveStep, images: int) -> tuple[float, float]:
    assert step.validation_accuracy is not None
    share = step.validation_accuracy.mean
    return wilson_interval(round(share * images), images) if images else (share, share)


def _chart(steps: Sequence[CurveStep], scales: Scales, y: Axis) -> Plot:
    """A chart of epochs with its phases marked."""
    begins = [next(iter(same)) for _, same in groupby(steps, key=lambda step: step.phase)]
    rows = 2 if len(begins) > 2 else 1
    plot = Plot(scales.epochs, y, height=220, right=_RIGHT_PIXELS, top=10 + 15 * rows)
    plot.axis_name("epoch")
    for step in begins[1:]:
        plot.upright(step.position - 0.5, "divider")
    trained = [step for step in begins if step.number]
    for index, step in enumerate(trained if len(trained) <= _MOST_PHASES_NAMED else ()):
        plot.heading(max(step.position - 0.5, scales.epochs.low), step.phase, row=index % rows)
    return plot


def _loss_figure(steps: Sequence[CurveStep], scales: Scales, name: str, caption: str, *, selected: int | None) -> Html:
    plot = _chart(steps, scales, scales.loss)
    train = [(step, step.train_loss) for step in steps if step.train_loss is not None]
    validation = [(step, step.validation_loss) for step in steps if step.validation_loss is not None]
    _draw(plot, train, "two", "square", "training loss")
    _draw(plot, validation, "one", "circle", "validation loss")
    if validation:
        plot.end_label(validation[-1][0].position, validation[-1][1].mean, "validation", "one")
    if train:
        plot.end_label(train[-1][0].position, train[-1][1].mean, "training", "two")
    _ring(plot, [(step, s) for step, s in validation if step.position == selected])
    says = _last_words("training loss", train, 3) + _last_words("validation loss", validation, 3)
    says += _cut_words(scales)
    return _figure(plot, name, caption, f"{name}: loss by epoch", says)


def _accuracy_figure(
    steps: Sequence[CurveStep],
    scales: Scales,
    name: str,
    caption: str,
    *,
    selected: int | None,
    spans: dict[int, tuple[float, float]],
) -> Html:
    plot = _chart(steps, scales, scales.accuracy)
    validation = [(step, step.validation_accuracy) for step in steps if step.validation_accuracy is not None]
    if len(spans) > _MOST_MARKED:
        plot.band([(step.position, *spans[step.position]) for step, _ in validation if step.number], "one")
    for position, (low, high) in spans.items() if len(spans) <= _MOST_MARKED else ():
        plot.bar(position, low, high, "whisker")
    _draw(plot, validation, "one", "circle", "validation accuracy")
    if validation:
        plot.end_label(validation[-1][0].position, validation[-1][1].mean, "validation", "one")
    _ring(plot, [(step, s) for step, s in validation if step.position == selected])
    says = _last_words("validation accuracy", validation, 4)
    return _figure(plot, name, caption, f"{name}: accuracy by epoch", says)


def _figure(plot: Plot, name: str, caption: str, title: str, says: str) -> Html:
    return tag("figure", tag("figcaption", tag("strong", name), caption or None), plot.svg(title, says))


def _draw(plot: Plot, rows: Sequence[tuple[CurveStep, CurveSpread]], style: str, shape: str, what: str) -> None:
    """Band, line through the means, and a mark each; a linear probe is no epoch, so no line leads to it."""
    trained = [(step, s) for step, s in rows if step.number > 0]
    if any(s.count > 1 for _, s in rows):
        plot.band([(step.position, s.low, s.high) for step, s in trained], style)
    plot.line([(step.position, s.mean) for step, s in trained], style)
    for step, s in rows:
        seeds = f" (mean of {s.count} seeds, {s.low:.3f} to {s.high:.3f})" if s.count > 1 else ""
        told = f"{step.phase}{f' epoch {step.number}' if step.number else ''}: {what} {s.mean:.3f}{seeds}"
        if s.count > 1 and step.number == 0:
            plot.bar(step.position, s.low, s.high, "whisker")
        if step.number == 0:
            plot.mark(step.position, s.mean, "diamond", style, told)
        elif len(rows) <= _MOST_MARKED:
            plot.mark(step.position, s.mean, "square" if shape == "square" else "circle", style, told)


def _ring(plot: Plot, rows: Sequence[tuple[CurveStep, CurveSpread]]) -> None:
    for step, s in rows:
        plot.mark(step.position, s.mean, "ring", "selected", "selected checkpoint")
        high = plot.y.at(s.mean) > 85
        plot.text(step.position, s.mean, "selected", dx=-24, dy=24 if high else -14)


def _last_words(what: str, rows: Sequence[tuple[CurveStep, CurveSpread]], digits: int) -> str:
    """Sentence with the first and the last value of a line."""
    if not rows:
        return ""
    first, last = rows[0], rows[-1]
    ends = f"{wording.number(first[1].mean, digits)} ({first[0].phase} {first[0].number})"
    if first is not last:
        ends += f" to {wording.number(last[1].mean, digits)} ({last[0].phase} {last[0].number})"
    return f"The {what} goes from {ends}. " if first is not last else f"The {what} is {ends}. "
