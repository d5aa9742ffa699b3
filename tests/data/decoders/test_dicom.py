"""DICOM: the same grey from every encoding, by rescale, window and inversion as the standard writes them."""

from __future__ import annotations

import io
import sys
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from dicom_files import dicom_file, encoded_dataset
from headstart.data.decoders import dicom
from headstart.data.decoders.decoded import Decoded, FaultKind, UnreadableImageError
from headstart.data.decoders.headers import read_header
from headstart.data.decoders.raster import decode_with_facts
from headstart.input_spec import Decoding

RNG = np.random.default_rng(0)
EIGHT = RNG.integers(0, 256, (70, 65)).astype(np.uint8)
TWELVE = RNG.integers(0, 4096, (70, 65)).astype(np.uint16)
HOUNSFIELD = RNG.integers(-1024, 2000, (70, 65)).astype(np.int16)
PLAIN = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
SOFT_TISSUE = np.clip((HOUNSFIELD - 39.5) / 399 + 0.5, 0, 1)  # the window 40, 400 of the standard


def grey(encoded: bytes, **decoding: object) -> np.ndarray:
    """Height x width, 0..1."""
    found = decode_with_facts(encoded, decoding=Decoding(**decoding))  # type: ignore[arg-type]
    assert np.array_equal(found.pixels[:, :, 0], found.pixels[:, :, 2])
    if found.bands is None:
        return found.pixels[:, :, 0] / 255
    assert np.abs(found.bands[:, :, 0] * 255 - found.pixels[:, :, 0]).max() < 0.501
    return found.bands[:, :, 0]


def fault(encoded: bytes) -> UnreadableImageError:
    with pytest.raises(UnreadableImageError) as caught:
        decode_with_facts(encoded)
    return caught.value


@pytest.mark.parametrize("syntax", [*PLAIN, RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_every_encoding_gives_the_same_values(syntax: UID) -> None:
    found = decode_with_facts(dicom_file(EIGHT, syntax=syntax))
    assert (found.kind, found.bands) == ("DICOM raw", None), "of 8 bits none is left to keep apart"
    assert np.array_equal(found.pixels, np.repeat(EIGHT[:, :, None], 3, axis=2))
    assert np.allclose(grey(dicom_file(TWELVE, syntax=syntax, bits=12)), TWELVE / 4095, atol=1e-6)
    signed = dicom_file(HOUNSFIELD, syntax=syntax, WindowCenter=40, WindowWidth=400)
    assert np.allclose(grey(signed), SOFT_TISSUE, atol=1e-6)


def test_a_file_without_the_mark_of_dicom_is_known_by_its_first_element() -> None:
    bare = dicom_file(TWELVE, bits=12)[132:]
    assert np.allclose(grey(bare), TWELVE / 4095, atol=1e-6)


def test_the_lowest_value_of_monochrome1_is_white() -> None:
    inverted = dicom_file(TWELVE, bits=12, PhotometricInterpretation="MONOCHROME1")
    assert np.allclose(grey(inverted), 1 - TWELVE / 4095, atol=1e-6)
    windowed = dicom_file(HOUNSFIELD, PhotometricInterpretation="MONOCHROME1", WindowCenter=40, WindowWidth=400)
    assert np.allclose(grey(windowed), 1 - SOFT_TISSUE, atol=1e-6)
    eight = decode_with_facts(dicom_file(EIGHT, PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(eight.pixels[:, :, 0], 255 - EIGHT)
    assert eight.bands is None


def test_the_window_is_in_units_after_the_rescale() -> None:
    stored = (HOUNSFIELD + 1024).astype(np.uint16)
    shifted = dicom_file(stored, RescaleSlope=1, RescaleIntercept=-1024)
    assert np.allclose(grey(shifted, window="40,400"), SOFT_TISSUE, atol=1e-6)
    assert np.allclose(grey(dicom_file(HOUNSFIELD), window="40,400"), SOFT_TISSUE, atol=1e-6)
    halved = dicom_file(stored, RescaleSlope=0.5, RescaleIntercept=-512)
    assert np.allclose(grey(halved, window="20,200"), np.clip((HOUNSFIELD / 2 - 19.5) / 199 + 0.5, 0, 1), atol=1e-6)


def test_the_first_of_several_windows_counts_and_a_given_one_replaces_it() -> None:
    stated = dicom_file(HOUNSFIELD, WindowCenter=[40, -600], WindowWidth=[400, 1500])
    assert np.allclose(grey(stated), SOFT_TISSUE, atol=1e-6)
    assert np.allclose(grey(stated, window="file"), SOFT_TISSUE, atol=1e-6)
    lung = np.clip((HOUNSFIELD + 600.5) / 1499 + 0.5, 0, 1)
    assert np.allclose(grey(stated, window="-600,1500"), lung, atol=1e-6)
    assert np.allclose(grey(stated, window="full"), (HOUNSFIELD + 32768.0) / 65535, atol=1e-6)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR_EXACT", np.clip((HOUNSFIELD - 40) / 400 + 0.5, 0, 1)),
        ("SIGMOID", 1 / (1 + np.exp(-4 * (HOUNSFIELD - 40.0) / 400))),
    ],
)
def test_other_functions_of_a_window(function: str, expected: np.ndarray) -> None:
    stated = dicom_file(HOUNSFIELD, WindowCenter=40, WindowWidth=400, VOILUTFunction=function)
    assert np.allclose(grey(stated), expected, atol=1e-6)


def test_percentiles_leave_out_the_padding() -> None:
    padded = HOUNSFIELD.copy()
    padded[:20] = -2000
    low, high = np.percentile(padded[20:], (0.5, 99.5))
    expected = np.clip((padded - low) / (high - low), 0, 1)
    assert np.allclose(grey(dicom_file(padded, PixelPaddingValue=-2000), window="percentiles"), expected, atol=1e-6)
    flat = dicom_file(np.full((20, 20), 7, np.int16))
    assert not grey(flat, window="percentiles").any()


def test_bits_have_a_say_where_values_are_plain_numbers() -> None:
    assert np.allclose(grey(dicom_file(TWELVE), bits=12), TWELVE / 4095, atol=1e-6)
    facts = decode_with_facts(dicom_file(TWELVE))
    assert (facts.largest, facts.white, facts.deep_grey) == (int(TWELVE.max()), 65535, True)


def test_colour_is_rgb_of_8_bits() -> None:
    colours = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    found = decode_with_facts(dicom_file(colours))
    assert np.array_equal(found.pixels, colours)
    deep = RNG.integers(0, 1024, (20, 30, 3)).astype(np.uint16)
    found = decode_with_facts(dicom_file(deep, bits=10))
    assert found.bands is not None
    assert np.allclose(found.bands, deep / 1023, atol=1e-6)


def test_several_frames_are_refused_with_a_way_out() -> None:
    error = fault(dicom_file(EIGHT, NumberOfFrames=3))
    assert (error.kind, "3 frames" in str(error), "save the frames" in str(error)) == (FaultKind.FRAMES, True, True)


def test_a_file_without_pixels_is_no_image() -> None:
    dataset = pydicom.dcmread(io.BytesIO(dicom_file(EIGHT)))
    del dataset.PixelData
    assert "pixels are missing" in str(fault(encoded_dataset(dataset)))
    del dataset.Rows
    dataset.Modality = "SR"
    error = fault(encoded_dataset(dataset))
    assert (error.kind, str(error)) == (FaultKind.NOT_AN_IMAGE, "a DICOM file without pixels (SR)")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.95])
