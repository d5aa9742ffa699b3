"""Figures as typed values need no numpy, so that lists of runs stay fast."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from headstart.runs.finding import found_runs
from headstart.runs.record import read_run
import headstart.measures.figures
assert not {"numpy", "pyarrow", "torch", "scipy"} & set(sys.modules), sorted(sys.modules)
"""


def test_figures_and_records_of_runs_are_read_without_numpy():
    subprocess.run([sys.executable, "-c", CODE], check=True)
