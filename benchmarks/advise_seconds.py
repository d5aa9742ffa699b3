"""How long `headstart advise` takes beside an empty program: the 20 questions with known answers, best of a few each.

    python benchmarks/advise_seconds.py [--tries 3]

The questions are those of tests/advise/advice_grid.py. The goal is half a second; a busy machine needs more.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from advise.advice_grid import EXPECTED

GOAL_SECONDS = 0.5


def options_of(said: Mapping[str, Any]) -> list[str]:
    """A situation as a person types it."""
    words = []
    for name, value in said.items():
        if name == "budget_seconds":
            words += ["--budget", "unlimited" if value == math.inf else f"{value:.0f}s"]
        else:
            words += [f"--{name}", str(value)]
    return words


def best_seconds(arguments: Sequence[str], tries: int) -> float:
    """Wall clock of a Python process, the best of so many."""
    found = []
    for _ in range(tries):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        found.append(time.perf_counter() - started)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=3)
    tries = parser.parse_args().tries
    empty = best_seconds(["-c", "pass"], tries)
    print(f"{empty:.2f} s  python -c pass")
    slowest = 0.0
    for said, _ in EXPECTED:
        options = options_of(said)
        seconds = best_seconds(["-m", "headstart", "advise", *options, "--json"], tries)
        slowest = max(slowest, seconds - empty)
        print(f"{seconds:.2f} s  headstart advise {' '.join(options)}", flush=True)
    print(f"the slowest took {slowest:.2f} s more than an empty program; the goal is {GOAL_SECONDS:g} s")


if __name__ == "__main__":
    main()
