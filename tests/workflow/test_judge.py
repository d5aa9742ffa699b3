"""evaluate and predict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.errors import DataError
from headstart.plan import DataPlan
from headstart.workflow.judge import evaluate, predict
from headstart.workflow.plans import TrainOptions
from headstart.workflow.train import train


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from conftest import make_images

    root = tmp_path_factory.mktemp("judge")
    options = TrainOptions(
        DataPlan(source=str(make_images(root / "images"))), strategy="feature_extraction", input_size=32
    )
    return train(options, out=root / "run").run.bundle


def test_evaluate_has_the_promised_keys(bundle: Path, image_folder: Path):
    answer = evaluate(bundle, str(image_folder))
    assert answer["images"] == 16
    assert answer["accuracy"] == 1.0
    assert answer["accuracy_interval"][0] < 1.0
    assert answer["confusion"] == [[8, 0], [0, 8]]
    assert answer["ece"] is None
    assert set(answer["per_class"]) == {"blue", "green"}
    assert answer["balanced_accuracy"] == 1.0


def test_evaluate_takes_test_before_val_unless_told(bundle: Path, tmp_path: Path, make_folder: Callable):
    for split, count in (("train", 5), ("val", 4), ("test", 3)):
        make_folder(f"set/{split}", per_class=count, seed=count)
    assert evaluate(bundle, str(tmp_path / "set"))["images"] == 6
    assert evaluate(bundle, str(tmp_path / "set"), split="val")["images"] == 8
    with pytest.raises(DataError, match=r"no split 'dev'; expected one of train, val, test"):
        evaluate(bundle, str(tmp_path / "set"), split="dev")


def test_a_class_the_bundle_does_not_know_is_refused(bundle: Path, make_folder: Callable):
    with pytest.raises(DataError, match="classes the bundle does not know: red"):
        evaluate(bundle, str(make_folder("other", classes=3)))


def test_predict_leaves_out_what_it_cannot_read_and_says_so(bundle: Path, image_folder: Path):
    (image_folder / "blue" / "broken.png").write_bytes(b"broken")
    answers, unreadable = predict(bundle, [str(image_folder / "blue")])
    assert len(answers) == 8
    assert [Path(name).name for name in unreadable] == ["broken.png"]
    assert set(answers[0]) == {"file", "label", "probability", "probabilities", "set", "unknown"}


def test_predict_with_nothing_readable_is_an_error(bundle: Path, tmp_path: Path):
    (tmp_path / "x.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="1 of 1 images"):
        predict(bundle, [str(tmp_path / "x.png")])


def test_predict_names_all_it_left_out_and_answers_for_the_others(bundle: Path, image_folder: Path, tmp_path: Path):
    (image_folder / "blue" / "notes.txt").write_text("x")
    (image_folder / "blue" / "gone.png").symlink_to("nowhere")
    (image_folder / "blue" / "00.png").rename(image_folder / "blue" / "caf\udce9")
    (image_folder / "blue" / "more").symlink_to(image_folder / "green")
    wanted = [str(image_folder / "blue"), str(tmp_path / "missing.jpg")]
    answers, left_out = predict(bundle, wanted)
    assert sorted(a["label"] for a in answers) == ["blue"] * 8 + ["green"] * 8
    assert {Path(name).name for name in left_out} == {"notes.txt", "gone.png", "missing.jpg"}
    with pytest.raises(DataError, match=r"3 of 19 images give no prediction \(first: .*or leave out --strict"):
        predict(bundle, wanted, left_out="stop")


def test_evaluate_says_what_of_the_data_was_not_used(bundle: Path, image_folder: Path):
    assert evaluate(bundle, str(image_folder))["findings"] == []
    (image_folder / "blue" / "gone.png").symlink_to("nowhere")
    (image_folder / "red").mkdir()
    findings = evaluate(bundle, str(image_folder))["findings"]
    assert [finding["what"] for finding in findings] == ["class_without_images", "dangling_links"]
