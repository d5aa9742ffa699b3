"""The command `headstart probe`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from headstart.apps.probe_command import check_places, probe, probed_text
from headstart.errors import HeadstartError
from headstart.workflow import probing

app = typer.Typer()
app.command()(probe)

KEYS = ["model", "data", "images", "classes", "folds", "groups", "sentence", "seconds"]


def test_it_answers_writes_and_draws(image_folder: Path, tmp_path: Path):
    out, chart, patches = tmp_path / "probe.json", tmp_path / "chart.svg", tmp_path / "patches.png"
    words = [str(image_folder), "-o", str(out), "--chart", str(chart), "--patches", str(patches), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert list(answer)[: len(KEYS)] == KEYS
    assert answer == json.loads(out.read_text(encoding="utf-8"))
    assert answer["images"] == 12  # a fifth of each class reports, and is left alone
    assert answer["classes"] == ["blue", "green"]
    assert answer["groups"][0]["group"] == "stem"
    assert all(row["accuracy"] == 1 for row in answer["groups"])
    assert chart.read_text(encoding="utf-8").startswith("<svg")
    assert answer["chart"] == str(chart)
    with Image.open(patches) as sheet:
        assert sheet.width > 640
    text = probed_text(answer)
    for words in ("stem", "accuracy", "literature", "12 images of 2 classes", str(chart), str(patches)):
        assert words in text


def test_options_reach_the_workflow(monkeypatch: pytest.MonkeyPatch):
    seen = {}

    def stopped(data: str, **options: object) -> None:
        seen.update(data=data, **options)
        raise HeadstartError("enough")

    monkeypatch.setattr(probing, "probe", stopped)
    words = ["photos", "--model", "resnet18", "--run", "r", "--group", "(p1)", "--limit", "5/class"]
    CliRunner().invoke(app, [*words, "--patches", "p.png", "--allow-noncommercial"])
    del seen["progress"]
    assert seen == {
        "data": "photos",
        "model": "resnet18",
        "run": Path("r"),
        "group": "(p1)",
        "limit": "5/class",
        "patches": Path("p.png"),
        "noncommercial_weights": "allow",
    }


def test_places_are_looked_at_before_anything_is_computed(tmp_path: Path):
    check_places(tmp_path / "x.json", tmp_path / "y.html")
    check_places(None, None)
    with pytest.raises(HeadstartError, match="is no folder; make it first"):
        check_places(tmp_path / "not there" / "x.json", None)
    with pytest.raises(HeadstartError, match="another suffix"):
        check_places(None, tmp_path / "chart.pdf")


def test_the_text_names_what_was_left_out():
    answer = {
        "model": "m",
        "input_size": 224,
        "data": "d",
        "images": 2,
        "classes": ["a", "b"],
        "folds": 2,
        "neighbours": 1,
        "majority_share": 0.5,
        "seconds": 1.0,
        "sentence": "so it is",
        "groups": [],
        "unreadable": {f"a/{i}.jpg": "broken" for i in range(5)},
        "patches": {"file": "p.png", "groups": {}, "without": {"stage4": "no positions"}},
    }
    text = probed_text(answer)
    assert "left out a/2.jpg: broken" in text
    assert "left out 2 more" in text
    assert "no patches of stage4: no positions" in text
