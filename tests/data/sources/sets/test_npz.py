"""Arrays in an .npz as images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.data.decoders.raster import decode, decode_with_facts
from headstart.data.sources.copies import copies_bytes
from headstart.data.sources.dataset import WHOLE
from headstart.data.sources.reading import open_source
from headstart.errors import DataError
from headstart.input_spec import Decoding

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 9, 10, 3), dtype=np.uint8)
LABELS = np.arange(12)[:, None] % 3


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))


def saved(folder: Path, *, compressed: bool = False, **arrays: Any) -> str:
    (np.savez_compressed if compressed else np.savez)(folder / "set.npz", **arrays)
    return str(folder / "set.npz")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("grey", [False, True])
def test_the_layout_of_medmnist_is_read_bit_for_bit(compressed: bool, grey: bool, tmp_path: Path) -> None:
    pixels = PIXELS[..., 0] if grey else PIXELS
    arrays = {
        f"{split}_{what}": part
        for split, at in (("train", slice(6)), ("val", slice(6, 9)), ("test", slice(9, 12)))
        for what, part in (("images", pixels[at]), ("labels", LABELS[at].astype(np.uint8)))
    }
    dataset = open_source(saved(tmp_path, compressed=compressed, **arrays))
    assert {split: len(dataset.of(split)) for split in dataset.splits()} == {"train": 6, "val": 3, "test": 3}
    expected = np.repeat(pixels[..., None], 3, axis=3) if grey else pixels
    for split, start in (("train", 0), ("val", 6), ("test", 9)):
        for at, record in enumerate(dataset.of(split)):
            assert np.array_equal(decode(record.read()), expected[start + at])
            assert record.label == str(LABELS[start + at, 0])
    assert (copies_bytes() > 0) is compressed, "a packed array is unpacked once, the others are read in place"


def test_other_names_and_orders_are_read(tmp_path: Path) -> None:
    keras = open_source(saved(tmp_path, x_train=PIXELS, y_train=LABELS[:, 0], x_test=PIXELS[:3], y_test=LABELS[:3]))
    assert {split: len(keras.of(split)) for split in keras.splits()} == {"train": 12, "test": 3}
    names = np.array(["ant", "bee", "cat"])[LABELS[:, 0]]
    plain = open_source(saved(tmp_path, images=np.asfortranarray(PIXELS), labels=names))
    assert (plain.splits(), plain.counts()) == ((WHOLE,), {"ant": 4, "bee": 4, "cat": 4})
    assert np.array_equal(decode(plain.records[7].read()), PIXELS[7])
    assert open_source(saved(tmp_path, X=PIXELS, y=LABELS.astype(float))).classes() == ("0", "1", "2")


@pytest.mark.parametrize("compressed", [False, True])
def test_bands_are_read_with_all_their_bits(compressed: bool, tmp_path: Path) -> None:
    bands = np.random.default_rng(0).integers(0, 2**16, (12, 9, 11, 5), dtype=np.uint16)
    dataset = open_source(saved(tmp_path, compressed=compressed, images=bands, labels=LABELS))
    for at, record in enumerate(dataset.records):
        found = decode_with_facts(record.read(), decoding=Decoding(band_count=5)).values
        assert np.array_equal(np.rint(found * (2**16 - 1)), bands[at])


def test_images_without_labels_are_no_training_set(tmp_path: Path) -> None:
    source = saved(tmp_path, images=PIXELS)
    with pytest.raises(DataError, match="images without labels"):
        open_source(source)
    assert [record.split for record in open_source(source, labels="optional").records] == [WHOLE] * 12


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"weights": PIXELS}, "holds no images, only weights"),
        ({"images": PIXELS.astype(np.float32), "labels": LABELS}, "float32 with shape"),
        ({"images": PIXELS.astype(np.uint16), "labels": LABELS}, r"or bands \(N, H, W, n\)"),
        ({"images": PIXELS, "labels": LABELS[:5]}, "12 images and 5 labels"),
        ({"images": PIXELS, "labels": np.zeros((12, 4), int)}, "expected one label per image"),
        ({"images": PIXELS, "labels": LABELS / 7}, "class numbers or text"),
        ({"images": PIXELS, "labels": np.array([{}] * 12, dtype=object)}, "cannot be read as an .npz"),
        ({"test_images": PIXELS, "test_labels": LABELS}, "no training images"),
    ],
)
def test_other_arrays_are_refused_with_their_shape(arrays: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        open_source(saved(tmp_path, **arrays))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    source = Path(saved(tmp_path, images=PIXELS, labels=LABELS))
    source.write_bytes(source.read_bytes()[:200])
    with pytest.raises(DataError, match="cannot be read as an"):
        open_source(str(source))
