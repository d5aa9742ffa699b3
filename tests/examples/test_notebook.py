"""The notebook runs from its first cell to its last, without network, and leaves what it promises."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from checkout import ROOT

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "examples" / "first_classifier.ipynb"

RUNNER = """
import ast, json, socket, sys

def refuse(*args, **kwargs):
    raise OSError("the notebook must run offline")

socket.socket.connect = refuse
names = {}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        tree = ast.parse("".join(cell["source"]))
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "cell", "exec"), names)
        if last is not None and (shown := eval(compile(ast.Expression(last.value), "cell", "eval"), names)) is not None:
            print(repr(shown))
"""
"""What a notebook does: every code cell in turn, and the value of the last expression is shown."""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder in which the notebook was run, and what it printed."""
    folder = tmp_path_factory.mktemp("notebook")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "HEADSTART_HOME": str(folder / "home")}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(NOTEBOOK)],
        capture_output=True, text=True, check=False, cwd=folder, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "digits_example", done.stdout


def test_it_trains_and_shows_the_result(ran: tuple[Path, str]):
    _, printed = ran
    assert "CheckResult(232 images, 4 classes" in printed
    assert "TrainResult(accuracy " in printed
    accuracy = re.search(r"^accuracy (0\.\d+|1\.000) \(95 % interval", printed, re.MULTILINE)
    assert accuracy is not None
    assert float(accuracy[1]) > 0.6  # four classes: 0.25 by chance


def test_it_writes_predictions_and_a_report(ran: tuple[Path, str]):
    folder, printed = ran
    with (folder / "predictions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert {row["label"] for row in rows} <= {"zero", "one", "two", "three"}
    assert "file,label,probability" in printed.replace('"', "")
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")[:200]
    assert (folder / "run" / "bundle" / "model.safetensors").is_file()


def test_it_is_stored_without_outputs():
    """Outputs would go out of date, and hold paths of the machine on which they were made."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) >= 6
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
