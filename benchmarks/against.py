"""headstart beside the tutorial's loop and the expert's twenty lines, in turns, on the same images, weights and cores.

    HEADSTART_DATA=FOLDER python benchmarks/against.py [--rounds N] [--epochs N]

Each side is a fresh process, start-up included; headstart starts with an empty $HEADSTART_HOME each time. What is done
is appended to build/against.jsonl, so that an interrupted run goes on. Writes docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from headstart.evaluate.metrics import wilson_interval
from headstart.features.speed import machine_key

ROOT = Path(__file__).parents[1]
KEPT = ROOT / "build" / "against.jsonl"
TABLE = ROOT / "docs" / "benchmarks.md"
IMAGES = 153
"""That report, in ants and bees."""


def ours(folder: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HEADSTART_HOME": f"{home}/home"}
        command = [sys.executable, "-m", "headstart.apps.cli", "train", str(folder), "--strategy", "feature_extraction"]
        started = time.perf_counter()
        done = subprocess.run(
            [*command, "--json", "--out", f"{home}/run"], env=environment, capture_output=True, text=True, check=True
        )
        return {"accuracy": json.loads(done.stdout)["val"]["accuracy"], "seconds": time.perf_counter() - started}


def theirs(script: str, *arguments: str) -> dict[str, Any]:
    started = time.perf_counter()
    command = [sys.executable, str(ROOT / "benchmarks" / "peers" / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {**json.loads(done.stdout.splitlines()[-1]), "seconds": time.perf_counter() - started}


def kept() -> list[dict[str, Any]]:
    if not KEPT.is_file():
        return []
    return [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]


def keep(row: dict[str, Any]) -> None:
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(row, flush=True)


def run(folder: Path, rounds: int, epochs: int) -> None:
    """Sides take turns; the long one runs once a round, the short ones around it."""
    sides = {
        "headstart": lambda: ours(folder),
        "expert": lambda: theirs("expert_lines.py", str(folder)),
        f"tutorial, {epochs} epochs": lambda: theirs("tutorial_fixed.py", str(folder), str(epochs)),
    }
    done = {(row["side"], row["round"]) for row in kept()}
    for number in range(rounds):
        for side, measure in sides.items():
            if (side, number) not in done:
                keep({"side": side, "round": number, **measure()})


def table() -> str:
    by_side: dict[str, list[dict[str, Any]]] = {}
    for row in kept():
        by_side.setdefault(row["side"], []).append(row)
    own = statistics.median(row["seconds"] for row in by_side["headstart"])
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "timm", "onnxruntime"))
    lines = [
        "# Beside others",
        "",
        "Written by `python benchmarks/against.py`: ants and bees (244 to learn from, 153 that report),",
        "EfficientNet-Lite0, 224 px, whole processes with start-up, an empty `$HEADSTART_HOME`, sides in turns.",
        f"{machine_key()}; {platform.python_implementation()} {platform.python_version()}, {versions}.",
        "",
        "| side | seconds (median of n) | times headstart's | accuracy (95 % interval, first round) |",
        "|---|---|---|---|",
    ]
    for side, rows in by_side.items():
        seconds = statistics.median(row["seconds"] for row in rows)
        low, high = wilson_interval(math.floor(rows[0]["accuracy"] * IMAGES + 0.5), IMAGES)
        lines.append(
            f"| {side} | {seconds:.1f} ({len(rows)}) | {seconds / own:.1f} | "
            f"{rows[0]['accuracy']:.3f} ({low:.3f}..{high:.3f}) |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=25)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(Path(os.environ["HEADSTART_DATA"]) / "hymenoptera.tar") as archive:
            archive.extractall(unpacked, filter="data")
        folder = next(path.parent for path in Path(unpacked).rglob("train") if path.is_dir())
        run(folder, options.rounds, options.epochs)
    TABLE.write_text(table(), encoding="utf-8")
    print(TABLE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
