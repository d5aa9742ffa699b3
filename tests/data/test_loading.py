"""Batches keep their order, read a bounded way ahead, and name the file that breaks."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from headstart.data import loading
from headstart.data.decoders.decoded import Decoded
from headstart.data.loading import (
    ImageFault,
    ReadImage,
    batches,
    choose_workers,
    cores,
    in_order,
    read_image,
    read_pixels,
    read_view,
    reader_threads,
)
from headstart.data.sources.reading import WHOLE, ImageRecord
from headstart.errors import DataError
from headstart.input_spec import InputSpec


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()


RECORDS = [ImageRecord(f"a/{i:02d}.png", "a", WHOLE, content=png(i)) for i in range(20)]
CHUNKS = [RECORDS[start : start + 3] for start in range(0, 20, 3)]


def prepare(record: ImageRecord) -> npt.NDArray[np.float32]:
    return read_pixels(record).astype(np.float32)


def test_pixels_of_a_record() -> None:
    assert read_pixels(RECORDS[7]).shape == (8, 8, 3)
    assert np.all(read_pixels(RECORDS[7]) == 7)


def test_order_is_kept_however_long_each_image_takes() -> None:
    def uneven(record: ImageRecord) -> npt.NDArray[np.float32]:
        time.sleep(0.01 * (int(record.id[2:4]) % 3 == 0))  # the first of every chunk is the last to be ready
        return prepare(record)

    found = list(batches(CHUNKS, uneven))
    assert [list(chunk) for chunk, _ in found] == CHUNKS
    assert [array.shape for _, array in found] == [(3, 8, 8, 3)] * 6 + [(2, 8, 8, 3)]
    assert np.concatenate([array for _, array in found])[:, 0, 0, 0].tolist() == list(range(20))


def test_nothing_gives_no_batches() -> None:
    assert list(batches([], prepare)) == []


def test_at_most_two_batches_are_held_ahead() -> None:
    asked: list[int] = []
    lock, prepared = threading.Lock(), []

    def chunks() -> Iterator[list[ImageRecord]]:
        for index, chunk in enumerate(CHUNKS):
            asked.append(index)
            yield chunk

    def counted(record: ImageRecord) -> npt.NDArray[np.float32]:
        with lock:
            prepared.append(record.id)
        return prepare(record)

    running = batches(chunks(), counted)  # type: ignore[arg-type]
    assert asked == [], "nothing is read before it is asked for"
    for given in range(1, len(CHUNKS) + 1):
        next(running)
        time.sleep(0.02)
        assert len(asked) == min(given + 2, len(CHUNKS))
        assert len(prepared) <= 3 * (given + 2)
    assert len(prepared) == 20


def test_leaving_early_stops_the_threads() -> None:
    before = threading.active_count()
    running = batches(CHUNKS, prepare)
    next(running)
    running.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("broken", [b"", b"no image", png(1)[:-30]])
def test_an_unreadable_file_is_named_with_its_reason(broken: bytes) -> None:
    bad = ImageRecord("b/broken.png", "b", WHOLE, content=broken)
    with pytest.raises(DataError, match=r"b/broken\.png cannot be read: .+; expected an image file"):
        read_pixels(bad)
    running = batches([RECORDS[:2], [RECORDS[2], bad], RECORDS[3:5]], prepare)
    chunk, _ = next(running)
    assert list(chunk) == RECORDS[:2]
    with pytest.raises(DataError, match=r"b/broken\.png"):
        next(running)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a/gone\.png cannot be read"):
        read_pixels(ImageRecord("a/gone.png", "a", WHOLE, tmp_path / "gone.png"))


def test_an_image_is_read_or_has_a_fault_that_says_why(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (20, 10), 90).save(buffer, "PNG")
    whole = buffer.getvalue()
    found = read_image(ImageRecord("a/0.png", "a", WHOLE, content=whole))
    assert isinstance(found, ReadImage)
    assert (found.encoded, found.decoded.kind, found.pixels.shape) == (whole, "PNG", (10, 20, 3))
    half = read_image(ImageRecord("a/1.png", "a", WHOLE, content=whole[:45]))
    assert isinstance(half, ImageFault)
    assert "truncated" in half.reason
    assert half.encoded == whole[:45], "its header can still be read"
    gone = read_image(ImageRecord("a/2.png", "a", WHOLE, tmp_path / "2.png"))
    assert isinstance(gone, ImageFault)
    assert gone.encoded == b""
    assert "2.png" in gone.reason


def test_there_is_a_thread_to_read_and_no_crowd() -> None:
    assert 1 <= reader_threads() <= 8


def test_a_view_is_decoded_no_larger_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (800, 600), (200, 100, 0)).save(buffer, "JPEG", quality=95)
    spec, asked = InputSpec(32, 36, "bilinear", (0.5,) * 3, (0.5,) * 3), []
    real = loading.decode_with_facts

    def decode_with_facts(encoded: bytes, **given: Any) -> Decoded:
        asked.append(given)
        return real(encoded, **given)

    monkeypatch.setattr(loading, "decode_with_facts", decode_with_facts)
    view = read_view(ImageRecord("a/0.jpg", "a", WHOLE, content=buffer.getvalue()), spec)
    assert asked == [{"at_least": 72, "decoding": spec.decoding}]
    assert view.shape == (32, 32, 3)
    assert np.allclose(view[16, 16], (np.array([200, 100, 0]) / 255 - 0.5) / 0.5, atol=0.02)


def test_items_are_made_in_threads_and_come_in_order() -> None:
    seen: set[int] = set()

    def slow(number: int) -> int:
        seen.add(threading.get_ident())
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(in_order(slow, range(40), threads=3)) == [(n, n * n) for n in range(40)]
    assert 1 < len(seen) <= 3
    assert threading.get_ident() not in seen


def test_few_items_are_held_ahead_and_an_error_ends_it() -> None:
    started: list[int] = []

    def failing(number: int) -> int:
        started.append(number)
        if number == 5:
            raise DataError("broken")
        return number

    running = in_order(failing, range(1000), threads=2)
    assert [next(running)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(DataError, match="broken"):
        next(running)
    assert max(started) < 5 + 2 * 4 + 2
    assert list(in_order(failing, [], threads=2)) == []


def test_cores_are_those_the_process_may_use() -> None:
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_as_many_threads_decode_as_were_chosen():
    try:
        choose_workers(3)
        assert reader_threads() == 3
    finally:
        choose_workers(None)
    assert reader_threads() == min(8, cores())
