"""The evaluation path against the transforms that timm and torchvision publish with their weights."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from headstart.data.decoders.raster import decode
from headstart.data.preprocess import (
    EXTREME_RATIO,
    FILTERS,
    evaluation_view,
    pixels_needed,
    resize_and_crop,
    scale,
    unscale,
    view_version,
)
from headstart.data.sources.reading import open_source
from headstart.errors import DataError
from headstart.input_spec import Crop, InputSpec
from headstart.networks.backbone import build_classifier
from headstart.networks.cards.finding import find_model

TOLERANCE = 1e-6  # in units of one deviation: the pixels are the same, only float rounding may differ
SIZES = [(300, 500), (500, 300), (333, 257), (225, 223), (256, 256), (90, 60), (50, 171), (224, 224), (1001, 40)]
GREY = (0.5, 0.5, 0.5)

Reference = Callable[[Image.Image], npt.NDArray[np.float32]]


def pixels_of(width: int, height: int, *, seed: int = 0) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    smooth = np.stack([x * 200 / width, y * 200 / height, (x + y) * 100 / (width + height)], axis=-1)
    return (smooth + rng.integers(0, 56, (height, width, 3))).astype(np.uint8)


def as_image_last(tensor: Any) -> npt.NDArray[np.float32]:
    return np.asarray(tensor).transpose(1, 2, 0)


def timm_reference(name: str = "tf_efficientnet_lite0") -> Reference:
    import timm

    config = timm.get_pretrained_cfg(name).to_dict()
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, pretrained_cfg=config))
    return lambda image: as_image_last(transform(image))


def torchvision_reference() -> Reference:
    from torchvision.models import ResNet18_Weights

    transform = ResNet18_Weights.IMAGENET1K_V1.transforms()
    return lambda image: as_image_last(transform(image))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize(
    ("model", "crop"),
    [
        ("convnext_base.clip_laion2b_augreg_ft_in12k_in1k_384", "squash"),
        ("deepseek_vit_412m.deepseek_v4_flash_vision_exp", "border"),
        ("mobilenetv3_large_100.ra_in1k", "center"),
    ],
)
def test_every_way_to_a_square_is_timms(model: str, crop: str, size: tuple[int, int]) -> None:
    spec = find_model(model).card.input
    assert spec.crop == crop
    pixels = pixels_of(*size)
    expected = timm_reference(model)(Image.fromarray(pixels))
    assert np.abs(evaluation_view(pixels, spec) - expected).max() < TOLERANCE


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize(
    ("model", "reference"),
    [("tf_efficientnet_lite0", timm_reference), ("resnet18:IMAGENET1K_V1", torchvision_reference)],
)
def test_the_network_gets_the_views_on_which_the_weights_were_evaluated(
    model: str, reference: Callable[[], Reference], size: tuple[int, int]
) -> None:
    pixels = pixels_of(*size)
    ours = evaluation_view(pixels, find_model(model).card.input)
    theirs = reference()(Image.fromarray(pixels))
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (224, 224, 3)
    assert np.abs(theirs).max() > 0.5, "the reference is no empty image"
    assert np.abs(ours - theirs).max() <= TOLERANCE


@settings(max_examples=30, deadline=None)
@given(width=st.integers(8, 300), height=st.integers(8, 300), size=st.integers(32, 96), extra=st.integers(0, 20))
def test_any_shape_becomes_the_square_of_the_reference(width: int, height: int, size: int, extra: int) -> None:
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import center_crop, resize

    pixels = pixels_of(width, height)
    ours = resize_and_crop(pixels, InputSpec(size, size + extra, "bilinear", GREY, GREY))
    resized = resize(Image.fromarray(pixels), [size + extra], InterpolationMode.BILINEAR)
    theirs = np.array(center_crop(resized, [size, size]))
    # Of a very long image only the part that is kept is resized, and its weights are rounded from other sums.
    off = 1 if max(width, height) > EXTREME_RATIO * min(width, height) else 0
    assert np.abs(ours.astype(int) - theirs).max() <= off


def test_an_image_of_the_right_size_is_not_touched() -> None:
    pixels = pixels_of(64, 64)
    assert np.array_equal(resize_and_crop(pixels, InputSpec(64, 64, "bicubic", GREY, GREY)), pixels)


def test_the_centre_is_kept() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 255
    spec = InputSpec(100, 100, "nearest", GREY, GREY)
    assert np.all(resize_and_crop(pixels, spec) == 255)
    assert np.all(resize_and_crop(pixels.transpose(1, 0, 2).copy(), spec) == 255)


def test_shrinking_is_antialiased() -> None:
    """A fine checkerboard becomes grey; without antialiasing it would stay black and white."""
    board = np.indices((512, 512)).sum(axis=0) % 2 * 255
    pixels = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    for interpolation in ("bilinear", "bicubic"):
        small = resize_and_crop(pixels, InputSpec(64, 64, interpolation, GREY, GREY)).astype(int)
        assert np.abs(small - 127).max() <= 4, interpolation


def test_scale_gives_mean_and_deviation_by_hand() -> None:
    spec = InputSpec(32, 32, "bilinear", (0.5, 0.25, 0.0), (0.5, 0.25, 0.1))
    values = np.array([[[1.0, 0.5, 0.1], [0.0, 0.0, 0.0]]], np.float32)
    assert scale(values, spec) == pytest.approx(np.array([[[1, 1, 1], [-1, -1, 0]]]), abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    mean=st.tuples(*[st.floats(0, 1)] * 3),
    std=st.tuples(*[st.floats(0.05, 2)] * 3),
    seed=st.integers(0, 1000),
)
def test_unscale_is_the_inverse_of_scale(mean: tuple[float, ...], std: tuple[float, ...], seed: int) -> None:
    spec = InputSpec(32, 32, "bilinear", mean, std)
    pixels = pixels_of(11, 7, seed=seed)
    again = unscale(scale(pixels.astype(np.float32) / np.float32(255), spec), spec)
    assert again.dtype == np.uint8
    assert np.array_equal(again, pixels)


def test_unscale_clips_what_no_pixel_can_be() -> None:
    spec = InputSpec(32, 32, "bilinear", GREY, GREY)
    assert unscale(np.array([[[-9.0, 0.0, 9.0]]], np.float32), spec).tolist() == [[[0, 128, 255]]]


def photo_like(width: int, height: int) -> bytes:
    """A JPEG with detail at every scale."""
    rng = np.random.default_rng(1)
    picture = Image.fromarray(pixels_of(width, height))
    for side in (8, 32, 128):
        patch = rng.integers(0, 256, (height // side + 2, width // side + 2, 3), dtype=np.uint8)
        picture = Image.blend(picture, Image.fromarray(patch).resize(picture.size, Image.Resampling.BICUBIC), 0.4)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


REDUCED_TOLERANCE = 0.01  # mean absolute difference in units of one deviation; one level of 255 is 0.008 to 0.017


@pytest.mark.parametrize("size", [(2400, 1800), (1100, 1700)], ids=lambda size: "x".join(map(str, size)))
@pytest.mark.parametrize(
    ("model", "reference"),
    [("tf_efficientnet_lite0", timm_reference), ("resnet18:IMAGENET1K_V1", torchvision_reference)],
)
def test_a_reduced_photo_gives_the_reference_view_within_one_level(
    model: str, reference: Callable[[], Reference], size: tuple[int, int]
) -> None:
    spec, encoded = find_model(model).card.input, photo_like(*size)
    pixels = decode(encoded, at_least=pixels_needed(spec))
    assert min(pixels.shape[:2]) <= min(size) / 2
    with Image.open(io.BytesIO(encoded)) as image:
        theirs = reference()(image.convert("RGB"))
    difference = np.abs(evaluation_view(pixels, spec) - theirs)
    assert difference.mean() < REDUCED_TOLERANCE
    assert np.quantile(difference, 0.999) < 10 * REDUCED_TOLERANCE


def test_twice_the_pixels_of_the_resize_are_needed_and_all_for_the_nearest() -> None:
    assert pixels_needed(InputSpec(224, 256, "bicubic", GREY, GREY)) == 512
    assert pixels_needed(InputSpec(224, 256, "nearest", GREY, GREY)) is None


def test_what_is_stored_is_named_after_everything_that_changes_pixels() -> None:
    assert PIL.__version__ in view_version()
    assert "decode 4, view 3" in view_version()


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "size", "count"), [("chest_xray", 96, 8), ("hymenoptera", 224, 2)])
def test_features_of_reduced_real_images_are_those_of_whole_ones(
    real_data: Path, name: str, size: int, count: int
) -> None:
    import torch

    choice = find_model("tf_efficientnet_lite0")
    spec = choice.card.input.at_size(size)
    records = [r for r in open_source(real_data / f"{name}.tar").records if r.id.endswith((".jpg", ".jpeg"))]
    classifier = build_classifier(choice, kind="linear", num_classes=2, seed=0)
    classifier.network.eval()
    compared = 0
    for record in records[:: len(records) // 200]:
        encoded = record.read()
        if name == "hymenoptera":  # enlarged to twelve megapixels
            buffer = io.BytesIO()
            Image.fromarray(decode(encoded)).resize((4000, 3000), Image.Resampling.BICUBIC).save(buffer, "JPEG")
            encoded = buffer.getvalue()
        whole, reduced = decode(encoded), decode(encoded, at_least=pixels_needed(spec))
        if reduced.shape == whole.shape:
            continue
        views = torch.from_numpy(np.stack([evaluation_view(pixels, spec) for pixels in (whole, reduced)]))
        with torch.inference_mode():
            a, b = classifier.features(views.permute(0, 3, 1, 2)).double()
        assert torch.nn.functional.cosine_similarity(a, b, dim=0) >= 0.995, record.id
        compared += 1
        if compared == count:
            break
    assert compared == count


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(8, 1200), (1500, 40), (33, 1100)])
def test_of_a_strip_only_the_middle_is_resized_and_it_is_the_same(interpolation: str, size: tuple[int, int]) -> None:
    """Against the long way: resize the whole, then cut. What differs is rounding, above all of the longer side."""
    pixels = pixels_of(*size)
    pixels = np.array(Image.fromarray(pixels).reduce(1))
    spec = InputSpec(64, 72, interpolation, GREY, GREY)
    wide, high = spec.resized(*size)
    whole = Image.fromarray(pixels).resize((wide, high), FILTERS[interpolation])
    left, top = round((wide - 64) / 2), round((high - 64) / 2)
    expected = np.array(whole.crop((left, top, left + 64, top + 64))).astype(int)
    found = resize_and_crop(pixels, spec).astype(int)
    assert np.abs(found - expected).mean() < 0.3
    assert np.abs(found - expected).max() <= 12


def test_nothing_larger_than_the_square_is_made_of_a_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resized as a whole, this one would have 6,400,000 x 256 pixels."""
    pixels = np.zeros((8, 200_000, 3), np.uint8)
    pixels[:, 100_000:] = 200
    made, real = [], Image.Image.resize

    def resize(self: Image.Image, size: tuple[int, int], *args: object, **options: object) -> Image.Image:
        made.append(size)
        return real(self, size, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", resize)
    view = resize_and_crop(pixels, InputSpec(224, 256, "bicubic", GREY, GREY))
    assert made == [(224, 224)]
    assert view[:, :80].max() == 0
    assert view[:, -80:].min() == 200


@pytest.mark.parametrize("size", [(40, 9), (9, 400), (8, 20_000), (3000, 8), (50, 50)])
@pytest.mark.parametrize("crop", ["squash", "border"])
def test_squash_and_letterbox_show_all_corners(size: tuple[int, int], crop: str) -> None:
    """Four corners of four colours, each an eighth of the image wide, are all in the view."""
    width, height = size
    pixels = np.zeros((height, width, 3), np.uint8)
    wide, high = -(-width // 2), -(-height // 2)
    corners = [(slice(0, high), slice(0, wide)), (slice(0, high), slice(wide, None))]
    corners += [(slice(high, None), slice(0, wide)), (slice(high, None), slice(wide, None))]
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    for where, colour in zip(corners, colours, strict=True):
        pixels[where] = colour
    view = resize_and_crop(pixels, InputSpec(32, 32, "bilinear", GREY, GREY, crop)).astype(int)
    longest = max(width, height) / min(width, height)
    for colour in colours[: 4 if longest < 16 or crop == "squash" else 0]:
        assert np.abs(view - colour).sum(axis=2).min() < 60
    if crop == "border" and longest > 4:
        assert np.array_equal(view[0, 0], [128] * 3), "the mean colour of the weights"


@pytest.mark.parametrize("crop", ["center", "squash", "border"])
@pytest.mark.parametrize("size", [(90, 60), (40, 70), (20, 900)])
def test_values_of_many_bits_take_the_way_of_bytes_without_rounding(crop: Crop, size: tuple[int, int]) -> None:
    spec = InputSpec(32, 36, "bicubic", (0.5, 0.25, 0.75), (0.5, 0.4, 0.3), crop=crop)
    pixels = np.random.default_rng(0).integers(60, 200, (*size, 3)).astype(np.uint8)
    deep = (pixels / np.float32(255)).astype(np.float32)
    rounded, exact = evaluation_view(pixels, spec), evaluation_view(deep, spec)
    assert np.abs(rounded - exact).max() < 2.5 / 255 / 0.3, "two roundings to a level of 255, divided by std"
    grey = evaluation_view(deep[:, :, :1], spec)
    assert np.array_equal(grey, evaluation_view(np.repeat(deep[:, :, :1], 3, axis=2), spec))


def test_levels_below_one_of_8_bits_are_kept() -> None:
    spec = InputSpec(32, 32, "bilinear", (0.0,) * 3, (1.0,) * 3)
    faint = np.linspace(0, 1 / 300, 32 * 32, dtype=np.float32).reshape(32, 32, 1)
    assert len(np.unique(evaluation_view(faint, spec))) > 900


def test_another_number_of_bands_than_channels_is_refused() -> None:
    spec = InputSpec(32, 36, "bicubic", (0.5,) * 3, (0.5,) * 3)
    with pytest.raises(DataError, match="an image of 5 bands; expected 3"):
        evaluation_view(np.zeros((40, 40, 5), np.float32), spec)
    five = InputSpec(32, 36, "bicubic", (0.5,) * 5, (0.5,) * 5)
    assert evaluation_view(np.zeros((40, 40, 5), np.float32), five).shape == (32, 32, 5)
