"""Data sets of the Hugging Face hub: saved to disk, in folders, and from a hub that is a stub."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import httpx2
import huggingface_hub
import numpy as np
import pytest
from PIL import Image

from headstart.data.decoders.raster import decode
from headstart.data.sources.dataset import WHOLE
from headstart.data.sources.reading import open_source
from headstart.data.sources.sets import hub
from headstart.errors import DataError, MissingExtraError
from image_folders import folder_of, png

CONTENTS = [png(str(at)) for at in range(6)]
COMMIT = "c0ffee" + "0" * 34


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No set that another test opened, and caches of its own."""
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    hub._parts.cache_clear()
    hub._encoded_rows.cache_clear()
    yield
    hub._parts.cache_clear()
    hub._encoded_rows.cache_clear()


def rows_of(count: int = 6, **columns: Any) -> datasets.Dataset:
    """Rows with images, class numbers with names, and further columns."""
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["ant", "bee"])}
    for name, cells in columns.items():
        features[name] = datasets.Value("string" if isinstance(cells[0], str) else "int64")
    return datasets.Dataset.from_dict(
        {
            "image": [{"bytes": content, "path": None} for content in CONTENTS[:count]],
            "label": [at % 2 for at in range(count)],
            **columns,
        },
        features=datasets.Features(features),
    )


def test_a_set_that_was_saved_to_disk_is_a_folder_like_any(tmp_path: Path) -> None:
    rows_of(group=list("aabbcc")).save_to_disk(tmp_path / "pets")
    dataset = open_source(str(tmp_path / "pets"))
    assert [(record.label, record.split, record.group) for record in dataset.records] == [
        ("ant", WHOLE, "a"),
        ("bee", WHOLE, "a"),
        ("ant", WHOLE, "b"),
        ("bee", WHOLE, "b"),
        ("ant", WHOLE, "c"),
        ("bee", WHOLE, "c"),
    ]
    assert [record.read() for record in dataset.records] == CONTENTS, "bytes as they are in the set"
    assert dataset.name == "pets"


def test_splits_are_read_by_name_and_others_are_left_out_and_counted(tmp_path: Path) -> None:
    parts = {"train": rows_of(4), "validation": rows_of(2), "unsupervised": rows_of(3)}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "pets")
    dataset = open_source(str(tmp_path / "pets"))
    assert {split: len(dataset.of(split)) for split in dataset.splits()} == {"train": 4, "val": 2}
    assert dataset.account.unread_splits == {"unsupervised": 3}


def test_images_that_were_decoded_are_read_too(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3), dtype=np.uint8)
    features = datasets.Features({"img": datasets.Image(), "kind": datasets.Value("string")})
    given = {"img": [Image.fromarray(image) for image in pixels], "kind": ["u", "v"]}
    datasets.Dataset.from_dict(given, features=features).save_to_disk(tmp_path / "pets")
    dataset = open_source(f"hf:{tmp_path / 'pets'},label=kind")
    assert [record.label for record in dataset.records] == ["u", "v"]
    assert all(np.array_equal(decode(r.read()), image) for r, image in zip(dataset.records, pixels, strict=True))


def test_a_label_that_is_missing_is_left_out_and_named(tmp_path: Path) -> None:
    rows = rows_of(3)
    rows = rows.map(lambda row, at: {"label": [0, -1, None][at]}, with_indices=True, features=rows.features)
    rows.save_to_disk(tmp_path / "pets")
    dataset = open_source(str(tmp_path / "pets"))
    assert [record.label for record in dataset.records] == ["ant"]
    assert len(dataset.account.unlabelled) == 2


# The library leaves its metadata files to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_imagefolder_is_read_through_the_library_too(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "pets", ["train/a.png", "train/b.png", "test/a.png"])
    for split, lines in (("train", "a.png,ant\nb.png,bee\n"), ("test", "a.png,bee\n")):
        (root / split / "metadata.csv").write_text(f"file_name,label\n{lines}")
    there, here = open_source(f"hf:{root}"), open_source(str(root))
    for dataset in (there, here):
        assert [(r.split, r.label) for r in dataset.records] == [("test", "bee"), ("train", "ant"), ("train", "bee")]
        assert dataset.records[1].read() == png("train/a.png")


@pytest.mark.parametrize(
    ("columns", "options", "words"),
    [
        ({"coarse": [0, 1, 0]}, ",label=fine", "no column of labels; its columns are image, label, coarse"),
        ({}, ",image=photo", "no columns of images"),
        ({}, ",colour=red", "option 'colour'"),
        ({}, ",group=patient", "no column 'patient'"),
    ],
)
def test_columns_that_are_not_there_are_named(
    columns: dict[str, Any], options: str, words: str, tmp_path: Path
) -> None:
    rows_of(3, **columns).save_to_disk(tmp_path / "pets")
    with pytest.raises(DataError, match=words):
        open_source(f"hf:{tmp_path / 'pets'}{options}")


