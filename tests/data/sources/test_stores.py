"""Remote stores: one in memory, and a server of files on this machine."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import numpy as np
import pytest

from headstart.data.sources.reading import Dataset, open_source
from headstart.data.sources.stores import StoredImage, StoreFolder
from headstart.errors import DataError, MissingExtraError
from image_folders import folder_of, png, tar_of

NAMES = ["ant/1.png", "ant/2 x.png", "bee/1.png"]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    """A store in memory with a folder of images."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    for name in NAMES:
        store.pipe(f"/bucket/pets/{name}", png(name))
    yield store
    store.store.clear()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """(address, folder, requests) of a server of files."""
    root, requests = tmp_path / "web", []
    root.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

        def do_GET(self) -> None:
            requests.append(self.path)
            super().do_GET()

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", root, requests
    server.shutdown()
    server.server_close()
    thread.join()


def found(dataset: Dataset) -> list[tuple[str, str]]:
    return [(record.id, record.label) for record in dataset.records]


def test_a_folder_in_a_store_is_a_folder(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    here = open_source(str(folder_of(tmp_path / "pets", NAMES)))
    there = open_source("memory://bucket/pets")
    assert (found(there), there.name) == (found(here), "pets")
    assert [record.read() for record in there.records] == [png(name) for name in sorted(NAMES)]
    memory.rm("/bucket", recursive=True)
    assert [record.read() for record in there.records] == [png(name) for name in sorted(NAMES)], "read from copies"


def test_a_changed_object_is_fetched_again(memory: fsspec.AbstractFileSystem) -> None:

    first = open_source("memory://bucket/pets").records[0]
    assert first.read() == png("ant/1.png")
    memory.pipe("/bucket/pets/ant/1.png", png("another") + b"more")
    assert open_source("memory://bucket/pets").records[0].read() == png("another") + b"more"


def test_files_of_many_images_are_copied(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    memory.pipe("/bucket/t.tar", tar_of(tmp_path / "t.tar", NAMES).read_bytes())
    assert found(open_source("memory://bucket/t.tar")) == found(open_source(str(tmp_path / "t.tar")))
    memory.pipe("/bucket/pets/t.csv", b"image,label\nant/1.png,u\nbee/1.png,v\n../pets/ant/2 x.png,v\n")
    table = open_source("memory://bucket/pets/t.csv")
    assert [record.label for record in table.records] == ["v", "u", "v"]
    assert [record.read() for record in table.records] == [png(name) for name in (NAMES[1], NAMES[0], NAMES[2])]
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 9, 9), np.uint8), labels=[0, 1, 0, 1])
    memory.pipe("/bucket/a.npz", (tmp_path / "a.npz").read_bytes())
    assert open_source("memory://bucket/a.npz").counts() == {"0": 2, "1": 2}


def test_a_server_of_files_is_a_store_and_is_asked_once_for_each_image(web: tuple[str, Path, list[str]]) -> None:
    address, root, requests = web
    folder_of(root / "pets", NAMES)
    dataset = open_source(f"{address}/pets/")
    assert found(dataset) == [(name, name[:3]) for name in sorted(NAMES)]
    for _ in range(2):
        assert [record.read() for record in dataset.records] == [png(name) for name in sorted(NAMES)]
    assert sum(path.endswith(".png") for path in requests) == 3
    (root / "pets" / "t.csv").write_text("image,label\nant/2 x.png,u\nbee/1.png,v\n")
    table = open_source(f"{address}/pets/t.csv")
    assert [record.read() for record in table.records] == [png("ant/2 x.png"), png("bee/1.png")]
    with pytest.raises(DataError, match=r"none.csv does not exist"):
        open_source(f"{address}/none.csv")


def test_what_cannot_be_fetched_is_an_unreadable_image(memory: fsspec.AbstractFileSystem) -> None:
    with pytest.raises(OSError, match="gone"):
        StoredImage("memory://bucket/gone.png").read()
    with pytest.raises(OSError, match="nowhere"):
        StoredImage("nowhere://bucket/gone.png").read()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3://bucket/x", "pip install s3fs"),
        ("gs://bucket/x", "pip install gcsfs"),
        ("abfs://bucket/x", "pip install adlfs"),
    ],
)
def test_a_missing_package_is_answered_with_the_command(url: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ImportError("Install it")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    with pytest.raises(MissingExtraError, match=words):
        open_source(url)


def test_errors_name_the_place(memory: fsspec.AbstractFileSystem) -> None:
    for url, words in (
        ("memory://none/x.tar", "memory://none/x.tar does not exist"),
        ("memory://none", "memory://none is empty"),
        ("nowhere://x/y", "nowhere://x/y cannot be opened .*expected a store that fsspec knows"),
        ("http://127.0.0.1:9/x.tar", "http://127.0.0.1:9/x.tar cannot be read .*check the network"),
    ):
        with pytest.raises(DataError, match=words):
            open_source(url)


def test_names_that_climb_stay_inside_the_store() -> None:
    assert StoreFolder("memory://bucket/a").find("../../../x.png") == StoredImage("memory://x.png")
    assert StoreFolder("http://h/a").find("b c.png") == StoredImage("http://h/a/b%20c.png")
