"""Sorting in what a walk meets."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from headstart.data.sources.dataset import Skipped, SkipReason
from headstart.data.sources.listing import Listing, Member, writable


def added(name: str, first: bytes | OSError = b"") -> Listing:
    def first_bytes() -> bytes:
        if isinstance(first, OSError):
            raise first
        return first

    listing = Listing()
    listing.add_file(Member(PurePosixPath(name), Path(name)), first_bytes)
    return listing


def test_every_file_is_an_image_or_skipped_with_a_reason() -> None:
    assert added("cat/1.png").images == [Member(PurePosixPath("cat/1.png"), Path("cat/1.png"))]
    for name, first, expected in (
        ("cat/a.bin", b"x", Skipped("cat/a.bin", SkipReason.NO_IMAGE, ".bin")),
        ("cat/a", b"x", Skipped("cat/a", SkipReason.NO_IMAGE, "(no suffix)")),
        ("cat/a", PermissionError(13, "Permission denied"), Skipped("cat/a", SkipReason.LOCKED, "Permission denied")),
        ("cat/a.NEF", b"", Skipped("cat/a.NEF", SkipReason.UNREAD_FORMAT, ".nef")),
        (".x/a.png", b"", Skipped(".x/a.png", SkipReason.HIDDEN)),
        (".cache/set/a.png", b"", Skipped(".cache/set/a.png", SkipReason.TOOL_FOLDER)),
    ):
        listing = added(name, first)
        assert listing.skipped == [expected]
        assert not listing.images


def test_what_hides_beside_images_is_no_loss() -> None:
    for name in ("cat/._1.png", ".DS_Store", "cat/.notes.txt"):
        assert added(name) == Listing()


def test_names_of_skipped_files_can_be_written() -> None:
    (entry,) = added("cat/\udce9.txt").skipped
    assert entry.name == writable("cat/\udce9.txt") == "cat/\\udce9.txt"
    assert writable("cat/é 日本") == "cat/é 日本"
