"""Labelled images that are evaluated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.data.trained_on import TrainedOn
from headstart.errors import DataError
from headstart.runs.progress import no_progress
from headstart.workflow.evaluated_images import ImagesToEvaluate, counting, of_data, run_of, without_seen
from headstart.workflow.images import read_watched


def seen(images: ImagesToEvaluate, train: int, validation: int, group: str | None = None) -> TrainedOn:
    """The first images were trained on, the next ones validated on."""
    digests = list(read_watched(images.records, no_progress).digests.values())
    return TrainedOn.of(digests[:train], digests[train : train + validation], content="x", group=group)


def test_a_run_is_found_from_its_folder_and_its_bundle(tmp_path: Path):
    (tmp_path / "run" / "bundle").mkdir(parents=True)
    assert run_of(tmp_path / "run") is run_of(tmp_path / "run" / "bundle") is None
    (tmp_path / "run" / "plan.resolved.yaml").write_text("")
    found = [run_of(tmp_path / "run" / name) for name in ("", "bundle")]
    assert [run.folder for run in found if run is not None] == [tmp_path / "run"] * 2
    assert run_of(tmp_path / "run" / "other") is None


def test_the_place_names_the_split(make_folder: Callable[..., Path], tmp_path: Path):
    for split in ("train", "val"):
        make_folder(f"set/{split}")
    source = str(tmp_path / "set")
    assert [of_data(source, split, None).place for split in (None, "train")] == [
        f"{source}, split val",
        f"{source}, split train",
    ]
    assert of_data(f"{source}/val", None, None).place == f"{source}/val"


@pytest.mark.parametrize(("train", "validation"), [(3, 2), (0, 4), (1, 0)])
def test_what_training_has_seen_is_left_out(image_folder: Path, train: int, validation: int):
    images = of_data(str(image_folder), None, None)
    facts = read_watched(images.records, no_progress)
    kept, counts, (finding,) = without_seen(facts, seen(images, train, validation), "leave_out", images, Path("b"))
    assert kept == list(facts.readable[train + validation :])
    assert (counts.train, counts.validation, counts.left_out) == (train, validation, train + validation)
    assert f"({train} train, {validation} validation)" in finding.evidence
    every, counts, _ = without_seen(facts, seen(images, train, validation), "include", images, Path("b"))
    assert (len(every), counts.left_out) == (16, 0)


def test_a_bundle_sent_alone_offers_no_run(image_folder: Path, tmp_path: Path):
    images = of_data(str(image_folder), None, None)
    facts = read_watched(images.records, no_progress)
    with pytest.raises(DataError, match="all 16 images") as caught:
        without_seen(facts, seen(images, 16, 0), "leave_out", images, tmp_path)
    assert "--seen include" in str(caught.value)
    assert "headstart evaluate" not in str(caught.value)


def test_groups_are_those_given_else_of_the_source_else_of_training(image_folder: Path, tmp_path: Path):
    pattern, remembered = r"(\w+/\d)\d", r"/(\d)\d"
    images = of_data(str(image_folder), None, pattern)
    facts, known = read_watched(images.records, no_progress), seen(images, 1, 0, group=remembered)
    assert (found := counting(images, facts, known)).pattern == pattern
    assert len(set(found.groups.values())) == 2
    images = of_data(str(image_folder), None, None)
    assert (found := counting(images, facts, known)).pattern == remembered
    assert len(set(found.groups.values())) == 1
    rows = "".join(f"{record.id},{record.label},{record.id[-5]}\n" for record in images.records)
    (image_folder / "table.csv").write_text(f"image,label,group\n{rows}")
    table = of_data(str(image_folder / "table.csv"), None, None)
    found = counting(table, read_watched(table.records, no_progress), known)
    assert (found.pattern, len(set(found.groups.values()))) == (None, 8)
