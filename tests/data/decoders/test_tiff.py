"""TIFF of any number of bands and bits: exact values, chosen bands, and no zeros where blocks are missing."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest
import tifffile

from headstart.data.decoders import tiff as tiff_module
from headstart.data.decoders.decoded import FaultKind, UnreadableImageError
from headstart.data.decoders.raster import decode_with_facts
from headstart.input_spec import Decoding

RNG = np.random.default_rng(0)
FIVE = RNG.integers(0, 65536, (40, 50, 5)).astype(np.uint16)
BYTES = RNG.integers(0, 256, (40, 50, 6)).astype(np.uint8)
LAYOUTS = [{}, {"compression": "zlib", "predictor": True}, {"tile": (16, 16)}, {"byteorder": ">"}, {"bigtiff": True}]


def tiff(values: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    layout: dict[str, Any] = {"photometric": "minisblack"}
    if values.ndim == 3:
        layout["planarconfig"] = "contig"
    tifffile.imwrite(buffer, values, **(layout | options))
    return buffer.getvalue()


def read(encoded: bytes, bands: tuple[int, ...] | None = None, bits: int | None = None) -> np.ndarray:
    return decode_with_facts(encoded, decoding=Decoding(bits, bands)).values


def fault(encoded: bytes, bands: tuple[int, ...] | None = None) -> UnreadableImageError:
    with pytest.raises(UnreadableImageError) as caught:
        read(encoded, bands)
    return caught.value


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_chosen_bands_keep_all_bits(layout: dict[str, Any]) -> None:
    encoded = tiff(FIVE, **layout)
    assert np.allclose(read(encoded, (5, 3, 2)), FIVE[:, :, [4, 2, 1]] / 65535, atol=1e-7)
    assert np.allclose(read(encoded, (4,)), FIVE[:, :, 3:4] / 65535, atol=1e-7)


def test_bands_may_lie_one_after_the_other() -> None:
    planes = tiff(FIVE.transpose(2, 0, 1), planarconfig="separate")
    assert np.allclose(read(planes, (5, 3, 2)), FIVE[:, :, [4, 2, 1]] / 65535, atol=1e-7)


def test_more_than_three_bands_need_a_choice() -> None:
    for values in (FIVE, BYTES, FIVE[:, :, :4], BYTES[:, :, :2]):
        error = fault(tiff(values))
        assert error.kind is FaultKind.BANDS
        assert f"{values.shape[2]} bands" in str(error)
        assert "--bands" in str(error)
    assert str(fault(tiff(FIVE), (1, 2, 6))) == "5 bands, and band 6 was chosen"


def test_bytes_stay_bytes() -> None:
    found = decode_with_facts(tiff(BYTES), decoding=Decoding(bands=(6, 1, 2)))
    assert found.bands is None
    assert np.array_equal(found.pixels, BYTES[:, :, [5, 0, 1]])
    alone = decode_with_facts(tiff(BYTES), decoding=Decoding(bands=(6,)))
    assert np.array_equal(alone.pixels, np.repeat(BYTES[:, :, 5:], 3, axis=2))


def test_infrared_that_is_marked_as_transparency_is_a_band_where_it_is_chosen() -> None:
    marked = tiff(BYTES[:, :, :4], photometric="rgb", extrasamples=["unassalpha"])
    assert np.array_equal(read(marked, (4, 1, 2)), BYTES[:, :, [3, 0, 1]])
    laid = decode_with_facts(marked)
    assert laid.veiled > 0.9
    assert not np.array_equal(laid.pixels, BYTES[:, :, :3])
    deep = tiff(FIVE[:, :, :4], photometric="rgb", extrasamples=["unassalpha"])
    assert np.allclose(read(deep, (4, 1, 2)), FIVE[:, :, [3, 0, 1]] / 65535, atol=1e-7)
    share = FIVE[:, :, 3:4] / 65535
    assert np.allclose(read(deep), FIVE[:, :, :3] / 65535 * share + 1 - share, atol=1e-4)


def test_bits_are_one_mapping_for_all_bands() -> None:
    assert np.allclose(read(tiff(FIVE >> 4), (3, 2, 1), bits=12), (FIVE[:, :, 2::-1] >> 4) / 4095, atol=1e-7)
    with pytest.raises(UnreadableImageError, match="give more bits") as caught:
        read(tiff(FIVE), (3, 2, 1), bits=12)
    assert caught.value.kind is FaultKind.VALUES


@pytest.mark.parametrize("count", [1, 3])
def test_floats_from_0_to_1(count: int) -> None:
    values = RNG.random((20, 30, count)).astype(np.float32)
    assert np.allclose(read(tiff(values if count > 1 else values[:, :, 0])), values, atol=1e-7)
    for change in (lambda v: v * 3000, lambda v: v - 0.5, lambda v: np.where(v < 0.1, np.nan, v)):
        assert fault(tiff(change(values) if count > 1 else change(values)[:, :, 0])).kind is FaultKind.VALUES


@pytest.mark.parametrize(("kind", "low", "high"), [("i2", -9999, 300), ("u4", 0, 3_000_000), ("i4", -5, 5)])
def test_integers_that_have_no_one_meaning_are_refused(kind: str, low: int, high: int) -> None:
    values = RNG.integers(low, high, (20, 30, 3)).astype(kind)
    assert fault(tiff(values)).kind is FaultKind.VALUES
    assert np.allclose(read(tiff(np.abs(values) % 300)), np.abs(values) % 300 / 65535, atol=1e-7)


def test_grey_whose_lowest_value_is_white() -> None:
    values = RNG.integers(0, 65536, (20, 30)).astype(np.uint16)
    assert np.allclose(read(tiff(values, photometric="miniswhite"))[:, :, 0], 1 - values / 65535, atol=1e-7)


@pytest.mark.parametrize("tag", range(1, 9))
def test_the_rotation_tag_is_applied(tag: int) -> None:
    turned = read(tiff(FIVE, extratags=[(274, "H", 1, tag, True)]), (1,))[:, :, 0]
    stored = FIVE[:, :, 0] / 65535
    expected = {
        **{1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1]},
        **{5: stored.T, 6: stored[::-1].T, 7: stored[::-1, ::-1].T, 8: stored[:, ::-1].T},
    }
    assert np.allclose(turned, expected[tag], atol=1e-7)


@pytest.mark.parametrize("layout", LAYOUTS[:3], ids=str)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.98])
def test_a_cut_file_is_an_error_and_never_zeros(layout: dict[str, Any], share: float) -> None:
    whole = tiff(FIVE, **layout)
    assert fault(whole[: int(share * len(whole))], (3, 2, 1)).kind is FaultKind.DAMAGED


def test_further_pages_are_noted_and_smaller_copies_are_not() -> None:
    assert decode_with_facts(tiff(BYTES.transpose(2, 0, 1), planarconfig=None)).has_more_frames
    assert not decode_with_facts(tiff(BYTES[:, :, :3], photometric="rgb")).has_more_frames
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(FIVE, photometric="minisblack", planarconfig="contig", subifds=0)
        writer.write(FIVE[::2, ::2], photometric="minisblack", planarconfig="contig", subfiletype=1)
    assert not decode_with_facts(buffer.getvalue(), decoding=Decoding(bands=(1,))).has_more_frames


def test_absurd_sizes_are_refused_before_anything_is_unpacked() -> None:
    for width, bands in ((60_000, 5), (4_000, 100), (8, 40_000)):
        encoded = bytearray(tiff(FIVE[:8, :8]))
        with tifffile.TiffFile(io.BytesIO(encoded)) as file:
            tags = {name: file.pages.first.tags[name].valueoffset for name in ("ImageWidth", "ImageLength")}
            samples = file.pages.first.tags["SamplesPerPixel"].valueoffset
        for at in tags.values():
            encoded[at : at + 4] = width.to_bytes(4, "little")
        encoded[samples : samples + 2] = bands.to_bytes(2, "little")
        assert fault(bytes(encoded)).kind is FaultKind.TOO_LARGE


def test_a_compression_that_is_not_known_here_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    tiff_module._rasterio.cache_clear()
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    encoded = bytearray(tiff(FIVE))
    with tifffile.TiffFile(io.BytesIO(encoded)) as file:
        at = file.pages.first.tags["Compression"].valueoffset
    encoded[at : at + 2] = (5).to_bytes(2, "little")
    error = fault(bytes(encoded), (1,))
    assert error.kind is FaultKind.NEEDS_PACKAGE
    assert "LZW" in str(error)
    assert 'pip install "headstart[satellite]"' in str(error)


@pytest.mark.filterwarnings("ignore::UserWarning:rasterio")
@pytest.mark.parametrize("compression", ["lzw", "zstd"])
def test_rasterio_reads_the_other_compressions(compression: str) -> None:
    rasterio = pytest.importorskip("rasterio", reason="needs the satellite extra")
    shape = {"width": 50, "height": 40, "count": 5, "dtype": "uint16"}
    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", compress=compression, predictor=2, **shape) as writer:
            writer.write(FIVE.transpose(2, 0, 1))
        encoded = memory.read()
    assert np.allclose(read(encoded, (5, 3, 1)), FIVE[:, :, [4, 2, 0]] / 65535, atol=1e-7)
    assert fault(encoded[: len(encoded) * 2 // 3], (1,)).kind is FaultKind.DAMAGED


def test_without_tifffile_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded = tiff(FIVE)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    error = fault(encoded)
    assert (error.kind, 'pip install "headstart[satellite]"' in str(error)) == (FaultKind.NEEDS_PACKAGE, True)


def test_a_change_of_any_byte_is_pixels_or_a_reason() -> None:
    whole = bytearray(tiff(FIVE, compression="zlib"))
    for at in RNG.integers(0, len(whole), 80):
        changed = whole.copy()
        changed[at] ^= int(RNG.integers(1, 256))
        try:
            assert read(bytes(changed), (3, 2, 1)).shape[2] == 3
        except UnreadableImageError:
            continue
