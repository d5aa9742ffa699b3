"""Memory that filling and reading the store takes, at a small and a large number of rows, with made-up activations.

    python benchmarks/store_memory.py [--small 6000] [--large 60000] [--folder FOLDER]

Each size runs in a process of its own, which fills a new store in batches, then reads it back: at random in batches, in
order in blocks. Pooled features are added up to X^T X, and two heads of ten classes are solved on them as a training
does it: strength cross-validated in five folds, logistic and ridge. What counts is anonymous memory (RssAnon of
/proc/self/status), looked at after every batch, and a hundred times a second while a head is solved; mapped pages of
files belong to the system, which takes them back when it needs them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from headstart.engine.store.index import Reader
from headstart.engine.store.shards import Ids, Tensor
from headstart.engine.store.store import EVALUATION, ActivationStore, SpaceKey, image_digest, row_ids
from headstart.engine.store.stored_rows import StoredRows
from headstart.input_spec import InputSpec
from headstart.solvers.head_solver import Solver, head_problem

KINDS = {
    "spatial (ResNet-18 after layer3)": (256, 14, 14),
    "pooled (EfficientNet-Lite0)": (1280,),
}
BATCH_ROWS = 64
ALLOWED_MB = 100
CLASSES = 10
SOLVERS: tuple[Solver, ...] = ("logistic", "ridge")
SPEC = InputSpec(224, 256, "bilinear", (0.5,) * 3, (0.5,) * 3)


class Peak:
    """The most anonymous memory seen, in MB."""

    def __init__(self) -> None:
        self.megabytes = 0.0

    def look(self) -> None:
        """Ask the system now."""
        status = Path("/proc/self/status").read_text()
        kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))
        self.megabytes = max(self.megabytes, kilobytes / 1000)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look again and again while the block runs."""
        done = threading.Event()

        def look_on() -> None:
            while not done.wait(0.01):
                self.look()

        watcher = threading.Thread(target=look_on)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()


def batch_of(first: int, count: int, shape: tuple[int, ...]) -> np.ndarray:
    """Rows that say which they are: shifted pieces of the same noise, after a ReLU."""
    noise = np.maximum(np.random.default_rng(first).normal(0, 1, shape), 0).astype(np.float32)
    scale = 1 + (first + np.arange(count, dtype=np.float32)) / 1e6
    return noise * scale.reshape(-1, *(1,) * len(shape))


def fill(store: ActivationStore, ids: Ids, shape: tuple[int, ...], peak: Peak) -> float:
    began = time.perf_counter()
    space = store.space(KEY, (Tensor(shape),))
    missing = space.missing(ids)
    assert len(missing) == len(ids)
    with space.writer() as writer:
        for start in range(0, len(ids), BATCH_ROWS):
            rows = missing[start : start + BATCH_ROWS]
            writer.add(ids[rows], (batch_of(start, len(rows), shape),))
            peak.look()
    return time.perf_counter() - began


def read(reader: Reader, peak: Peak, *, order: np.ndarray) -> float:
    """Seconds to take every row once, in batches of this order; each batch is compared with what was written."""
    began = time.perf_counter()
    for start in range(0, len(order), BATCH_ROWS):
        positions = order[start : start + BATCH_ROWS]
        (rows,) = reader.take(positions)
        peak.look()
        if start % (BATCH_ROWS * 50) == 0:
            first = int(positions[0]) // BATCH_ROWS * BATCH_ROWS
            expected = batch_of(first, BATCH_ROWS, rows.shape[1:])[int(positions[0]) - first]
            assert np.allclose(rows[0], expected, rtol=2**-10, atol=1e-6)
    return time.perf_counter() - began


def add_up(reader: Reader, peak: Peak) -> None:
    features = reader.tensors[0].shape[0]
    total = np.zeros((features, features), np.float32)
    for _, (rows,) in reader.blocks(4096, order="stored"):
        total += rows.T @ rows
        peak.look()


