"""Sets of torchvision, from files in its own formats that the test writes."""

from __future__ import annotations

import hashlib
import pickle
import struct
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torchvision.datasets
from PIL import Image

from headstart.data.decoders.raster import decode
from headstart.data.sources.dataset import WHOLE
from headstart.data.sources.reading import open_source
from headstart.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
LABELS = [at % 3 for at in range(20)]


def cifar_of(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR-10 with two batches of ten images, under the checksums of these files."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    sums = {}
    for name, part in (("data_batch_1", slice(10)), ("test_batch", slice(10, 20))):
        rows = PIXELS[part].transpose(0, 3, 1, 2).reshape(10, -1)
        (folder / name).write_bytes(pickle.dumps({"data": rows, "labels": LABELS[part]}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["plane", "car", "bird"]}))
    for path in folder.iterdir():
        sums[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    kind = torchvision.datasets.CIFAR10
    monkeypatch.setattr(kind, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(kind, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(kind, "meta", {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]})


def idx_of(path: Path, values: np.ndarray) -> None:
    """A file as those of MNIST."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">HBB" + "I" * values.ndim, 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def test_cifar10_has_its_splits_its_names_and_its_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar_of(tmp_path, monkeypatch)
    dataset = open_source(f"torchvision:CIFAR10,root={tmp_path}")
    assert {split: len(dataset.of(split)) for split in dataset.splits()} == {"train": 10, "test": 10}
    assert dataset.classes() == ("bird", "car", "plane")
    for split, start in (("train", 0), ("test", 10)):
        for at, record in enumerate(dataset.of(split)):
            assert record.id == f"{split}/{at}"
            assert record.label == ["plane", "car", "bird"][LABELS[start + at]]
            assert np.array_equal(decode(record.read()), PIXELS[start + at])


def test_mnist_is_read_and_options_are_handed_on(tmp_path: Path) -> None:
    for name, part in (("train", slice(12)), ("t10k", slice(12, 20))):
        raw = tmp_path / "MNIST" / "raw"
        idx_of(raw / f"{name}-images-idx3-ubyte", PIXELS[part, :28, :28, 0])
        idx_of(raw / f"{name}-labels-idx1-ubyte", np.array(LABELS[part]))
    dataset = open_source(f"torchvision:MNIST,root={tmp_path}")
    assert (len(dataset.of("train")), len(dataset.of("test"))) == (12, 8)
    assert dataset.classes() == ("0 - zero", "1 - one", "2 - two")
    assert np.array_equal(decode(dataset.of("test")[0].read())[..., 0], PIXELS[12, :28, :28, 0])
    for name in ("images-idx3", "labels-idx1"):
        packed = raw / f"emnist-letters-train-{name}-ubyte"
        packed_from = raw / f"train-{name}-ubyte"
        (tmp_path / "EMNIST" / "raw").mkdir(parents=True, exist_ok=True)
        (tmp_path / "EMNIST" / "raw" / packed.name).write_bytes(packed_from.read_bytes())
        (tmp_path / "EMNIST" / "raw" / packed.name.replace("train", "test")).write_bytes(packed_from.read_bytes())
    letters = open_source(f"torchvision:EMNIST,root={tmp_path},split=letters")
    assert (len(letters.of("train")), len(letters.of("test"))) == (12, 12)


def test_a_set_of_files_in_one_part_is_not_divided(tmp_path: Path) -> None:
    for name in ("AnnualCrop", "Forest"):
        folder = tmp_path / "eurosat" / "2750" / name
        folder.mkdir(parents=True)
        for at in range(3):
            Image.fromarray(PIXELS[at]).save(folder / f"{name}_{at}.png")
    dataset = open_source(f"torchvision:EuroSAT,root={tmp_path}")
    assert (dataset.splits(), dataset.counts()) == ((WHOLE,), {"AnnualCrop": 3, "Forest": 3})
    assert np.array_equal(decode(dataset.records[1].read()), PIXELS[1])


def test_files_that_are_not_there_are_a_sentence_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torchvision.datasets.utils.urllib.request.urlopen", offline)
    with pytest.raises(DataError) as caught:
        open_source(f"torchvision:CIFAR10,root={tmp_path}")
    message = str(caught.value)
    for words in (f"are not in {tmp_path}", "no network", "download=True", "torchvision:CIFAR10,root=FOLDER"):
        assert words in message
    assert "\n" not in message
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("torchvision:CIFAR", "no data set 'CIFAR'.*did you mean cifar10"),
        ("torchvision:MNIST,colour=red", "option 'colour'"),
        ("torchvision:MNIST,letters", "holds 'letters' after a comma"),
        ("torchvision:VisionDataset", "no data set"),
        ("torchvision:FakeData", "no data set"),
    ],
)
def test_wrong_names_and_options_are_refused(source: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        open_source(source)
