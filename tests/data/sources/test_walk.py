"""Walking a folder: links, folders that may not be opened, and everything else that has no image."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from headstart.data.sources.dataset import SkipReason
from headstart.data.sources.listing import Listing
from headstart.data.sources.walk import walk_folder
from headstart.errors import DataError
from image_folders import folder_of


def names(listing: Listing) -> list[str]:
    return sorted(member.name.as_posix() for member in listing.images)


def skipped(listing: Listing) -> dict[str, SkipReason]:
    return {entry.name: entry.reason for entry in listing.skipped}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Images that lie outside DATA."""
    return folder_of(tmp_path / "store", ["ants/1.png", "ants/2.png", "bees/1.png"])


def test_linked_folders_are_read_wherever_they_hang(tmp_path: Path, store: Path) -> None:
    root = folder_of(tmp_path / "photos", ["wasps/1.png"])
    (root / "ants").symlink_to(store / "ants")
    (root / "wasps" / "more").symlink_to("../../store/bees")
    listing = walk_folder(root, links="follow")
    assert names(listing) == ["ants/1.png", "ants/2.png", "wasps/1.png", "wasps/more/1.png"]
    assert [member.path.read_bytes() for member in listing.images if member.name.parts[0] == "ants"] == [
        (store / "ants" / f"{i}.png").read_bytes() for i in (1, 2)
    ]
    assert {link.name: link.target for link in listing.outside_links} == {
        "ants": str(store / "ants"),
        "wasps/more": str(store / "bees"),
    }
    assert {PurePosixPath("ants"), PurePosixPath("wasps/more")} <= listing.folders
    assert not listing.skipped


