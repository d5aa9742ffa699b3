"""What a bundle remembers of its images: enough to recognise a file, too little for anything else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from headstart.data.trained_on import FILE, TrainedOn, read_trained_on, write_trained_on
from headstart.errors import BundleError


def digest(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def known(content: str = "set", group: str | None = None) -> TrainedOn:
    train = [digest(f"train {number}") for number in range(5)]
    return TrainedOn.of(train, [digest("held out"), train[0]], content=content, group=group)


def test_files_are_recognised_by_what_they_were_used_for(tmp_path: Path):
    write_trained_on(tmp_path, known(group=r"p(\d+)"))
    found = read_trained_on(tmp_path)
    assert found == known(group=r"p(\d+)")
    assert found is not None
    uses = [found.use_of(digest(name)) for name in ("train 3", "held out", "train 0", "another")]
    assert uses == ["train", "validation", "train", None]


def test_neither_names_nor_plain_hashes_are_in_the_file_and_the_same_training_writes_the_same(tmp_path: Path):
    write_trained_on(tmp_path, known())
    text = (tmp_path / FILE).read_text()
    assert digest("train 1")[:8] not in text
    assert len(json.loads(text)["train"]) < 60, "five hashes of eight bytes"
    assert known().to_raw() == known().to_raw()
    assert known("set").train.isdisjoint(known("other set").train), "bundles of different sets share no hash"


def test_a_bundle_without_the_file_cannot_tell(tmp_path: Path):
    assert read_trained_on(tmp_path) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": "AAAA"}, "no whole number of hashes"),
        ({"train": 5}, "is damaged"),
        ({"salt": "xy"}, "is damaged"),
        ({"schema_version": 9}, "has schema version 9; expected at most 1"),
    ],
)
def test_a_damaged_or_newer_file_is_an_error_with_the_way_out(change: dict[str, object], words: str, tmp_path: Path):
    (tmp_path / FILE).write_text(json.dumps({**known().to_raw(), **change}))
    with pytest.raises(BundleError, match=words):
        read_trained_on(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(BundleError, match="or remove this file"):
        read_trained_on(tmp_path)
