"""Features after every layer group: the network of a bundle must be the one that is compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from headstart.data.sources.reading import open_source
from headstart.engine.known.pretrained import feature_extractor
from headstart.errors import DataError
from headstart.inspection.features_by_depth import cached_by_depth, computed_by_depth
from headstart.networks.cards.finding import find_model
from headstart.runs.progress import no_progress
from headstart.training.channels.adapting import AdaptedInput

CHOICE = find_model("tf_efficientnet_lite0")
SPEC = CHOICE.card.input.at_size(32)


def test_rows_of_the_cache_are_those_of_a_pass(image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    records = open_source(str(image_folder)).records
    own = feature_extractor(CHOICE, size=32, purpose="bundle")
    cached = cached_by_depth(own, SPEC, records, "DATA", no_progress)
    passed = computed_by_depth(CHOICE, None, AdaptedInput(SPEC), None, records, "DATA", None, no_progress)
    assert cached is not None
    assert cached.backbone_names == passed.backbone_names
    assert list(cached.features) == list(passed.features)
    for name, rows in cached.features.items():
        assert np.abs(rows - passed.features[name]).max() <= 2e-3 * np.abs(rows).max()
    assert passed.draw(None) is None  # type: ignore[arg-type] # no patches were requested


def test_without_a_readable_image_it_is_an_error(image_folder: Path):
    for path in image_folder.rglob("*.png"):
        path.write_bytes(b"no image")
    records = open_source(str(image_folder)).records
    with pytest.raises(DataError, match="16 of 16 images in DATA cannot be read"):
        computed_by_depth(CHOICE, None, AdaptedInput(SPEC), None, records, "DATA", None, no_progress)
