"""Statistics of bands: those of all pixels of the training images, in one pass."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from headstart.data.band_statistics import band_statistics
from headstart.data.sources.dataset import ImageRecord
from headstart.errors import DataError
from headstart.input_spec import Decoding, InputSpec

RNG = np.random.default_rng(0)
BANDS = 4
SPEC = InputSpec(64, 64, "bilinear", (0.5,) * 3, (0.5,) * 3, decoding=Decoding(band_count=BANDS))


def record_of(name: str, values: np.ndarray) -> ImageRecord:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="minisblack", planarconfig="contig")
    return ImageRecord(name, "a", "all", content=buffer.getvalue())


def images(count: int = 6) -> tuple[list[ImageRecord], np.ndarray]:
    values = RNG.integers(0, 9000, (count, 64, 64, BANDS)).astype(np.uint16)
    values[..., 1] //= 10
    values[..., 3] = values[..., 0] // 2
    return [record_of(f"{i}.tif", one) for i, one in enumerate(values)], values / 65535


def test_mean_deviation_and_covariance_are_those_of_all_pixels():
    records, values = images()
    found = band_statistics(records, SPEC, seed=0)
    pixels = values.reshape(-1, BANDS)
    assert found.mean == pytest.approx(pixels.mean(axis=0), rel=1e-5)
    assert found.std == pytest.approx(pixels.std(axis=0), rel=1e-4)
    assert found.covariance == pytest.approx(np.corrcoef(pixels, rowvar=False), abs=1e-3)
    assert found.images == 6


def test_patches_are_parts_of_normalised_images():
    records, values = images(1)
    found = band_statistics(records, SPEC, seed=0)
    normalised = (values[0] - found.mean) / found.std
    windows = np.lib.stride_tricks.sliding_window_view(normalised, (3, 3), axis=(0, 1)).transpose(0, 1, 3, 4, 2)
    for patch in found.patches[:5]:
        assert np.abs(windows - patch).max(axis=(2, 3, 4)).min() < 1e-3


def test_the_same_images_give_the_same_numbers_in_any_order():
    records, _ = images()
    first, second = (band_statistics(of, SPEC, seed=3) for of in (records, records[::-1]))
    assert np.array_equal(first.patches, second.patches)
    assert np.array_equal(first.covariance, second.covariance)
    assert not np.array_equal(first.patches, band_statistics(records, SPEC, seed=4).patches)


def test_a_band_of_one_value_has_deviation_1():
    values = RNG.integers(0, 9000, (64, 64, BANDS)).astype(np.uint16)
    values[..., 2] = 7
    found = band_statistics([record_of("a.tif", values)], SPEC, seed=0)
    assert found.std[2] == 1
    assert np.isfinite(found.patches).all()


def test_no_images_are_refused():
    with pytest.raises(DataError, match="no training images"):
        band_statistics([], SPEC, seed=0)
