"""Facts of images that were decoded before: the same as those of decoding, and never in the way."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import zlib
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dicom_files import dicom_file
from headstart.data.checks import facts_cache, image_checks
from headstart.data.checks.facts_cache import CheckedImage, FactsCache, facts_folder, folder_bytes, limit_folder
from headstart.data.checks.image_checks import FileFacts, read_all
from headstart.data.checks.pixels import PixelFacts, pixel_facts
from headstart.data.checks.thumbnails import thumbnail
from headstart.data.decoders.raster import decode_with_facts
from headstart.data.sources.reading import WHOLE, ImageRecord
from headstart.input_spec import Decoding
from photos import photo


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "images"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Ids of the images that were decoded."""
    seen: list[str] = []
    real = image_checks.read_image

    def counted(record: ImageRecord, **options: object):
        seen.append(record.id)
        return real(record, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(image_checks, "read_image", counted)
    return seen


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def images(count: int, *, seed: int = 0, label: str = "a") -> list[ImageRecord]:
    rng = np.random.default_rng(seed)
    pixels = [rng.integers(0, 256, (12, 10, 3), dtype=np.uint8) for _ in range(count)]
    return [ImageRecord(f"{label}/{i}", label, WHOLE, content=encoded(one)) for i, one in enumerate(pixels)]


def every_kind() -> list[ImageRecord]:
    """Grey of 8 and 16 bits, transparent, blank, JPEG, a JPEG with noise, and files that cannot be read."""
    rng = np.random.default_rng(1)
    grey = rng.integers(0, 256, (20, 30), dtype=np.uint8)
    deep = (grey.astype(np.uint16) * 16).astype(np.uint16)
    jpeg = encoded(np.repeat(grey[:, :, None], 3, axis=2), "JPEG")
    contents = {
        "grey": encoded(grey),
        "deep": encoded(deep),
        "veiled": encoded(rng.integers(0, 256, (20, 30, 4), dtype=np.uint8)),
        "blank": encoded(np.full((40, 30, 3), 7, np.uint8)),
        "jpeg": jpeg,
        "noisy": jpeg[:-2],
        "truncated": jpeg[:-200],
        "no image": b"text",
    }
    return [ImageRecord(name, "a", WHOLE, content=content) for name, content in contents.items()]


def test_facts_are_the_same_with_and_without_the_cache(decoded: list[str], home: Path):
    records = [*every_kind(), *images(120), *images(2, label="b")]
    without = read_all(records, near_duplicates="find")
    first = list(decoded)
    again = read_all(records, near_duplicates="find")
    assert again == without
    assert without.near.groups
    assert set(without.unreadable) == {"truncated", "no image"}
    assert without.pixels["deep"].largest is not None
    assert without.pixels["noisy"].noise
    # What has a text of any length, or was no image, is looked at again; it is rare.
    assert sorted(decoded[len(first) :]) == ["no image", "noisy", "truncated"]
    assert folder_bytes(home) == sum(path.stat().st_size for path in home.iterdir())


def test_facts_depend_on_the_bytes_and_on_bits_alone(decoded: list[str]):
    record = every_kind()[1]
    read_all([record])
    renamed = ImageRecord("other/name", "b", "train", content=record.content)
    assert read_all([renamed]).pixels["other/name"].white == 2**16 - 1
    assert decoded == ["deep"]
    assert read_all([record], decoding=Decoding(bits=12)).pixels["deep"].white == 2**12 - 1
    assert decoded == ["deep", "deep"]


def test_a_damaged_or_cut_file_is_passed_over_and_mended(decoded: list[str], home: Path):
    records = images(3)
    expected = read_all(records)
    (path,) = home.glob("*.rows")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert read_all(records) == expected
    assert decoded[3:] == ["a/2"]
    for left in (b"", b"x", bytes(content[:1000])):
        path.write_bytes(left)
        assert read_all(records) == expected
    del decoded[:]
    assert read_all(records) == expected
    assert not decoded


def test_a_full_or_closed_disk_loses_nothing(monkeypatch: pytest.MonkeyPatch, decoded: list[str], home: Path):
    def full(path: Path, write: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    records = images(120)
    with monkeypatch.context() as patch:
        patch.setattr(facts_cache, "write_atomically", full)
        first = read_all(records, near_duplicates="find")
    home.rmdir()
    home.write_text("a file where the folder should be")
    assert read_all(records, near_duplicates="find") == first
    assert len(decoded) == 240


def test_two_commands_at_once_each_keep_theirs(decoded: list[str], home: Path):
    first, second = (FactsCache(home) for _ in range(2))
    for cache, record in zip((first, second), images(2), strict=True):
        found = decode_with_facts(record.read())
        digest = hashlib.blake2b(record.read(), digest_size=16).digest()
        cache.add(digest, CheckedImage((10, 12), pixel_facts(found), thumbnail(found.pixels)))
    first.save()
    second.save()
    read_all(images(2))
    assert not decoded


def test_many_small_files_become_one(monkeypatch: pytest.MonkeyPatch, decoded: list[str], home: Path):
    monkeypatch.setattr(facts_cache, "MOST_FILES", 3)
    for seed in range(4):
        read_all(images(2, seed=seed))
    assert len(list(home.glob("*.rows"))) == 1
    for seed in range(4):
        read_all(images(2, seed=seed))
    assert len(decoded) == 8


def test_a_stopped_command_keeps_what_it_has_seen(decoded: list[str]):
    seen: list[int] = []

    def stop() -> None:
        seen.append(1)
        if len(seen) > 9:
            raise KeyboardInterrupt

    records = images(40)
    with pytest.raises(KeyboardInterrupt):
        read_all(records, on_image=stop)
    del decoded[:]
    read_all(records)
    assert len(decoded) == 40 - 9


def test_files_unused_for_longest_go_first(home: Path):
    for seed in range(3):
        read_all(images(2, seed=seed))
    paths = sorted(home.glob("*.rows"), key=lambda path: path.stat().st_mtime_ns)
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (1000 - age, 1000 - age))
    size = paths[0].stat().st_size
    assert limit_folder(home, most_bytes=2 * size) == size
    assert sorted(home.glob("*.rows")) == sorted(paths[1:])
    assert limit_folder(facts_folder(), most_bytes=0) == 2 * size
    assert folder_bytes(home) == 0


def test_other_images_of_a_set_are_compared_anew(home: Path):
    twins = images(120)
    twins[60] = ImageRecord(twins[60].id, "a", WHOLE, content=twins[61].content)
    plain = read_all(images(120), near_duplicates="find")
    assert not plain.near.groups
    assert read_all(twins, near_duplicates="find").near.groups == (("a/60", "a/61"),)
    for path in home.glob("*.pairs"):
        path.write_bytes(path.read_bytes()[:-1] or b"")
    assert read_all(twins, near_duplicates="find").near.groups == (("a/60", "a/61"),)


def test_these_facts_belong_to_this_version():
    """Where this fails because facts or thumbnails were changed on purpose, FACTS_VERSION must be raised."""
    y, x = np.mgrid[:45, :70]
    pixels = np.stack([(3 * x) % 256, (2 * x + 3 * y) % 256, (5 * y) % 256], axis=2).astype(np.uint8)
    found = decode_with_facts(encoded(pixels))
    assert facts_cache.FACTS_VERSION == 4
    assert astuple(pixel_facts(found)) == astuple(
        PixelFacts(255, 8, "PNG", None, 65535, False, 0.0, None, False, 1 / 3150, True)
    )
    assert zlib.crc32(thumbnail(found.pixels).tobytes()) == 2879085881


def test_without_images_there_is_nothing():
    assert read_all([], near_duplicates="find") == FileFacts(())


def test_origins_of_patients_and_photos_come_back_from_the_cache(decoded: list[str]):
    scan = dicom_file(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64), PatientID="Doe", StudyInstanceUID="1.2")
    contents = {
        "scan": scan,
        "photo": photo("2026:05:01 10:00:00", fraction="5"),
        "plain": encoded(np.eye(9, dtype=np.uint8)),
    }
    records = [ImageRecord(name, "a", WHOLE, content=content) for name, content in contents.items()]
    first, again = read_all(records), read_all(records)
    assert decoded == list(contents)
    assert first.origins == again.origins
    assert set(first.origins) == {"scan", "photo"}
    assert first.origins["scan"].patient != first.origins["scan"].study
    assert first.origins["photo"].moment is not None
    assert first.origins["photo"].moment % 1 == 0.5