def test_each_real_folder_is_read_once_and_a_link_never_takes_its_place(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", ["z/1.png", "z/deep/2.png"])
    (root / "a").symlink_to("z")
    (root / "b").symlink_to("z/deep")
    listing = walk_folder(root)
    assert names(listing) == ["z/1.png", "z/deep/2.png"]
    assert [(s.name, s.reason, s.detail) for s in listing.skipped] == [
        ("a", SkipReason.REPEATED, "z"),
        ("b", SkipReason.REPEATED, "z/deep"),
    ]
    assert PurePosixPath("a") in listing.folders, "a class that is a link to another is still a class folder"


@pytest.mark.parametrize("target", [".", "..", "../..", "cat", "loop"])
def test_loops_end_and_are_named(target: str, tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", ["cat/1.png", "dog/1.png"])
    (root / "loop").symlink_to(target)
    (root / "cat" / "up").symlink_to("..")
    listing = walk_folder(root)
    assert names(listing) == ["cat/1.png", "dog/1.png"]
    reasons = skipped(listing)
    assert reasons["cat/up"] is SkipReason.REPEATED
    assert reasons["loop"] is (SkipReason.DANGLING if target == "loop" else SkipReason.REPEATED)


def test_two_links_to_each_other_end(tmp_path: Path, store: Path) -> None:
    root = folder_of(tmp_path / "photos", ["cat/1.png"])
    (root / "cat" / "far").symlink_to(store)
    (store / "back").symlink_to(root)
    listing = walk_folder(root, links="follow")
    assert names(listing) == ["cat/1.png", "cat/far/ants/1.png", "cat/far/ants/2.png", "cat/far/bees/1.png"]
    assert skipped(listing) == {"cat/far/back": SkipReason.REPEATED}


def test_links_to_files_are_read_and_those_to_nothing_named(tmp_path: Path, store: Path) -> None:
    root = folder_of(tmp_path / "photos", ["cat/"])
    (root / "cat" / "in.png").symlink_to(store / "ants" / "1.png")
    (root / "cat" / "gone.png").symlink_to("/nowhere/at/all.png")
    (root / "cat" / "self.png").symlink_to("self.png")
    listing = walk_folder(root, links="follow")
    assert names(listing) == ["cat/in.png"]
    assert {s.name: s.detail for s in listing.skipped} == {
        "cat/gone.png": "/nowhere/at/all.png",
        "cat/self.png": "self.png",
    }
    assert [(link.name, link.target) for link in listing.outside_links] == [("cat/in.png", str(store / "ants/1.png"))]


def test_links_out_of_data_are_left_out_and_named_unless_they_are_requested(tmp_path: Path, store: Path) -> None:
    root = folder_of(tmp_path / "photos", ["cat/1.png"])
    (root / "ants").symlink_to(store / "ants")
    (root / "cat" / "secret.png").symlink_to(store / "bees" / "1.png")
    (root / "cat" / "secret").symlink_to(store / "bees" / "1.png")
    (root / "cat" / "hop.png").symlink_to("secret.png")
    (root / "cat" / "LICENSE.txt").symlink_to(folder_of(tmp_path / "texts", ["a.txt"]) / "a.txt")
    (root / "cat" / ".hidden").symlink_to(store / "ants")
    listing = walk_folder(root)
    assert names(listing) == ["cat/1.png"]
    assert not listing.outside_links
    outside = {entry.name: entry.detail for entry in listing.skipped if entry.reason is SkipReason.OUTSIDE}
    assert outside == {
        "ants": str(store / "ants"),
        **{f"cat/{name}": str(store / "bees/1.png") for name in ("secret.png", "secret", "hop.png")},
    }
    assert skipped(listing)["cat/.hidden"] is SkipReason.TOOL_FOLDER
    assert skipped(listing)["cat/LICENSE.txt"] is SkipReason.NO_IMAGE
    assert PurePosixPath("ants") in listing.folders, "a class whose folder is left out is named"


def test_a_root_that_is_a_link_is_what_the_user_named(tmp_path: Path, store: Path) -> None:
    link = tmp_path / "photos"
    link.symlink_to(store)
    assert names(walk_folder(link)) == ["ants/1.png", "ants/2.png", "bees/1.png"]


def test_a_link_inside_data_is_no_link_out_of_it(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", ["cat/1.png", "dog/"])
    (root / "dog" / "2.png").symlink_to("../cat/1.png")
    link = tmp_path / "link"
    link.symlink_to(root)
    for folder in (root, link):
        listing = walk_folder(folder)
        assert names(listing) == ["cat/1.png", "dog/2.png"]
        assert not listing.outside_links


def test_folders_that_may_not_be_opened_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder_of(tmp_path / "photos", ["cat/1.png", "dog/1.png"])
    scandir = os.scandir

    def refuses(path: os.PathLike[str] | str) -> object:  # the owner of this process may be allowed everything
        if Path(path).name in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuses)
    refused = {"dog"}
    listing = walk_folder(root)
    assert names(listing) == ["cat/1.png"]
    assert [(s.name, s.reason, s.detail) for s in listing.skipped] == [("dog", SkipReason.LOCKED, "Permission denied")]
    assert PurePosixPath("dog") in listing.folders
    refused = {"photos"}
    with pytest.raises(DataError, match=r"photos cannot be opened \(Permission denied\); expected a folder"):
        walk_folder(root)


def test_what_is_no_file_is_named_and_not_opened(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", ["cat/1.png"])
    os.mkfifo(root / "cat" / "pipe.png")
    listing = walk_folder(root)
    assert names(listing) == ["cat/1.png"]
    assert skipped(listing) == {"cat/pipe.png": SkipReason.SPECIAL}


def test_hidden_images_are_named_and_folders_of_programs_not_entered(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "photos", ["cat/1.png", "cat/.2.png", ".net/1.png", ".git/x.png", "cat/._1.png"])
    (root / ".DS_Store").write_text("x")
    (root / ".env" / "empty").mkdir(parents=True)
    listing = walk_folder(root)
    assert names(listing) == ["cat/1.png"]
    assert skipped(listing) == {
        "cat/.2.png": SkipReason.HIDDEN,
        ".net/1.png": SkipReason.HIDDEN,
        ".git": SkipReason.TOOL_FOLDER,
    }
    assert listing.folders == {PurePosixPath("cat")}
