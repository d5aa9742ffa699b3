"""Figures of merit as people read them: accuracy first, then what may mislead, then class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headstart.amounts import count_text, counted_text
from headstart.apps.cli.text.printing import NAME_WIDTH, next_line, visible_name
from headstart.findings import Finding
from headstart.measures.figures import ClassFigures, EvaluationFigures, SelectionMetric

if TYPE_CHECKING:
    from headstart.prediction.evaluation import EvaluateResult


def figures_text(result: EvaluateResult, *, bundle: str) -> str:
    """Lines that `headstart evaluate` prints: the accuracy first, then what may mislead, then class by class.

    Args:
        result: Of the evaluation.
        bundle: RUN, for the next command.
    """
    figures = result.figures
    repeats = f", the test set of {result.repeats.run}" if result.repeats is not None else ""
    lines = [accuracy_sentence(figures) + repeats, *by_class_lines(figures), ""]
    lines += [*finding_lines(result.findings), *_class_table(figures.per_class)]
    lines += ["", "confusion matrix (row: true class, column: predicted class, in the order above)"]
    lines += [" ".join(f"{count:>5}" for count in row) for row in figures.confusion]
    if result.unreadable:
        lines.append(f"left out: {count_text(len(result.unreadable), 'unreadable image')}")
    lines += ["", next_line("predict", bundle, "IMAGES", "-o", "predictions.csv")]
    return "\n".join(lines)


def finding_lines(findings: Sequence[Finding]) -> list[str]:
    """Lines of what may mislead, each with what to do about it; an empty line ends them."""
    lines = [f"{finding.level}: {finding.evidence}\n    -> {finding.remedy}" for finding in findings]
    return [*lines, ""] if lines else []


def accuracy_sentence(figures: EvaluationFigures, *, noun: str = "image") -> str:
    """`accuracy 0.778 (95 % interval 0.715..0.839) on 225 images of 160 groups`.

    Args:
        figures: Of the images.
        noun: What an image is called, such as `test image`.
    """
    counted = counted_text(figures.images, figures.counted, figures.groups, noun=noun)
    return f"accuracy {figures.accuracy:.3f} (95 % interval {_span(figures.accuracy_interval)}) on {counted}"


def metric_sentence(figures: EvaluationFigures, metric: SelectionMetric, *, noun: str = "image") -> str:
    """`balanced accuracy 0.751 (95 % interval 0.690..0.804) on 225 images`: the figure that is shown first.

    Args:
        figures: Of the images.
        metric: Which.
        noun: What an image is called.
    """
    if metric == "accuracy":
        return accuracy_sentence(figures, noun=noun)
    lines = {"balanced_accuracy": balanced_text, "macro_f1": macro_f1_text, "log_loss": _log_loss_text}
    counted = counted_text(figures.images, figures.counted, figures.groups, noun=noun)
    return f"{lines[metric](figures)} on {counted}"


def by_class_lines(figures: EvaluationFigures) -> list[str]:
    """Figures in which every class counts the same; runs of earlier versions have no macro F1."""
    return [balanced_text(figures)] + ([macro_f1_text(figures)] if figures.macro_f1 is not None else [])


def macro_f1_text(figures: EvaluationFigures) -> str:
    """`macro F1 0.743 (95 % interval 0.680..0.798)`."""
    interval = figures.macro_f1_interval
    return f"macro F1 {_share(figures.macro_f1)}" + (f" (95 % interval {_span(interval)})" if interval else "")


def _log_loss_text(figures: EvaluationFigures) -> str:
    interval = figures.log_loss_interval
    return f"log loss {figures.log_loss:.3f}" + (f" (95 % interval {_span(interval)})" if interval else "")


def balanced_text(figures: EvaluationFigures) -> str:
    """`balanced accuracy 0.751 (95 % interval 0.690..0.804)`; runs of earlier versions have no interval of it."""
    interval = figures.balanced_accuracy_interval
    return f"balanced accuracy {figures.balanced_accuracy:.3f}" + (
        f" (95 % interval {_span(interval)})" if interval else ""
    )


def _class_table(per_class: Mapping[str, ClassFigures]) -> list[str]:
    names = {name: visible_name(name, width=NAME_WIDTH) for name in per_class}
    width = max(5, *map(len, names.values()))
    lines = [f"{'class':<{width}} {'images':>6} {'precision':>9} {'recall':>6}  {'95 % of recall':<14} {'F1':>5}"]
    for name, row in per_class.items():
        span = "-" if row.recall_interval is None else _span(row.recall_interval)
        lines.append(
            f"{names[name]:<{width}} {row.images:>6} {_share(row.precision):>9} {_share(row.recall):>6}  "
            f"{span:<14} {_share(row.f1):>5}"
        )
    return lines


def _share(value: float | None) -> str:
    """Three decimals, or a dash for a share of no images."""
    return "-" if value is None else f"{value:.3f}"


def _span(interval: Sequence[float]) -> str:
    low, high = interval
    return f"{low:.3f}..{high:.3f}"
