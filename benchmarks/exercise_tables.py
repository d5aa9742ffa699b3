"""Result of an exercise as a section of docs/exercises.md: table, verdicts, curves, where it ran."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, TypeAlias

from exercise_curves import Curve, curves_svg

from headstart.comparison.learning_rate_labels import LearningRateLabel, compare_with_textbook

ExerciseName = Literal["models", "strategies", "learning_rates"]
Answer: TypeAlias = Mapping[str, Any]

TITLES: dict[ExerciseName, str] = {
    "models": "Three models by feature extraction",
    "strategies": "Three strategies and the default on 1,000 images",
    "learning_rates": "Five learning rates",
}
CURVES = Path(__file__).parents[1] / "docs" / "exercises"


def section(name: ExerciseName, answer: Answer) -> str:
    """Markdown; `write_curves` makes the file that it shows."""
    lines = [f"### Measured: {TITLES[name]}", "", *_where(name, answer), "", *_table(name, answer), ""]
    lines += _verdicts(answer)
    if name == "learning_rates":
        lines += ["", *_labels(answer)]
    if name != "models":
        alt = "Validation accuracy and losses by epoch, a column for each variant"
        lines += ["", f"![{alt}](exercises/{name}.svg)"]
    return "\n".join(lines)


def _where(name: ExerciseName, answer: Answer) -> list[str]:
    data, environment = answer["data"], answer["environment"]
    versions = ", ".join(f"{key} {environment['versions'][key]}" for key in ("torch", "timm", "headstart"))
    done = sum(trial["state"] == "done" for trial in answer["trials"])
    unfinished = "" if answer["finished"] else " Not finished: the table holds what was done."
    held_out = data["validation_images"] if "held-out" in data["validated_on"] else 0
    validated_on = f"{held_out} of them for validation" if held_out else "validated out of fold"
    words = (
        f"Written by `python benchmarks/exercises.py {name}`: {data['train_images'] + held_out:,} labelled images "
        f"({validated_on}), {data['test_images']:,} test images. {done} trials, {answer['seconds'] / 60:.0f} minutes "
        f"of training on {environment['cpu_count']} cores ({versions}).{unfinished} Intervals are 95 %, over images "
        "and seeds."
    )
    return textwrap.wrap(words, 120)


def _table(name: ExerciseName, answer: Answer) -> list[str]:
    last = {row["name"]: _last_validation(row, answer) for row in answer["variants"]}
    shows_last = name != "models"
    head = ["", "seeds", "test accuracy", "validation accuracy"]
    head += ["validation accuracy, last epoch"] if shows_last else []
    head += ["training time", "images/s", "latency", "training memory", "prediction memory", "parameters"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in answer["variants"]:
        test, validation, speed = row["test"], row["validation"], row["inference"]
        status = row["accuracy_status"]
        cells = [_short(row["name"]), str(row["seeds_done"])]
        cells.append("{:.3f} ({:.3f}..{:.3f})".format(test["accuracy"], *test["interval"]) if test else status)
        cells.append(f"{validation['accuracy']:.3f}" if validation else "-")
        if shows_last:
            cells.append(f"{last[row['name']]:.3f}" if last[row["name"]] is not None else "-")
        cells.append(_minutes(row["seconds"]["mean"]) if row["seconds"] else "-")
        cells += [f"{speed['images_per_second']:.0f}", f"{speed['one_image_ms']:.0f} ms"] if speed else ["-", "-"]
        cells.append(_megabytes(row["peak_memory_bytes"]))
        cells.append(_megabytes(speed["peak_memory_bytes"]) if speed else "-")
        cells.append(f"{row['parameters'] / 1e6:.1f}M" if row["parameters"] else "-")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _verdicts(answer: Answer) -> list[str]:
    chosen = answer["chosen"]
    lines = []
    if chosen is not None:
        lines += [f"Recommended by validation accuracy: **{_short(chosen['variant'])}**. {_short(chosen['why'])}.", ""]
    lines += ["On test images:", ""]
    lines += [f"- {_short(pair['sentence'])}" for pair in answer["pairs"] if pair["on"] == "test"]
    return lines


def _labels(answer: Answer) -> list[str]:
    rows = [row["learning_rate_label"] for row in answer["variants"] if row["learning_rate_label"]]
    expectations = compare_with_textbook([LearningRateLabel(**row) for row in rows])
    lines = ["| learning rate | by rule | reason | the textbook says | holds |", "|---|---|---|---|---|"]
    for row, expected in zip(rows, expectations, strict=True):
        holds = "-" if expected.expected is None else "yes" if expected.holds else "no"
        lines.append(
            f"| {row['learning_rate']:g} | {row['label']} | {row['why']} | {expected.expected or '-'} | {holds} |"
        )
    return lines


def write_curves(name: ExerciseName, answer: Answer) -> None:
    """The file of the curves."""
    curves = []
    for row in answer["variants"]:
        runs = [_epochs(trial) for trial in answer["trials"] if _is_whole(trial, row["name"])]
        if runs:
            curves.append(Curve(_short(row["name"]), runs))
    CURVES.mkdir(exist_ok=True)
    (CURVES / f"{name}.svg").write_text(curves_svg(curves), encoding="utf-8")


def _is_whole(trial: Mapping[str, Any], variant: str) -> bool:
    return trial["variant"] == variant and trial["state"] == "done" and trial["rung"] == 1.0


def _epochs(trial: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    metrics = json.loads((Path(trial["run"]) / "metrics.json").read_text(encoding="utf-8"))
    epochs: Sequence[Mapping[str, Any]] = metrics["epochs"]
    return epochs


def _last_validation(row: Mapping[str, Any], answer: Answer) -> float | None:
    """Mean over seeds of the validation accuracy after the last epoch, whichever checkpoint was selected."""
    runs = [_epochs(trial) for trial in answer["trials"] if _is_whole(trial, row["name"])]
    tuned = [epochs[-1]["validation_accuracy"] for epochs in runs if epochs[-1]["epoch"] > 0]
    return fmean(tuned) if tuned else None


def _short(text: str) -> str:
    """Without the folder of a file of weights."""
    return " ".join(word if ":file:" not in word else word.partition(":file:")[0] for word in text.split(" "))


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _megabytes(count: float | None) -> str:
    return "-" if count is None else f"{count / 1e6:,.0f} MB"
