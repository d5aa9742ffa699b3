"""One picture in many encodings: trained from one of them, a bundle predicts the same from all."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

import headstart
from dicom_files import dicom_file
from headstart.input_spec import Decoding
from headstart.prediction.bundle import read_info

# Pillow looks into a BigTIFF of the other byte order and remarks on it, before tifffile reads it.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

Encoder = Callable[[np.ndarray], bytes]


def saved(pixels: np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="minisblack", **options)
    return buffer.getvalue()


OF_8_BITS: dict[str, Encoder] = {
    "dcm": dicom_file,
    "implicit.dcm": lambda pixels: dicom_file(pixels, syntax=ImplicitVRLittleEndian),
    "big-endian.dcm": lambda pixels: dicom_file(pixels, syntax=ExplicitVRBigEndian),
    "deflated.dcm": lambda pixels: dicom_file(pixels, syntax=DeflatedExplicitVRLittleEndian),
    "rle.dcm": lambda pixels: dicom_file(pixels, syntax=RLELossless),
    "jpeg2000.dcm": lambda pixels: dicom_file(pixels, syntax=JPEG2000Lossless),
    "inverted.dcm": lambda pixels: dicom_file(255 - pixels, PhotometricInterpretation="MONOCHROME1"),
    "window.dcm": lambda pixels: dicom_file(pixels, WindowCenter=128, WindowWidth=256),
    "signed.dcm": lambda pixels: dicom_file(
        pixels.astype(np.int16) - 1024, RescaleSlope=1, RescaleIntercept=1024, WindowCenter=128, WindowWidth=256
    ),
    "deep.dcm": lambda pixels: dicom_file(pixels.astype(np.uint16) * 257),
    "png": lambda pixels: saved(pixels, "PNG"),
    "deep.png": lambda pixels: saved(pixels.astype(np.uint16) * 257, "PNG"),
    "bmp": lambda pixels: saved(pixels, "BMP"),
    "tif": lambda pixels: tiff(pixels, compression="zlib"),
    "webp": lambda pixels: saved(np.repeat(pixels[:, :, None], 3, axis=2), "WEBP", lossless=True),
    "turned.png": lambda pixels: saved(np.rot90(pixels).copy(), "PNG", exif=rotation(6)),
}
OF_16_BITS: dict[str, Encoder] = {
    "png": lambda pixels: saved(pixels, "PNG"),
    "tif": lambda pixels: saved(pixels, "TIFF"),
    "deflate.tif": lambda pixels: tiff(pixels, compression="zlib", predictor=True),
    "big.tif": lambda pixels: tiff(pixels, bigtiff=True, byteorder=">", tile=(16, 16)),
    "inverted.tif": lambda pixels: tiff_with_white_first(65_535 - pixels),
    "pgm": lambda pixels: f"P5 {pixels.shape[1]} {pixels.shape[0]} 65535\n".encode() + pixels.astype(">u2").tobytes(),
    "dcm": dicom_file,
    "jpeg2000.dcm": lambda pixels: dicom_file(pixels, syntax=JPEG2000Lossless),
    "jp2": lambda pixels: saved(pixels, "JPEG2000", irreversible=False),
}


def rotation(tag: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = tag
    return exif


def tiff_with_white_first(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="miniswhite")
    return buffer.getvalue()


def x_rays(folder: Path, count: int) -> dict[str, list[np.ndarray]]:
    """Class -> grey images of 8 bits, 96 pixels wide at most."""
    found: dict[str, list[np.ndarray]] = {}
    with tarfile.open(folder / "chest_xray.tar") as archive:
        for member in archive:
            of = found.setdefault(member.name.split("/")[0], []) if member.isfile() else []
            if member.isfile() and len(of) < count:
                content = archive.extractfile(member)
                assert content is not None
                with Image.open(content) as image:
                    image.thumbnail((96, 96))
                    of.append(np.array(image.convert("L")))
    return found


def stripes(count: int) -> dict[str, list[np.ndarray]]:
    """Class -> grey images of 16 bits that use all of them."""
    rng, ramp = np.random.default_rng(0), np.linspace(0, 50_000, 60)
    lying = [(ramp[:, None] + rng.integers(0, 15_000, (60, 70))).astype(np.uint16) for _ in range(count)]
    return {"lying": lying, "standing": [np.ascontiguousarray(image.T) for image in lying[::-1]]}


def write(root: Path, images: dict[str, list[np.ndarray]], suffix: str, encode: Encoder) -> list[str]:
    paths = []
    for label, of in images.items():
        (root / label).mkdir(parents=True, exist_ok=True)
        for index, pixels in enumerate(of):
            path = root / label / f"{index:03d}.{suffix}"
            path.write_bytes(encode(pixels))
            paths.append(str(path))
    return paths


def probabilities(bundle: Path, paths: list[str]) -> np.ndarray:
    found = headstart.predict(bundle, paths, unreadable="stop", progress="none")
    return np.array([list(one.probabilities.values()) for one in found])


@pytest.mark.slow
@pytest.mark.realdata
def test_a_dicom_series_trains_and_predicts_the_same_from_every_encoding(real_data: Path, tmp_path: Path):
    images = x_rays(real_data, 20)
    trained = write(tmp_path / "series", images, "dcm", dicom_file)
    result = headstart.train(
        tmp_path / "series", strategy="feature_extraction", input_size=64, out=tmp_path / "run", progress="none"
    )
    assert result.metrics.unreadable == {}
    assert result.accuracy > 0.5
    few = {label: of[:3] for label, of in images.items()}
    expected = probabilities(tmp_path / "run", write(tmp_path / "first", few, "dcm", dicom_file))
    assert len(trained) == sum(map(len, images.values()))
    assert len(np.unique(expected[:, 0])) > len(expected) / 2
    for name, encode in OF_8_BITS.items():
        found = probabilities(tmp_path / "run", write(tmp_path / name.replace(".", "_"), few, name, encode))
        assert np.array_equal(found, expected), name


@pytest.mark.slow
def test_a_16_bit_set_trains_and_predicts_the_same_from_every_encoding(tmp_path: Path):
    images = stripes(8)
    write(tmp_path / "set", images, "png", OF_16_BITS["png"])
    result = headstart.train(
        tmp_path / "set", strategy="feature_extraction", input_size=32, out=tmp_path / "run", progress="none"
    )
    assert result.metrics.unreadable == {}
    few = {label: of[:3] for label, of in images.items()}
    expected = probabilities(tmp_path / "run", write(tmp_path / "first", few, "png", OF_16_BITS["png"]))
    for name, encode in OF_16_BITS.items():
        found = probabilities(tmp_path / "run", write(tmp_path / name.replace(".", "_"), few, name, encode))
        assert np.array_equal(found, expected), name


@pytest.mark.slow
def test_chosen_bands_and_bits_go_from_training_into_the_bundle_and_to_prediction(tmp_path: Path):
    rng = np.random.default_rng(0)
    for label, base in (("dry", 500), ("wet", 2500)):
        (tmp_path / "tiles" / label).mkdir(parents=True)
        for index in range(8):
            bands = rng.integers(0, 1000, (40, 40, 5)).astype(np.uint16)
            bands[:, :, 4] += base  # only the fifth band tells the classes apart
            tifffile.imwrite(
                tmp_path / "tiles" / label / f"{index}.tif", bands, photometric="minisblack", planarconfig="contig"
            )
    result = headstart.train(
        tmp_path / "tiles",
        strategy="feature_extraction",
        input_size=32,
        bands="5,3,2",
        bits=12,
        out=tmp_path / "run",
        progress="none",
    )
    assert result.accuracy == 1
    spec = read_info(tmp_path / "run" / "bundle").input
    assert (spec.decoding.bands, spec.decoding.bits) == ((5, 3, 2), 12)
    found = headstart.predict(tmp_path / "run", [str(tmp_path / "tiles")], unreadable="stop", progress="none")
    assert all(one.label == Path(one.file).parent.name for one in found)
    assert headstart.evaluate(tmp_path / "run", progress="none").accuracy == 1


@pytest.mark.slow
def test_equalised_contrast_goes_from_training_into_the_bundle_and_to_prediction(tmp_path: Path):
    images = stripes(8)
    write(tmp_path / "set", images, "png", OF_16_BITS["png"])
    result = headstart.train(
        tmp_path / "set",
        strategy="feature_extraction",
        input_size=32,
        contrast="clahe",
        out=tmp_path / "run",
        progress="none",
    )
    assert read_info(tmp_path / "run" / "bundle").input.decoding == Decoding(contrast="clahe")
    assert result.metrics.unreadable == {}
    paths = write(tmp_path / "few", {label: of[:2] for label, of in images.items()}, "png", OF_16_BITS["png"])
    found = probabilities(tmp_path / "run", paths)
    headstart.train(
        tmp_path / "set", strategy="feature_extraction", input_size=32, out=tmp_path / "plain", progress="none"
    )
    assert not np.array_equal(found, probabilities(tmp_path / "plain", paths))
    assert read_info(tmp_path / "plain" / "bundle").input.decoding == Decoding()
