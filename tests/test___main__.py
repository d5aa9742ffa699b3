"""`python -m headstart` is the command line."""

from __future__ import annotations

import subprocess
import sys


def test_the_package_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "headstart", "--help"], capture_output=True, text=True, check=True)
    assert "train" in done.stdout
