"""The store as a whole: what is written is read, whoever is killed, whoever else writes, whatever breaks."""

from __future__ import annotations

import errno
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checkout import ROOT
from headstart.engine.store import shards as shards_module
from headstart.engine.store.half import ERROR_BOUND
from headstart.engine.store.limit import StoreFullError, is_in_use, write_limit
from headstart.engine.store.shards import Tensor
from headstart.engine.store.store import (
    EVALUATION,
    ActivationStore,
    Space,
    image_digest,
    random_view,
    row_ids,
)
from headstart.errors import DiskFullError
from headstart.input_spec import Decoding
from store_rows import BATCH_ROWS, KEY, SHARD_ROWS, SPEC, TENSORS, Nursery, arrays_of, fill, ids_of

HALF = replace(KEY, precision="float16")


@pytest.fixture
def store(tmp_path: Path) -> ActivationStore:
    return ActivationStore(tmp_path / "store")


def assert_holds(space: Space, numbers, *, tolerance: float = 0.0) -> None:
    assert not len(space.missing(ids_of(numbers)))
    found = space.reader(ids_of(numbers)).take(np.arange(len(numbers)))
    for one, expected, tensor in zip(found, arrays_of(numbers, space.tensors), space.tensors, strict=True):
        assert one.dtype == tensor.dtype
        assert np.allclose(one, expected, rtol=tolerance, atol=tolerance)


# Addresses


@pytest.mark.parametrize(
    "change",
    [
        *({name: "other"} for name in ("model", "weights", "cut_point", "decode", "engine", "engine_version", "views")),
        {"library": "timm 1.0.31"},
        {"precision": "float16"},
        {"input": SPEC.at_size(64)},
        {"input": replace(SPEC, crop="squash")},
        *(
            {"input": replace(SPEC, decoding=one)}
            for one in (Decoding(12), Decoding(bands=(3, 2, 1)), Decoding(window="full"), Decoding(contrast="clahe"))
        ),
    ],
    ids=str,
)
def test_whatever_decides_the_function_decides_the_address(change: dict[str, object]):
    assert replace(KEY, **change).digest(TENSORS) != KEY.digest(TENSORS)


def test_the_address_is_the_same_everywhere_and_for_ever():
    """It names folders on users' disks: where this changes, everything they stored is lost."""
    assert KEY.digest(TENSORS) == "c25d796256047ef15846d9f308f04498"
    assert KEY.digest(TENSORS) != KEY.digest(TENSORS[:1])


def test_a_row_is_an_images_bytes_in_a_view():
    one, two = image_digest(b"one"), image_digest(b"two")
    ids = [row_ids([image], view)[0] for image in (one, two) for view in (EVALUATION, *VIEWS)]
    assert len(set(ids)) == 8
    assert row_ids([two, one], EVALUATION)[1] == row_ids([image_digest(b"one")], EVALUATION)[0]


VIEWS = [random_view(0, 0), random_view(0, 1), random_view(1, 0)]


def test_the_store_lies_under_home_and_says_what_it_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
    space = ActivationStore().space(KEY, TENSORS)
    assert space.folder.parent == tmp_path / "store"
    what = json.loads((space.folder / "space.json").read_text())
    assert (what["model"], what["border"], what["input"]["size"]) == ("net:tag", "layer3", 32)
    assert what["tensors"][0] == {"shape": [3, 2], "dtype": "float32"}


# What is written is read


class Written:
    """A store in a folder of its own, for properties."""

    def __enter__(self) -> Written:
        self._folder = tempfile.TemporaryDirectory()
        self.store = ActivationStore(Path(self._folder.name))
        self._unsynced = mock.patch(
            "headstart.engine.store.shards.os.fsync"
        )  # hundreds of shards: no test of power cuts
        self._unsynced.start()
        return self

    def __exit__(self, *_trouble: object) -> None:
        self._unsynced.stop()
        self._folder.cleanup()


