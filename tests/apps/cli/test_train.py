"""`headstart train`: what it prints, what reaches the plan, and one clear line for every mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from command_line import FAST, Call, refused
from headstart.networks.cards.catalog import all_cards


def test_what_is_left_out_is_said_by_train_and_predict(run: Call, image_folder: Path, tmp_path: Path):
    (image_folder / "red").mkdir()
    for index in range(7):
        (image_folder / "blue" / f"gone{index}.png").symlink_to("nowhere")
    train = ("train", image_folder, *FAST, "--strategy", "feature_extraction")
    refused(run(*train, "--strict"), "red is empty", "or leave out --strict")
    code, out, err = run(*train, "--out", tmp_path / "run", "--json")
    assert code == 0
    for words in ("warning: 1 folder of a class or split without an image: red is empty", "links that lead nowhere: 7"):
        assert words in err
    predict = ("predict", json.loads(out)["bundle"], image_folder / "blue", tmp_path / "missing.jpg")
    code, out, err = run(*predict, "--json")
    assert code == 0
    rows = json.loads(out)
    assert [(row["label"], row["error"]) for row in rows[:8]] == [("blue", None)] * 8
    assert {row["label"] for row in rows[8:]} == {None}
    assert {row["error"] for row in rows[8:15]} == {"a link that leads nowhere (nowhere)"}
    assert rows[15]["file"] == str(tmp_path / "missing.jpg")
    assert len({frozenset(row) for row in rows}) == 1, "every row has the same keys"
    assert err.count("left out") == 6
    assert "left out 3 more: 2 a link that leads nowhere (nowhere)" in err
    code, out, err = run(*predict, "--strict")
    assert (code, out) == (1, "")
    assert "8 of 16 images give no prediction" in err


def test_train_tells_the_story_in_words(run: Call, image_folder: Path):
    code, out, _ = run("train", image_folder, *FAST)
    assert code == 0
    for words in ("accuracy 1.000 (95 % interval", "selected checkpoint: probe", "bundle:", "next:", "--explain"):
        assert words in out
    assert len(list(Path("runs").iterdir())) == 1


def test_a_plan_file_trains_and_data_overrides_its_source(run: Call, image_folder: Path, tmp_path: Path):
    run("train", image_folder, *FAST, "--out", tmp_path / "first", "--json")
    plan = yaml.safe_load((tmp_path / "first" / "plan.yaml").read_text())
    plan["data"]["source"] = "elsewhere"
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    code, out, _ = run("train", image_folder, "--plan", tmp_path / "plan.yaml", "--out", tmp_path / "second", "--json")
    assert code == 0
    given = yaml.safe_load((tmp_path / "second" / "plan.yaml").read_text())
    assert given["data"]["source"] == str(image_folder)
    assert json.loads(out)["test"]["accuracy"] == 1.0


def test_resume_takes_only_a_budget_and_plan_only_data(run: Call, tmp_path: Path):
    refused(run("train", "--resume", tmp_path, "--epochs", 3, "--seed", 1), "--epochs, --seed have no effect", code=2)
    refused(run("train", "x", "--plan", tmp_path, "--strategy", "gradual"), "--strategy has no effect", code=2)
    refused(run("train"), "DATA is missing", code=2)
    refused(run("train", "x", "--strategy", "magic"), "magic", code=2)


def test_unfreeze_rates_and_grain_reach_the_plan(run: Call, image_folder: Path, tmp_path: Path):
    said = (
        "--strategy",
        "partial",
        "--unfreeze",
        3,
        "--lr-rule",
        "ulmfit",
        "--grain",
        "block",
        "--allow-noncommercial",
    )
    code, out, _ = run("train", image_folder, *FAST, *said, "--epochs", 1, "--out", tmp_path / "run", "--json")
    assert code == 0
    plan = yaml.safe_load((tmp_path / "run" / "plan.yaml").read_text())
    assert plan["model"]["grain"] == "block"
    assert plan["model"]["noncommercial_weights"] == "allow"
    tune = json.loads(out)["phases"][1]
    assert len(tune["trained"]) == 4
    *_, last, head = tune["lr"].values()
    assert last == pytest.approx(head / 2.6)


def test_an_option_that_a_strategy_cannot_follow_is_one_line(run: Call, image_folder: Path):
    refused(run("train", image_folder, "--strategy", "gradual", "--unfreeze", 2), "unfreeze: gradual has no use for it")
    refused(run("train", image_folder, "--strategy", "scratch", "--lr-rule", "ulmfit"), "lr_rule: scratch has no use")
    refused(run("train", image_folder, "--lr-rule", "ulmfit"), "--strategy probe_then_tune takes a rule")
    refused(
        run("train", image_folder, "--strategy", "probe_then_tune", "--lr-rule", "bit"),
        "lr_rule: bit goes with full, not with probe_then_tune",
    )
    refused(
        run("train", image_folder, "--strategy", "partial", "--unfreeze", 99), "phases[1].unfreeze: 99 must be <= 8"
    )
    refused(run("train", image_folder, "--lr-rule", "decay"), "decay_0.75", code=2)


def test_weights_without_commercial_use_need_permission(run: Call, image_folder: Path):
    name = next(card.name for card in all_cards() if card.commercial_use == "forbidden")
    refused(run("train", image_folder, "--model", name), "forbids commercial use", "--allow-noncommercial")


def test_an_option_without_effect_warns(run: Call, image_folder: Path):
    _, _, err = run("train", image_folder, *FAST, "--strategy", "feature_extraction", "--epochs", 3)
    assert "warning: --epochs has no effect" in err


# Bad input, one by one.


def test_missing_folder(run: Call):
    refused(run("train", "nowhere"), "nowhere does not exist", "expected a folder of class folders")


def test_folder_of_text_files(run: Call, tmp_path: Path):
    (tmp_path / "notes" / "a").mkdir(parents=True)
    (tmp_path / "notes" / "a" / "x.txt").write_text("hello")
    refused(run("train", tmp_path / "notes"), "holds no images, only 1 .txt", ".jpg")


def test_one_class(run: Call, make_folder: Callable):
    refused(run("train", make_folder("one", classes=1)), "only one class to learn ('blue', 8 images)", "at least two")


def test_class_with_one_image(run: Call, image_folder: Path):
    for path in sorted((image_folder / "green").iterdir())[1:]:
        path.unlink()
    refused(run("train", image_folder), "class 'green' has 1 image", "at least 2 images", "add images")


def test_unreadable_file_is_left_out_and_counted_or_stops(run: Call, image_folder: Path):
    whole = (image_folder / "blue" / "00.png").read_bytes()
    (image_folder / "blue" / "cut.png").write_bytes(whole[: len(whole) // 2])
    refused(run("train", image_folder, *FAST, "--strict"), "1 of 17 images", "blue/cut.png", "leave out --strict")
    code, out, err = run("train", image_folder, *FAST, "--json")
    assert code == 0
    assert list(json.loads(out)["unreadable"]) == ["blue/cut.png"]
    assert "blue/cut.png" in err


def test_image_smaller_than_eight_pixels(run: Call, image_folder: Path):
    Image.new("RGB", (7, 30)).save(image_folder / "blue" / "tiny.png")
    refused(run("train", image_folder, *FAST, "--strict"), "blue/tiny.png: 7 x 30 pixels", "at least 8")


def test_val_with_a_class_unknown_to_train(run: Call, make_folder: Callable):
    train, val = make_folder("train"), make_folder("val", classes=3)
    refused(run("train", train, "--val", val), "val has classes that train does not: red", "rename the folders")


def test_unknown_model_offers_the_nearest(run: Call, image_folder: Path):
    refused(run("train", image_folder, "--model", "resnet5"), "no model 'resnet5'", "did you mean", "resnet50")
    refused(run("models", "eficientnet_lite0"), "efficientnet_lite0")


def test_weights_of_the_wrong_architecture(run: Call, image_folder: Path, tmp_path: Path):
    from safetensors.torch import save_file
    from torch import zeros

    save_file({"conv1.weight": zeros(3)}, tmp_path / "w.safetensors")
    result = run("train", image_folder, "--model", f"resnet18:file:{tmp_path / 'w.safetensors'}")
    refused(result, "another architecture", "expected weights of the architecture")


def test_plan_with_five_faults_names_all_five(run: Call, image_folder: Path, tmp_path: Path):
    run("train", image_folder, *FAST, "--epochs", 1, "--out", tmp_path / "first")
    plan = yaml.safe_load((tmp_path / "first" / "plan.yaml").read_text())
    plan["phases"][1]["head_lr"] = -0.1
    plan["phases"][1]["batch_norm"] = "frozen"
    plan["input"]["size"] = 5
    plan["optimiser"] = {}
    del plan["model"]["name"]
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan))
    refused(
        run("train", "--plan", tmp_path / "plan.yaml"),
        "has 5 faults",
        "phases[1].head_lr: -0.1 must be > 0",
        "phases[1].batch_norm: 'frozen' must be",
        "input.size: 5 must be >= 32",
        "optimiser: is no key",
        "model.name: is missing",
    )


def test_plan_of_a_newer_schema(run: Call, tmp_path: Path):
    (tmp_path / "plan.yaml").write_text("schema_version: 7\n")
    refused(run("train", "--plan", tmp_path / "plan.yaml"), "7 is newer than 2", "upgrade")


def test_group_that_matches_nothing_or_is_no_pattern(run: Call, image_folder: Path):
    refused(run("train", image_folder, "--group", r"patient(\d+)"), "matches none of 16 image paths")
    refused(run("train", image_folder, "--group", "(["), "is no regular expression")
    refused(run("train", image_folder, "--group", "blue"), "has no group 1")


def test_several_faults_in_options_come_at_once(run: Call, image_folder: Path):
    refused(run("train", image_folder, "--input-size", 3, "--epochs", 0), "input_size: 3", "epochs: 0")
    refused(run("train", image_folder, "--budget", "soon"), "--budget 'soon' is no duration")
    refused(run("train", image_folder, "--limit-train", "half"), "limit_train: 'half' must be a count")
