"""One listing of a source inside a block, a new one outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from headstart.data.sources.opened_once import opened_once
from headstart.data.sources.reading import open_source
from headstart.errors import DataError


def test_a_source_is_listed_once_in_a_block_and_anew_after_it(image_folder: Path) -> None:
    with opened_once():
        before = open_source(str(image_folder))
        assert open_source(str(image_folder)) is before
        assert open_source(str(image_folder), links="follow") is not before, "another question"
        with opened_once():
            assert open_source(str(image_folder)) is not before, "a command inside a command"
        assert open_source(str(image_folder)) is before
    one = next(record for record in before.records)
    assert one.path is not None
    Path(one.path).unlink()
    assert len(open_source(str(image_folder)).records) == len(before.records) - 1


def test_what_could_not_be_opened_is_tried_again(tmp_path: Path, image_folder: Path) -> None:
    with opened_once():
        with pytest.raises(DataError):
            open_source(str(tmp_path / "photos"))
        (tmp_path / "photos").symlink_to(image_folder)
        assert open_source(str(tmp_path / "photos")).records


def test_a_block_that_fails_keeps_nothing(image_folder: Path) -> None:
    kept = []

    @opened_once()
    def command() -> None:
        kept.append(open_source(str(image_folder)))
        raise RuntimeError

    for _ in range(2):
        with pytest.raises(RuntimeError):
            command()
    kept.append(open_source(str(image_folder)))
    assert len({id(dataset) for dataset in kept}) == 3
