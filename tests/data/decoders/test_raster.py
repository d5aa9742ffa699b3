"""Every kind of file people have, against Pillow or known values; broken ones never become pixels."""

from __future__ import annotations

import io
import struct
import threading
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from headstart.data.decoders import decoded as limits
from headstart.data.decoders.decoded import UnreadableImageError
from headstart.data.decoders.raster import decode, reduction
from headstart.input_spec import Decoding

FAST_JPEG_TOLERANCE = 3  # of 255; the two builds of libjpeg-turbo upsample colour slightly differently
ORIENTATION = 0x0112

# Pillow remarks on odd metadata; the command line silences it, and the pixels decide here.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def photo(width: int = 61, height: int = 40) -> Image.Image:
    """Smooth colours with an edge: no two corners alike."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 / width, y * 255 / height, (x > width / 3) * 200], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def noise(side: int = 64) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8))


def reason(encoded: bytes) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(encoded)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_colour_comes_back_exactly(kind: str) -> None:
    pixels = decode(encode(photo(), kind))
    assert (pixels.dtype, pixels.shape) == (np.uint8, (40, 61, 3))
    assert np.array_equal(pixels, np.array(photo()))


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_becomes_three_equal_channels(mode: str) -> None:
    grey = photo().convert(mode)
    pixels = decode(encode(grey))
    assert np.array_equal(pixels, np.repeat(np.array(grey.convert("L"))[:, :, None], 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_gives_its_colours(kind: str) -> None:
    palette = photo().quantize(16)
    assert np.array_equal(decode(encode(palette, kind)), np.array(palette.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_palette_entry_is_white(kind: str) -> None:
    palette = photo().quantize(16)
    hidden = np.array(palette) == 3
    assert 0 < hidden.sum() < hidden.size
    pixels = decode(encode(palette, kind, transparency=3))
    assert np.all(pixels[hidden] == 255)
    assert np.array_equal(pixels[~hidden], np.array(palette.convert("RGB"))[~hidden])


@pytest.mark.parametrize(("alpha", "expected"), [(0, (255, 255, 255)), (255, (200, 100, 0)), (51, (244, 224, 204))])
def test_transparency_is_laid_over_white(alpha: int, expected: tuple[int, int, int]) -> None:
    pixels = decode(encode(Image.new("RGBA", (9, 9), (200, 100, 0, alpha))))
    assert np.abs(pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("alpha", "expected"), [(0, 255), (255, 100), (51, 224)])
def test_grey_with_transparency_is_laid_over_white(alpha: int, expected: int) -> None:
    pixels = decode(encode(Image.new("LA", (9, 9), (100, alpha))))
    assert pixels.shape == (9, 9, 3)
    assert np.abs(pixels.astype(int) - expected).max() <= 1


def test_cmyk_jpeg_is_read_as_pillow_reads_it() -> None:
    encoded = encode(photo().convert("CMYK"), "JPEG", quality=95)
    with Image.open(io.BytesIO(encoded)) as reference:
        assert reference.mode == "CMYK"
        assert np.array_equal(decode(encoded), np.array(reference.convert("RGB")))
    assert np.abs(decode(encoded).astype(int) - np.array(photo())).mean() < 6, "colours are not inverted"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (128, 0), (129, 1), (257, 1), (32768, 128), (65406, 254), (65407, 255), (65535, 255)],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_full_range(value: int, expected: int, kind: str) -> None:
    encoded = encode(Image.fromarray(np.full((8, 8), value, np.uint16)), kind)
    assert np.all(decode(encoded) == expected)


def test_sixteen_bit_grey_is_not_stretched_to_its_own_range() -> None:
    ramp = np.arange(0, 65536, 64, dtype=np.uint16).reshape(32, 32)
    pixels = decode(encode(Image.fromarray(ramp)))
    assert np.array_equal(pixels[:, :, 0], np.rint(ramp / 257).astype(np.uint8))
    assert len(np.unique(pixels)) == 256


def test_float_grey_from_zero_to_one_is_read() -> None:
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    pixels = decode(encode(Image.fromarray(values), "TIFF"))
    assert np.array_equal(pixels[:, :, 1], np.rint(values * 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.0, 255.0, "0..255"), (-0.5, 1.0, "-0.5..1"), (0.0, np.nan, "nan"), (0.0, np.inf, "inf")],
)
def test_float_grey_of_another_range_has_no_meaning(low: float, high: float, words: str) -> None:
    values = np.full((8, 8), low, np.float32)
    values[3, 3] = high
    message = reason(encode(Image.fromarray(values), "TIFF"))
    assert words in message
    assert "0..1" in message


@pytest.mark.parametrize("value", [-1, 65536])
def test_integers_that_do_not_fit_sixteen_bits_are_refused(value: int) -> None:
    message = reason(encode(Image.fromarray(np.full((8, 8), value, np.int32)), "TIFF"))
    assert f"{value}..{value} do not fit 16 bits" in message


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_phones_rotation_tag_is_applied(tag: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = tag
    options = {"quality": 95, "subsampling": 0} if kind == "JPEG" else {}
    encoded = encode(photo(), kind, exif=exif, **options)
    with Image.open(io.BytesIO(encoded)) as stored:
        upright = np.array(ImageOps.exif_transpose(stored).convert("RGB"))
    pixels = decode(encoded)
    assert pixels.shape == ((61, 40, 3) if tag >= 5 else (40, 61, 3))
    assert np.abs(pixels.astype(int) - upright).max() <= FAST_JPEG_TOLERANCE


def test_a_picture_taken_sideways_stands_upright() -> None:
    """Tag 6 says: turn a quarter clockwise. The red left edge of the file is the upper edge of the scene."""
    stored = np.zeros((16, 48, 3), np.uint8)
    stored[:, :16] = (255, 0, 0)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    pixels = decode(encode(Image.fromarray(stored), "JPEG", exif=exif, quality=95, subsampling=0)).astype(int)
    assert pixels.shape == (48, 16, 3)
    assert pixels[:16, :, 0].min() > 240
    assert pixels[16:, :, 0].max() < 15


@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_the_fast_jpeg_decoder_equals_pillow(subsampling: int, progressive: bool, mode: str) -> None:
    options = {} if mode == "L" else {"subsampling": subsampling}
    encoded = encode(photo(203, 151).convert(mode), "JPEG", quality=90, progressive=progressive, **options)
    with Image.open(io.BytesIO(encoded)) as image:
        reference = np.array(image.convert("RGB")).astype(int)
    assert np.abs(decode(encoded) - reference).max() <= FAST_JPEG_TOLERANCE


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("case", ["jpeg", "progressive", "turned", "cmyk", "png", "tiff", "bmp", "gif", "webp"])
def test_a_truncated_file_is_an_error_and_never_pixels(case: str, share: float) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    whole = {
        "jpeg": lambda: encode(noise(), "JPEG"),
        "progressive": lambda: encode(noise(), "JPEG", progressive=True),
        "turned": lambda: encode(noise(), "JPEG", exif=exif),
        "cmyk": lambda: encode(noise().convert("CMYK"), "JPEG"),
        "png": lambda: encode(noise()),
        "tiff": lambda: encode(noise(), "TIFF", compression="tiff_lzw"),
        "bmp": lambda: encode(noise(), "BMP"),
        "gif": lambda: encode(noise(), "GIF"),
        "webp": lambda: encode(noise(), "WEBP"),
    }[case]()
    assert decode(whole).shape == (64, 64, 3)
    assert reason(whole[: int(len(whole) * share)])


@pytest.mark.parametrize(
    ("encoded", "words"),
    [
        (b"", "the file is empty"),
        (b"hello, I am a text", "not an image that can be decoded"),
        (b"<svg></svg>" * 50, "not an image that can be decoded"),
        (b"\xff\xd8\xff\xe0" + bytes(100), ""),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), ""),
    ],
)
def test_bytes_that_are_no_image_are_refused(encoded: bytes, words: str) -> None:
    assert words in reason(encoded)


def tagged(payload: bytes) -> bytes:
    """A whole JPEG behind a block of metadata of one's own."""
    plain = encode(photo(), "JPEG")
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + plain[2:]