def solve(reader: Reader, peak: Peak) -> dict[str, float]:
    """Seconds to choose and solve a head, by solver; classes that a head can partly tell apart."""
    rows, count = StoredRows(reader), len(reader)
    direction = np.random.default_rng(1).normal(0, 1, (rows.width, CLASSES)).astype(np.float32)
    labels, folds = np.empty(count, np.int64), np.arange(count) // BATCH_ROWS % 5
    for start, block in rows.blocks():
        labels[start : start + len(block)] = ((block - block.mean(axis=0)) @ direction).argmax(axis=1)
    unsure = np.random.default_rng(2).random(count) < 0.1
    labels[unsure] = np.random.default_rng(3).integers(0, CLASSES, int(unsure.sum()))
    seconds = {}
    for solver in SOLVERS:
        began = time.perf_counter()
        with peak.watching():
            problem = head_problem(rows, labels, CLASSES, solver=solver)
            choice = problem.choose(folds)
            problem.solve(choice.l2_penalty, temperature=choice.temperature).probabilities_of(rows)
        seconds[solver] = time.perf_counter() - began
    return seconds


KEY = SpaceKey("made-up", "0" * 32, "layer3", SPEC, "1", "none", "0")


def one(kind: str, count: int, folder: Path) -> dict[str, object]:
    shape, peak = KINDS[kind], Peak()
    ids = row_ids([image_digest(number.to_bytes(8, "little")) for number in range(count)], EVALUATION)
    peak.look()
    start_mb = peak.megabytes
    filled = fill(ActivationStore(folder), ids, shape, peak)
    began = time.perf_counter()
    space = ActivationStore(folder).space(KEY, (Tensor(shape),))
    assert not len(space.missing(ids))
    opened = time.perf_counter() - began
    reader = space.reader(ids)
    in_order = read(reader, peak, order=np.arange(count))
    at_random = read(reader, peak, order=np.random.default_rng(0).permutation(count))
    solved: dict[str, float] = {}
    if len(shape) == 1:
        add_up(reader, peak)
        solved = solve(reader, peak)
    return {
        "kind": kind,
        "rows": count,
        "gigabytes": sum(path.stat().st_size for path in space.folder.iterdir()) / 1e9,
        "shards": len(list(space.folder.glob("*.shard"))),
        "start_mb": start_mb,
        "peak_mb": peak.megabytes,
        "filled_rows_per_second": count / filled,
        "opened_and_checked_seconds": opened,
        "in_order_rows_per_second": count / in_order,
        "at_random_rows_per_second": count / at_random,
        "solved_seconds": solved,
    }


def in_new_process(kind: str, count: int, parent: Path | None) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(dir=parent, prefix="store-memory-"))
    try:
        arguments = ["--kind", kind, "--rows", str(count), "--folder", str(folder)]
        done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=6_000)
    parser.add_argument("--large", type=int, default=60_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--rows", type=int)
    asked = parser.parse_args()
    if asked.rows is not None:
        print(json.dumps(one(asked.kind, asked.rows, asked.folder)))
        return
    print(
        "| activations | rows | GB | shards | anonymous MB at start, peak | filled rows/s | checked s | read rows/s "
        "| heads chosen and solved |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    growth = {}
    for kind in KINDS:
        peaks = []
        for count in (asked.small, asked.large):
            a = in_new_process(kind, count, asked.folder)
            peaks.append(float(a["peak_mb"]))
            print(
                f"| {kind} | {count:,} | {a['gigabytes']:.2f} | {a['shards']} | {a['start_mb']:.0f}, "
                f"{a['peak_mb']:.0f} | {a['filled_rows_per_second']:.0f} | {a['opened_and_checked_seconds']:.1f} | "
                f"in order {a['in_order_rows_per_second']:.0f}, at random {a['at_random_rows_per_second']:.0f} | "
                f"{', '.join(f'{name} {seconds:.1f} s' for name, seconds in a['solved_seconds'].items()) or '-'} |",
                flush=True,
            )
        growth[kind] = peaks[1] - peaks[0]
    for kind, megabytes in growth.items():
        print(f"{kind}: {megabytes:+.1f} MB from {asked.small:,} to {asked.large:,} rows (allowed: {ALLOWED_MB})")
    assert max(growth.values()) <= ALLOWED_MB


if __name__ == "__main__":
    main()
