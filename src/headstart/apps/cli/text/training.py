"""Result of a training as people read it: figures and bundle first, then how it went, then the next command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from headstart.amounts import count_text, duration_text
from headstart.apps.cli.text.figures import accuracy_sentence, balanced_text, finding_lines
from headstart.apps.cli.text.printing import next_line

_MOST_RUNS = 10
"""So many groups with a learning rate of their own are named in one line."""


def training_text(metrics: Mapping[str, Any], *, reasons: Literal["shown", "hidden"] = "hidden") -> str:
    """What `headstart train` prints on stdout.

    Args:
        metrics: What `headstart train --json` prints.
        reasons: Whether the reasons of the plan follow; they always stand in the plan and in the report.
    """
    lines = [*_result_lines(metrics), "", *finding_lines(metrics.get("findings", ()))]
    lines += [*_phase_table(metrics["phases"]), "", *_detail_lines(metrics)]
    if reasons == "shown":
        lines += ["", "reasons", *(f"  {path}: {reason}" for path, reason in metrics["reasons"].items())]
    else:
        lines.append("reasons: --explain prints them; the plan and the report hold them")
    lines.append(next_line("predict", metrics["run"], "IMAGES", "-o", "predictions.csv"))
    return "\n".join(lines)


def _result_lines(metrics: Mapping[str, Any]) -> list[str]:
    """Accuracy, the folder of the bundle, and the command that resumes a run that was stopped."""
    lines = [accuracy_sentence(metrics["test"], noun="test image"), f"bundle: {metrics['bundle']}"]
    if metrics["resume"]:
        lines.append(f"stopped by the {metrics['stopped']}; resume with: {metrics['resume']}")
    return lines


def _detail_lines(metrics: Mapping[str, Any]) -> list[str]:
    """What the accuracy was measured on, which checkpoint it is of, and how long it took."""
    test, selected = metrics["test"], metrics["selected"]
    lines = [
        balanced_text(test),
        f"test set: {test['source']}",
        f"validation set: {metrics['validation']['source']}",
        f"selected checkpoint: {selected['checkpoint']} - {selected['reason']}",
    ]
    if unused := selected.get("unused_tuning"):
        lines.append(f"note: {unused['text']}")
    if unreadable := metrics["unreadable"]:
        lines.append(f"left out: {count_text(len(unreadable), 'unreadable image')}, named in data.json of the run")
    engine = f", engine {metrics['engine']}" if metrics.get("engine") else ""
    estimated = f" ({_estimate_text(metrics['estimates'])})" if metrics.get("estimates") else ""
    return [*lines, f"took {duration_text(metrics['seconds']['total'])}{estimated}{engine}"]


def _phase_table(phases: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [f"{'phase':<16} {'epochs':>6} {'val accuracy':>12} {'seconds':>8}  trained at peak lr"]
    for row in phases:
        accuracy = "-" if row["validation_accuracy"] is None else f"{row['validation_accuracy']:.4f}"
        rates = _runs_of_rates(row["lr"]) or "head: linear probe"
        ran = row["kind"] != "train" or row["epochs_run"] > 0
        lines.append(
            f"{row['name']:<16} {row['epochs_run']:>6} {accuracy:>12} {row['seconds']:>8.1f}  "
            + (rates if ran else row["ended"])
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


def _estimate_text(values: Mapping[str, Any]) -> str:
    """`estimated 2 min 16 s`, and which phases were not run after all."""
    line = f"estimated {duration_text(values['total_seconds'])}"
    skipped = [phase["name"] for phase in values["phases"] if not phase["measured_seconds"] and phase["seconds"] > 0]
    return line + (f"; not run: {', '.join(skipped)}" if skipped else "")