@pytest.mark.parametrize("payload", [b"Exif\0\0", b"Exif\0\0II*\0", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02"])
def test_metadata_that_is_cut_turns_no_picture(payload: bytes) -> None:
    assert np.array_equal(decode(tagged(payload)), decode(encode(photo(), "JPEG")))


def turned(kind: str) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    return encode(photo(), kind, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "TIFF") else {}))


WHOLE_FILES = {kind: turned(kind) for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "PPM")}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE_FILES)),
    changes=st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_whatever_stands_in_a_file_it_is_pixels_or_a_reason(kind: str, changes: list[tuple[int, int]]) -> None:
    broken = bytearray(WHOLE_FILES[kind])
    for place, value in changes:
        broken[place % len(broken)] = value
    try:
        pixels = decode(bytes(broken))
    except UnreadableImageError:
        return
    assert (pixels.ndim, pixels.shape[2], pixels.dtype) == (3, 3, np.uint8)


@pytest.mark.parametrize("size", [(7, 20), (20, 7), (1, 1)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_image_too_small_to_see_is_refused_with_its_size(size: tuple[int, int], kind: str) -> None:
    message = reason(encode(Image.new("RGB", size), kind))
    assert f"{size[0]} x {size[1]} pixels" in message
    assert "at least 8" in message


def test_eight_pixels_are_enough() -> None:
    assert decode(encode(Image.new("RGB", (8, 8), (1, 2, 3)))).tolist() == [[[1, 2, 3]] * 8] * 8


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = encode(Image.new("RGB", (40, 40)))
    monkeypatch.setattr(limits, "LARGEST_PIXELS", 1000)
    assert "too many pixels (40 x 40; at most 1,000)" in reason(encoded)
    monkeypatch.undo()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)  # from twice its own limit on, Pillow refuses by itself
    assert "too many pixels" in reason(encoded)


def test_threads_that_decode_at_once_leave_the_warning_filters_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`warnings.catch_warnings` is not thread-safe: the last one to leave puts back what it found when it came."""
    encoded, real_open = encode(photo()), Image.open
    inside = {name: threading.Event() for name in "ab"}
    go_on = {name: threading.Event() for name in "ab"}

    def slow_open(file: Any) -> Image.Image:
        name = threading.current_thread().name
        inside[name].set()
        assert go_on[name].wait(5)
        return real_open(file)

    monkeypatch.setattr(Image, "open", slow_open)
    with warnings.catch_warnings():  # whatever happens here does not reach the other tests
        before = list(warnings.filters)
        threads = {name: threading.Thread(target=decode, args=(encoded,), name=name) for name in "ab"}
        for name in "ab":
            threads[name].start()
            assert inside[name].wait(5)
        for name in "ab":
            go_on[name].set()
            threads[name].join(5)
        assert list(warnings.filters) == before


def large(width: int, height: int, mode: str = "RGB", **options: Any) -> bytes:
    """A JPEG with detail at every scale."""
    rng = np.random.default_rng(0)
    picture = photo(width, height).convert("RGB")
    for side in (4, 16, 64):
        patch = Image.fromarray(rng.integers(0, 256, (height // side + 1, width // side + 1, 3), dtype=np.uint8))
        picture = Image.blend(picture, patch.resize(picture.size, Image.Resampling.BICUBIC), 0.3)
    return encode(picture.convert(mode), "JPEG", quality=90, **options)


@pytest.mark.parametrize(
    ("at_least", "shape"),
    [
        (None, (600, 801, 3)),
        (301, (600, 801, 3)),
        (300, (300, 401, 3)),
        (151, (300, 401, 3)),
        (150, (150, 201, 3)),
        (76, (150, 201, 3)),
        (75, (75, 101, 3)),
        (1, (75, 101, 3)),
    ],
)
def test_a_large_jpeg_is_halved_as_often_as_the_shorter_side_allows(
    at_least: int | None, shape: tuple[int, int, int]
) -> None:
    assert decode(large(801, 600), at_least=at_least).shape == shape


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("progressive", [False, True])
def test_reduced_pixels_are_the_averages_of_the_whole_ones(mode: str, factor: int, *, progressive: bool) -> None:
    encoded = large(640, 480, mode, progressive=progressive, **({} if mode == "L" else {"subsampling": 0}))
    averages = np.array(Image.fromarray(decode(encoded)).reduce(factor)).astype(int)
    found = decode(encoded, at_least=480 // factor).astype(int)
    assert found.shape == averages.shape
    assert np.abs(found - averages).mean() < 2
    assert np.abs(found - averages).max() < 40


@pytest.mark.parametrize("tag", range(1, 9))
def test_a_reduced_picture_stands_upright_too(tag: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = tag
    encoded = large(400, 240, exif=exif)
    whole, found = decode(encoded), decode(encoded, at_least=120)
    assert found.shape == ((200, 120, 3) if tag >= 5 else (120, 200, 3))
    assert np.abs(found.astype(int) - np.array(Image.fromarray(whole).reduce(2))).mean() < 3


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "CMYK"])
def test_what_no_fast_decoder_can_reduce_is_read_whole(kind: str) -> None:
    encoded = encode(photo(64, 48).convert("CMYK"), "JPEG") if kind == "CMYK" else encode(photo(64, 48), kind)
    assert np.array_equal(decode(encoded, at_least=8), decode(encoded))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_truncated_file_is_an_error_also_where_it_would_be_reduced(share: float, *, progressive: bool) -> None:
    whole = large(640, 480, progressive=progressive)
    assert decode(whole, at_least=60).shape == (60, 80, 3)
    with pytest.raises(UnreadableImageError):
        decode(whole[: int(len(whole) * share)], at_least=60)


@settings(max_examples=100, deadline=None)
@given(shorter=st.integers(8, 9000), at_least=st.integers(1, 3000))
def test_a_reduction_is_the_largest_that_is_allowed(shorter: int, at_least: int) -> None:
    factor = reduction(shorter, at_least)
    assert factor in (1, 2, 4, 8)
    assert factor == 1 or shorter / factor >= at_least
    assert factor == 8 or shorter / (2 * factor) < at_least


@pytest.mark.parametrize("bits", [1, 8, 10, 12, 15, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_bits_are_one_mapping_before_rounding(bits: int, kind: str) -> None:
    top = 2**bits - 1
    values = np.linspace(0, top, 400).astype(np.uint16).reshape(20, 20)
    found = decode(encode(Image.fromarray(values), kind), decoding=Decoding(bits=bits))[:, :, 0]
    assert np.array_equal(found, np.rint(values.astype(float) * 255 / top))
    assert found.max() == 255


def test_bits_have_no_say_in_images_of_8_bits_and_in_files_that_say_their_range() -> None:
    for encoded in (encode(photo()), encode(photo().convert("L")), encode(photo(), "JPEG")):
        assert np.array_equal(decode(encoded, decoding=Decoding(bits=12)), decode(encoded))
    values = np.arange(0, 4096, 41, dtype=np.uint16).reshape(10, 10)
    header = b"P5 10 10 4095\n"
    assert np.array_equal(
        decode(header + values.astype(">u2").tobytes(), decoding=Decoding(bits=10))[:, :, 0],
        np.rint(values / 4095 * 255),
    )


def test_a_tiff_that_says_12_bits_has_12() -> None:
    """Two pixels in three bytes; Pillow reads them as 0..4095."""
    values = np.arange(0, 4096, 41, dtype=np.uint16)[:80].reshape(8, 10)
    pairs = values.reshape(-1, 2)
    packed = np.stack([pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], axis=1)
    data = packed.astype(np.uint8).tobytes()
    tags = {256: 10, 257: 8, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: len(data)}
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, v) for tag, v in tags.items())
    encoded = b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory + bytes(4)
    assert np.array_equal(decode(encoded)[:, :, 0], np.rint(values / 4095 * 255))


def test_values_beyond_the_bits_are_an_error_with_the_largest_value() -> None:
    values = np.full((9, 9), 5000, np.uint16)
    with pytest.raises(UnreadableImageError, match=r"its largest value is 5,000, and 12 bits end at 4,095"):
        decode(encode(Image.fromarray(values)), decoding=Decoding(bits=12))
