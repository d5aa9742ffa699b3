"""The command `headstart shortlist`: what is asked of the library, and what people read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from headstart.advice.shortlist.halving import NetworkScores
from headstart.advice.shortlist.ranking import (
    IMAGENET,
    PROBE,
    Agreement,
    HalvingRound,
    RankedNetwork,
    Shortlist,
    ShortlistCandidate,
    ShortlistFigures,
)
from headstart.apps.cli.main import app
from headstart.apps.cli.shortlist import shortlist_text
from headstart.apps.cli.text.printing import WIDTH
from headstart.errors import Interrupted
from headstart.networks.cards.search import ModelQuery
from headstart.workflow import shortlisting

FIGURES = {
    "images": 128,
    "training_images": 900,
    "tested_on": "val",
    "groups": 128,
    "seed": 0,
    "unreadable": {},
    "computed": 200,
    "stored_before": 56,
    "store": "/s",
    "seconds": 12.0,
}


def place(name: str, loss: float, *, images: int = 128, top1: float | None = 75.0) -> RankedNetwork:
    losses = np.full(images, loss) + np.linspace(-0.1, 0.1, images)
    scores = NetworkScores(name, losses, np.arange(images) < 0.9 * images, (0.83, 0.94), 1.0, -0.2, 0.7, 0.88)
    return RankedNetwork(ShortlistCandidate(name, top1, 4_650_000, 0.39, None), scores, images)


def made(*places: RankedNetwork, **others: object) -> Shortlist:
    agreements = (Agreement(PROBE, "LogME", 1.0, 3), Agreement(PROBE, IMAGENET, None, 3))
    last = HalvingRound(128, tuple(p.scores for p in places if p.images == 128), agreements)
    return Shortlist("my photos", ("ant", "bee"), places, 2, (last,), figures=ShortlistFigures(**FIGURES), **others)


def test_the_text_shows_the_order_the_list_and_how_to_go_on():
    answer = made(
        place("first", 0.2),
        place("resnet18:file:/far/away/mine.pth", 0.4),
        place("third", 0.5, images=64, top1=None),
        skipped={"gone": "its weights cannot be downloaded; put them there"},
        warnings=("mind this",),
    )
    text = shortlist_text(answer, ["--group", "(a b)"])
    lines = text.splitlines()
    assert lines[0].startswith("shortlist  2 of 3 networks: first, resnet18:file:/far/away/mine.pth")
    assert "3 networks on 128 of 900 training images, 2 classes; the test set (val) was not read" in lines
    row = next(line for line in lines if line.startswith("first ") and "first less" not in line)
    assert row.split() == [
        "first",
        "128",
        "0.200",
        "0.906",
        "0.830..0.940",
        "-0.200",
        "0.700",
        "0.880",
        "75.0",
        "4.7M",
        "0.39",
    ]
    assert any(line.startswith("resnet18:file:mine.pth ") for line in lines)
    assert next(line for line in lines if line.startswith("third ")).split()[-3] == "-"
    assert "shortlist  2 of 3 networks: first, resnet18:file:/far/away/mine.pth" in lines
    assert any(line.startswith("first      first less second: log loss lower by 0.200") for line in lines)
    assert any(line.startswith("agreement  on 128 images") for line in lines)
    assert any(line.startswith("left out   gone: its weights") for line in lines)
    assert "warning: mind this" in lines
    assert "12.0 s, 200 rows of features computed, 56 were cached" in lines
    assert lines[-2] == "  headstart train 'my photos' --model first --group '(a b)'"
    assert len(lines[-1]) > 0


def test_a_tie_is_called_one_and_the_cheapest_is_named():
    text = shortlist_text(made(place("first", 0.3), place("second", 0.3)))
    assert "tie        first less second: log loss lower by 0.000" in text
    assert "first, second cannot be told apart here" in " ".join(text.split())


def test_no_line_of_prose_is_wider_than_a_screen():
    answer = made(place("first", 0.2), place("second", 0.4), warnings=("word " * 60,))
    assert all(len(line) <= WIDTH + 20 for line in shortlist_text(answer).splitlines())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the library was asked."""
    calls: list[dict[str, object]] = []

    def pretend(source: str, models: object, **options: object) -> Shortlist:
        calls.append({"source": source, "models": models, **options})
        return made(place("first", 0.2), place("second", 0.4))

    monkeypatch.setattr(shortlisting, "shortlist", pretend)
    return calls


def test_options_reach_the_library(asked: list[dict[str, object]]):
    given = ["shortlist", "photos", "--models", "a, b", "--keep", "2", "--images", "200", "--seed", "3"]
    done = CliRunner().invoke(app, [*given, "--input-size", "64", "--allow-noncommercial"])
    assert done.exit_code == 0, done.output
    assert "--input-size 64 --seed 3 --allow-noncommercial" in done.stdout
    (call,) = asked
    assert {key: call[key] for key in ("source", "models", "keep", "images", "seed", "input_size")} == {
        "source": "photos",
        "models": "a, b",
        "keep": 2,
        "images": 200,
        "seed": 3,
        "input_size": 64,
    }
    assert call["query"] is None
    assert call["noncommercial_weights"] == "allow"


def test_filters_are_those_of_models_and_json_is_the_answer(asked: list[dict[str, object]]):
    given = ["shortlist", "photos", "--max-params", "10M", "--family", "resnet", "--pareto", "--commercial", "--json"]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["shortlist"] == ["first", "second"]
    expected = ModelQuery(max_params=1e7, family="resnet", front="pareto", commercial_use="allowed")
    assert asked[0]["query"] == expected
    assert asked[0]["models"] == ()


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch):
    def stopped(*args: object, **options: object) -> None:
        raise Interrupted("stopped; 40 rows were computed", remedy="the same call")

    monkeypatch.setattr(shortlisting, "shortlist", stopped)
    done = CliRunner().invoke(app, ["shortlist", "photos", "--models", "a"])
    assert isinstance(done.exception, Interrupted)
    assert str(done.exception).endswith("the same command computes only what is missing")


def test_a_mistake_is_one_line(tmp_path: Path, command: list[str]):
    done = subprocess.run([*command, "shortlist", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("headstart: the request has 1 fault: models: name them, or search the catalog")
    assert len(done.stderr.splitlines()) == 1
