"""Paths that cannot be looked at, files that appear whole, and JSON that processes share."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart import files
from headstart.errors import DiskFullError, HeadstartError, UnreachableError
from headstart.files import (
    claim_folder,
    has_file,
    is_file,
    is_folder,
    is_free,
    is_there,
    locked,
    read_json,
    refuse_unwritable,
    stored_paths,
    unreachable,
    update_json,
    write_atomically,
    write_json,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("name", "there", "file", "folder"), [("a", 1, 1, 0), ("b", 1, 0, 1), ("c", 0, 0, 0)])
def test_what_lies_at_a_path_is_told(tmp_path: Path, name: str, there: int, file: int, folder: int):
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()
    path = tmp_path / name
    assert (is_there(path), is_file(path), is_folder(path)) == (bool(there), bool(file), bool(folder))
    assert has_file(path) == bool(file)


def test_a_path_behind_a_file_a_loop_of_links_and_a_zero_byte_are_not_there(tmp_path: Path):
    (tmp_path / "a").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "a" / "b", tmp_path / "loop", "zero\0byte"):
        assert not is_there(path)


@pytest.mark.parametrize("ask", [is_there, is_file, is_folder, is_free])
def test_a_name_that_is_too_long_is_named_and_shortened(tmp_path: Path, ask: Callable[[Path], bool]):
    with pytest.raises(UnreachableError) as caught:
        ask(tmp_path / ("x" * 300))
    said = str(caught.value)
    assert said.startswith(str(tmp_path)[:100])
    assert "File name too long" in said
    assert "255 bytes" in said
    assert len(said) < 350
    assert not has_file(tmp_path / ("x" * 300))


@pytest.mark.parametrize("ask", [is_there, is_file, is_folder, is_free])
def test_a_path_behind_a_folder_that_may_not_be_entered_is_not_called_missing(
    ask: Callable[[Path], bool], monkeypatch: pytest.MonkeyPatch
):
    """By a stand-in for the system's answer: who runs the tests may be root, whom no folder keeps out."""

    def refuse(path: Path) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(UnreachableError, match=r"^/closed/a cannot be reached \(Permission denied\); give this user"):
        ask(Path("/closed/a"))
    assert not has_file(Path("/closed/a"))


def test_what_is_kept_in_a_folder_that_is_closed_or_missing_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("b.x", "a.x", "c.y"):
        (tmp_path / name).touch()
    assert [path.name for path in stored_paths(tmp_path, "*.x")] == ["a.x", "b.x"]
    assert stored_paths(tmp_path / "new", "*") == []

    def refuse(path: Path, pattern: str) -> list[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "glob", refuse)
    assert stored_paths(tmp_path, "*.x") == []


def test_an_error_of_the_system_names_its_path():
    error = OSError(errno.EROFS, "Read-only file system", "/mnt/a")
    assert str(unreachable(error)) == "/mnt/a cannot be reached (Read-only file system)"


def test_only_an_empty_folder_or_none_is_free(tmp_path: Path):
    (tmp_path / "file").touch()
    assert not is_free(tmp_path)
    assert not is_free(tmp_path / "file")
    assert is_free(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    assert is_free(tmp_path / "empty")


def test_a_folder_is_claimed_once_however_many_begin_together(tmp_path: Path):
    barrier, claims = threading.Barrier(8), []

    def claim() -> None:
        barrier.wait()
        claims.append(claim_folder(tmp_path / "deep" / "run"))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claims) == [False] * 7 + [True]


INCREMENTS = """
import sys
from pathlib import Path
from headstart.files import update_json
for _ in range(25):
    update_json(Path(sys.argv[1]), lambda known: {**known, "count": known.get("count", 0) + 1})
"""


def test_processes_that_change_one_file_together_lose_nothing(tmp_path: Path):
    path = tmp_path / "deep" / "counts.json"
    workers = [subprocess.Popen([sys.executable, "-c", INCREMENTS, str(path)]) for _ in range(4)]
    assert [worker.wait() for worker in workers] == [0] * 4
    assert read_json(path) == {"count": 100}


def test_one_at_a_time_is_let_in(tmp_path: Path):
    inside, most = [], []

    def work() -> None:
        with locked(tmp_path):
            inside.append(1)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", "\x00"])
def test_a_damaged_file_is_as_good_as_none(tmp_path: Path, text: str):
    (tmp_path / "a.json").write_text(text)
    assert read_json(tmp_path / "a.json") == {}
    update_json(tmp_path / "a.json", lambda known: {**known, "a": 1})
    assert read_json(tmp_path / "a.json") == {"a": 1}


def test_what_hinders_the_writing_is_told_and_not_what_hinders_the_clearing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "second", str(path))

    def write(aside: Path) -> None:
        raise PermissionError(errno.EACCES, "first", str(aside))

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(files.os, "statvfs", lambda folder: refuse(folder))
    with pytest.raises(PermissionError, match="first"):
        write_atomically(tmp_path / "a", write)


def test_write_atomically_puts_the_whole_file_in_place(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    for text in ("old", "new"):
        write_atomically(path, lambda aside, text=text: aside.write_text(text))
        assert path.read_text() == text
    assert names(tmp_path) == ["a.txt"]


def test_the_old_file_is_there_while_the_new_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    seen = []

    def write(aside: Path) -> None:
        aside.write_text("new")
        seen.append((path.read_text(), aside.parent == tmp_path))

    write_atomically(path, write)
    assert seen == [("old", True)]


@pytest.mark.parametrize("after_bytes", [False, True])
@pytest.mark.parametrize("kind", [ValueError, KeyError, PermissionError])
def test_a_writer_that_raises_leaves_the_old_file_and_nothing_aside(
    after_bytes: bool, kind: type[Exception], tmp_path: Path
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(aside: Path) -> None:
        if after_bytes:
            aside.write_text("half")
        raise kind("no")

    with pytest.raises(kind):
        write_atomically(path, write)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_has_its_own_error_and_keeps_the_old_file(error: Exception, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(aside: Path) -> None:
        aside.write_text("half")
        raise error

    with pytest.raises(DiskFullError) as caught:
        write_atomically(path, write)
    for words in ("disk is full", str(path), "saved before is whole"):
        assert words in str(caught.value)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"klasse": "dög"})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"loss": float("nan")})
    assert json.loads(path.read_text(encoding="utf-8")) == {"klasse": "dög"}


def test_a_place_is_tried_and_left_as_it_was(tmp_path: Path):
    kept = tmp_path / "kept.json"
    kept.write_text("before", encoding="utf-8")
    refuse_unwritable(kept)
    refuse_unwritable(tmp_path / "new.json")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.json"]
    assert kept.read_text(encoding="utf-8") == "before"
    with pytest.raises(HeadstartError, match="/dev/null is not a plain file"):
        refuse_unwritable(Path("/dev/null"))
    with pytest.raises(HeadstartError, match=r"\(File name too long\)"):
        refuse_unwritable(tmp_path / f"{'x' * 300}.json")
