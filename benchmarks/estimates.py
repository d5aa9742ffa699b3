"""How right the estimates of time are: what `headstart train` says it will take, beside what it takes.

    python benchmarks/estimates.py [--sets hymenoptera rsscn7] [--strategies feature_extraction partial] [--runs 4]

The first run of each set and strategy begins on a fresh machine (an empty $HEADSTART_HOME), the others on one that
remembers. Printed are the estimate, the range that earlier runs here kept (from the third on), and the time taken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any


def trained(data: Path, strategy: str, folder: Path, home: Path) -> dict[str, Any]:
    """The estimates of one training, with its measured times."""
    command = [sys.executable, "-m", "headstart", "train", str(data), "--strategy", strategy]
    environment = {**os.environ, "HEADSTART_HOME": str(home)}
    done = subprocess.run(
        [*command, "--out", str(folder), "--json"], env=environment, check=True, capture_output=True, text=True
    )
    made: dict[str, Any] = json.loads(done.stdout)["estimates"]
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=["hymenoptera", "rsscn7"])
    parser.add_argument("--strategies", nargs="+", default=["feature_extraction", "partial"])
    parser.add_argument("--runs", type=int, default=4)
    asked = parser.parse_args()
    print("set, strategy, run, figures from, estimated s, range by past estimates s, measured s, measured / estimated")
    for name in asked.sets:
        data = Path(os.environ["HEADSTART_DATA"]) / f"{name}.tar"
        for strategy in asked.strategies:
            with tempfile.TemporaryDirectory() as home:
                for run in range(asked.runs):
                    made = trained(data, strategy, Path(home) / f"run{run}", Path(home))
                    said, took = made["total_seconds"], made["measured_seconds"]
                    kept = f"{made['low_seconds']:.1f}..{made['high_seconds']:.1f}" if made["past_runs"] else "-"
                    print(
                        f"{name}, {strategy}, {run + 1}, {made['speeds']}, {said:.1f}, {kept}, {took:.1f}, "
                        f"{took / said:.2f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
