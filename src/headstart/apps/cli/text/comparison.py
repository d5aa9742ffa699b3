"""Text of a comparison: a line for each trial on stderr, tables and sentences on stdout."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal, Self

from headstart.amounts import bytes_text, count_text, duration_text
from headstart.apps.cli.text.console import TrainingConsole
from headstart.apps.cli.text.printing import next_line
from headstart.comparison.comparison import TrialEnd
from headstart.comparison.grid import Metric, Trial
from headstart.comparison.record import ComparisonRecord, TrialResult, VariantResult
from headstart.comparison.verdicts import Pair
from headstart.plan.plan import Phase
from headstart.prediction.inference_figures import InferenceFigures
from headstart.runs.event import Event
from headstart.runs.warnings import Diverged, LatencyNotMeasured, OptionWithoutEffect, PhaseWarning, RandomWeights
from headstart.workflow.comparing import Watcher

_MOST_SENTENCES = 12
METRIC_COLUMNS: Mapping[Metric, str] = {"balanced_accuracy": "bal acc", "log_loss": "log loss"}
"""Heads of the column of the metric that is compared, where it is not accuracy."""


class ComparisonConsole(Watcher):
    """Bars inside a trial, where stderr is a terminal, and one line when it has ended."""

    def __init__(self) -> None:
        self._console = TrainingConsole()
        self._now = ""
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        """Nothing is shown yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._console.close()

    def trial_started(self, trial: Trial, *, of: int, resumed: str) -> None:
        """Name the trial on the bar."""
        self._now = f"{trial.number}/{of} {trial.words}"
        if resumed == "resume":
            self._console.say(f"{self._now}: resumed")

    def trial_ended(self, trial: Trial, end: TrialEnd, result: TrialResult) -> None:
        """One line."""
        self._console.close()
        if end.state == "failed":
            self._console.say(f"{self._now}: failed: {end.error}")
            return
        accuracy = "needs download" if result.test_accuracy is None else f"{result.test_accuracy:.3f}"
        validation = "-" if result.validation_accuracy is None else f"{result.validation_accuracy:.3f}"
        self._console.say(
            f"{self._now}: test accuracy {accuracy} (validation {validation}), {duration_text(end.seconds)}"
        )

    def phase_started(self, index: int, phase: Phase) -> None:
        """No line for phases: there are many."""

    def work_started(self, what: str, total: int) -> None:
        """A new bar in place of the last."""
        self._console.work_started(f"{self._now}: {what}", total)

    def work_done(self, count: int) -> None:
        """Move the bar."""
        self._console.work_done(count)

    def noted(self, event: Event) -> None:
        """Only what changes how the figures are to be read; an option without effect once for all trials."""
        if isinstance(event, OptionWithoutEffect):
            if event.option not in self._said:
                self._said.add(event.option)
                self._console.noted(event)
        elif isinstance(event, LatencyNotMeasured):
            self._console.noted(event)
        elif isinstance(event, PhaseWarning | Diverged | RandomWeights):
            self._console.say(f"{self._now}: warning: {event.sentence()}")


def comparison_text(record: ComparisonRecord) -> str:
    """Text of a comparison, printed at the end of `headstart compare`."""
    data = record.data
    lines = [_headline(record), "", *_table(record), "", *_chosen_lines(record)]
    lines += _pair_lines(f"on validation images ({data.validated_on}):", record.pairs_on("validation"))
    lines += _pair_lines(f"on test images ({data.tested_on}):", record.pairs_on("test"))
    lines += [*_learning_rate_lines(record), "", *_front_lines(record), *_unstable_lines(record)]
    lines += [f"failed: {trial.trial}: {trial.error}" for trial in record.trials if trial.state == "failed"]
    lines += [f"needs download: {one.name}: {one.weights_missing}" for one in record.variants if one.weights_missing]
    done = sum(trial.state == "done" for trial in record.trials)
    lines += [
        "",
        f"{count_text(done, 'trial')}, {duration_text(record.seconds)} of training",
        f"comparison: {record.comparison}",
    ]
    if record.resume:
        lines.append(f"{record.why_resume}: {record.resume}")
    lines.append(next_line("report", record.comparison))
    return "\n".join(lines)


def _headline(record: ComparisonRecord) -> str:
    """Result in a line: which variant is better, or that no difference is significant."""
    if record.chosen is None:
        return "no recommendation: no accuracy was measured"
    return record.chosen.headline + ("" if record.finished else " (so far: not all trials are finished)")


def _table(record: ComparisonRecord) -> list[str]:
    width = max(7, *(len(one.name) for one in record.variants))
    metric = "" if record.metric == "accuracy" else f" {METRIC_COLUMNS[record.metric]:>8} {'95 % interval':>14}"
    head = (
        f"{'variant':<{width}} {record.repeats:>5} {'test acc':>8} {'95 % interval':>14}{metric} {'val acc':>7} "
        f"{'training':>9} {'images/s':>8} {'latency':>9} {'memory':>8} {'params':>7}"
    )
    reasons = {entry.variant: entry.why for entry in record.entries}
    return [head, *(_row(one, reasons, width, record.metric) for one in record.variants)]


