"""Result of a training as people read it: figures and bundle first, then how it went, then the next command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Literal

from headstart.amounts import count_text, duration_text
from headstart.apps.cli.text.figures import accuracy_sentence, by_class_lines, finding_lines, metric_sentence
from headstart.apps.cli.text.printing import next_line
from headstart.knowledge.imbalance import shares_text
from headstart.runs.run_metrics import MeasuredEstimate, RunMetrics
from headstart.runs.training_events import PhaseDone

_MOST_RUNS = 10
"""So many groups with a learning rate of their own are named in one line."""


def training_text(metrics: RunMetrics, *, reasons: Literal["shown", "hidden"] = "hidden") -> str:
    """Lines that `headstart train` prints on stdout.

    Args:
        metrics: Of the run.
        reasons: Whether the reasons of the plan follow; the plan and the report always hold them.
    """
    lines = [*_result_lines(metrics), "", *finding_lines(metrics.findings)]
    lines += [*_phase_table(metrics.phases), "", *_detail_lines(metrics)]
    if reasons == "shown":
        lines += ["", "reasons", *(f"  {path}: {reason}" for path, reason in metrics.reasons.items())]
    else:
        lines.append("reasons: --explain prints them; the plan and the report hold them")
    lines.append(next_line("predict", metrics.run, "IMAGES", "-o", "predictions.csv"))
    return "\n".join(lines)


def _result_lines(metrics: RunMetrics) -> list[str]:
    """The metric that selected, the folder of the bundle, and the command that resumes a run that was stopped."""
    first = metric_sentence(metrics.test, metrics.selected.metric, noun="test image")
    lines = [first, f"bundle: {metrics.bundle}"]
    if metrics.resume:
        lines.append(f"stopped by the {metrics.stopped}; resume with: {metrics.resume}")
    return lines


def _detail_lines(metrics: RunMetrics) -> list[str]:
    """Test and validation set, the selected checkpoint, and how long training took."""
    selected = metrics.selected
    others = [] if selected.metric == "accuracy" else [accuracy_sentence(metrics.test, noun="test image")]
    lines = [
        *others,
        *by_class_lines(metrics.test),
        *([] if metrics.imbalance == "none" else [f"probabilities: {shares_text(metrics.imbalance)}"]),
        f"test set: {metrics.test.source}",
        f"validation set: {metrics.validation.source}",
        f"selected checkpoint: {selected.checkpoint} - {selected.reason}",
    ]
    if selected.unused_tuning is not None:
        lines.append(f"note: {selected.unused_tuning.text}")
    if unreadable := len(metrics.unreadable):
        lines.append(f"left out: {count_text(unreadable, 'unreadable image')}, named in data.json of the run")
    engine = f", engine {metrics.engine}" if metrics.engine else ""
    estimated = "" if metrics.estimates is None else f" ({_estimate_text(metrics.estimates)})"
    return [*lines, f"took {duration_text(metrics.total_seconds)}{estimated}{engine}"]


def _phase_table(phases: Sequence[PhaseDone]) -> list[str]:
    lines = [f"{'phase':<16} {'epochs':>6} {'val accuracy':>12} {'seconds':>8}  trained at peak lr"]
    for row in phases:
        accuracy = "-" if row.validation_accuracy is None else f"{row.validation_accuracy:.4f}"
        rates = _runs_of_rates(row.lr) or "head: linear probe"
        ran = row.kind != "train" or row.epochs_run > 0
        lines.append(
            f"{row.name:<16} {row.epochs_run:>6} {accuracy:>12} {row.seconds:>8.1f}  " + (rates if ran else row.ended)
        )
    return lines


def _runs_of_rates(rates: Mapping[str, float]) -> str:
    """`stem..layer4 0.0003, head 0.003`: neighbours with the same learning rate are named by the first and the last.

    Where nearly every group has a learning rate of its own, only the ends of the backbone are named.
    """
    said = []
    for rate, same in groupby(rates.items(), key=lambda item: item[1]):
        names = [name for name, _ in same]
        said.append(f"{names[0]}{f'..{names[-1]}' if len(names) > 1 else ''} {rate:.3g}")
    if len(said) > _MOST_RUNS:
        return f"{said[0]} to {said[-2]} ({len(rates) - 1} groups, see --json), {said[-1]}"
    return ", ".join(said)


def _estimate_text(estimates: MeasuredEstimate) -> str:
    """`estimated 2 min 16 s`, and which phases were not run after all."""
    line = f"estimated {duration_text(estimates.total_seconds)}"
    skipped = [phase.name for phase in estimates.phases if not phase.measured_seconds and phase.seconds > 0]
    return line + (f"; not run: {', '.join(skipped)}" if skipped else "")
