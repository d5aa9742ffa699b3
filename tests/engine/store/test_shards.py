"""One file of rows: cut, altered, left over, on a full disk."""

from __future__ import annotations

import errno
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest

from headstart.engine.store import shards as module
from headstart.engine.store.shards import (
    OpenShard,
    Shard,
    Tensor,
    count_rows,
    explained_writing,
    record_type,
    shard_paths,
    sweep,
)
from headstart.errors import DiskFullError, HeadstartError
from store_rows import TENSORS, arrays_of, ids_of

STORED = ("float32", "float32", "int64")
ROWS = 7


def records_of(numbers) -> np.ndarray:
    records = np.zeros(len(numbers), record_type(TENSORS, STORED))
    for place, array in enumerate(arrays_of(numbers)):
        records[f"t{place}"] = array
    return records


def written(folder: Path, rows: int = ROWS) -> Path:
    shard = OpenShard(folder, TENSORS, STORED)
    for number in range(rows):
        shard.append(ids_of([number]), records_of([number]))
    shard.seal()
    shard.publish()
    return shard.path


def test_what_was_written_is_read(tmp_path: Path):
    path = written(tmp_path)
    shard = Shard.open(path, TENSORS)
    assert shard is not None
    assert shard.is_sound()
    assert shard.ids.tolist() == ids_of(range(ROWS)).tolist()
    for place, array in enumerate(arrays_of(range(ROWS))):
        assert np.array_equal(shard.records[f"t{place}"], array)
    assert count_rows(path) == ROWS
    assert shard_paths(tmp_path) == [path]
    assert [name.name for name in tmp_path.iterdir()] == [path.name]


def test_rows_are_one_piece_with_every_tensor_aligned():
    kind = record_type((Tensor((3,)), Tensor((2,), "uint8"), Tensor((), "float64")), ("float16", "uint8", "float64"))
    assert [kind.fields[name][1] for name in kind.names] == [0, 8, 16]
    assert kind.itemsize == 24


def test_nothing_counts_before_it_is_published(tmp_path: Path):
    shard = OpenShard(tmp_path, TENSORS, STORED)
    shard.append(ids_of([1]), records_of([1]))
    shard.seal()
    assert shard_paths(tmp_path) == []
    shard.discard()
    assert not list(tmp_path.iterdir())


def test_every_cut_and_every_altered_byte_is_found(tmp_path: Path):
    whole = written(tmp_path, rows=2).read_bytes()
    path = tmp_path / "1-a.shard"

    def is_good(raw: bytes) -> bool:
        path.write_bytes(raw)
        shard = Shard.open(path, TENSORS)
        good = shard is not None and shard.is_sound()
        assert good or shard is not None or not path.exists()  # a file without a whole frame is removed at once
        return good

    assert is_good(whole)
    assert not any(is_good(whole[:length]) for length in range(len(whole)))
    assert not is_good(whole + b"\0")
    for place in range(len(whole)):
        assert not is_good(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :]), place


def test_records_are_read_for_their_checksum_once_and_again_when_the_file_changed(tmp_path: Path):
    path = written(tmp_path)
    shard = Shard.open(path, TENSORS)
    assert shard.is_sound()
    with path.open("r+b") as file:
        file.seek(70)
        file.write(b"\xff")
    os.utime(path, ns=(1, 1))
    assert not shard.is_sound()
    path.unlink()
    assert not shard.is_sound()
    assert Shard.open(path, TENSORS) is None
    assert count_rows(path) == 0


def test_a_shard_of_other_shapes_is_not_opened(tmp_path: Path):
    assert Shard.open(written(tmp_path), (Tensor((3, 2)),)) is None


def test_too_many_open_files_condemn_no_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = written(tmp_path)

    def refuse(*_args, **_options):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(OSError, match="Too many"):
            Shard.open(path, TENSORS)
    assert Shard.open(path, TENSORS) is not None


def test_a_sweep_takes_what_dead_processes_left_and_nothing_else(tmp_path: Path):
    done = written(tmp_path)
    alive = OpenShard(tmp_path, TENSORS, STORED)
    dead = tmp_path / ".999999-00.shard.aside"
    shutil.copy(done, dead)
    sweep(tmp_path)
    assert not dead.exists()
    assert alive.aside.exists()
    alive.append(ids_of([1]), records_of([1]))
    alive.seal()
    alive.publish()
    assert shard_paths(tmp_path) == sorted([done, alive.path])


def append_often(shard: OpenShard) -> None:
    for number in range(100):
        shard.append(ids_of([number]), records_of([number]))


def test_a_file_that_may_grow_no_more_is_a_full_disk_and_leaves_nothing(tmp_path: Path):
    """The kernel's own refusal, in the middle of a write."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    shard = OpenShard(tmp_path, TENSORS, STORED)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        words = r"disk is full.*make room.*headstart cache --clear"
        with pytest.raises(DiskFullError, match=words), explained_writing(tmp_path):
            append_often(shard)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    shard.discard()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_may_not_be_written_says_so(tmp_path: Path):
    with pytest.raises(HeadstartError, match=r"cannot be written.*HEADSTART_HOME"), explained_writing(tmp_path):
        raise OSError(errno.EROFS, "Read-only file system")
    with pytest.raises(OSError, match="other"), explained_writing(tmp_path):
        raise OSError(errno.EIO, "other")


def open_shards(folder: Path) -> int:
    """Files of `folder` that this process holds open."""
    held = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(path.parent == folder for path in held)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files cannot be counted here")
def test_only_the_shards_that_were_read_last_keep_their_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_MAPS", 3)
    shards = [Shard.open(written(tmp_path), TENSORS) for _ in range(8)]
    expected = records_of(range(ROWS))
    for shard in [*shards, *shards[::-1], shards[0], *shards]:
        assert np.array_equal(shard.records["t0"], expected["t0"])
        assert open_shards(tmp_path) <= 3
    assert open_shards(tmp_path) == 3
    rows = shards[0].records["t0"][2:4]  # what is being read outlives its shard's map
    for shard in shards[1:]:
        assert len(shard.records) == ROWS
    assert np.array_equal(rows, expected["t0"][2:4])
    del rows, shard
    shards.clear()
    assert open_shards(tmp_path) == 0, "shards that nobody has hold nothing"
