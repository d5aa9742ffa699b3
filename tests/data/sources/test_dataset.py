"""Records, and the account of what was left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.sources.dataset import WHOLE, Account, Dataset, ImageRecord, OutsideLink, Skipped, SkipReason


def test_a_part_of_a_file_is_read_as_such(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert ImageRecord("a", "", WHOLE, tmp_path / "a").read() == b"0123456789"
    assert ImageRecord("a", "", WHOLE, tmp_path / "a", 2, 3).read() == b"234"
    assert ImageRecord("a", "", WHOLE, content=b"x").read() == b"x"


def test_an_image_without_bytes_or_file_cannot_be_read() -> None:
    with pytest.raises(FileNotFoundError, match=r"cat/1\.png"):
        ImageRecord("cat/1.png", "cat", WHOLE).read()


def test_files_that_are_no_images_are_counted_by_suffix() -> None:
    skipped = (
        Skipped("b", SkipReason.NO_IMAGE, ".txt"),
        Skipped("a", SkipReason.NO_IMAGE, ".bin"),
        Skipped("c", SkipReason.NO_IMAGE, ".txt"),
        Skipped("d", SkipReason.DANGLING, "x"),
    )
    assert Dataset("x", "x", (), Account(skipped)).ignored == {".bin": 1, ".txt": 2}


def test_two_accounts_are_joined_under_the_names_of_their_images() -> None:
    one = Account((Skipped("a", SkipReason.LOCKED),), ("a",), (OutsideLink("a", "/t"),), label_tables=("a.csv",))
    both = one.joined(one, prefix="val/")
    assert [entry.name for entry in both.skipped] == ["a", "val/a"]
    assert both.bare_folders == ("a", "val/a")
    assert [link.name for link in both.outside_links] == ["a", "val/a"]
    assert both.label_tables == ("a.csv", "val/a.csv")
