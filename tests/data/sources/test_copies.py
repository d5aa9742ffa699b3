"""Copies on disk: made once, the least recently used go first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headstart.data.sources.copies import copies_bytes, copies_folder, file_key, limit_copies, local_copy


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))


def test_a_copy_is_made_once() -> None:
    calls: list[Path] = []

    def write(aside: Path) -> None:
        calls.append(aside)
        aside.write_bytes(b"12345")

    first = local_copy("a", write, suffix=".x")
    assert (first.read_bytes(), local_copy("a", write, suffix=".x"), len(calls)) == (b"12345", first, 1)
    assert (local_copy("b", write) != first, len(calls), copies_bytes()) == (True, 2, 10)
    assert first.is_relative_to(copies_folder())


def test_a_copy_that_fails_leaves_nothing() -> None:
    def write(aside: Path) -> None:
        aside.write_bytes(b"half")
        raise ValueError("gone")

    with pytest.raises(ValueError, match="gone"):
        local_copy("a", write)
    assert [path for path in copies_folder().rglob("*") if path.is_file()] == []


def test_copies_unused_for_longest_go_first_and_fresh_ones_stay() -> None:
    paths = [local_copy(name, lambda aside: aside.write_bytes(b"x" * 100)) for name in "abc"]
    for age, path in enumerate(paths):
        os.utime(path, (1e9 - age, 1e9 - age))
    local_copy("d", lambda aside: aside.write_bytes(b"x" * 100))
    assert limit_copies(250) == 200
    assert [path.exists() for path in paths] == [True, False, False]
    assert limit_copies(0) == 100, "what was used today stays: a run may be reading it"
    assert (limit_copies(0, unused_seconds=-1), copies_bytes()) == (100, 0)


def test_the_key_of_a_file_follows_its_state(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"1")
    before = file_key(tmp_path / "x")
    assert file_key(tmp_path / "x") == before
    (tmp_path / "x").write_bytes(b"12")
    assert file_key(tmp_path / "x") != before