NUMBERS = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    batches=st.lists(st.tuples(st.integers(0, 1), NUMBERS, st.booleans()), min_size=1, max_size=8),
    precision=st.sampled_from(["float16", "float32"]),
    shard_rows=st.integers(1, 9),
    shard_bytes=st.integers(1, 2000),
    data=st.data(),
)
def test_two_writers_in_any_interleaving_store_exactly_what_they_were_given(
    batches, precision, shard_rows, shard_bytes, data
):
    key = replace(KEY, precision=precision)
    with Written() as there:
        spaces = [there.store.space(key, TENSORS) for _ in range(2)]
        with (
            spaces[0].writer(shard_rows=shard_rows, shard_bytes=shard_bytes) as first,
            spaces[1].writer(shard_rows=shard_rows, shard_bytes=shard_bytes) as second,
        ):
            for who, numbers, publish in batches:
                writer = (first, second)[who]
                writer.add(ids_of(numbers), arrays_of(numbers))
                if publish:
                    writer.publish()
        stored = sorted({number for _, numbers, _ in batches for number in numbers})
        order = data.draw(st.permutations(stored))
        space = there.store.space(key, TENSORS)
        assert space.rows == len(stored)
        assert_holds(space, order, tolerance=2.0**-11 if precision == "float16" else 0.0)
        asked = data.draw(st.lists(st.integers(0, 60), max_size=30))
        missing = [n for place, n in enumerate(asked) if n not in stored and n not in asked[:place]]
        assert [asked[place] for place in space.missing(ids_of(asked))] == missing


def test_rows_that_are_there_are_not_written_again(store: ActivationStore):
    space = store.space(KEY, TENSORS)
    fill(space, range(30))
    size = sum(path.stat().st_size for path in space.folder.glob("*.shard"))
    numbers = [5, 31, 5, 31, 7]
    with space.writer() as writer:
        writer.add(ids_of(numbers), arrays_of(numbers))
        writer.add(ids_of(numbers), arrays_of(numbers))
    assert sum(path.stat().st_size for path in space.folder.glob("*.shard")) < size * 1.5
    assert space.rows == 31
    assert sum(len(shard.ids) for shard in space.reader(ids_of([5]))._shards) == 31


def test_absent_rows_cannot_be_read_and_wrong_arrays_not_be_stored(store: ActivationStore):
    space = store.space(KEY, TENSORS)
    with pytest.raises(KeyError, match="2 of 2 rows are not stored"):
        space.reader(ids_of([1, 2]))
    with space.writer() as writer, pytest.raises(ValueError, match=r"arrays of shape .*this space takes"):
        writer.add(ids_of([1, 2]), arrays_of([1]))
    assert space.rows == 0


def test_a_shard_ends_with_its_size_its_rows_or_its_time(store: ActivationStore):
    for number, limits in enumerate(({"shard_bytes": 400}, {"shard_rows": 4}, {"shard_seconds": 0.0})):
        space = store.space(replace(KEY, cut_point=str(number)), TENSORS)
        with space.writer(**limits) as writer:
            for one in range(12):
                writer.add(ids_of([one]), arrays_of([one]))
            assert len(list(space.folder.glob("*.shard"))) >= 1
        assert len(list(space.folder.glob("*.shard"))) >= 2
        assert_holds(space, range(12))


