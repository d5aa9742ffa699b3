"""evaluate and predict."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.errors import BundleError, DataError, RunError
from headstart.plan.plan import DataPlan
from headstart.plan.request import Request
from headstart.prediction.bundle import read_info
from headstart.prediction.evaluation import RepeatedRun, SeenCounts
from headstart.runs.folder import Run
from headstart.workflow.evaluating import evaluate, predict
from headstart.workflow.training.train import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Names say which patient an image is of: two images each."""
    from conftest import make_images

    root = tmp_path_factory.mktemp("evaluate")
    for path in sorted(make_images(root / "images", per_class=16).rglob("*.png")):
        path.rename(path.with_name(f"p{int(path.stem) // 2}_{path.stem}.png"))
    data = DataPlan(source=str(root / "images"), group=r"(\w+/p\d+)_")
    return train(Request(data, strategy="feature_extraction", input_size=32), out=root / "run").run


@pytest.fixture
def bundle(run: Run) -> Path:
    return run.bundle


@pytest.fixture
def others(make_folder: Callable[..., Path]) -> Path:
    """Two classes of eight images that training has not seen."""
    return make_folder("others", seed=5)


def test_evaluate_has_the_promised_keys(bundle: Path, others: Path):
    answer = evaluate(bundle, str(others))
    assert answer.images == 16
    confusion = answer.figures.confusion
    assert [sum(row) for row in confusion] == [8, 8]
    assert answer.figures.accuracy == (confusion[0][0] + confusion[1][1]) / 16 > 0.8
    assert answer.figures.accuracy_interval[0] < answer.figures.accuracy
    assert answer.figures.ece is None
    assert set(answer.figures.per_class) == {"blue", "green"}
    assert answer.balanced_accuracy == answer.figures.accuracy
    assert answer.seen == SeenCounts(known=True, train=0, validation=0)
    assert answer.repeats is None


def test_evaluate_takes_test_before_val_unless_told(bundle: Path, tmp_path: Path, make_folder: Callable):
    for split, count in (("train", 5), ("val", 4), ("test", 3)):
        make_folder(f"set/{split}", per_class=count, seed=count)
    assert evaluate(bundle, str(tmp_path / "set")).images == 6
    assert evaluate(bundle, str(tmp_path / "set"), split="val").images == 8
    with pytest.raises(DataError, match=r"no split 'dev'; expected one of train, val, test"):
        evaluate(bundle, str(tmp_path / "set"), split="dev")


def test_a_class_the_bundle_does_not_know_is_refused(bundle: Path, make_folder: Callable):
    with pytest.raises(DataError, match="classes the bundle does not know: red"):
        evaluate(bundle, str(make_folder("other", classes=3)))


def test_intervals_count_groups_by_the_pattern_given_else_by_that_of_training(bundle: Path, others: Path):
    alone = evaluate(bundle, str(others))
    assert (alone.figures.counted, alone.figures.groups, alone.group_pattern) == ("images", None, None)
    assert [finding.what for finding in alone.findings] == ["groups_unknown"]
    given = evaluate(bundle, str(others), group=r"(\w+/\d)\d\.png")
    assert (given.figures.counted, given.figures.groups) == ("groups", 2)
    assert given.figures.accuracy_interval[0] < alone.figures.accuracy_interval[0]
    for path in sorted(others.rglob("*.png")):
        path.rename(path.with_name(f"p{int(path.stem) // 4}_{path.stem}.png"))
    remembered = evaluate(bundle, str(others))
    assert (remembered.figures.counted, remembered.figures.groups) == ("groups", 4)
    assert remembered.group_pattern == r"(\w+/p\d+)_"
    with pytest.raises(DataError, match="matches none of 16"):
        evaluate(bundle, str(others), group=r"patient(\d+)")


