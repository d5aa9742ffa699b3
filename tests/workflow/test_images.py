"""check, and dividing the images of a plan."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dicom_files import dicom_file
from headstart.data.checks.check_result import CheckResult, GroupCount
from headstart.data.splits import deal_folds
from headstart.errors import DataError
from headstart.plan.plan import DataPlan, Plan
from headstart.plan.request import Request
from headstart.runs.progress import no_progress
from headstart.workflow.checking.check import CheckOptions
from headstart.workflow.checking.check import check as check_images
from headstart.workflow.images import (
    check_for_training,
    content_hash,
    divided_by_name,
    drawn_by_name,
)
from headstart.workflow.plans import make_plan
from near_copies import cropped, recompressed, scene


def check(source: Path, **options: object) -> CheckResult:
    return check_images(CheckOptions(str(source), checks="files", **options))


def plan(source: Path, strategy: str = "probe_then_tune", **data: object) -> Plan:
    return make_plan(Request(DataPlan(source=str(source), **data), strategy=strategy))


def test_check_counts_and_names_the_unreadable(image_folder: Path):
    (image_folder / "blue" / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    answer = check(image_folder)
    assert answer.images == 16
    assert answer.classes == {"blue": 8, "green": 8}
    assert list(answer.unreadable) == ["blue/broken.jpg"]
    assert {f.what for f in answer.findings} == {"unreadable", "few_images", "enlarged"}
    assert all(set(f) == {"level", "what", "evidence", "remedy", "images"} for f in answer.to_dict()["findings"])


def test_check_counts_groups_and_finds_those_torn_apart(tmp_path: Path, make_folder: Callable):
    make_folder("set/train", per_class=4)
    make_folder("set/val", per_class=4, seed=1)
    answer = check(tmp_path / "set", group=r"/(\d)\d\.png")
    assert answer.groups == GroupCount(1, unmatched=0)
    assert answer.findings[0].what == "group_in_two_splits"


def test_a_file_that_breaks_moves_no_other_image_to_another_role(image_folder: Path):
    before = check_for_training(plan(image_folder), no_progress).roles
    lost = before.train[0].id
    (image_folder / lost).write_bytes(b"broken")
    after = check_for_training(plan(image_folder), no_progress).roles
    assert [r.id for r in after.train] == [r.id for r in before.train if r.id != lost]
    assert after.validation == before.validation
    assert after.test == before.test


def test_copies_never_stand_on_both_sides_of_our_own_splits(image_folder: Path):
    for path in sorted((image_folder / "blue").iterdir()):
        shutil.copy(path, path.with_name(f"copy_{path.name}"))
    data = check_for_training(plan(image_folder), no_progress)
    digests = data.facts.digests
    held = [{digests[r.id] for r in records} for records in (data.roles.train, data.roles.validation, data.roles.test)]
    assert not held[0] & held[1]
    assert not held[0] & held[2]
    assert not held[1] & held[2]
    assert all(held)


def test_near_identical_images_lie_on_one_side_and_in_one_group(tmp_path: Path):
    """Bursts of three, as a phone makes them: recompressed and cropped copies of half of the scenes."""
    for index in range(40):
        folder = tmp_path / "photos" / "ab"[index % 2]
        folder.mkdir(parents=True, exist_ok=True)
        photo = scene(index)
        photo.save(folder / f"{index:02d}.png")
        if index < 20:
            recompressed(photo).save(folder / f"{index:02d}_x.png")
            cropped(photo).save(folder / f"{index:02d}_y.png")
    for strategy in ("probe_then_tune", "feature_extraction"):
        data = check_for_training(plan(tmp_path / "photos", strategy), no_progress)
        assert len(data.facts.near.groups) == 20
        roles = data.roles
        assert len(roles.train) + len(roles.validation) + len(roles.test) == 80, "none is left out"
        scenes = [{r.id[:4] for r in held} for held in (roles.train, roles.validation, roles.test)]
        assert not scenes[0] & scenes[1] | scenes[0] & scenes[2] | scenes[1] & scenes[2]
        assert 14 <= len(roles.test) <= 20
        assert len(set(data.groups.values())) == 40
        folds = deal_folds(roles.train, data.groups, most=5, seed=2)
        fold_of: dict[str, set[int]] = {}
        for record, fold in zip(roles.train, folds, strict=True):
            fold_of.setdefault(record.id[:4], set()).add(fold)
        assert all(len(held) == 1 for held in fold_of.values()), "folds follow"
    table = tmp_path / "groups.csv"
    answer = check(tmp_path / "photos", group_table=table)
    (finding,) = (f for f in answer.findings if f.what == "near_duplicates")
    assert "60 of 80 images" in finding.evidence
    assert len(finding.images) == 20
    again = check(table)
    assert again.groups == GroupCount(40, unmatched=20)


def test_limits_count_what_trains_and_what_reports(make_folder: Callable):
    folder = make_folder("many", classes=3, per_class=20)
    data = check_for_training(plan(folder, limit_train="6/class", limit_test="2/class"), no_progress)
    assert len(data.roles.training_pool) == 18
    assert len(data.roles.test) == 6
    assert len(data.facts.readable) == 24, "only the sample is read"


def test_val_given_apart_reports_and_groups_match_on_its_own_paths(tmp_path: Path, make_folder: Callable):
    train, val = make_folder("train"), make_folder("val", seed=1)
    data = check_for_training(plan(train, val=str(val)), no_progress)
    assert {r.id for r in data.roles.test} == {f"val:{c}/{i:02d}.png" for c in ("blue", "green") for i in range(8)}
    assert data.roles.test_source == "val"
    with pytest.raises(DataError, match="lie in more than one given split"):
        check_for_training(plan(train, val=str(val), group=r"^\w+/(\d+)"), no_progress)


def test_val_with_a_class_unknown_to_train_is_refused(make_folder: Callable):
    train, val = make_folder("train", classes=2), make_folder("val", classes=3, seed=1)
    with pytest.raises(DataError, match="val has classes that train does not: red"):
        check_for_training(plan(train, val=str(val)), no_progress)


def test_a_class_without_a_readable_image_is_named(image_folder: Path):
    for path in (image_folder / "green").iterdir():
        path.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"of class 'green' is left; headstart check names"):
        check_for_training(plan(image_folder), no_progress)


def test_the_content_hash_sees_bytes_names_and_roles(image_folder: Path):
    first = content_hash(check_for_training(plan(image_folder), no_progress))
    assert content_hash(check_for_training(plan(image_folder), no_progress)) == first
    assert content_hash(check_for_training(plan(image_folder, "feature_extraction"), no_progress)) != first
    (image_folder / "blue" / "00.png").write_bytes((image_folder / "blue" / "01.png").read_bytes())
    assert content_hash(check_for_training(plan(image_folder), no_progress)) != first


def test_images_of_one_group_alone_cannot_be_cross_validated(image_folder: Path, tmp_path: Path):
    """Two patients: one is the test set, so the other is the training and the validation set."""
    files = sorted(image_folder.rglob("*.png"))
    rows = [f"{path},{path.parent.name},{'ab'[index % 2]}" for index, path in enumerate(files)]
    table = tmp_path / "table.csv"
    table.write_text("image,label,group\n" + "\n".join(rows))
    with pytest.raises(DataError, match=r"all 8 training images belong to one group; expected at least two"):
        check_for_training(plan(table, "feature_extraction"), no_progress)


def test_images_that_report_by_a_seed_of_their_own_are_never_learned_from(make_folder: Callable):
    """In a comparison all seeds report on the same images; who looks at what train learns from sees none of them."""
    part = DataPlan(source=str(make_folder("many", per_class=30)), test_seed=7)
    reporting = [{r.id for r in divided_by_name(part, seed=seed).roles.test} for seed in range(3)]
    assert reporting[0] == reporting[1] == reporting[2]
    looked_at: list[str] = []
    for seed in range(3):
        looked_at += [record.id for record in divided_by_name(part, seed=seed).roles.training_pool]
    assert reporting[0].isdisjoint(looked_at)
    tuned = divided_by_name(part, seed=0, tuned=True).roles
    assert tuned.validation
    assert not divided_by_name(part, seed=0).roles.validation


def test_what_is_left_out_is_a_finding_and_stops_where_strict(image_folder: Path, make_folder: Callable):
    (image_folder / "red").mkdir()
    val = make_folder("val", seed=1)
    (val / "blue" / "gone.png").symlink_to("nowhere")
    kinds = {finding.what for finding in check(image_folder, val=str(val)).findings}
    assert {"class_without_images", "dangling_links"} <= kinds
    data = check_for_training(plan(image_folder, val=str(val)), no_progress)
    assert data.dataset.account.bare_folders == ("red",)
    assert [entry.name for entry in data.dataset.account.skipped] == ["val:blue/gone.png"]
    with pytest.raises(DataError, match=r"red is empty.*leave out --strict"):
        check_for_training(plan(image_folder, unreadable="stop"), no_progress)
    (image_folder / "red").rmdir()
    with pytest.raises(DataError, match=r"val:blue/gone.png.*leave out --strict"):
        check_for_training(plan(image_folder, val=str(val), unreadable="stop"), no_progress)
    (val / "blue" / "gone.png").unlink()
    check_for_training(plan(image_folder, val=str(val), unreadable="stop"), no_progress)


def test_of_many_images_some_are_held_out_for_the_steps(image_folder: Path, monkeypatch: pytest.MonkeyPatch):
    steps = plan(image_folder, strategy="progressive")
    assert drawn_by_name(steps).roles.validation == ()
    monkeypatch.setattr("headstart.plan.image_counts.MANY_TRAINING_IMAGES", 10)
    roles = drawn_by_name(steps).roles
    assert roles == divided_by_name(steps.data, seed=steps.seed, tuned=True).roles
    assert len(roles.validation) == round(0.2 * len(roles.training_pool))


def test_patients_of_dicom_files_stay_on_one_side_and_are_nowhere_named(tmp_path: Path):
    rng = np.random.default_rng(0)
    for index in range(48):
        file = tmp_path / "scans" / "ab"[index % 2] / f"{index:03d}.dcm"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (64, 64)).astype(np.uint8)
        file.write_bytes(dicom_file(pixels, PatientID=f"Secret{index // 4}"))
    source = tmp_path / "scans"
    for _ in range(2):  # the second time from the facts cache
        [finding] = [one for one in check(source).findings if one.what == "groups_suggested"]
        assert "48 of 48 images are in 12 groups" in finding.evidence
        assert "dicom:PatientID" in finding.remedy
    counted = check(source, group="dicom:PatientID")
    assert counted.groups == GroupCount(12, unmatched=0)
    assert "groups_suggested" not in {one.what for one in counted.findings}
    data = check_for_training(plan(source, group="dicom:PatientID"), no_progress)
    sides = [{int(r.id[2:5]) // 4 for r in records} for records in (data.roles.train, data.roles.test)]
    assert not sides[0] & sides[1]
    assert all(sides)
    assert "Secret" not in repr((data.groups, data.roles, finding, counted))
