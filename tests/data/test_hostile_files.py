"""Some fifty kinds of broken and hostile files: each is named with its kind, and all good images are used."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import headstart
from headstart.data.checks.check_result import CheckResult
from headstart.data.sources import dataset
from headstart.errors import DataError
from hostile_files import encoded, entries_that_are_no_files, of_every_kind

BROKEN = of_every_kind()
GOOD = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    elsewhere = root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "private.png").write_bytes(encoded("PNG"))
    rng = np.random.default_rng(1)
    for label, kind in (("ants", "JPEG"), ("bees", "PNG")):
        (root / "photos" / label).mkdir(parents=True)
        for index in range(GOOD):
            pixels = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
            (root / "photos" / label / f"{index}.{kind.lower()}").write_bytes(encoded(kind, pixels))
    for name, (content, _) in BROKEN.items():
        (root / "photos" / "bees" / name).write_bytes(content)
    with (root / "photos" / "bees" / "sparse.png").open("wb") as file:
        file.write(encoded("PNG"))
        os.truncate(file.fileno(), 2**40)
    return root


@pytest.fixture(scope="module")
def others(folder: Path) -> dict[str, str]:
    return entries_that_are_no_files(folder / "photos" / "ants", folder / "elsewhere")


@pytest.fixture(scope="module")
def checked(folder: Path, others: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> CheckResult:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSTART_HOME", str(tmp_path_factory.mktemp("home")))
        return headstart.check(folder / "photos", progress="none", checks="files")


def test_there_are_forty_kinds_and_more(others: dict[str, str]):
    assert len(BROKEN) + len(others) + 1 >= 50


@pytest.mark.parametrize("name", [*BROKEN, "sparse.png"])
def test_each_broken_file_is_named_with_its_kind(name: str, checked: CheckResult):
    kind = BROKEN[name][1] if name in BROKEN else "too large"
    (finding,) = [f for f in checked.findings if f.images and f"bees/{name}" in f.images[0] and f.what == "unreadable"]
    assert f"cannot be read ({kind})" in finding.evidence, checked.unreadable[f"bees/{name}"]
    assert finding.remedy


def test_each_entry_that_is_no_file_is_named_with_its_kind(others: dict[str, str], checked: CheckResult):
    by_kind = {finding.what: finding for finding in checked.findings}
    for name, what in others.items():
        if what == "not_images":
            assert "1 .txt" in by_kind[what].evidence
        else:
            assert (f"ants/{name}",) in by_kind[what].images


def test_all_good_images_are_used_and_nothing_else(checked: CheckResult):
    assert checked.classes == {"ants": GOOD, "bees": GOOD}
    assert set(checked.unreadable) == {f"bees/{name}" for name in (*BROKEN, "sparse.png")}


def test_strict_stops_at_what_lies_in_the_folder_and_is_not_used(folder: Path, others: dict[str, str]):
    with pytest.raises(DataError, match="leave out --strict"):
        headstart.train(folder / "photos", unreadable="stop", progress="none", out=folder / "run")
    assert others


def test_the_largest_file_is_a_limit_of_bytes():
    assert dataset.LARGEST_FILE_BYTES == 2**31


@pytest.mark.slow
def test_the_good_images_train_and_each_broken_one_is_left_out_of_a_prediction(
    folder: Path, others: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    run = headstart.train(
        folder / "photos", strategy="feature_extraction", input_size=32, out=tmp_path / "run", progress="none"
    )
    assert len(run.metrics.unreadable) == len(BROKEN) + 1
    found = headstart.predict(tmp_path / "run", [str(folder / "photos")], progress="none")
    assert len(found) == 2 * GOOD
    assert {Path(name).name for name in found.left_out} >= {*BROKEN, *(set(others) - {"notes.txt"})}
