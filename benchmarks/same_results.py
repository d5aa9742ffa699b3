"""Whether another version of headstart gives the same predictions: every strategy on three real sets, seed 0.

    HEADSTART_DATA=FOLDER python benchmarks/same_results.py --source OTHER/src --label before
    HEADSTART_DATA=FOLDER python benchmarks/same_results.py --label after
    python benchmarks/same_results.py --compare before after

Each run is `headstart plan`, then `headstart train --plan`, with one thread and an empty cache. PyTorch computes
everything: the usual choice between it and ONNX Runtime goes by measured seconds, which no two runs share, so the runs
find no ONNX Runtime. What a run leaves is kept in build/same_results/LABEL; an interrupted run of this script goes on
where it was.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "same_results"
MAIN = "from headstart.apps.cli import main as door; getattr(door, 'main', door)()"
"""The command line of this version, and of those in which it was one module."""

SETS: dict[str, tuple[str, ...]] = {
    "hymenoptera": (),
    "cifar10": ("--limit-train", "100/class", "--limit-test", "20/class"),
    "chest_xray": (
        *("--domain", "medical", "--limit-train", "60/class", "--limit-test", "40/class"),
        *("--group", r"/(\d{8}(?=_)|[^/]{1,20})[^/]*$"),
    ),
}
STRATEGIES = ("feature_extraction", "probe_then_tune", "partial", "gradual", "discriminative", "full", "scratch")
EPOCHS = {"gradual": "4"}
"""Two elsewhere; `gradual` needs one a stage."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=ROOT / "src")
    parser.add_argument("--label", default="after")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=STRATEGIES)
    parser.add_argument("--compare", nargs=2, metavar=("BEFORE", "AFTER"))
    options = parser.parse_args()
    if options.compare:
        sys.exit(compare(*options.compare))
    for strategy in options.strategies:
        for name in options.sets:
            folder = KEPT / options.label / f"{name}-{strategy}"
            if not (folder / "seconds.json").is_file():
                run(name, strategy, options.source.resolve(), folder)


def run(name: str, strategy: str, source: Path, folder: Path) -> None:
    """Train once; keeps predictions.parquet, selection.parquet and a hash of the bundle's weights."""
    with tempfile.TemporaryDirectory() as aside:
        plan, out = Path(aside, "plan.yaml"), Path(aside, "run")
        Path(aside, "onnxruntime.py").write_text("raise ModuleNotFoundError('left out', name='onnxruntime')\n")
        environment = {
            **os.environ,
            "PYTHONPATH": f"{aside}{os.pathsep}{source}",
            "HEADSTART_HOME": str(Path(aside, "home")),
            "OMP_NUM_THREADS": "1",
        }

        def headstart(*words: str) -> None:
            done = subprocess.run(
                [sys.executable, "-c", MAIN, *words], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"{name}, {strategy}: headstart {' '.join(words)}\n{done.stderr[-2000:]}")

        data = str(Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar")
        epochs = () if strategy == "feature_extraction" else ("--epochs", EPOCHS.get(strategy, "2"))
        size = ("--input-size", "128", "--seed", "0")
        headstart("plan", data, "--strategy", strategy, *SETS[name], *epochs, *size, "-o", str(plan))
        text, count = re.subn(r"^engine: auto$", "engine: torch", plan.read_text(), flags=re.MULTILINE)
        plan.write_text(text if count else text + "engine: torch\n")
        started = time.monotonic()
        headstart("train", "--plan", str(plan), "--out", str(out))
        seconds = time.monotonic() - started
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for table in ("predictions.parquet", "selection.parquet"):
            shutil.copy(out / table, folder)
        weights = hashlib.sha256(next((out / "bundle").glob("*.safetensors")).read_bytes()).hexdigest()
        (folder / "seconds.json").write_text(json.dumps({"seconds": round(seconds, 1), "weights": weights}))
    print(f"{name}, {strategy}: {seconds:.0f} s", flush=True)


def compare(before: str, after: str) -> int:
    """One line a run; 1 if anything differs."""
    worst = 0
    print("| set | strategy | images | probabilities | predictions that changed | weights | validation of each epoch |")
    print("|---|---|---|---|---|---|---|")
    for folder in sorted((KEPT / before).iterdir()):
        other = KEPT / after / folder.name
        if not (other / "seconds.json").is_file():
            print(f"{folder.name}: not run yet by {after}")
            continue
        old, new = (_rows(one / "predictions.parquet") for one in (folder, other))
        changed, furthest = 0, 0.0
        assert old.keys() == new.keys(), f"{folder.name}: other images"
        for image, (label, shares) in old.items():
            changed += label != new[image][0]
            furthest = max(furthest, *(abs(a - b) for a, b in zip(shares, new[image][1], strict=True)))
        same = _weights(folder) == _weights(other)
        said = "bit for bit" if furthest == 0 else f"up to {furthest:.1e} apart"
        name, _, strategy = folder.name.partition("-")
        validated = _columns(folder / "selection.parquet") == _columns(other / "selection.parquet")
        words = ["the same" if equal else "differ" for equal in (same, validated)]
        print(f"| {name} | {strategy} | {len(old)} | {said} | {changed} | {words[0]} | {words[1]} |")
        worst |= furthest > 0 or not same or not validated
    return int(worst)


def _rows(path: Path) -> dict[str, tuple[Any, tuple[float, ...]]]:
    """Image -> (predicted label, every number of its row)."""
    found = {}
    for row in pq.read_table(path).to_pylist():
        numbers: list[float] = []
        for value in row.values():
            numbers += [float(one) for one in (value if isinstance(value, list) else [value]) if isinstance(one, float)]
        found[str(row.get("image") or row.get("id"))] = (row.get("predicted"), tuple(numbers))
    return found


def _columns(path: Path) -> list[list[Any]]:
    """Columns of a table, whatever their names: those of selection.parquet were renamed."""
    return [column.to_pylist() for column in pq.read_table(path).columns]


def _weights(folder: Path) -> str:
    return str(json.loads((folder / "seconds.json").read_text())["weights"])


if __name__ == "__main__":
    main()