def test_images_of_training_are_counted_and_left_out_unless_told(run: Run, others: Path):
    source = run.plan().data.source
    for name in ("blue", "green"):
        shutil.copytree(f"{source}/{name}", others / name, dirs_exist_ok=True)
    trained = len(run.data().ids("train"))
    answer = evaluate(run.bundle, str(others))
    assert answer.images == 48 - trained
    assert answer.seen == SeenCounts(known=True, train=trained, validation=0, left_out=trained, policy="leave_out")
    (found,) = [finding for finding in answer.findings if finding.what == "seen_in_training"]
    assert found.evidence.startswith(f"{trained} of 48 images were in training ({trained} train, 0 validation)")
    assert "left out" in found.remedy
    told = evaluate(run.bundle, str(others), seen="include")
    assert told.images == 48
    assert (told.seen.train, told.seen.left_out) == (trained, 0)
    assert "too good" in next(f.remedy for f in told.findings if f.what == "seen_in_training")


def test_where_training_has_seen_everything_there_is_nothing_to_judge(run: Run, tmp_path: Path):
    source = Path(run.plan().data.source)
    for name in run.data().ids("train"):
        (tmp_path / "seen" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, tmp_path / "seen" / name)
    with pytest.raises(
        DataError, match=r"all \d+ images of .* were in training .* --seen include, or repeat .* evaluate"
    ):
        evaluate(run.bundle, str(tmp_path / "seen"))


def test_a_bundle_without_hashes_says_that_it_cannot_know(run: Run, others: Path, tmp_path: Path):
    shutil.copytree(run.bundle, tmp_path / "old")
    (tmp_path / "old" / "trained_on.json").unlink()
    answer = evaluate(tmp_path / "old", str(others))
    assert (answer.images, answer.seen.known) == (16, False)
    assert [finding.what for finding in answer.findings] == ["training_images_unknown"]


@pytest.mark.parametrize("what", ["run", "bundle"])
def test_a_run_repeats_its_own_figure(run: Run, what: str):
    metrics = run.metrics()
    assert metrics is not None
    answer = evaluate(run.folder if what == "run" else run.bundle)
    same = (
        "accuracy",
        "accuracy_interval",
        "balanced_accuracy",
        "images",
        "confusion",
        "counted",
        "groups",
        "log_loss",
    )
    assert {key: getattr(answer.figures, key) for key in same} == {key: getattr(metrics.test, key) for key in same}
    assert metrics.test.counted == "groups"
    assert answer.repeats == RepeatedRun(str(run.folder), metrics.test.accuracy)
    assert answer.findings == ()


def test_a_run_whose_images_changed_or_went_says_so(run: Run, tmp_path: Path):
    source, copy = Path(run.plan().data.source), Run(tmp_path / "run")
    shutil.copytree(run.folder, copy.folder)
    shutil.copytree(source, tmp_path / "images")
    for name in ("plan.yaml", "plan.resolved.yaml"):
        text = (copy.folder / name).read_text()
        (copy.folder / name).write_text(text.replace(str(source), str(tmp_path / "images")))
    test = run.data().ids("test")
    one, *_ = [name for name in test if name.startswith("blue")]
    other = next(path for path in (tmp_path / "images" / "green").iterdir() if f"green/{path.name}" not in test)
    shutil.copy(other, tmp_path / "images" / one)
    answer = evaluate(copy.folder)
    found = {finding.what: finding.evidence for finding in answer.findings}
    assert "not the files the run was evaluated on" in found["run_not_repeated"]
    assert found["seen_in_training"].startswith("1 of ")
    (tmp_path / "images" / one).unlink()
    with pytest.raises(RunError, match=rf"1 of {len(test)} test images of .* are gone \(first: {one}\)"):
        evaluate(copy.folder)
    shutil.rmtree(tmp_path / "images")
    with pytest.raises(RunError, match=r"cannot be read where training found them .* headstart evaluate .* DATA"):
        evaluate(copy.folder)


def test_a_bundle_alone_needs_data(run: Run, tmp_path: Path):
    shutil.copytree(run.bundle, tmp_path / "sent")
    with pytest.raises(BundleError, match="does not hold its test images; expected labelled images as DATA"):
        evaluate(tmp_path / "sent")
    with pytest.raises(BundleError, match="--split val without DATA"):
        evaluate(run.folder, split="val")


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_source_without_splits_says_so(bundle: Path, others: Path, kind: str, tmp_path: Path):
    source = others
    if kind == "tar":
        source = tmp_path / "others.tar"
        with tarfile.open(source, "w") as archive:
            archive.add(others, "others")
    with pytest.raises(
        DataError, match=r"has no splits, so there is no --split test; .* leave out --split to evaluate all"
    ):
        evaluate(bundle, str(source), split="test")


