"""Result of an exercise as a section of docs/exercises.md: table, verdicts, curves, where it ran."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from exercise_curves import Curve, curves_svg

from headstart.comparison.learning_rate_labels import compare_with_textbook
from headstart.comparison.record import ComparisonRecord

ExerciseName = Literal["models", "strategies", "learning_rates"]

TITLES: dict[ExerciseName, str] = {
    "models": "Three models by feature extraction",
    "strategies": "Three strategies and the default on 1,000 images",
    "learning_rates": "Five learning rates",
}
CURVES = Path(__file__).parents[1] / "docs" / "exercises"


def section(name: ExerciseName, record: ComparisonRecord) -> str:
    """Markdown; `write_curves` makes the file that it shows."""
    lines = [f"### Measured: {TITLES[name]}", "", *_where(name, record), "", *_table(name, record), ""]
    lines += _verdicts(record)
    if name == "learning_rates":
        lines += ["", *_labels(record)]
    if name != "models":
        alt = "Validation accuracy and losses by epoch, a column for each variant"
        lines += ["", f"![{alt}](exercises/{name}.svg)"]
    return "\n".join(lines)


def _where(name: ExerciseName, record: ComparisonRecord) -> list[str]:
    data, environment = record.data, record.environment
    versions = ", ".join(f"{key} {environment.versions[key]}" for key in ("torch", "timm", "headstart"))
    done = sum(trial.state == "done" for trial in record.trials)
    unfinished = "" if record.finished else " Not finished: the table holds what was done."
    held_out = data.validation_images if "held-out" in (data.validated_on or "") else 0
    validated_on = f"{held_out} of them for validation" if held_out else "validated out of fold"
    words = (
        f"Written by `python benchmarks/exercises.py {name}`: {data.train_images + held_out:,} labelled images "
        f"({validated_on}), {data.test_images:,} test images. {done} trials, {record.seconds / 60:.0f} minutes "
        f"of training on {environment.cpu_count} cores ({versions}).{unfinished} Intervals are 95 %, over images "
        "and seeds."
    )
    return textwrap.wrap(words, 120)


def _table(name: ExerciseName, record: ComparisonRecord) -> list[str]:
    shows_last = name != "models"
    head = ["", "seeds", "test accuracy", "validation accuracy"]
    head += ["validation accuracy, last epoch"] if shows_last else []
    head += ["training time", "images/s", "latency", "training memory", "prediction memory", "parameters"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for one in record.variants:
        test, validation, speed = one.test, one.validation, one.inference
        cells = [_short(one.name), str(one.seeds_done)]
        cells.append("{:.3f} ({:.3f}..{:.3f})".format(test.accuracy, *test.interval) if test else one.accuracy_status)
        cells.append(f"{validation.accuracy:.3f}" if validation else "-")
        if shows_last:
            last = _last_validation(one.name, record)
            cells.append(f"{last:.3f}" if last is not None else "-")
        cells.append(_minutes(one.seconds.mean) if one.seconds else "-")
        cells += [f"{speed.images_per_second:.0f}", f"{speed.one_image_ms:.0f} ms"] if speed else ["-", "-"]
        cells.append(_megabytes(one.peak_memory_bytes))
        cells.append(_megabytes(speed.peak_memory_bytes) if speed else "-")
        cells.append(f"{one.parameters / 1e6:.1f}M" if one.parameters else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _verdicts(record: ComparisonRecord) -> list[str]:
    chosen = record.chosen
    lines = []
    if chosen is not None:
        lines += [f"Recommended by validation accuracy: **{_short(chosen.variant)}**. {_short(chosen.why)}.", ""]
    lines += ["On test images:", ""]
    lines += [f"- {_short(pair.sentence)}" for pair in record.pairs_on("test")]
    return lines


def _labels(record: ComparisonRecord) -> list[str]:
    labels = [one.learning_rate_label for one in record.variants if one.learning_rate_label is not None]
    lines = ["| learning rate | by rule | reason | the textbook says | holds |", "|---|---|---|---|---|"]
    for label, expected in zip(labels, compare_with_textbook(labels), strict=True):
        holds = "-" if expected.expected is None else "yes" if expected.holds else "no"
        lines.append(
            f"| {label.learning_rate:g} | {label.label} | {label.why} | {expected.expected or '-'} | {holds} |"
        )
    return lines


def write_curves(name: ExerciseName, record: ComparisonRecord) -> None:
    """The file of the curves."""
    found = [(one.name, _runs(one.name, record)) for one in record.variants]
    CURVES.mkdir(exist_ok=True)
    svg = curves_svg([Curve(_short(variant), runs) for variant, runs in found if runs])
    (CURVES / f"{name}.svg").write_text(svg, encoding="utf-8")


def _runs(variant: str, record: ComparisonRecord) -> list[Sequence[Mapping[str, Any]]]:
    """Of every finished trial on all training images, its epochs."""
    whole = [t for t in record.trials if t.variant == variant and t.state == "done" and t.rung == 1.0]
    return [json.loads((Path(t.run) / "metrics.json").read_text(encoding="utf-8"))["epochs"] for t in whole]


def _last_validation(variant: str, record: ComparisonRecord) -> float | None:
    """Mean over seeds of the validation accuracy after the last epoch, whichever checkpoint was selected."""
    ends = [epochs[-1] for epochs in _runs(variant, record)]
    tuned = [end["validation_accuracy"] for end in ends if end["epoch"] > 0]
    return fmean(tuned) if tuned else None


def _short(text: str) -> str:
    """Without the folder of a file of weights."""
    return " ".join(word if ":file:" not in word else word.partition(":file:")[0] for word in text.split(" "))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _megabytes(count: float | None) -> str:
    return "-" if count is None else f"{count / 1e6:,.0f} MB"
