"""Values and shapes that mislead are named with numbers: small ranges, blank images, alpha, noise, strips, crops."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks.image_checks import find_image_findings, read_all
from headstart.data.checks.pixels import find_in_shapes, view_facts
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.findings import Finding
from headstart.input_spec import Decoding, InputSpec

SPEC = InputSpec(224, 256, "bicubic", (0.5,) * 3, (0.5,) * 3)
RNG = np.random.default_rng(0)


def deep(top: int, kind: type = np.uint16) -> Callable[[], Image.Image]:
    """Grey images whose largest value is `top`."""

    def make() -> Image.Image:
        values = RNG.integers(0, top + 1, (16, 16)).astype(kind)
        values[0, 0] = top
        return Image.fromarray(values)

    return make


def eight() -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (16, 16), dtype=np.uint8))


def folder(root: Path, makers: dict[str, Callable[[], Image.Image]], *, count: int = 10, suffix: str = "png") -> Path:
    for name, make in makers.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            make().save(root / name / f"{index}.{suffix}")
    return root


def found(root: Path, *, bits: int | None = None, spec: InputSpec | None = None) -> dict[str, Finding]:
    dataset = open_source(str(root))
    facts = read_all(dataset.records, decoding=Decoding(bits=bits))
    return {finding.what: finding for finding in find_image_findings(dataset, facts, spec)}


@pytest.mark.parametrize(("top", "bits"), [(4095, 12), (3000, 12), (1023, 10), (255, 8), (8191, 13), (14, 4)])
def test_deep_values_that_use_a_small_part_of_the_range_are_named_with_the_bits_that_fit(tmp_path, top: int, bits: int):
    root = folder(tmp_path / "x", {"a": deep(top), "b": deep(top)})
    finding = found(root)["small_range"]
    assert finding.level == "warning"
    assert f"the largest value is {top:,} of 65,535" in finding.evidence
    assert f"--bits {bits} " in finding.remedy
    assert "only in" not in finding.evidence, "both classes are dark"
    assert len(finding.images[0]) == 20
    assert found(root, bits=bits) == {}, "with that option nothing is dark"


@pytest.mark.parametrize("top", [8192, 20_000, 65_535])
def test_an_eighth_of_the_range_is_enough(tmp_path, top: int):
    assert found(folder(tmp_path / "x", {"a": deep(top), "b": deep(top)})) == {}


def test_one_dark_image_among_bright_ones_is_no_small_range(tmp_path):
    root = folder(tmp_path / "x", {"a": deep(60_000), "b": deep(60_000)})
    deep(1000)().save(root / "a" / "0.png")
    assert set(found(root)) == {"nearly_black"}


def test_a_class_that_alone_is_dark_is_called_a_shortcut(tmp_path):
    finding = found(folder(tmp_path / "x", {"a": eight, "b": deep(4095)}))["small_range"]
    assert "they are only in class b, so that brightness alone tells the classes apart" in finding.evidence
    assert "--bits 12" in finding.remedy
    other = found(folder(tmp_path / "y", {"a": deep(60_000), "b": deep(4095)}))["small_range"]
    assert "only in class b" in other.evidence
    assert other.remedy == "bring them to the range of class a (up to 60,000) first"


def test_values_beyond_the_bits_that_were_given_are_named_as_unreadable(tmp_path):
    root = folder(tmp_path / "x", {"a": deep(4095), "b": deep(4095)})
    deep(5000)().save(root / "a" / "0.png")
    finding = found(root, bits=12)["unreadable"]
    assert "a/0.png: its largest value is 5,000, and 12 bits end at 4,095" in finding.evidence


def test_32_bit_integers_are_deep_too(tmp_path):
    root = folder(tmp_path / "x", {"a": deep(255, np.int32), "b": deep(255, np.int32)}, suffix="tif")
    assert "--bits 8 " in found(root)["small_range"].remedy


def masks() -> Image.Image:
    return Image.fromarray(RNG.integers(0, 2, (16, 16), dtype=np.uint8))


def test_black_blank_and_few_levels_are_three_findings(tmp_path):
    def white() -> Image.Image:
        return Image.new("L", (16, int(RNG.integers(16, 400))), 255)

    def two_tones() -> Image.Image:
        return Image.fromarray(RNG.integers(0, 2, (16, 16), dtype=np.uint8) * 255)

    seen = found(folder(tmp_path / "x", {"mask": masks, "white": white, "scan": two_tones, "grey": eight}))
    assert "10 images are nearly black, with no value above 32 of 255 (mask/0.png" in seen["nearly_black"].evidence
    assert seen["nearly_black"].evidence.endswith("they are all images of class mask")
    assert "10 images are blank" in seen["blank"].evidence
    assert seen["few_levels"].level == "info", "scans in black and white are common"
    assert seen["few_levels"].images == (tuple(f"scan/{index}.png" for index in range(10)),)


def test_levels_are_counted_on_all_pixels_before_they_are_called_few(tmp_path):
    def sparse() -> Image.Image:
        values = np.zeros((300, 300), np.uint8)
        values[1, 1:12] = np.arange(200, 211)
        values[5, int(RNG.integers(300))] = RNG.integers(100, 190)
        return Image.fromarray(values)

    assert found(folder(tmp_path / "x", {"a": sparse, "b": sparse})) == {}


def with_alpha(values: Callable[[], np.ndarray]) -> Callable[[], Image.Image]:
    def make() -> Image.Image:
        return Image.fromarray(np.dstack([RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8), values()]))

    return make


def infrared() -> np.ndarray:
    return RNG.integers(5, 240, (16, 16), dtype=np.uint8)


def cut_out() -> np.ndarray:
    return (RNG.random((16, 16)) < 0.5).astype(np.uint8) * 255


def test_a_fourth_band_that_is_marked_as_alpha_is_named(tmp_path):
    seen = found(folder(tmp_path / "x", {"a": with_alpha(infrared), "b": with_alpha(infrared)}, suffix="tif"))
    assert "every TIFF file (20) is partly transparent in most of its pixels" in seen["transparent_everywhere"].evidence
    assert "near infrared" in seen["transparent_everywhere"].remedy


def test_cut_outs_and_one_opaque_file_are_no_infrared(tmp_path):
    assert found(folder(tmp_path / "x", {"a": with_alpha(cut_out), "b": with_alpha(cut_out)}, suffix="tif")) == {}
    root = folder(tmp_path / "y", {"a": with_alpha(infrared), "b": with_alpha(infrared)}, suffix="tif")
    eight().convert("RGB").save(root / "a" / "0.tif")
    assert found(root) == {}


def test_jpegs_that_are_complete_with_noise_are_used_and_named(tmp_path):
    root = folder(tmp_path / "x", {"a": eight, "b": eight}, suffix="jpg")
    path = root / "a" / "3.jpg"
    path.write_bytes(path.read_bytes()[:-2])
    finding = found(root)["noise"]
    assert finding.level == "warning"
    assert finding.evidence == "1 image is complete, with noise: a/3.jpg: its end marker is missing"
    assert finding.images == (("a/3.jpg",),)


def test_strips_are_named_with_the_size_of_the_first(tmp_path):
    root = folder(tmp_path / "x", {"a": eight, "b": eight})
    Image.fromarray(RNG.integers(0, 256, (8, 161, 3), dtype=np.uint8)).save(root / "b" / "0.png")
    Image.fromarray(RNG.integers(0, 256, (8, 160, 3), dtype=np.uint8)).save(root / "b" / "1.png")
    finding = found(root)["strips"]
    assert "1 image is more than 20 times as long as wide (the first: 161 x 8 pixels) (b/0.png)" in finding.evidence


def shapes(*sizes: tuple[int, int]) -> dict[str, Finding]:
    records = [ImageRecord(f"a/{index}", "a", "all") for index in range(len(sizes))]
    kept = find_in_shapes(records, {r.id: size for r, size in zip(records, sizes, strict=True)}, SPEC)
    return {finding.what: finding for finding in kept}


def test_a_crop_that_cuts_more_than_30_percent_off_most_images_is_named():
    finding = shapes(*[(640, 480)] * 6, *[(300, 300)] * 4)["cut_off"]
    assert "does not see 43% of the median image" in finding.evidence
    assert "more than 30% off 6 of 10 images" in finding.evidence
    assert "--resize squash or --resize letterbox" in finding.remedy
    assert shapes(*[(640, 480)] * 5, *[(300, 300)] * 5) == {}, "half of the images are not most of them"
    assert shapes(*[(300, 300)] * 8) == {}


def test_the_view_says_how_much_is_cut():
    sizes = {"a": (640, 480), "b": (300, 300), "c": (480, 960)}
    assert asdict(view_facts(sizes, SPEC).cut) == pytest.approx({"median": 0.4242, "largest": 0.6172}, abs=0.002)
    squashed = SPEC.as_requested(size="auto", resize="squash")
    assert view_facts(sizes, squashed).to_dict() == {
        "size": 224,
        "resize": "squash",
        "bits": None,
        "cut": {"median": 0.0, "largest": 0.0},
    }
    assert view_facts({}, SPEC).cut is None


def png_16(samples: np.ndarray, colour: int) -> bytes:
    """A PNG with 16 bits a channel, which Pillow cannot write in colour."""
    import zlib

    height, width = samples.shape[:2]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples.reshape(height, -1))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_dark_colour_of_16_bits_is_named_and_bits_help(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for index in range(10):
            samples = RNG.integers(0, 4096, (16, 16, 3)).astype(np.uint16)
            (tmp_path / name / f"{index}.png").write_bytes(png_16(samples, 2))
    finding = found(tmp_path)["small_range"]
    assert finding.evidence.startswith("20 colour images with more than 8 bits")
    assert "--bits 12 " in finding.remedy
    assert found(tmp_path, bits=12) == {}


@pytest.mark.parametrize(
    ("sides", "what"), [((32, 40), {"enlarged"}), ((86, 86), set()), ((2040, 2040), set()), ((2100, 2048), {"reduced"})]
)
def test_the_scale_of_the_images_is_named_where_it_is_far_from_the_input(sides: tuple[int, int], what: set[str]):
    record = ImageRecord(id="a/1.png", label="a", split="all", path=Path("1.png"))
    findings = find_in_shapes([record], {record.id: sides}, SPEC)
    assert {finding.what for finding in findings} - {"cut_off"} == what
    if what:
        assert f"{min(sides)} pixels on its shorter side" in findings[-1].evidence