def test_predict_leaves_out_what_it_cannot_read_and_says_so(bundle: Path, image_folder: Path):
    (image_folder / "blue" / "broken.png").write_bytes(b"broken")
    found = predict(bundle, [str(image_folder / "blue")])
    assert len(found) == 8
    assert [Path(name).name for name in found.left_out] == ["broken.png"]
    assert set(found.to_dicts()[0]) == {"file", "label", "probability", "probabilities", "set", "unknown"}


def test_predict_with_nothing_readable_is_an_error(bundle: Path, tmp_path: Path):
    (tmp_path / "x.png").write_bytes(b"broken")
    with pytest.raises(DataError, match="1 of 1 images"):
        predict(bundle, [str(tmp_path / "x.png")])


def test_predict_names_all_it_left_out_and_predicts_the_others(bundle: Path, image_folder: Path, tmp_path: Path):
    (image_folder / "blue" / "notes.txt").write_text("x")
    (image_folder / "blue" / "gone.png").symlink_to("nowhere")
    (image_folder / "blue" / "00.png").rename(image_folder / "blue" / "caf\udce9")
    (image_folder / "blue" / "more").symlink_to(image_folder / "green")
    wanted = [str(image_folder / "blue"), str(tmp_path / "missing.jpg")]
    found = predict(bundle, wanted, links="follow")
    assert sorted(found.labels) == ["blue"] * 8 + ["green"] * 8
    assert {Path(name).name for name in found.left_out} == {"notes.txt", "gone.png", "missing.jpg"}
    found = predict(bundle, wanted)
    assert found.labels == ["blue"] * 8
    assert {Path(name).name for name in found.left_out} == {"notes.txt", "gone.png", "missing.jpg", "more"}
    with pytest.raises(DataError, match=r"4 of 12 images give no prediction \(first: .*or leave out --strict"):
        predict(bundle, wanted, unreadable="stop")


def test_evaluate_says_what_of_the_data_was_not_used(bundle: Path, others: Path):
    kinds = ["class_without_images", "dangling_links"]
    assert not {finding.what for finding in evaluate(bundle, str(others)).findings} & set(kinds)
    (others / "blue" / "gone.png").symlink_to("nowhere")
    (others / "red").mkdir()
    findings = evaluate(bundle, str(others)).findings
    assert [finding.what for finding in findings if finding.what in kinds] == kinds


def test_resize_and_bits_go_into_the_bundle_and_decide_what_predict_sees(tmp_path: Path):
    """12 bits in 16: the same pictures in 8 bits get the same prediction, and those with larger values are named."""
    rng = np.random.default_rng(0)
    for top, name in ((1200, "dim"), (4095, "lit")):
        for folder in ("deep", "eight"):
            (tmp_path / folder / name).mkdir(parents=True)
        for index in range(8):
            values = rng.integers(0, top, (20, 60)).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / "deep" / name / f"{index}.png")
            small = np.rint(values * (255 / 4095)).astype(np.uint8)
            Image.fromarray(small).save(tmp_path / "eight" / name / f"{index}.png")
    data = DataPlan(source=str(tmp_path / "deep"), bits=12)
    options = Request(data, strategy="feature_extraction", input_size=32, resize="letterbox")
    bundle = train(options, out=tmp_path / "run").run.bundle
    spec = read_info(bundle).input
    assert (spec.resize_name, spec.decoding.bits, spec.resize) == ("letterbox", 12, 32)
    deep = {str(tmp_path / "deep" / "lit" / f"{index}.png") for index in range(8)}
    found = predict(bundle, sorted(deep))
    others = predict(bundle, [name.replace("deep", "eight") for name in sorted(deep)])
    # Of 12 bits none is lost, and the copy of 8 bits was rounded.
    assert [a.probabilities for a in found] == [pytest.approx(o.probabilities, abs=0.02) for o in others]
    assert found.left_out == {}
    Image.fromarray(np.full((20, 60), 5000, np.uint16)).save(tmp_path / "bright.png")
    found = predict(bundle, [str(tmp_path / "bright.png"), *sorted(deep)])
    assert list(found.left_out.values()) == ["its largest value is 5,000, and 12 bits end at 4,095; give more bits"]
