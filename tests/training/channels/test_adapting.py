"""Input and adapter of a network for the bands of a set, without a probe."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from headstart.data.band_statistics import band_statistics
from headstart.data.sources.dataset import ImageRecord
from headstart.errors import PlanError
from headstart.input_spec import Decoding, InputSpec
from headstart.training.channels import adapting
from headstart.training.channels.adapting import SetAdapter, adapted_to_bands

WEIGHTS = InputSpec(32, 32, "bilinear", (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), decoding=Decoding(band_count=4))


@pytest.fixture(scope="module")
def records() -> list[ImageRecord]:
    rng = np.random.default_rng(0)
    found = []
    for index in range(4):
        buffer = io.BytesIO()
        values = rng.integers(1000, 2000, (40, 40, 4)).astype(np.uint16)
        tifffile.imwrite(buffer, values, photometric="minisblack", planarconfig="contig")
        found.append(ImageRecord(f"{index}.tif", "a", "all", content=buffer.getvalue()))
    return found


def test_images_without_bands_are_left_as_they_are(records: list[ImageRecord]):
    plain = replace(WEIGHTS, decoding=Decoding())
    found = SetAdapter(records).adapted(plain)
    assert (found.spec, found.adapter) == (plain, None)


@pytest.mark.parametrize(("channels", "method"), [("auto", "learned"), ("sum", "sum")])
def test_the_adapter_is_that_of_a_training_on_the_same_images(records: list[ImageRecord], channels: str, method: str):
    found = SetAdapter(records, channels=channels, seed=3).adapted(WEIGHTS)
    expected = adapted_to_bands(WEIGHTS, band_statistics(records, WEIGHTS, seed=3), method)
    assert found.spec == expected.spec
    assert (found.spec.channels, found.spec.channels_by) == (4, method)
    assert np.array_equal(found.adapter.matrix, expected.adapter.matrix)


def test_networks_with_one_view_share_the_statistics(records: list[ImageRecord], monkeypatch: pytest.MonkeyPatch):
    computed: list[int] = []

    def counted(*given: object, **options: object) -> object:
        computed.append(1)
        return band_statistics(*given, **options)

    monkeypatch.setattr(adapting, "band_statistics", counted)
    adapter = SetAdapter(records)
    first = adapter.adapted(WEIGHTS)
    other_weights = adapter.adapted(replace(WEIGHTS, mean=(0.1, 0.2, 0.3)))
    assert first.spec == other_weights.spec
    assert len(computed) == 1
    assert adapter.adapted(WEIGHTS.at_size(40)).spec.size == 40
    assert len(computed) == 2


def test_a_method_that_does_not_take_so_many_bands_is_refused(records: list[ImageRecord]):
    two = replace(WEIGHTS, decoding=Decoding(bands=(1, 2), band_count=2))
    with pytest.raises(PlanError, match="band_map needs three bands"):
        SetAdapter(records, channels="band_map").adapted(two)
