"""The command `headstart probe`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from headstart.advice.probe.by_depth import DepthCurve
from headstart.apps.cli import probe as command
from headstart.apps.cli.probe import check_places, probe, probed_text
from headstart.errors import HeadstartError
from headstart.input_spec import Decoding
from headstart.inspection.patches import Patches
from headstart.workflow import probing
from headstart.workflow.probing import DepthProbe

app = typer.Typer()
app.command()(probe)

KEYS = ["model", "data", "images", "classes", "folds", "groups", "sentence", "seconds"]


@pytest.mark.slow
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
    done = CliRunner().invoke(app, words[:-1])  # the same as text
    for part in ("stem", "accuracy", "rule of thumb", "12 images of 2 classes", str(chart), str(patches)):
        assert part in done.stdout


def test_options_reach_the_workflow(monkeypatch: pytest.MonkeyPatch):
    seen = {}

    def stopped(data: str, **options: object) -> None:
        seen.update(data=data, **options)
        raise HeadstartError("enough")

    monkeypatch.setattr(probing, "probe", stopped)
    words = ["photos", "--model", "resnet18", "--run", "r", "--group", "(p1)", "--limit", "5/class"]
    words += ["--bands", "3,2,1", "--bits", "12", "--window", "full", "--channels", "sum"]
    CliRunner().invoke(app, [*words, "--seed", "7", "--patches", "p.png", "--allow-noncommercial"])
    del seen["progress"]
    assert seen == {
        "data": "photos",
        "model": "resnet18",
        "run": Path("r"),
        "group": "(p1)",
        "limit": "5/class",
        "seed": 7,
        "decoding": Decoding(12, (3, 2, 1), "full"),
        "channels": "sum",
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
    with pytest.raises(HeadstartError, match="is a folder; expected the name of a file to write"):
        check_places(tmp_path, None)
    (tmp_path / "chart.svg").mkdir()
    with pytest.raises(HeadstartError, match=r"chart\.svg is a folder"):
        check_places(None, tmp_path / "chart.svg")
    with pytest.raises(HeadstartError, match=r"/proc/x\.json cannot be written"):
        check_places(Path("/proc/x.json"), None)


def test_nothing_is_computed_for_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(probing, "probe", lambda *args, **options: pytest.fail("it was computed"))
    done = CliRunner().invoke(app, ["photos", "-o", str(tmp_path)])
    assert isinstance(done.exception, HeadstartError)
    assert "is a folder" in str(done.exception)


def test_an_answer_that_cannot_be_written_in_the_end_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def denied(path: Path, value: object) -> None:
        raise PermissionError(13, "Permission denied")

    class Found:
        def to_dict(self) -> dict[str, object]:
            return {}

    monkeypatch.setattr(probing, "probe", lambda *args, **options: Found())
    monkeypatch.setattr(command, "write_json", denied)
    done = CliRunner().invoke(app, ["photos", "-o", str(tmp_path / "p.json")])
    assert str(done.exception) == f"{tmp_path / 'p.json'} cannot be written (Permission denied); choose another file"


def test_the_text_names_what_was_left_out(monkeypatch: pytest.MonkeyPatch):
    curve = DepthCurve((), "stage4", "stage4", None, majority_share=0.5, images=2, folds=2, neighbours=1)
    unreadable = {f"a/{i}.jpg": "broken" for i in range(5)}
    patches = Patches("p.png", {}, {}, without={"stage4": "no positions"})
    found = DepthProbe(curve, "m", "d", ("a", "b"), None, 224, unreadable, 1.0, patches)
    monkeypatch.setattr(DepthCurve, "sentence", "so it is")
    text = probed_text(found)
    assert "left out a/2.jpg: broken" in text
    assert "left out 2 more" in text
    assert "no patches of stage4: no positions" in text