def test_two_columns_of_classes_need_a_choice(tmp_path: Path) -> None:
    names = datasets.ClassLabel(names=["u", "v"])
    rows = rows_of(4).rename_column("label", "fine").add_column("coarse", [0, 0, 1, 1]).cast_column("coarse", names)
    rows.save_to_disk(tmp_path / "pets")
    with pytest.raises(DataError, match=r"several columns of labels \(fine, coarse\).*,label=fine"):
        open_source(str(tmp_path / "pets"))
    assert open_source(f"hf:{tmp_path / 'pets'},label=coarse").counts() == {"u": 2, "v": 2}


def test_a_set_without_labels_can_be_embedded(tmp_path: Path) -> None:
    rows_of(3).remove_columns("label").save_to_disk(tmp_path / "pets")
    with pytest.raises(DataError, match="no column of labels"):
        open_source(str(tmp_path / "pets"))
    assert [r.label for r in open_source(str(tmp_path / "pets"), labels="optional").records] == ["", "", ""]


def test_without_the_library_the_command_that_installs_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows_of(3).save_to_disk(tmp_path / "pets")
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    for source in (str(tmp_path / "pets"), "hf:someone/pets"):
        with pytest.raises(MissingExtraError, match=r"pip install .headstart\[hub\]"):
            open_source(source)


@pytest.fixture
def transport(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[httpx2.Request]]:
    """Requests to a hub that holds one set, or that is not there; `someone/pets` and the others."""
    table = io.BytesIO()
    rows_of().to_parquet(table)
    content = table.getvalue()
    asked: list[httpx2.Request] = []
    folder = {"type": "directory", "path": "data", "oid": "2" * 40}
    file = {"type": "file", "path": "data/train.parquet", "size": len(content), "oid": "1" * 40}

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        path = request.url.path
        if "offline" in path:
            raise httpx2.ConnectError("no network", request=request)
        if "someone/pets" not in path:
            return httpx2.Response(404, headers={"X-Error-Code": "RepoNotFound"}, json={"error": "not found"})
        if path.endswith("train.parquet"):
            headers = {"ETag": '"1111"', "X-Repo-Commit": COMMIT, "Content-Length": str(len(content))}
            return httpx2.Response(200, headers=headers, content=b"" if request.method == "HEAD" else content)
        if "/tree/" in path:
            whole = request.url.params.get("recursive", "").lower() == "true"
            return httpx2.Response(
                200, json=[file] if path.endswith("/data") else [folder, file] if whole else [folder]
            )
        if "/paths-info/" in path:
            wanted = request.read().decode()
            return httpx2.Response(
                200, json=[file] if "train.parquet" in wanted else [folder] if "data" in wanted else []
            )
        if path.startswith("/api/datasets/someone/pets"):
            siblings = [{"rfilename": "data/train.parquet"}]
            return httpx2.Response(200, json={"id": "someone/pets", "sha": COMMIT, "siblings": siblings, "tags": []})
        return httpx2.Response(404, headers={"X-Error-Code": "EntryNotFound"}, json={"error": "not found"})

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    huggingface_hub.set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(answer)))
    yield asked
    huggingface_hub.close_session()
    huggingface_hub.set_client_factory(huggingface_hub.utils._http.default_client_factory)


def test_a_set_of_the_hub_is_read_by_its_name(transport: list[httpx2.Request]) -> None:
    dataset = open_source("hf:someone/pets")
    assert (dataset.name, dataset.counts()) == ("pets", {"ant": 3, "bee": 3})
    assert [record.read() for record in dataset.records] == CONTENTS
    assert transport


def test_without_a_network_the_way_round_is_named(
    transport: list[httpx2.Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # between tries
    with pytest.raises(DataError) as caught:
        open_source("hf:someone/offline")
    message = str(caught.value)
    assert message.startswith("hf:someone/offline is not on this machine, and the hub cannot be reached")
    assert 'datasets.load_dataset("someone/offline").save_to_disk("offline")' in message
    assert "\n" not in message
    assert transport


def test_a_name_that_the_hub_does_not_know_is_refused(transport: list[httpx2.Request]) -> None:
    with pytest.raises(DataError, match="the hub has no data set 'someone/else' that you may read"):
        open_source("hf:someone/else")
    assert transport