def test_an_error_in_the_block_keeps_what_was_added_before(store: ActivationStore):
    space = store.space(KEY, TENSORS)

    def interrupted() -> None:
        with space.writer() as writer:
            writer.add(ids_of(range(9)), arrays_of(range(9)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert_holds(space, range(9))


# Precision


@pytest.mark.parametrize("bad", [70_000.0, -1e9, np.inf, 1e-7])
def test_rows_that_half_precision_would_spoil_are_stored_in_single(store: ActivationStore, bad: float):
    tensors = (Tensor((4,)), Tensor((2,)))
    rng = np.random.default_rng(0)
    values = [rng.normal(0, 1, (40, 4)).astype(np.float32), rng.normal(0, 1, (40, 2)).astype(np.float32)]
    values[0][17] = bad
    space = store.space(HALF, tensors)
    with space.writer(shard_rows=10) as writer:
        for start in range(0, 40, 5):
            writer.add(ids_of(range(start, start + 5)), [array[start : start + 5] for array in values])
    reader = space.reader(ids_of(range(40)))
    first, second = reader.take(np.arange(40))
    assert np.array_equal(first[17], values[0][17])
    others = np.arange(40) != 17
    error = np.linalg.norm(first[others] - values[0][others], axis=1)
    assert np.all(error <= ERROR_BOUND * np.linalg.norm(values[0][others], axis=1))
    assert np.array_equal(second, values[1].astype(np.float16).astype(np.float32))
    stored = [reader.take([place], precision="stored")[0].dtype for place in range(40)]
    assert 5 <= sum(kind == np.float32 for kind in stored) <= 10  # that shard, and no other
    assert all(reader.take([place], precision="stored")[1].dtype == np.float16 for place in range(40))


def test_halves_from_the_engine_are_kept_as_they_are(store: ActivationStore):
    space = store.space(HALF, (Tensor((3,)),))
    rows = np.array([[1e-7, 2e-7, 0], [65504, 1, 2]], np.float16)
    with space.writer() as writer:
        writer.add(ids_of([0, 1]), (rows,))
        writer.add(ids_of([2]), (np.full((1, 3), np.inf, np.float16),))
    reader = space.reader(ids_of([0, 1, 2]))
    assert reader.take([0, 1], precision="stored")[0].dtype == np.float16
    assert np.array_equal(reader.take([0, 1])[0], rows.astype(np.float32))
    assert np.all(np.isinf(reader.take([2])[0]))


# Kills and other processes


@pytest.fixture
def nursery(store: ActivationStore) -> Iterator[Nursery]:
    nursery = Nursery(store.root)
    yield nursery
    nursery.close()


def wait_until(nursery: Nursery, rows: int) -> None:
    """Until so many rows have been computed: progress, not time, so that a busy machine tests the same."""
    end = time.monotonic() + 60
    while nursery.computed() < rows and time.monotonic() < end:
        time.sleep(0.001)


@pytest.mark.slow
def test_killed_twenty_times_while_it_fills_nothing_is_lost_or_wrong(store: ActivationStore, nursery: Nursery):
    """SIGKILL at any moment: what was published stays whole, and a life costs at most its one unpublished shard."""
    rows, kills, chance = 9_000, 20, random.Random(4)
    before = 0
    for _ in range(kills):
        began = nursery.computed()
        pid = nursery.start(0, rows, 0.001)
        wait_until(nursery, began + chance.choice([0, chance.randrange(4 * SHARD_ROWS)]))
        time.sleep(chance.uniform(0, 0.01))
        os.kill(pid, signal.SIGKILL)
        assert nursery.wait() == -signal.SIGKILL
        space = store.space(KEY, TENSORS)
        held = np.setdiff1d(np.arange(rows), space.missing(ids_of(range(rows))))
        assert len(held) >= before
        before = len(held)
        if before:
            assert_holds(space, held)
        assert nursery.computed() - before <= kills * (SHARD_ROWS + BATCH_ROWS)
    assert 0 < before < rows
    nursery.start(0, rows, 0.0)
    assert nursery.wait() == 0
    assert_holds(space, range(rows))
    assert nursery.computed() - rows <= kills * (SHARD_ROWS + BATCH_ROWS)
    assert not list(space.folder.glob(".*"))  # the last life swept what the killed ones had open


def test_two_processes_fill_the_same_space_at_once(store: ActivationStore, nursery: Nursery):
    nursery.start(0, 400, 0.001)
    nursery.start(200, 400, 0.001)
    assert [nursery.wait(), nursery.wait()] == [0, 0]
    space = store.space(KEY, TENSORS)
    assert_holds(space, range(600))
    assert space.rows == 600


def test_a_reader_sees_what_others_publish_without_being_opened_again(store: ActivationStore):
    space, other = store.space(KEY, TENSORS), store.space(KEY, TENSORS)
    fill(other, range(20))
    reader = space.reader(ids_of(range(20)))
    fill(other, range(20, 40))
    assert_holds(space, range(40))
    assert np.array_equal(reader.take([3])[0], arrays_of([3])[0])


def test_threads_may_open_and_fill_at_once(store: ActivationStore):
    faults = []

    def work(first: int):
        try:
            fill(store.space(KEY, TENSORS), range(first, first + 40))
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 20, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert_holds(store.space(KEY, TENSORS), range(80))


# Damage


@pytest.mark.parametrize("how", ["cut", "cut to nothing", "altered row", "altered id", "altered tail", "removed"])
def test_damage_to_any_file_is_found_and_only_its_rows_are_computed_again(store: ActivationStore, how: str):
    fill(store.space(KEY, TENSORS), range(150))
    space = store.space(KEY, TENSORS)
    assert_holds(space, range(150))
    path = sorted(space.folder.glob("*.shard"))[1]
    whole = path.read_bytes()
    places = {"altered row": 100, "altered id": len(whole) - 400, "altered tail": len(whole) - 3}
    if how == "removed":
        path.unlink()
    elif how.startswith("cut"):
        path.write_bytes(whole[: 0 if "nothing" in how else -100])
    else:
        place = places[how]
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    again = store.space(KEY, TENSORS)
    missing = again.missing(ids_of(range(150)))
    assert len(missing) == SHARD_ROWS
    assert not path.exists()
    fill(again, range(150))
    assert_holds(again, range(150))


def test_damage_is_found_by_a_space_that_has_the_shard_open(store: ActivationStore):
    space = store.space(KEY, TENSORS)
    fill(space, range(100))
    assert_holds(space, range(100))
    path = next(space.folder.glob("*.shard"))
    path.write_bytes(b"x" * path.stat().st_size)
    assert len(space.missing(ids_of(range(100)))) == SHARD_ROWS


def test_a_copy_in_another_shard_stands_in_for_a_damaged_one(store: ActivationStore):
    first, second = (store.space(KEY, TENSORS) for _ in range(2))
    with first.writer() as one, second.writer() as two:
        one.add(ids_of(range(10)), arrays_of(range(10)))
        two.add(ids_of(range(10)), arrays_of(range(10)))
    path = sorted(first.folder.glob("*.shard"))[0]
    raw = bytearray(path.read_bytes())
    raw[80] ^= 1
    path.write_bytes(raw)
    assert_holds(store.space(KEY, TENSORS), range(10))
    assert not path.exists()


def test_a_lost_description_is_written_again(store: ActivationStore):
    space = store.space(KEY, TENSORS)
    path = space.folder / "space.json"
    whole = json.loads(path.read_text())
    for text in ("", "{", "[]", json.dumps({**whole, "model": "other"})):
        path.write_text(text)
        store.space(KEY, TENSORS)
        assert json.loads(path.read_text())["model"] == "net:tag"


# Room


def test_a_full_disk_keeps_what_was_published(store: ActivationStore):
    """The kernel refuses the write itself, as on a full disk."""
    space = store.space(KEY, TENSORS)
    fill(space, range(SHARD_ROWS))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
    try:
        with pytest.raises(DiskFullError, match=r"disk is full.*stored before is whole"):
            fill(space, range(200))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_holds(space, range(SHARD_ROWS))
    assert not list(space.folder.glob(".*"))
    fill(space, range(200))
    assert_holds(space, range(200))


def test_a_disk_that_is_full_only_when_the_file_is_synced(store: ActivationStore, monkeypatch: pytest.MonkeyPatch):
    space = store.space(KEY, TENSORS)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shards_module.os, "fsync", full)
        with pytest.raises(DiskFullError), space.writer() as writer:
            writer.add(ids_of([1]), arrays_of([1]))
    assert not list(space.folder.glob("*shard*"))


def test_a_new_space_pushes_out_the_one_that_was_not_read_for_longest(store: ActivationStore):
    keys = [replace(KEY, cut_point=name) for name in ("old", "middle", "new")]
    folders = []
    for age, key in enumerate(keys[:2]):
        space = store.space(key, TENSORS)
        fill(space, range(100))
        folders.append(space.folder)
        del space
        os.utime(folders[-1] / "used", (age + 1.0, age + 1.0))
    one = sum(path.stat().st_size for path in folders[0].iterdir())
    write_limit(store.root, int(2.5 * one))
    reading = store.space(keys[0], TENSORS).reader(ids_of(range(100)))  # now the older one is in use
    space = store.space(keys[2], TENSORS)
    fill(space, range(100))
    assert [folder.exists() for folder in folders] == [True, False]
    assert np.array_equal(reading.take([42])[0], arrays_of([42])[0])
    with pytest.raises(StoreFullError, match="headstart cache --limit"):
        fill(space, range(1000))
    assert_holds(space, range(100))
    assert not list(space.folder.glob(".*"))
    assert space.room_bytes() < 0.5 * one


def test_a_killed_process_gives_its_lease_back(store: ActivationStore, nursery: Nursery):
    pid = nursery.start(0, 10_000, 0.001)
    folder = store.root / KEY.digest(TENSORS)
    wait_until(nursery, 1)
    assert is_in_use(folder)
    os.kill(pid, signal.SIGKILL)
    nursery.wait()
    assert not is_in_use(folder)


def test_a_row_takes_what_it_says(store: ActivationStore):
    space = store.space(HALF, (Tensor((256, 14, 14)),))
    assert space.row_bytes == 256 * 14 * 14 * 2 + 16
    assert store.space(KEY, (Tensor((256, 14, 14)),)).row_bytes == 256 * 14 * 14 * 4 + 16
    assert space.room_bytes() > 0


# Memory and weight


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="anonymous memory is read from /proc")
def test_memory_stays_flat_however_many_rows_there_are(tmp_path: Path):
    """Sixteen times the rows, 150 MB more on disk; benchmarks/store_memory.py does it with 6,000 and 60,000."""
    peaks = {}
    for rows in (100, 1600):
        arguments = [
            "--kind",
            "spatial (ResNet-18 after layer3)",
            "--rows",
            str(rows),
            "--folder",
            str(tmp_path / str(rows)),
        ]
        script = [sys.executable, str(ROOT / "benchmarks" / "store_memory.py"), *arguments]
        done = subprocess.run(
            script, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        peaks[rows] = json.loads(done.stdout)["peak_mb"]
    assert peaks[1600] - peaks[100] <= 15


def test_the_store_needs_no_torch():
    code = "import headstart.engine.store.store, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
