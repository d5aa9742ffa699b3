"""check --fix and --page on a messy folder: what is written, and that the cleaned index has none of its faults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from headstart.data.checks.check_result import CheckResult
from headstart.errors import DataError
from headstart.workflow.checking.check import CheckOptions, check
from headstart.workflow.checking.page import refuse_page
from messy_folder import make_messy

REPAIRED = {
    *("unreadable", "several_labels", "blank", "duplicates", "same_image_in_two_splits"),
    *("near_duplicates_in_two_splits", "altered_copies_in_two_splits"),
}


@pytest.fixture(scope="module")
def messy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, CheckResult, dict[Path, bytes]]:
    """The folder, what check found and wrote, and all bytes before."""
    folder = make_messy(tmp_path_factory.mktemp("messy") / "photos")
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    options = CheckOptions(
        str(folder), checks="files", fix=folder.parent / "fixed", page=folder.parent / "f.html", page_images="shown"
    )
    return folder, check(options), before


def test_originals_are_not_touched_and_the_index_is_clean(messy: tuple[Path, CheckResult, dict[Path, bytes]]):
    folder, found, before = messy
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert {finding.what for finding in found.findings} >= REPAIRED - {"altered_copies_in_two_splits"}
    assert found.cleaned is not None
    # cats: broken, 1-again, 2, 4-of-test; dogs: blank, 2-too, 3-of-test
    assert (found.cleaned.left_out, found.cleaned.images) == (7, len(before) - 7)
    again = check(CheckOptions(found.cleaned.index, checks="files"))
    assert not {finding.what for finding in again.findings} & REPAIRED
    assert again.splits["train"] == {"cats": 5, "dogs": 7}
    assert again.splits["test"] == {"cats": 6, "dogs": 6}


def test_the_page_shows_every_finding_with_its_images_and_loads_nothing(
    messy: tuple[Path, CheckResult, dict[Path, bytes]],
):
    folder, found, _ = messy
    assert found.page == str(folder.parent / "f.html")
    text = Path(found.page).read_text(encoding="utf-8")
    for finding in found.findings:
        assert finding.what.replace("_", " ") in text
    assert text.count("data:image/jpeg") >= 8
    assert not re.search(r'(src|href)="(?!data:|#)', text)


def test_without_images_the_page_names_them(messy: tuple[Path, CheckResult, dict[Path, bytes]], tmp_path: Path):
    folder, _, _ = messy
    check(CheckOptions(str(folder), checks="files", page=tmp_path / "named.html"))
    text = (tmp_path / "named.html").read_text(encoding="utf-8")
    assert "data:image" not in text
    assert "train/cats/1-again.png" in text
    assert "--with-images" in text


def test_places_that_mislead_are_refused(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="another suffix"):
        refuse_page(tmp_path / "page.pdf", "photos")
    with pytest.raises(DataError, match="is no folder"):
        refuse_page(tmp_path / "away" / "page.html", "photos")
    with pytest.raises(DataError, match="would lie in"):
        refuse_page(tmp_path / "photos" / "page.html", str(tmp_path / "photos"))


@pytest.mark.slow
def test_a_cleaned_index_trains_as_it_is(messy: tuple[Path, CheckResult, dict[Path, bytes]], tmp_path: Path):
    import headstart

    _, found, _ = messy
    assert found.cleaned is not None
    result = headstart.train(
        found.cleaned.index, strategy="feature_extraction", input_size=64, out=tmp_path / "run", progress="none"
    )
    assert result.metrics.test.images == 12
