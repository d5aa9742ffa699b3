"""Matrices and filters between bands and channels."""

from __future__ import annotations

import numpy as np
import pytest

from headstart.errors import PlanError
from headstart.input_spec import ChannelMethod
from headstart.networks.band_adapter import CHANNEL_METHODS, RANDOM_FILTERS, band_matrix, fitted_adapter

RNG = np.random.default_rng(0)


def covariance_of(pixels: np.ndarray) -> np.ndarray:
    return np.cov(pixels, rowvar=False, bias=True)


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 5, 6, 13, 16])
def test_each_matrix_brings_so_many_bands_to_three_channels(bands: int):
    covariance = np.atleast_2d(covariance_of(RNG.standard_normal((200, bands))))
    for method in CHANNEL_METHODS:
        if method != "band_map" or bands >= 3:
            assert band_matrix(method, bands, covariance).shape == (3, bands)


@pytest.mark.parametrize(("method", "bands"), [("sum", 1), ("sum", 4), ("sum", 16), ("repeat", 3), ("repeat", 12)])
def test_equal_bands_give_that_band_in_each_channel(method: ChannelMethod, bands: int):
    assert np.allclose(band_matrix(method, bands).sum(axis=1), 1, atol=1e-12)


def test_band_map_takes_red_green_and_blue_by_rising_wavelength():
    assert band_matrix("band_map", 5) @ [10, 20, 30, 40, 50] == pytest.approx([30, 20, 10])
    assert band_matrix("band_map", 3) @ [10, 20, 30] == pytest.approx([10, 20, 30])
    with pytest.raises(PlanError, match="band_map needs three bands, and the images have 2"):
        band_matrix("band_map", 2)


def test_learned_channels_are_uncorrelated_of_variance_1_and_bright_where_bands_are():
    pixels = RNG.standard_normal((5000, 5)) @ RNG.random((5, 5)) + RNG.standard_normal((5000, 1))
    covariance = covariance_of(pixels)
    matrix = band_matrix("learned", 5, covariance)
    assert covariance_of(pixels @ matrix.T) == pytest.approx(np.eye(3), abs=1e-9)
    assert (matrix.sum(axis=1) >= 0).all()


def test_what_bands_do_not_have_is_not_learned():
    twice = RNG.standard_normal((500, 2)) @ np.array([[1.0, 0, 1, 0], [0, 1, 0, 1]])
    matrix = band_matrix("learned", 4, covariance_of(twice))
    assert not matrix[2].any()
    assert np.isfinite(matrix).all()


def test_filters_are_whitened_patches_and_offsets_take_their_mean_away():
    patches = (RNG.random((3000, 3, 3, 4)) + RNG.random((3000, 1, 1, 1))).astype(np.float32)
    found = fitted_adapter("random_convolutions", np.eye(4), patches)
    assert found.filters is not None
    assert found.offsets is not None
    assert found.filters.shape == (RANDOM_FILTERS, 4, 3, 3)
    outputs = np.einsum("phwb,kbhw->pk", patches, found.filters) + found.offsets
    assert outputs.mean(axis=0) == pytest.approx(np.zeros(RANDOM_FILTERS), abs=1e-3)
    assert 0.5 < outputs.std(axis=0).mean() < 1.5
    assert fitted_adapter("learned", np.eye(4), patches).filters is None
