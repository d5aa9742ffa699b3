"""The command `headstart advise`."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import headstart
from advice_grid import EXPECTED
from checkout import ROOT
from headstart.apps.cli.advise import parse_similarity
from headstart.errors import HeadstartError
from headstart.plan.plan import Plan

TWO_CORES = ("--cores", "2", "--gpu", "none")


def run(command: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*command, "advise", *arguments], capture_output=True, text=True, check=False)


def test_the_text_is_whole_and_ends_with_the_way_on(command: list[str]):
    done = run(command, "--images", "500", "--domain", "medical", "--channels", "1", *TWO_CORES)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["strategy", "progressive"]
    for words in ("why", "why not", "cost ", "from scratch instead: 100,000+ labelled images, days to weeks", "$100"):
        assert any(line.strip().startswith(words) or words in line for line in lines), words
    assert lines[-2].strip() == "headstart train DATA --strategy progressive --domain medical --augmentation strong"
    assert lines[-1].strip().startswith("headstart train DATA --plan plan.yaml")


def test_library_and_command_answer_alike(command: list[str], tmp_path: Path):
    asked = ("--images", "20000", "--domain", "document", "--unlabelled", "30000", "--budget", "unlimited")
    done = run(command, *asked, *TWO_CORES, "-o", str(tmp_path / "plan.yaml"), "--json")
    answer = json.loads(done.stdout)
    assert {"strategy", "model", "reasons", "rejected", "plan", "cost", "steps", "warnings"} <= set(answer)
    assert answer.pop("plan_file") == str(tmp_path / "plan.yaml")
    advice = headstart.advise(
        images=20_000, domain="document", unlabelled=30_000, budget_seconds=float("inf"), cores=2, gpu="none"
    )
    assert answer["strategy"] == advice.strategy
    assert answer["plan"] == json.loads(json.dumps(advice.to_dict()["plan"]))
    assert answer["rejected"] == advice.to_dict()["rejected"]
    assert Plan.read(tmp_path / "plan.yaml") == advice.plan


def test_data_is_counted(command: list[str], image_folder: Path):
    done = run(command, str(image_folder), "--similarity", "0.9", *TWO_CORES, "--json")
    answer = json.loads(done.stdout)
    assert answer["situation"]["classes"] == 2
    assert answer["plan"]["data"]["source"] == str(image_folder)
    assert shlex.split(answer["command"])[2] == str(image_folder)


def test_a_missing_step_is_named_beside_the_way_on(command: list[str]):
    asked = ("--images", "500", "--domain", "document", "--unlabelled", "200000", "--budget", "unlimited")
    done = run(command, *asked, *TWO_CORES)
    assert "it cannot yet do: self_supervised_pretraining" in done.stdout


def test_bands_are_no_missing_step(command: list[str]):
    done = run(command, "--images", "20000", "--domain", "satellite", "--channels", "13", *TWO_CORES)
    assert "13 bands" in done.stdout
    assert "cannot yet" not in done.stdout


def test_tight_budgets_are_warned_of(command: list[str]):
    asked = ("--images", "20000", "--similarity", "high", "--budget", "1m")
    done = run(command, *asked, *TWO_CORES)
    assert "strategy  feature_extraction" in done.stdout
    assert "warning: even feature_extraction takes about" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        ((), "give DATA or --images", 2),
        (("photos", "--images", "3"), "give DATA or --images", 2),
        (("nowhere",), "nowhere does not exist", 1),
        (("--images", "5", "--similarity", "near"), "--similarity 'near'; expected low, medium, high", 1),
        (("--images", "0", "--cores", "0"), "2 faults: images: 0 must be >= 1 | cores: 0 must be >= 1", 1),
        (("--images", "5", "--budget", "soon"), "--budget 'soon' is no duration", 1),
        (("--images", "5", "-o", "/nowhere/plan.yaml"), "cannot be written", 1),
        (("--images", "5", "--domain", "auto"), "auto looks at pixels, so it needs DATA", 1),
    ],
)
def test_mistakes_are_answered_with_the_way_out(command: list[str], arguments: tuple[str, ...], words: str, code: int):
    done = run(command, *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert done.stdout == ""
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(("text", "value"), [(None, None), ("low", "low"), ("high", "high"), ("0.25", 0.25)])
def test_a_similarity_is_a_word_or_a_number(text: str | None, value: float | str | None):
    assert parse_similarity(text) == value


def test_other_words_are_no_similarity():
    with pytest.raises(HeadstartError, match="expected low, medium, high or a number"):
        parse_similarity("far")


def test_the_guide_shows_what_the_command_says(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The answer about 500 radiographs, word for word, and every row of the table of rules."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))  # nothing was measured yet
    from headstart.advice.rules import RULES

    guide = (ROOT / "docs" / "guide" / "advise.md").read_text(encoding="utf-8")
    said = run(command, "--images", "500", "--domain", "medical", "--channels", "1", *TWO_CORES).stdout.rstrip()
    assert "\n".join(f"    {line}".rstrip() for line in said.splitlines()) in guide
    for rule in RULES:
        assert f"| {rule.when} | `{rule.strategy}` | {rule.source} |" in guide


ASK = """
import sys
from headstart.apps.cli import main as cli
try:
    cli.main()
finally:
    heavy = {"torch", "torchvision", "timm", "sklearn", "scipy", "onnxruntime", "gradio"} & set(sys.modules)
    assert not heavy, f"{heavy} were imported"
    assert len(sys.modules) < 600, "start-up is imports: benchmarks/advise_seconds.py times them"
"""


def option_of(name: str, value: Any) -> tuple[str, str]:
    """A value of a situation as a person types it."""
    if name == "budget_seconds":
        return "--budget", "unlimited" if value == math.inf else f"{value:.0f}s"
    return f"--{name}", str(value)


@pytest.mark.parametrize(("said", "right"), EXPECTED, ids=lambda value: str(value)[:60])
def test_every_expected_question_is_answered_without_a_heavy_library(said: dict[str, Any], right: str):
    options = [word for name, value in said.items() for word in option_of(name, value)]
    asked = [sys.executable, "-c", ASK, "advise", *options, *TWO_CORES, "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["strategy"] in right.split()