def test_a_cut_file_is_an_error_and_never_pixels(syntax: UID, share: float) -> None:
    whole = dicom_file(TWELVE, syntax=syntax, bits=12)
    fault(whole[: int(share * len(whole))])


def test_absurd_sizes_are_refused_before_anything_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault(dicom_file(EIGHT, Rows=65535, Columns=65535)).kind is FaultKind.TOO_LARGE
    assert fault(dicom_file(EIGHT[:4])).kind is FaultKind.TOO_SMALL
    bomb = dicom_file(np.zeros((1000, 1000), np.uint8), syntax=DeflatedExplicitVRLittleEndian)
    assert len(bomb) < 5000
    monkeypatch.setattr(dicom, "_LARGEST_DATASET_BYTES", 10_000)
    monkeypatch.setattr(pydicom.filereader.zlib, "decompress", lambda *a, **k: pytest.fail("it was unpacked"))
    assert fault(bomb).kind is FaultKind.TOO_LARGE
    assert zlib.decompress is not None


@pytest.mark.parametrize(
    ("syntax", "words"),
    [(JPEGLSLossless, "pip install pyjpegls"), (JPEGLosslessSV1, "pip install python-gdcm"), (MPEG2MPML, "convert")],
    ids=lambda value: getattr(value, "name", None),
)
def test_what_cannot_be_decompressed_here_names_the_package(syntax: UID, words: str) -> None:
    dataset = pydicom.dcmread(io.BytesIO(dicom_file(EIGHT, syntax=RLELossless)))
    dataset.file_meta.TransferSyntaxUID = syntax
    if syntax != MPEG2MPML and pydicom.pixels.get_decoder(syntax).is_available:
        pytest.skip("this machine has a decoder")
    error = fault(encoded_dataset(dataset))
    assert (error.kind, words in str(error)) == (FaultKind.NEEDS_PACKAGE, True), str(error)


def test_without_pydicom_the_pip_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    dicom._pydicom.cache_clear()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    error = fault(dicom_file_made_before())
    assert (error.kind, 'pip install "headstart[medical]"' in str(error)) == (FaultKind.NEEDS_PACKAGE, True)
    dicom._pydicom.cache_clear()


def dicom_file_made_before() -> bytes:
    """The least that is known as DICOM; made without pydicom."""
    return b"\0" * 128 + b"DICM" + b"\2\0\0\0UL\4\0\0\0\0\0"


def test_the_header_gives_size_and_channels() -> None:
    header = read_header(dicom_file(EIGHT))
    assert header is not None
    assert (header.width, header.height, header.channels) == (65, 70, 1)
    assert read_header(dicom_file_made_before()) is None


def test_a_change_of_any_byte_is_pixels_or_a_reason() -> None:
    whole = bytearray(dicom_file(TWELVE, syntax=RLELossless, bits=12, WindowCenter=40, WindowWidth=400))
    for at in RNG.integers(0, 900, 60):
        changed = whole.copy()
        changed[at] ^= int(RNG.integers(1, 256))
        try:
            assert isinstance(decode_with_facts(bytes(changed)), Decoded)
        except UnreadableImageError:
            continue
