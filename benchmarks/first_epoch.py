"""What the first tuned epoch does to the solved probe it starts from, over the four real sets.

    HEADSTART_DATA=FOLDER python benchmarks/first_epoch.py [--seeds 2] [--sets ...] [--strategies ...] [--size 128]
        [--source SRC --label before]

FOLDER holds the tar files of benchmarks/sets.py. Every run is one `headstart train ... --json` in a process of its own;
a line a run goes to build/first_epoch.jsonl, and an interrupted benchmark goes on where it was. Seed 0 of everything
comes first. `--source` is the folder src of another version of headstart, measured under the name of `--label`.
`--table` runs nothing. The tables are printed, and with `--write` they go into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measured import Kept, Row, where
from sections import replace_section

from headstart.measures.metrics import paired_p_value

ROOT = Path(__file__).parents[1]
NAME = "first_epoch"


@dataclass(frozen=True)
class Case:
    """Images, and how they are asked for."""

    tar: str
    options: tuple[str, ...]


CASES: dict[str, Case] = {
    "hymenoptera": Case("hymenoptera", ("--epochs", "5")),
    "rsscn7": Case("rsscn7", ("--domain", "satellite", "--limit-train", "60/class")),
    "chest_xray": Case(
        "chest_xray",
        ("--domain", "medical", "--limit-train", "120/class", "--group", r"/(\d{8}(?=_)|[^/]{1,20})[^/]*$"),
    ),
    "cifar10": Case("cifar10", ("--limit-train", "100/class", "--limit-test", "50/class")),
}
"""Four sets. CIFAR-10 has 1,000 labelled images and is tuned for 10 epochs, the others for 5 (under 500 images); ants
and bees are told so, because a probe without a mistake on the validation images would not be tuned at all."""

STRATEGIES: dict[str, tuple[str, ...]] = {
    "probe_then_tune": (),
    "partial": ("--strategy", "partial"),
    "gradual strong": ("--strategy", "gradual", "--augmentation", "strong"),
    "discriminative": ("--strategy", "discriminative"),
}
SUBSET = ("cifar10", "rsscn7")
"""Sets on which the strategies beside the default are measured unless --sets names others."""


def jobs(options: argparse.Namespace) -> Iterator[tuple[Row, list[str]]]:
    """(key of a run, arguments of `headstart train`), seed 0 of everything first."""
    for seed in range(options.seeds):
        for strategy in options.strategies:
            default = CASES if strategy == "probe_then_tune" else SUBSET
            for name in options.sets or default:
                case = CASES[name]
                data = str(Path(os.environ["HEADSTART_DATA"]) / f"{case.tar}.tar")
                size = "auto" if options.size is None else options.size
                words = ["train", data, *case.options, *STRATEGIES[strategy], "--seed", str(seed), "--json"]
                words += [] if options.size is None else ["--input-size", str(options.size)]
                yield {"label": options.label, "set": name, "strategy": strategy, "seed": seed, "size": size}, words


def measure(words: Sequence[str], source: Path) -> Row:
    """One run: the probe, every epoch on the validation images, and the test accuracy.

    Raises:
        RuntimeError: it failed; with what it said last.
    """
    environment = {**os.environ, "PYTHONPATH": str(source)}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "headstart", *words, "--out", str(out)]
        started = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        answer: dict[str, Any] = json.loads(done.stdout)
        losses, accuracies = _validated(out / "selection.parquet")
    tuned = [row for row in answer["epochs"] if row["epoch"] > 0]
    probe = next(row for row in answer["epochs"] if row["epoch"] == 0)
    first = f"{tuned[0]['phase']}/1" if tuned else None
    return {
        "validation_images": len(losses["probe"]),
        "probe": accuracies["probe"],
        "first": accuracies[first] if first else None,
        "first_worse_p": paired_p_value(losses[first], losses["probe"]) if first else None,
        "accuracies": [row["validation_accuracy"] for row in tuned],
        "losses": [probe["validation_loss"], *[row["validation_loss"] for row in tuned]],
        "train_losses": [row["train_loss"] for row in tuned],
        "phases": [row["phase"] for row in tuned],
        "kept": answer["selected"]["checkpoint"],
        "test": answer["test"],
        "alarms": [row["kind"] for row in answer["warnings"]],
        "epoch_seconds": [row["seconds"] for row in tuned],
        "seconds": seconds,
    }


def _validated(path: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """By candidate: (log losses of the validation images, accuracy)."""
    import numpy as np
    import pyarrow.parquet as pq

    rows = pq.read_table(path).to_pylist()
    losses: dict[str, list[float]] = defaultdict(list)
    correct: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        losses[row["epoch"]].append(row["log_loss"])
        correct[row["epoch"]].append(
            row["correct"] if "correct" in row else row["right"]
        )  # versions before named it so
    accuracies = {name: sum(values) / len(values) for name, values in correct.items()}
    return {name: np.array(values) for name, values in losses.items()}, accuracies


def section(rows: Sequence[Row]) -> str:
    """Markdown: what was run, a row a run, and where."""
    said = (
        "Written by `python benchmarks/first_epoch.py --write`. EfficientNet-Lite0, one run a line. rsscn7: 60 "
        "training images a class; chest_xray: 120 a class at most, split by patient; cifar10: 100 a class. Probe, "
        "first and best tuned epoch: accuracy on the validation images, of which there are n; p: one-sided paired "
        "p-value of the first epoch being worse than the probe (log losses, each at its best temperature). Test "
        "accuracy: of what was selected, its head solved once more. Seconds are those of a machine that did other "
        "things too."
    )
    return "\n".join(
        ["## The first tuned epoch and the probe", "", *textwrap.wrap(said, 120), "", table(rows), "", where()]
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown: a row a run, the versions one below the other."""
    heads = ["set", "strategy", "seed", "version", "n", "probe", "first tuned epoch", "p", "best tuned epoch"]
    heads += ["selected", "test accuracy", "test log loss", "seconds"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in sorted(rows, key=lambda r: (*_place(r), r["seed"], r["label"] != "before")):
        lines.append("| " + " | ".join(_cells(row)) + " |")
    return "\n".join(lines)


def _place(row: Row) -> tuple[int, int]:
    return list(STRATEGIES).index(row["strategy"]), list(CASES).index(row["set"])


def _cells(row: Row) -> list[str]:
    tuned: list[float] = row["accuracies"]
    first = f"{row['first']:.3f}" if tuned else "-"
    best = f"{max(tuned):.3f} ({tuned.index(max(tuned)) + 1} of {len(tuned)})" if tuned else "-"
    test: Mapping[str, Any] = row["test"]
    worse = f"{row['first_worse_p']:.2g}" if tuned else "-"
    figures = [str(row["validation_images"]), f"{row['probe']:.3f}", first, worse, best, row["kept"]]
    figures += [f"{test['accuracy']:.3f}", f"{test['log_loss']:.3f}", f"{row['seconds']:.0f}"]
    size = "" if row["size"] is None else f", {row['size']} px"
    return [row["set"] + size, row["strategy"], str(row["seed"]), row["label"], *figures]


def main() -> int:
    """Parse, run what is not there yet, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sets", default="", help="of " + ", ".join(CASES))
    parser.add_argument("--size", type=int, default=128, help="input side in pixels; 0: that of the weights")
    parser.add_argument("--strategies", default="probe_then_tune", help="of " + ", ".join(STRATEGIES))
    parser.add_argument("--source", type=Path, default=ROOT / "src", help="folder src of the version to measure")
    parser.add_argument("--label", default="after", help="what that version is called in the table")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--write", action="store_true", help="write the section of docs/benchmarks.md")
    options = parser.parse_args()
    options.size = options.size or None
    for option, allowed in (("sets", CASES), ("strategies", STRATEGIES)):
        chosen = [word for word in getattr(options, option).split(",") if word]
        if unknown := [word for word in chosen if word not in allowed]:
            parser.error(f"--{option}: {', '.join(unknown)} is none of {', '.join(allowed)}")
        setattr(options, option, chosen)
    kept, failed = Kept(NAME), 0
    for key, words in [] if options.table else jobs(options):
        if kept.has(**key):
            continue
        try:
            kept.add({**key, **measure(words, options.source)})
        except RuntimeError as error:
            print(error, file=sys.stderr, flush=True)
            failed += 1
    text = section(kept.rows())
    print(text)
    if options.write:
        replace_section("first-epoch", text)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
