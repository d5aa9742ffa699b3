"""Whatever shape DATA has, all commands read it, and the same images give the same result."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

import headstart
from headstart.data.sources.reading import open_source
from headstart.errors import DataError
from headstart.runs.folder import Run
from headstart.workflow.evaluating import evaluate
from headstart.workflow.training.resume import resume

Files = dict[str, bytes]
"""CLASS/NAME.png -> content."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of eight images."""
    from conftest import make_images

    return make_images(tmp_path_factory.mktemp("sources") / "images")


@pytest.fixture(scope="module")
def files(folder: Path) -> Files:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.png"))}


def as_table(files: Files, root: Path) -> str:
    for name, content in files.items():
        (root / "table" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "table" / name).write_bytes(content)
    rows = "".join(f"{name};{name.split('/')[0]}\r\n" for name in files)
    (root / "table" / "export.csv").write_bytes(f"\ufefffilename;class\r\n{rows}".encode())
    return str(root / "table" / "export.csv")


def as_metadata(files: Files, root: Path) -> str:
    flat = root / "flat"
    flat.mkdir()
    lines = []
    for name, content in files.items():
        (flat / name.replace("/", "_")).write_bytes(content)
        lines.append(json.dumps({"file_name": name.replace("/", "_"), "label": name.split("/")[0]}))
    (flat / "metadata.jsonl").write_text("\n".join(lines))
    return str(flat)


def as_parquet(files: Files, root: Path) -> str:
    labels = [name.split("/")[0] for name in files]
    pa.parquet.write_table(pa.table({"image": list(files.values()), "label": labels}), root / "images.parquet")
    return str(root / "images.parquet")


def as_shards(files: Files, root: Path) -> str:
    for shard in range(2):
        with tarfile.open(root / f"shard-{shard:04d}.tar", "w") as archive:
            for at, (name, content) in enumerate(files.items()):
                if at % 2 == shard:
                    for suffix, held in (("png", content), ("cls", name.split("/")[0].encode())):
                        info = tarfile.TarInfo(f"{at:05d}.{suffix}")
                        info.size = len(held)
                        archive.addfile(info, io.BytesIO(held))
    return f"{root}/shard-{{0000..0001}}.tar"


def as_saved_set(files: Files, root: Path) -> str:
    labels = [name.split("/")[0] for name in files]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=sorted(set(labels)))})
    images = [{"bytes": content, "path": None} for content in files.values()]
    datasets.Dataset.from_dict({"image": images, "label": labels}, features=features).save_to_disk(root / "saved")
    return str(root / "saved")


def as_store(files: Files, root: Path) -> str:
    store = fsspec.filesystem("memory")
    for name, content in files.items():
        store.pipe(f"/every/{root.name}/{name}", content)
    return f"memory://every/{root.name}"


def as_arrays(files: Files, root: Path) -> str:
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(content))) for content in files.values()])
    np.savez_compressed(root / "set.npz", images=pixels, labels=[name.split("/")[0] for name in files])
    return str(root / "set.npz")


SAME_BYTES = (as_table, as_metadata, as_parquet, as_shards, as_saved_set, as_store)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    fsspec.filesystem("memory").store.clear()


@pytest.mark.parametrize("make", [*SAME_BYTES, as_arrays])
def test_every_shape_holds_the_same_images(
    make: Callable[[Files, Path], str], files: Files, folder: Path, tmp_path: Path
) -> None:
    found = headstart.check(make(files, tmp_path), checks="files")
    expected = headstart.check(folder, checks="files")
    assert (found.images, found.classes, found.unreadable) == (16, {"blue": 8, "green": 8}, {})
    assert (found.pixels, found.view) == (expected.pixels, expected.view)
    assert [f.what for f in found.findings if f.level != "info"] == [
        f.what for f in expected.findings if f.level != "info"
    ]


@pytest.mark.parametrize("make", SAME_BYTES)
def test_bytes_are_those_of_the_files(make: Callable[[Files, Path], str], files: Files, tmp_path: Path) -> None:
    held = {(record.label, record.read()) for record in open_source(make(files, tmp_path)).records}
    assert held == {(name.split("/")[0], content) for name, content in files.items()}


@pytest.fixture(scope="module")
def shard_run(files: Files, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """A run on shards that were named relative to the working folder."""
    root = tmp_path_factory.mktemp("shard_run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        source = Path(as_shards(files, root)).name
        result = headstart.train(source, strategy="feature_extraction", input_size=32, out=root / "run")
    return result.run, str(root / source)


def test_a_run_on_shards_is_repeated_resumed_and_known_again(
    shard_run: tuple[Run, str], files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, source = shard_run
    monkeypatch.chdir(tmp_path)
    assert run.plan().data.source == source, "another working folder does not matter"
    repeated = evaluate(run.folder)
    assert repeated.repeats is not None
    assert repeated.accuracy == repeated.repeats.accuracy
    resumed = resume(run.folder)
    assert resumed.metrics.test == run.metrics().test
    # The same bytes under another name are known by their hash.
    other = evaluate(run.bundle, as_parquet(files, tmp_path))
    assert other.seen.left_out == len(run.data().ids("train"))
    assert other.images == 16 - other.seen.left_out


def test_all_commands_take_images_without_labels_where_none_are_needed(
    shard_run: tuple[Run, str], files: Files, tmp_path: Path
) -> None:
    flat = Path(as_metadata(files, tmp_path))
    (flat / "metadata.jsonl").unlink()
    found = headstart.check(flat, checks="files")
    assert (found.images, found.classes, [f.what for f in found.findings if f.level == "error"]) == (
        16,
        {},
        ["no_labels"],
    )
    assert len(headstart.predict(shard_run[0].bundle, flat)) == 16
    embedding = headstart.embed(flat, input_size=32)
    assert (embedding.features.shape[0], set(embedding.labels)) == (16, {""})
    for refuse in (
        lambda: headstart.train(flat, out=tmp_path / "run"),
        lambda: evaluate(shard_run[0].bundle, str(flat)),
        lambda: headstart.advise(flat),
    ):
        with pytest.raises(DataError, match="headstart embed and headstart predict take images without labels"):
            refuse()
    assert not (tmp_path / "run").exists()


def test_groups_by_column_stay_together_and_are_counted(files: Files, tmp_path: Path) -> None:
    table = Path(as_table(files, tmp_path))
    rows = "".join(f"{name};{name.split('/')[0]};p{at // 2}\n" for at, name in enumerate(files))
    table.write_text(f"image;label;patient\n{rows}")
    options = {"strategy": "feature_extraction", "input_size": 32}
    result = headstart.train(table, group="column:patient", out=tmp_path / "run", **options)
    data = result.run.data()
    patient = {name: at // 2 for at, name in enumerate(files)}
    sides = [{patient[name] for name in data.ids(role)} for role in ("train", "test")]
    assert not sides[0] & sides[1]
    assert result.metrics.test.counted == "groups"
    assert result.metrics.test.groups == len(sides[1])
    again = evaluate(result.run.bundle, str(table), seen="include")
    assert (again.group_pattern, again.figures.counted, again.figures.groups) == ("column:patient", "groups", 8)
    rows = "".join(f"{name};{name.split('/')[0]}\n" for name in files)
    table.write_text(f"image;label\n{rows}")
    assert evaluate(result.run.bundle, str(table), seen="include").figures.counted == "images"
    with pytest.raises(DataError, match="has no column 'patient'"):
        headstart.check(table, group="column:patient", checks="files")
