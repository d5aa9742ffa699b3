"""check with features: the images of DATA as a training sees them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from headstart.data.checks.check_result import FeatureNote
from headstart.errors import MissingExtraError
from headstart.workflow.checking import check as checking
from headstart.workflow.checking.check import CheckOptions, check
from headstart.workflow.embedding import EmbedOptions, fill_store


def test_check_computes_the_features_that_a_training_needs(make_folder: Callable):
    folder = make_folder("set", per_class=14)
    found = check(CheckOptions(str(folder)))
    assert found.features == FeatureNote(28)
    assert found.to_dict()["features"] == {"images": 28}
    again = fill_store(EmbedOptions(str(folder))).figures
    assert (again.stored_before, again.computed) == (28, 0)


def test_the_network_is_adapted_to_images_of_several_bands(tmp_path: Path):
    rng = np.random.default_rng(0)
    for label, band in (("a", 1), ("b", 4)):
        (tmp_path / label).mkdir()
        for index in range(14):
            values = rng.integers(0, 500, (32, 32, 5)).astype(np.uint16)
            values[:16, :16, band] += 4000
            tifffile.imwrite(tmp_path / label / f"{index}.tif", values, photometric="minisblack", planarconfig="contig")
    found = check(CheckOptions(str(tmp_path), input_size=32))
    assert found.features == FeatureNote(28)


def test_files_alone_need_no_network(image_folder: Path):
    assert check(CheckOptions(str(image_folder), checks="files")).features is None


def test_a_missing_extra_is_said_and_the_rest_is_checked(make_folder: Callable, monkeypatch: pytest.MonkeyPatch):
    def nothing(*_: object, **__: object) -> None:
        raise MissingExtraError("torch is not installed", remedy='pip install "headstart[train]"')

    monkeypatch.setattr(checking, "checked_features", nothing)
    found = check(CheckOptions(str(make_folder("set", per_class=12))))
    assert found.images == 24
    assert found.features is not None
    assert found.features.images == 0
    assert 'pip install "headstart[train]"' in str(found.features.note)


def test_photos_get_no_group_hint_of_a_domain(image_folder: Path):
    assert check(CheckOptions(str(image_folder))).domain is None
