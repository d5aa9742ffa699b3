"""Names of DATA: what is a place on this disk, and patterns of shards."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.sources.source_names import (
    absolute_source,
    expanded,
    is_missing,
    is_place,
    is_shard_pattern,
    is_url,
)
from headstart.errors import DataError


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("x-{08..10}.tar", ["x-08.tar", "x-09.tar", "x-10.tar"]),
        ("x-{8..10}.tar", ["x-8.tar", "x-9.tar", "x-10.tar"]),
        ("x-{0..2}.tar", ["x-0.tar", "x-1.tar", "x-2.tar"]),
        ("{a,b}/{0..1}.tar", ["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]),
        ("plain.tar", ["plain.tar"]),
    ],
)
def test_braces_are_read_as_a_shell_reads_them(pattern: str, names: list[str]) -> None:
    assert expanded(pattern) == names


@pytest.mark.parametrize("pattern", ["{}.tar", "{a}.tar", "{3..1}.tar", "{0..999999999}.tar", "{0..9999}{0..9999}.tar"])
def test_other_braces_are_refused(pattern: str) -> None:
    with pytest.raises(DataError):
        expanded(pattern)


@pytest.mark.parametrize("source", ["digits", "headstart:digits", "hf:a/b", "torchvision:MNIST", "s3://a/b"])
def test_what_is_no_place_on_this_disk_stays_as_it_is(source: str) -> None:
    assert (is_place(source), absolute_source(source), is_missing(source)) == (False, source, False)


def test_places_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "saved").mkdir()
    assert absolute_source("photos") == f"{tmp_path}/photos"
    assert absolute_source("torchvision:MNIST,root=tv,split=x") == f"torchvision:MNIST,root={tmp_path}/tv,split=x"
    assert absolute_source("hf:saved,label=x") == f"hf:{tmp_path}/saved,label=x"
    assert is_missing("photos")
    assert is_missing("x-{0..1}.tar")
    (tmp_path / "x-1.tar").write_bytes(b"")
    assert (is_missing("x-{0..1}.tar"), is_shard_pattern("x-{0..1}.tar"), is_shard_pattern("x-1.tar")) == (
        False,
        True,
        False,
    )


@pytest.mark.parametrize(
    ("source", "found"), [("s3://b/x", True), ("simplecache::https://a/b.tar", True), ("C:/x", False), ("a/b", False)]
)
def test_urls_are_known_by_their_protocol(source: str, found: bool) -> None:
    assert is_url(source) is found
