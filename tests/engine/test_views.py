"""Training views: what may vary, and that a view is a pure function of its four arguments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.preprocess import resize_and_crop
from headstart.engine.views import PRESETS, AugmentationMagnitude, training_view, view_rng
from headstart.input_spec import InputSpec

SPEC = InputSpec(32, 36, "bicubic", (0.5,) * 3, (0.5,) * 3)


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    """Left half dark, right half bright, with a little noise."""
    noise = np.random.default_rng(0).integers(0, 30, (height, width, 3))
    noise[:, width // 2 :] += 200
    return noise.astype(np.uint8)


def view(preset: str, *, flip: str = "none", epoch: int = 0, name: str = "a.png", seed: int = 0) -> np.ndarray:
    return training_view(picture(60, 60), SPEC, preset=preset, flip=flip, rng=view_rng(seed, epoch, name))


@pytest.mark.parametrize("preset", PRESETS)
@given(height=st.integers(8, 200), width=st.integers(8, 200), epoch=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_every_view_of_every_shape_is_a_square_of_values_0_to_1(preset: str, height: int, width: int, epoch: int):
    found = training_view(picture(height, width), SPEC, preset=preset, flip="all", rng=view_rng(0, epoch, "x"))
    assert found.shape == (32, 32, 3)
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("preset", PRESETS)
def test_a_view_is_a_function_of_seed_epoch_and_image(preset: str):
    assert np.array_equal(view(preset), view(preset))
    others = [view(preset, epoch=1), view(preset, name="b.png"), view(preset, seed=1)]
    assert sum(not np.array_equal(view(preset), other) for other in others) >= 2


@pytest.mark.parametrize("preset", ["light", "standard", "trivial"])
@pytest.mark.parametrize("shape", [(256, 256), (256, 400)])
def test_crops_show_objects_on_average_as_large_as_evaluation_does(preset: str, shape: tuple[int, int]):
    """A bias of the scale is one that the classes of some sets follow."""
    ramp = np.broadcast_to(np.arange(shape[1]) * (255 / 400), shape)[..., None].repeat(3, axis=2).astype(np.uint8)
    evaluated = float(np.ptp(resize_and_crop(ramp, SPEC)[16, :, 0])) / 255
    seen = []
    for epoch in range(150):
        # Rotation, colours and erasing would change the slope of the ramp too.
        rng, magnitude = view_rng(0, epoch, "x"), AugmentationMagnitude(PRESETS[preset].smallest_crop, 0, 0, 0)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(PRESETS, preset, magnitude)
            seen.append(np.ptp(training_view(ramp, SPEC, preset=preset, flip="none", rng=rng)[16, :, 0]))
    zooms = np.log(np.array(seen) / evaluated)
    assert abs(zooms.mean()) < 0.05
    assert zooms.std() > 0.04


def bright_side(values: np.ndarray) -> str:
    return "right" if values[:, 16:].mean() > values[:, :16].mean() else "left"


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
def test_without_flip_left_stays_left_and_with_it_half_are_mirrored(preset: str):
    assert {bright_side(view(preset, epoch=e)) for e in range(60)} == {"right"}
    mirrored = [bright_side(view(preset, flip="horizontal", epoch=e)) for e in range(200)].count("left")
    assert 70 <= mirrored <= 130


def test_all_flips_mirror_up_and_down_too():
    tall = np.ascontiguousarray(picture(80, 60).transpose(1, 0, 2))
    upside = 0
    for epoch in range(100):
        values = training_view(tall, SPEC, preset="light", flip="all", rng=view_rng(0, epoch, "x"))
        upside += values[16:].mean() < values[:16].mean()
    assert 30 <= upside <= 70


def test_stronger_presets_vary_more():
    spread = {p: np.std([view(p, epoch=e) for e in range(80)], axis=0).mean() for p in ("light", "standard", "strong")}
    assert spread["light"] < spread["standard"] < spread["strong"]


def test_random_erasing_happens_as_often_as_stated_and_covers_what_is_stated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(PRESETS, "strong", AugmentationMagnitude(0.9, 0, 0, erase_probability=0.25))
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    shares = []
    for epoch in range(400):
        values = training_view(noise, SPEC, preset="strong", flip="none", rng=view_rng(0, epoch, "x"))
        _, counts = np.unique(values.reshape(-1, 3), axis=0, return_counts=True)
        shares.append(counts.max() / 1024)
    erased = [share for share in shares if share > 0.01]
    assert 0.18 < len(erased) / 400 < 0.32
    assert max(erased) < 0.25


def wide_picture() -> np.ndarray:
    """240 x 60: a red stripe at the left end, a blue one at the right end, grey between."""
    pixels = np.full((60, 240, 3), 100, np.uint8)
    pixels[:, :40] = (250, 0, 0)
    pixels[:, -40:] = (0, 0, 250)
    return pixels


@pytest.mark.parametrize("resize", ["squash", "letterbox"])
@pytest.mark.parametrize("preset", ["light", "standard"])
def test_views_of_a_wide_image_show_both_ends_where_evaluation_does(preset: str, resize: str):
    """Random crops near a square would never show both, and training would see other images than evaluation."""
    spec = SPEC.as_requested(size="auto", resize=resize)
    both, cropped = 0, 0
    for epoch in range(40):
        values = training_view(wide_picture(), spec, preset=preset, flip="none", rng=view_rng(0, epoch, "x"))
        assert values.shape == (32, 32, 3)
        red, blue = values[..., 0] - values[..., 2], values[..., 2] - values[..., 0]
        both += bool((red > 0.5).any() and (blue > 0.5).any())
        plain = training_view(wide_picture(), SPEC, preset=preset, flip="none", rng=view_rng(0, epoch, "x"))
        red, blue = plain[..., 0] - plain[..., 2], plain[..., 2] - plain[..., 0]
        cropped += bool((red > 0.5).any() and (blue > 0.5).any())
    assert both >= 36
    assert cropped == 0


def test_a_letterboxed_view_keeps_the_shape_and_fills_up_with_the_mean_of_the_weights():
    spec = SPEC.as_requested(size="auto", resize="letterbox")
    for epoch in range(20):
        values = training_view(wide_picture(), spec, preset="light", flip="none", rng=view_rng(0, epoch, "x"))
        filled = np.abs(values - 128 / 255).max(axis=(1, 2)) < 0.01
        assert 20 <= filled.sum() <= 28, "a quarter of the height, give or take the varied shape"
        assert filled[0]
        assert filled[-1]


@pytest.mark.parametrize("resize", ["squash", "letterbox"])
@pytest.mark.parametrize("shape", [(8, 3000), (3000, 8), (8, 8), (61, 200)])
def test_squashed_and_letterboxed_views_of_every_shape_are_squares(resize: str, shape: tuple[int, int]):
    spec = SPEC.as_requested(size="auto", resize=resize)
    for epoch in range(5):
        found = training_view(picture(*shape), spec, preset="strong", flip="all", rng=view_rng(0, epoch, "x"))
        assert found.shape == (32, 32, 3)
        assert np.isfinite(found).all()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("crop", ["center", "squash", "border"])
@pytest.mark.parametrize("bands", [1, 3])
def test_values_of_many_bits_take_the_way_of_bytes(preset: str, crop: str, bands: int):
    """Each band is drawn alike, so a view of floats is that of bytes, up to the rounding of each operation."""
    spec = replace(SPEC, crop=crop, mean=(0.5, 0.25, 0.75))
    pixels = picture(60, 80) if bands == 3 else picture(60, 80)[:, :, :1].repeat(3, axis=2)
    for epoch in range(8):
        rounded, exact = (
            training_view(values, spec, preset=preset, flip="all", rng=view_rng(0, epoch, "x"))
            for values in (pixels, (pixels[:, :, :bands] / 255).astype(np.float32))
        )
        assert exact.shape == rounded.shape == (32, 32, 3)
        assert exact.dtype == np.float32
        # An operation on the colours of one image (equalize, autocontrast) differs from that on each band.
        close = np.abs(rounded - exact) < 8 / 255
        assert close.mean() > 0.97 or preset == "trivial", epoch


def test_any_number_of_bands_has_views_and_its_faint_levels_stay():
    five = InputSpec(32, 36, "bicubic", (0.5,) * 5, (0.5,) * 5)
    bands = np.random.default_rng(0).random((60, 50, 5)).astype(np.float32) / 300
    for preset in PRESETS:
        found = training_view(bands, five, preset=preset, flip="all", rng=view_rng(0, 0, "x"))
        assert found.shape == (32, 32, 5)
    light = training_view(bands, five, preset="light", flip="none", rng=view_rng(0, 0, "x"))
    assert len(np.unique(light)) > 1000
