"""The README as a new user follows it: its Python lines and its commands run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from checkout import ROOT
from conftest import make_images

README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line.partition("#")[0].strip() for line in README.splitlines() if line.startswith("    headstart ")]

ALL = """
import shlex, sys
from headstart.apps.cli.main import main

for command in sys.argv[1:]:
    sys.argv = shlex.split(command)
    try:
        main()
    except SystemExit as end:
        assert not end.code, command
"""
"""Every command in one process, which imports torch once."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photos that the README speaks of; their classes are easy, so that fine-tuning is skipped."""
    folder = tmp_path_factory.mktemp("readme")
    make_images(folder / "photos", per_class=20)
    make_images(folder / "more_photos", per_class=3)
    (folder / "new").mkdir()
    Image.new("RGB", (40, 40), (10, 20, 200)).save(folder / "new" / "a.png")
    Image.new("RGB", (40, 40), (10, 200, 20)).save(folder / "new.jpg")
    return folder


def run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HEADSTART_HOME": str(folder / "home")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_five_python_lines_and_five_commands():
    assert len(PYTHON) == 1
    assert len([line for line in PYTHON[0].splitlines() if line.strip()]) == 5
    assert [command.split()[1] for command in COMMANDS] == ["check", "train", "evaluate", "predict", "report"]


@pytest.mark.slow
def test_the_python_lines_train_predict_and_report(place: Path):
    printed = run([sys.executable, "-c", PYTHON[0]], place).splitlines()
    assert re.fullmatch(r"[01]\.\d+ \([01]\.\d+, [01]\.\d+\)", printed[0])
    assert printed[1] in {path.name for path in (place / "photos").iterdir()}
    assert "<html" in (place / "report.html").read_text(encoding="utf-8")[:200]


@pytest.mark.slow
def test_the_commands_run_in_their_order(place: Path):
    run([sys.executable, "-c", ALL, *COMMANDS], place)
    lines = (place / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2
    assert (place / "runs" / "first" / "report.html").is_file()


def test_the_readme_lists_no_files():
    assert not re.search(r"\b\w+\.py\b", README)
