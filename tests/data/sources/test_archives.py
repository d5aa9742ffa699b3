"""Reading a tar in place: its names, its links, and what is no file."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from headstart.data.sources.archives import walk_tar
from headstart.data.sources.dataset import SkipReason
from image_folders import folder_of, png, tar_of


def add_link(path: Path, name: str, target: str, kind: bytes) -> None:
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        archive.addfile(info)


def read(path: Path) -> dict[str, bytes]:
    found = {}
    for member in walk_tar(path).images:
        with member.path.open("rb") as file:
            file.seek(member.offset)
            found[member.name.as_posix()] = file.read(member.size)
    return found


@pytest.mark.parametrize("prefix", ["", "./", "/", "//./"])
def test_names_are_those_that_tar_would_unpack(prefix: str, tmp_path: Path) -> None:
    assert read(tar_of(tmp_path / "a.tar", ["cat/1.png"], prefix=prefix)) == {"cat/1.png": png("cat/1.png")}


def test_hard_links_give_the_bytes_they_stand_for(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ["pool/1.png", "pool/2.png"])
    add_link(path, "val/1.png", "pool/1.png", tarfile.LNKTYPE)
    add_link(path, "val/2.png", "./val/1.png", tarfile.LNKTYPE)
    assert read(path)["val/1.png"] == read(path)["val/2.png"] == png("pool/1.png")
    assert not walk_tar(path).skipped


def test_an_archive_that_tar_itself_made_of_hard_links_has_all_names(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "set", ["train/cat/1.png", "train/dog/1.png", "val/cat/"])
    (root / "val" / "cat" / "same.png").hardlink_to(root / "train" / "cat" / "1.png")
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(root, "set")
    assert read(tmp_path / "a.tar")["set/val/cat/same.png"] == png("train/cat/1.png")


def test_symbolic_links_start_at_their_own_folder(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ["pool/1.png"])
    add_link(path, "cat/x.png", "../pool/1.png", tarfile.SYMTYPE)
    add_link(path, "cat/y.png", "x.png", tarfile.SYMTYPE)
    found = read(path)
    assert found["cat/x.png"] == found["cat/y.png"] == png("pool/1.png")


@pytest.mark.parametrize("target", ["../../out.png", "/etc/out.png", "gone.png", "self.png"])
def test_links_that_lead_nowhere_or_out_of_the_archive_are_named(target: str, tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ["cat/1.png"])
    add_link(path, "cat/self.png", target, tarfile.SYMTYPE)
    listing = walk_tar(path)
    reason = SkipReason.OUTSIDE if target.endswith("out.png") else SkipReason.DANGLING
    assert [(s.name, s.reason, s.detail) for s in listing.skipped] == [("cat/self.png", reason, target)]
    assert len(listing.images) == 1


def test_names_that_lead_out_of_the_archive_are_left_out_and_named(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ["cat/1.png", "../cat/2.png", "dog/../../3.png", "dog/1.png"])
    add_link(path, "cat/hard.png", "../cat/1.png", tarfile.LNKTYPE)
    listing = walk_tar(path)
    assert [member.name.as_posix() for member in listing.images] == ["cat/1.png", "dog/1.png"]
    assert {s.detail for s in listing.skipped} == {"../cat/2.png", "dog/../../3.png", "../cat/1.png"}
    assert {s.reason for s in listing.skipped} == {SkipReason.OUTSIDE}


def test_a_link_to_a_folder_of_the_archive_is_named(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ["pool/1.png"])
    add_link(path, "val", "pool", tarfile.SYMTYPE)
    assert [(s.name, s.reason, s.detail) for s in walk_tar(path).skipped] == [("val", SkipReason.REPEATED, "pool")]


@pytest.mark.parametrize(
    ("names", "folders"),
    [(["a/b/1.png"], {"a", "a/b"}), (["a/.h/1.png", "b/.DS_Store"], {"a", "b"})],
)
def test_folders_are_those_of_all_entries(names: Sequence[str], folders: set[str], tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", names)
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("empty")
        info.type = tarfile.DIRTYPE
        archive.addfile(info)
    assert walk_tar(path).folders == {PurePosixPath(name) for name in {*folders, "empty"}}


def test_first_bytes_decide_inside_a_tar_too(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", ["cat/1", "cat/2.jfif"])
    with tarfile.open(path, "a") as archive:
        for name, content in (("cat/notes", b"text"), ("cat/x.nef", b""), ("cat/pipe.png", None)):
            info = tarfile.TarInfo(name)
            info.type = tarfile.FIFOTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    listing = walk_tar(path)
    assert [member.name.as_posix() for member in listing.images] == ["cat/1", "cat/2.jfif"]
    assert {s.name: s.reason for s in listing.skipped} == {
        "cat/notes": SkipReason.NO_IMAGE,
        "cat/x.nef": SkipReason.UNREAD_FORMAT,
        "cat/pipe.png": SkipReason.SPECIAL,
    }
