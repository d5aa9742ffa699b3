"""The command `headstart embed`."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from filled_rows import embed_figures
from headstart.apps.cli.embed import command_of, embed, embedded_text
from headstart.errors import Interrupted
from headstart.findings import Finding
from headstart.workflow import embedding

app = typer.Typer()
app.command()(embed)

KEYS = ["store", "model", "cut_point", "images", "views", "computed", "stored_before", "bytes", "seconds", "engine"]
KEYS += ["unreadable", "findings", "channels_by"]


def test_it_fills_a_store_then_finds_it_full_and_writes_files(image_folder: Path, tmp_path: Path):
    runner, given = CliRunner(), [str(image_folder), "--input-size", "32"]
    done = runner.invoke(app, [*given, "-o", str(tmp_path / "own"), "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert list(figures) == KEYS
    assert figures["store"] == str(tmp_path / "own")
    assert (figures["computed"], figures["stored_before"], figures["views"]) == (16, 0, 0)
    again = runner.invoke(app, [*given, "-o", str(tmp_path / "own")])
    assert "0 rows computed by" in again.stdout
    assert "16 were cached" in again.stdout
    file = tmp_path / "x.npz"
    written = json.loads(runner.invoke(app, [*given, "-o", str(file), "--json"]).stdout)
    assert list(written) == [*KEYS, "file"]
    with np.load(file) as found:
        assert found["features"].shape == (16, 1280)
        assert found["labels"].tolist() == ["blue"] * 8 + ["green"] * 8


def test_ctrl_c_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch):
    def stopped(options: object, **others: object) -> None:
        raise Interrupted("stopped; 40 rows were computed", remedy="the same call")

    monkeypatch.setattr(embedding, "fill_store", stopped)
    done = CliRunner().invoke(app, ["my photos", "--views", "2", "-o", "s"])
    assert isinstance(done.exception, Interrupted)
    assert done.exception.exit_code == 130
    assert str(done.exception).endswith("resume with: headstart embed 'my photos' -o s --views 2")


def test_the_command_line_is_the_one_that_was_given():
    given = {"-o": None, "--model": "resnet18", "--layer": "pooled", "--views": 0, "--input-size": 64}
    given |= {"--precision": "float32", "--allow-noncommercial": True}
    words = shlex.split(command_of("a b", given))
    expected = "headstart embed X --model resnet18 --input-size 64 --precision float32 --allow-noncommercial"
    assert words == [*expected.split()[:2], "a b", *expected.split()[3:]]


def test_the_text_names_a_few_that_cannot_be_read():
    figures = embed_figures(
        images=1200,
        views=1,
        computed=2000,
        stored_before=400,
        seconds=12.0,
        unreadable={f"{number}.jpg": "empty" for number in range(5)},
        findings=(Finding("warning", "empty", "red is empty", "add images"),),
    )
    text = embedded_text(figures, file=Path("x.npz"))
    for words in (
        "1,200 images in 2 views, net, pooled",
        "2,000 rows computed by torch, 400 were cached",
        "200 rows/s",
    ):
        assert words in text
    assert "left out 2.jpg: empty\nleft out 2 more" in text
    assert "warning: red is empty; add images" in text
    assert text.endswith("written: x.npz")


def test_a_name_of_another_kind_of_file_is_refused_before_any_image_is_read(tmp_path: Path):
    done = CliRunner().invoke(app, [str(tmp_path / "none"), "-o", str(tmp_path / "features.csv")])
    assert "features are not written as .csv" in str(done.exception)
    assert not (tmp_path / "features.csv").exists()


def test_a_mistake_is_one_line(tmp_path: Path, command: list[str]):
    done = subprocess.run([*command, "embed", str(tmp_path / "none")], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("headstart: ")
    assert len(done.stderr.splitlines()) == 1
