"""The store's size: who is removed, who stays, and what happens when nobody can be."""

from __future__ import annotations

import errno
import gc
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from headstart.engine.store import limit
from headstart.engine.store.limit import (
    DEFAULT_LIMIT_BYTES,
    Lease,
    StoreFullError,
    bytes_for,
    free_bytes,
    is_in_use,
    make_room,
    read_limit,
    remove_space,
    shrink,
    spaces_in_use_order,
    stored_bytes,
    sweep_removed,
    write_limit,
)
from headstart.errors import DiskFullError


def make_space(root: Path, name: str, size: int, last_used: float) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "1-a.shard").write_bytes(bytes(size))
    (folder / "used").touch()
    os.utime(folder / "used", (last_used, last_used))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three spaces of 1,000 bytes: b was not used for longest, then c, then a."""
    for name, last_used in (("a", 300.0), ("b", 100.0), ("c", 200.0)):
        make_space(tmp_path / "store", name, 1000, last_used)
    return tmp_path / "store"


def names(root: Path) -> list[str]:
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir())


def test_what_was_not_used_for_longest_goes_first_and_no_more_than_needed(root: Path):
    write_limit(root, 2000)
    removed, over = shrink(root)
    assert ([space.folder.name for space in removed], over) == (["b"], 0)
    assert names(root) == ["a", "c"]
    assert shrink(root) == ([], 0)


def test_a_limit_is_remembered_and_a_broken_one_is_the_default(root: Path):
    default = read_limit(root)
    assert default.set_by == "default"
    assert 0 < default.bytes <= DEFAULT_LIMIT_BYTES
    write_limit(root, 5000)
    assert read_limit(root) == limit.Limit(5000, "user")
    (root / "limit.json").write_text("{")
    assert read_limit(root).set_by == "default"


def test_the_default_leaves_most_of_a_small_disk_free(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limit, "free_bytes", lambda _root: 9000)
    assert read_limit(root).bytes == 3000  # of 9,000 free and 3,000 stored
    monkeypatch.setattr(limit, "free_bytes", lambda _root: 10**13)
    assert read_limit(root).bytes == DEFAULT_LIMIT_BYTES


def test_a_store_that_is_not_there_is_empty(tmp_path: Path):
    root = tmp_path / "no" / "store"
    assert spaces_in_use_order(root) == []
    assert stored_bytes(root) == 0
    assert free_bytes(root) > 0
    assert read_limit(root).set_by == "default"


def test_what_somebody_has_open_is_never_removed(root: Path):
    lease = Lease(root / "b")
    assert is_in_use(root / "b")
    assert not is_in_use(root / "a")
    assert not remove_space(root / "b")
    write_limit(root, 1000)
    removed, over = shrink(root)
    assert ([space.folder.name for space in removed], over) == (["c", "a"], 0)
    assert names(root) == ["b"]
    del lease
    gc.collect()
    assert not is_in_use(root / "b")
    assert remove_space(root / "b")
    assert names(root) == []


def test_opening_counts_as_use(root: Path):
    Lease(root / "b")
    write_limit(root, 2000)
    assert [space.folder.name for space in shrink(root)[0]] == ["c"]


def test_where_nothing_can_go_the_error_says_how_to_allow_more(root: Path):
    write_limit(root, 1500)
    kept = Lease(root / "a")
    with pytest.raises(StoreFullError, match=r"2e-06 GB.*in use; expected at most 1.5e-06 GB.*cache --limit 1GB") as no:
        make_room(root, keep=root / "c")
    assert isinstance(no.value, DiskFullError)
    assert names(root) == ["a", "c"]
    assert kept is not None


def test_bytes_for_counts_what_could_make_room(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limit, "free_bytes", lambda _root: 700)
    write_limit(root, 2500)
    assert bytes_for(root, root / "a") == 1500  # the limit, less its own 1,000
    held = Lease(root / "b")
    assert bytes_for(root, root / "a") == 500
    write_limit(root, 100_000)
    assert bytes_for(root, root / "a") == 1700  # free, and what c gives up
    assert bytes_for(root, root / "new") == bytes_for(root) == 2700
    write_limit(root, 2500)
    assert bytes_for(root, root / "a", root / "b") == 500  # both are its own, in use or not
    assert bytes_for(root, root / "a", root / "a") == 500
    assert held is not None


def test_a_removal_that_was_cut_short_is_finished(root: Path):
    (root / "a").rename(root / ".a.1234.gone")
    assert stored_bytes(root) == 2000  # no reader sees it
    sweep_removed(root)
    assert names(root) == ["b", "c"]


def test_a_space_that_is_removed_while_it_is_being_opened_is_made_again(root: Path):
    """Openers and removers race; whoever ends up with a lease has a folder that stays."""
    folder, faults = root / "a", []

    def remove_often():
        for _ in range(100):
            remove_space(folder)

    def open_often():
        for _ in range(100):
            lease = Lease(folder)
            if not (folder / "used").exists() or remove_space(folder):
                faults.append("removed under a lease")
            del lease

    threads = [threading.Thread(target=work) for work in (remove_often, open_often, open_often)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


def test_a_store_that_may_not_be_entered_is_empty_and_its_disk_is_that_of_a_folder_above(
    root: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(path: Path, *given: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    asked: list[Path] = []

    def usage(folder: Path) -> SimpleNamespace:
        asked.append(folder)
        if len(asked) < 3:
            refuse(folder)
        return SimpleNamespace(free=5_000)

    monkeypatch.setattr(Path, "glob", refuse)
    monkeypatch.setattr(limit.shutil, "disk_usage", usage)
    assert limit.spaces_in_use_order(root) == []
    assert limit.free_bytes(root) == 5_000
    assert asked == [root, *root.absolute().parents][:3]
