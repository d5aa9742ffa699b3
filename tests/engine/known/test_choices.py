"""A name stands for a known backbone as long as the files of its weights are the same."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from headstart.engine.known import choices
from headstart.engine.known.choices import (
    ChosenNetwork,
    choice_path,
    read_choice,
    tensors_path,
    weight_files,
    write_choice,
)
from headstart.networks.cards.catalog import WeightSource
from headstart.networks.cards.finding import find_model
from headstart.networks.weights.report import WeightReport

REPORT = WeightReport("a", 3, "missing", ("fc.weight",), ("head.bias",))


def chosen_of(files: dict[str, tuple[int, int] | None], backbone: str = "b") -> ChosenNetwork:
    return ChosenNetwork(backbone=backbone, group_names=("stem", "head"), files=files, report=REPORT)


def test_a_record_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    chosen = chosen_of({"a": (1, 2), "b": None})
    write_choice(tmp_path / "one.json", chosen)
    assert read_choice(tmp_path / "one.json") == chosen
    (tmp_path / "one.json").write_text('{"backbone": 1}')
    assert read_choice(tmp_path / "one.json") is None
    assert asdict(chosen)["group_names"] == ("stem", "head")


def test_a_changed_new_or_missing_file_ends_it(tmp_path: Path) -> None:
    file, later = tmp_path / "a.safetensors", tmp_path / "b"
    file.write_bytes(b"abc")
    card = replace(find_model("resnet18").card, weights=WeightSource("url", file="b"))
    choice = replace(find_model("resnet18"), card=card)
    files = weight_files(choice, str(file)) | {str(later): None}
    assert chosen_of(files).is_current
    later.write_bytes(b"comes first now")
    assert not chosen_of(files).is_current
    later.unlink()
    os.utime(file, (1, 1))
    assert not chosen_of(files).is_current


def test_a_file_of_the_users_is_watched_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "mine.pt"
    file.write_bytes(b"abc")
    choice = find_model(f"resnet18:file:{file}")
    assert list(weight_files(choice, str(file))) == [str(file)]


def test_every_place_on_the_hub_where_a_file_may_lie_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    card = replace(find_model("resnet18").card, weights=WeightSource("hub", hub="timm/resnet18"))
    files = weight_files(replace(find_model("resnet18"), card=card), "/cache/model.safetensors")
    assert "/cache/model.safetensors" in files
    assert [path for path in files if path.startswith(str(tmp_path))], "what the user puts there comes first"
    assert set(files.values()) == {None}


def test_a_choice_of_another_size_or_grain_is_another(tmp_path: Path) -> None:
    choice = find_model("resnet18")
    paths = {
        choice_path(choice, cut_point=cut_point, size=size, grain=grain)
        for cut_point, size, grain in [
            ("pooled", 32, "stage"),
            ("pooled", 64, "stage"),
            ("pooled", 32, "block"),
            ("x", 32, "stage"),
        ]
    }
    assert len(paths) == 4


def test_tensors_that_were_not_used_for_longest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    monkeypatch.setattr(choices, "MOST_TENSOR_BYTES", 250)
    for number, name in enumerate("abc"):
        path = tensors_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (number, number))
    choices.touch_tensors(tensors_path("a"))
    write_choice(tmp_path / "one.json", chosen_of({}, "c"))
    assert [tensors_path(name).exists() for name in "abc"] == [True, False, True]
