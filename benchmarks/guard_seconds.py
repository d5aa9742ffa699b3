"""Seconds of the guard of a phase, by part, as a share of the epochs: on images, and on cached activations.

    HEADSTART_DATA=FOLDER python benchmarks/guard_seconds.py [--set rsscn7] [--images N] [--size 128] [--epochs 4]

Checks are hashes of frozen tensors, learning rates and movement; the line is the write of ledger.jsonl with its sync;
readings are the fixed batch (similarity, dead channels, original head). The start of a phase is counted apart: hashes
of all that is frozen, and the reading of the starting network. Medians over the epochs of one run.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measured import Row, where
from sets import SETS, folder_of

import headstart
from headstart.runs.ledger import Ledger
from headstart.training.guard.gauge import Gauge
from headstart.training.guard.phase_guard import PhaseGuard

PARTS: dict[str, tuple[tuple[type, str], ...]] = {
    "checks": ((PhaseGuard, "start_epoch"), (PhaseGuard, "check"), (PhaseGuard, "unchanged")),
    "line": ((Ledger, "append"),),
    "readings": ((Gauge, "read"),),
    "start of the phase": ((PhaseGuard, "__init__"),),
}
"""Part -> methods whose seconds it is; none calls another of them but by the guard's own start."""


@contextmanager
def timed() -> Iterator[dict[str, list[float]]]:
    """Part -> seconds of every call in the block."""
    found: dict[str, list[float]] = defaultdict(list)
    before: list[tuple[type, str, Callable[..., Any]]] = []
    for part, methods in PARTS.items():
        for kind, name in methods:
            original = getattr(kind, name)
            before.append((kind, name, original))
            setattr(kind, name, _timed(original, found[part]))
    try:
        yield found
    finally:
        for kind, name, original in before:
            setattr(kind, name, original)


def _timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    def run(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the method takes and gives
        started = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            seconds.append(time.perf_counter() - started)

    return run


def measured_guard(folder: Path, strategy: str, *, images: int, size: int, epochs: int) -> Row:
    """Median seconds of an epoch, and of the parts in it; of the start of the phase, in all."""
    with tempfile.TemporaryDirectory() as parent, timed() as seconds:
        result = headstart.train(
            folder,
            out=Path(parent) / "run",
            strategy=strategy,
            epochs=epochs,
            input_size=size,
            limit_train=str(images),
            limit_test="50",
            seed=1,
            progress="none",
        )
        cached = any(line.name == "activations_cached" for line in result.run.events())
    # The first epoch holds the start of the phase.
    epoch = statistics.median(row.seconds for row in result.metrics.epochs if row.epoch > 1)
    row: Row = {"strategy": strategy, "activations": "cached" if cached else "computed", "epoch_seconds": epoch}
    for part in ("checks", "line", "readings"):
        row[part] = sum(seconds[part]) / epochs
    row["start of the phase"] = sum(seconds["start of the phase"])
    return row


def table(rows: list[Row]) -> list[str]:
    """Lines of Markdown, one a run."""
    lines = ["| activations | an epoch | checks | line | readings | start of the phase |", "|---|--:|--:|--:|--:|--:|"]
    for row in rows:
        shares = [f"{1000 * row[part]:.0f} ms ({row[part] / row['epoch_seconds']:.1%})" for part in list(PARTS)[:3]]
        lines.append(
            f"| {row['activations']} | {row['epoch_seconds']:.2f} s | {' | '.join(shares)} | "
            f"{1000 * row['start of the phase']:.0f} ms |"
        )
    return lines


def main() -> None:
    """Run both, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=SETS, default="rsscn7")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=4)
    given = parser.parse_args()
    folder = folder_of(given.set)
    terms = {"images": given.images, "size": given.size, "epochs": given.epochs}
    print("\n".join(table([measured_guard(folder, strategy, **terms) for strategy in ("full", "partial")])))
    print(where())


if __name__ == "__main__":
    main()
