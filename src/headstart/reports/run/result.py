"""The top of a run's report: test accuracy with its interval, the test set, the selected checkpoint and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headstart.amounts import count_text, counted_text
from headstart.html import wording
from headstart.html.kit import command, facts, notice, paragraph
from headstart.html.markup import NOTHING, Html, joined, tag
from headstart.html.plot import Axis
from headstart.html.tracks import interval_track, track_scale
from headstart.knowledge.imbalance import shares_text
from headstart.measures.figures import METRIC_WORDS, Interval, SelectionMetric
from headstart.plan.plan import Phase, TrainPhase
from headstart.runs.record import Epoch, RunRecord
from headstart.runs.run_metrics import RunMetrics

_WHOLE = Axis(0.0, 1.0, tuple((share / 4, f"{25 * share} %") for share in range(5)))
_MOST_IN_TITLE = 3
_WIDE_INTERVAL = 0.1
"""Above this, more test images would tell more than more training."""


def run_result(run: RunRecord) -> Html:
    """Card with the result, or with the progress of an unfinished run."""
    body = _unfinished(run) if run.metrics is None else _result(run, run.metrics)
    return tag("section", body, class_="hs-card result", id="result", aria_label="Result")


def run_title(run: RunRecord) -> str:
    """`Classifier of ants and bees`."""
    if len(run.classes) <= _MOST_IN_TITLE:
        return f"Classifier of {wording.listed(run.classes)}"
    return f"Classifier of {len(run.classes):,} classes"


def run_kind(run: RunRecord) -> str:
    """`report of run photos-20261124, started 2026-11-24`."""
    started = run.environment.started[:10]
    return f"report of run {run.name}" + (f", started {started}" if started else "")


def _with_interval(value: float | None, interval: Interval | None) -> str:
    """`75.1 % (69.0 % to 80.4 %)`."""
    if value is None or interval is None:
        return wording.percent(value)
    return f"{wording.percent(value)} ({' to '.join(map(wording.percent, interval))})"


def classifier_text(run: RunRecord) -> str:
    """`a classifier of 2 classes (ants and bees)`."""
    names = wording.listed(run.classes)
    return f"a classifier of {count_text(len(run.classes), 'class')} ({names})"


def _result(run: RunRecord, metrics: RunMetrics) -> Html:
    test = metrics.test
    counted = counted_text(test.images, test.counted, test.groups)
    first = _headline(run, metrics)
    name = METRIC_WORDS[first.metric]
    parts = [
        _figure_findings(metrics),
        tag("p", wording.percent(first.value), " ", tag("small", f"test {name} on {counted}"), class_="big"),
        interval_track(_WHOLE, first.interval, first.value, reference=first.reference),
        track_scale(_WHOLE, most=5),
        paragraph(_interval_text(first, metrics)),
        paragraph(
            f"The run trained {classifier_text(run)} from {_network(run)}, using the strategy ",
            tag("strong", wording.titled(run.plan.strategy)),
            f". Test set: {test.source}, used for nothing else. Validation set: {metrics.validation.source}.",
        ),
        paragraph(
            tag("strong", f"Selected checkpoint: {_selected_name(run, metrics)}. "), _sentence(metrics.selected.reason)
        ),
        paragraph(_sentence(unused.text)) if (unused := metrics.selected.unused_tuning) else NOTHING,
        _unfinished_notice(run, metrics),
        _cautions(run, metrics),
        _tiles(run, metrics),
    ]
    return joined(parts)


@dataclass(frozen=True)
class _Headline:
    """The figure that is shown first."""

    metric: SelectionMetric
    value: float
    interval: Interval
    reference: float | None
    """Of a classifier that always predicts the largest class."""


def _headline(run: RunRecord, metrics: RunMetrics) -> _Headline:
    """The figure of the metric that selected; the accuracy where that is no share."""
    test, metric = metrics.test, metrics.selected.metric
    if metric == "balanced_accuracy" and test.balanced_accuracy_interval is not None:
        return _Headline(metric, test.balanced_accuracy, test.balanced_accuracy_interval, 1 / len(run.classes))
    if metric == "macro_f1" and test.macro_f1 is not None and test.macro_f1_interval is not None:
        return _Headline(metric, test.macro_f1, test.macro_f1_interval, None)
    return _Headline("accuracy", test.accuracy, test.accuracy_interval, run.largest_share)


def _figure_findings(metrics: RunMetrics) -> Html:
    """Findings about the figures themselves: the reader must know them before the figures."""
    if not metrics.findings:
        return NOTHING
    items = (tag("li", tag("strong", _sentence(one.evidence)), f" {_sentence(one.remedy)}") for one in metrics.findings)
    return notice("Before you read the figures", tag("ul", *items))


def _interval_text(first: _Headline, metrics: RunMetrics) -> str:
    name = METRIC_WORDS[first.metric]
    text = (
        f"95\u00a0% interval: {wording.interval_text(first.interval)} (the line through the dot); "
        f"expect {'an ' if first.metric == 'accuracy' else 'a '}{name} in this range on other images of the same kind."
    )
    if metrics.test.counted == "groups":
        text += " The interval counts groups, because images of one group are alike."
    if first.reference is not None:
        share = wording.percent(first.reference)
        text += f" Always predicting the largest class would give {share} (dashed line)."
    return text


def _network(run: RunRecord) -> str:
    return f"{run.plan.model.name} with {run.plan.model.weights} weights"


def _selected_name(run: RunRecord, metrics: RunMetrics) -> str:
    return metrics.selected.checkpoint if run.selected is None else _candidate(run.selected, run.plan.phases)


def _candidate(epoch: Epoch, phases: Sequence[Phase]) -> str:
    """`epoch 2 of phase tune`, `step last_stages`, or `the linear probe (probe) on the pretrained features`."""
    if epoch.number == 0:
        if epoch.row.phase in [phase.name for phase in phases if isinstance(phase, TrainPhase)]:
            return f"step {epoch.row.phase}"
        depths = " at all depths" if epoch.row.phase == "multi_depth" else ""
        return f"the linear probe ({epoch.row.phase}) on the pretrained features{depths}"
    return f"epoch {epoch.number} of phase {epoch.row.phase}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _unfinished_notice(run: RunRecord, metrics: RunMetrics) -> Html:
    """Where training was stopped by its budget, or goes on after it was."""
    if run.state == "finished" or metrics.stopped is None:
        return NOTHING
    stopped = f"Training was stopped by the {metrics.stopped}; the figures are of the best checkpoint so far."
    if run.state == "running":
        return notice("Not finished.", f"{stopped} It has been resumed and is running ({run.state_reason}).")
    return notice("Not finished.", f"{stopped} Resume it with:", command(run.resume_command))


def _cautions(run: RunRecord, metrics: RunMetrics) -> Html:
    """Warnings that weaken the figure."""
    above = {finding.what for finding in metrics.findings}
    found = [f"{one.text}." for one in metrics.warnings if one.kind not in above]
    low, high = metrics.test.accuracy_interval
    if high - low > _WIDE_INTERVAL:
        found.append(
            f"The interval is {100 * (high - low):.0f} points wide, because the test set has only "
            f"{count_text(metrics.test.images, 'image')}."
        )
    if run.largest_share is not None and low <= run.largest_share:
        found.append("The interval includes the accuracy of always predicting the largest class.")
    if unreadable := len(run.data.unreadable):
        found.append(f"{count_text(unreadable, 'image')} could not be read and {_was(unreadable)} left out.")
    found += [_sentence(finding.evidence) for finding in run.data.findings if finding.level != "info"]
    if not found:
        return NOTHING
    return notice("Before you rely on this figure", tag("ul", *(tag("li", text) for text in found)))


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _tiles(run: RunRecord, metrics: RunMetrics) -> Html:
    validation = run.images("validation")
    tiles = [
        ("training set", count_text(run.images("train"), "image")),
        ("validation set", count_text(validation, "image") if validation else "out-of-fold in train"),
        ("test set", count_text(run.images("test"), "image")),
        ("accuracy", wording.percent(metrics.test.accuracy)),
        ("balanced accuracy", _with_interval(metrics.test.balanced_accuracy, metrics.test.balanced_accuracy_interval)),
        ("macro F1", _with_interval(metrics.test.macro_f1, metrics.test.macro_f1_interval)),
        ("input size", f"{run.plan.input.size} px"),
        ("total time", wording.duration(metrics.total_seconds)),
    ]
    if metrics.imbalance != "none":
        tiles.append(("probabilities are", shares_text(metrics.imbalance)))
    recalls = {name: row.recall for name, row in metrics.test.per_class.items() if row.recall is not None}
    if len(run.classes) > 1 and recalls:
        name = min(recalls, key=recalls.__getitem__)
        tiles.insert(4, ("lowest recall", f"{name} ({wording.percent(recalls[name])})"))
    return facts(tiles)


_STATE_SENTENCES = {
    "stopped": "It was stopped, and everything is saved.",
    "running": "It is running.",
    "interrupted": "It was interrupted.",
}


def _unfinished(run: RunRecord) -> Html:
    best = max(run.epochs, key=lambda epoch: epoch.row.validation_accuracy or 0.0)
    state = _STATE_SENTENCES.get(run.state, "")
    if run.state in ("running", "interrupted"):
        state = f"{state[:-1]} ({run.state_reason})."
    trained, ended = count_text(run.trained_epochs, "epoch"), wording.listed([phase.name for phase in run.phases])
    return joined(
        [
            tag("p", "Not finished", class_="big"),
            paragraph(
                f"This run trains {classifier_text(run)} from {_network(run)}, using the strategy ",
                tag("strong", wording.titled(run.plan.strategy)),
                f". {state} Phases that ended: {ended}; {trained} trained.",
            ),
            paragraph(
                f"The best candidate so far is {_candidate(best, run.plan.phases)}, with a validation accuracy of "
                f"{wording.percent(best.row.validation_accuracy)} ({run.data.validation_source}). Candidates are "
                f"selected by this figure, so it is optimistic. The {count_text(run.images('test'), 'test image')} "
                f"{'has' if run.images('test') == 1 else 'have'} not been used yet."
            ),
            paragraph("Resume it with:") if run.state != "running" else paragraph("If it was killed, resume it with:"),
            command(run.resume_command),
        ]
    )