def _row(one: VariantResult, reasons: Mapping[str, str], width: int, metric: Metric) -> str:
    """Line of one variant; where it is the model of another one, why, in place of its figures."""
    begin = f"{one.name:<{width}} {one.seeds_done:>5}"
    if one.same_model_as is not None:
        time = f"; training took {duration_text(one.seconds.mean)}" if one.seconds else ""
        return f"{begin} same model as {one.same_model_as}: {reasons[one.same_model_as]}{time}"
    test = one.test
    figures = _figure(test.accuracy, test.interval) if test else _figure(None)
    if metric != "accuracy":
        figures += " " + (_figure(test.value, test.value_interval) if test else _figure(None))
    valid = f"{one.validation.accuracy:.3f}" if one.validation else "-"
    time = duration_text(one.seconds.mean) if one.seconds else "-"
    throughput, latency = _speeds(one.inference)
    memory = bytes_text(one.peak_memory_bytes) if one.peak_memory_bytes else "-"
    parameters = f"{one.parameters / 1e6:.1f}M" if one.parameters else "-"
    status = "" if one.accuracy_status == "measured" else f"  {one.accuracy_status}"
    return f"{begin} {figures} {valid:>7} {time:>9} {throughput:>8} {latency:>9} {memory:>8} {parameters:>7}{status}"


def _figure(value: float | None, interval: tuple[float, float] = (0.0, 0.0)) -> str:
    """A figure and its interval as two columns."""
    if value is None:
        return f"{'-':>8} {'-':>14}"
    low, high = interval
    return f"{value:>8.3f} {f'{low:.3f}..{high:.3f}':>14}"


def _speeds(figures: InferenceFigures | None) -> tuple[str, str]:
    """Throughput and latency as text."""
    if figures is None:
        return "-", "-"
    if figures.is_unstable:
        return "unstable", "unstable"
    return f"{figures.images_per_second:.0f}", f"{figures.one_image_ms:.1f} ms"


def _chosen_lines(record: ComparisonRecord) -> list[str]:
    chosen = record.chosen
    if chosen is None:
        return []
    lines = [f"{'recommended' if chosen.tied_with else 'chosen'}: {chosen.variant} - {chosen.why}"]
    if (test := chosen.test) is not None:
        few = f"; too few {record.repeats}: use {test.seeds_needed}" if test.seeds_needed else ""
        lines.append(
            f"its test accuracy on {test.images:,} images: "
            f"{_with_spread(test.accuracy, test.interval, test.by_seed, record.repeats)}{few}"
        )
        if record.metric != "accuracy":
            said = _with_spread(test.value, test.value_interval, test.value_by_seed, record.repeats)
            lines.append(f"its {record.metric.replace('_', ' ')} there: {said}")
    return lines


def _with_spread(
    value: float, interval: tuple[float, float], each: Sequence[float], repeats: Literal["seeds", "folds"]
) -> str:
    """A figure, its interval, and its range over seeds or folds."""
    one, (low, high) = repeats[:-1], interval
    spread = f", {min(each):.3f} to {max(each):.3f} by {one}" if len(each) > 1 else ""
    return f"{value:.3f} (95 % interval {low:.3f}..{high:.3f}, {count_text(len(each), one)}{spread})"


def _pair_lines(title: str, pairs: Sequence[Pair]) -> list[str]:
    """Verdicts on pairs below a title; of many the first ones."""
    if not pairs:
        return []
    more = len(pairs) - _MOST_SENTENCES
    rest = [f"  and {count_text(more, 'more pair')} (see --json)"] if more > 0 else []
    return ["", title, *(f"  {pair.sentence}" for pair in pairs[:_MOST_SENTENCES]), *rest]


def _learning_rate_lines(record: ComparisonRecord) -> list[str]:
    labelled = [(one.name, one.learning_rate_label) for one in record.variants if one.learning_rate_label is not None]
    if not labelled:
        return []
    return ["", "learning rates:", *(f"  {name}: {label.label} - {label.why}" for name, label in labelled)]


def _unstable_lines(record: ComparisonRecord) -> list[str]:
    """Lines on unstable throughput and latency, one for each network."""
    found = {}
    for one in record.variants:
        if one.inference is not None and one.inference.is_unstable:
            (least, most), (low, high) = one.inference.throughput_range, one.inference.latency_range
            found[one.model] = (
                f"prediction with {one.model} is unstable: latency {low:,.0f} to {high:,.0f} ms, {least:,.0f} to "
                f"{most:,.0f} images/s; the machine was busy. Measure again when it is idle: headstart compare "
                f"--resume {shlex.quote(record.comparison)}"
            )
    return list(found.values())


def _front_lines(record: ComparisonRecord) -> list[str]:
    fronts = {"accuracy and training time": record.pareto.minutes, "accuracy and throughput": record.pareto.inference}
    return [f"Pareto front of {what}: {', '.join(names)}" for what, names in fronts.items() if names]
