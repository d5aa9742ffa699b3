"""Grey images among colour ones, deep ones among 8 bits, overexposed ones: graver where they tell classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.data.checks.image_checks import read_all
from headstart.data.checks.mixtures import find_in_mixtures
from headstart.data.sources.reading import open_source
from headstart.findings import Finding

RNG = np.random.default_rng(0)


def save(folder: Path, name: str, values: np.ndarray, **options: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(folder / name, **options)


def colour(*, low: int = 0, high: int = 256) -> np.ndarray:
    return RNG.integers(low, high, (24, 24, 3), dtype=np.uint8)


def grey() -> np.ndarray:
    return RNG.integers(0, 256, (24, 24), dtype=np.uint8)


def found(root: Path) -> dict[str, Finding]:
    facts = read_all(open_source(str(root)).records)
    return {finding.what: finding for finding in find_in_mixtures(facts.readable, facts.pixels)}


def test_grey_images_in_one_class_only_are_a_warning(tmp_path: Path):
    for index in range(8):
        save(tmp_path / "a", f"{index}.png", grey())
        save(tmp_path / "b", f"{index}.png", colour())
    finding = found(tmp_path)["mixed_modes"]
    assert finding.level == "warning"
    assert finding.evidence.startswith("8 of 16 images are grey, the others are in colour")
    assert "nearly all of class a are grey, and hardly any of class b" in finding.evidence
    assert finding.images == (tuple(f"a/{index}.png" for index in range(8)),)


def test_a_grey_picture_saved_as_a_colour_jpeg_is_grey(tmp_path: Path):
    smooth = np.tile(np.arange(64, dtype=np.uint8)[:, None] * 4, (1, 64))
    for label in ("a", "b"):
        for index in range(6):
            save(tmp_path / label, f"{index}.png", colour())
            save(tmp_path / label, f"grey{index}.jpg", np.repeat(smooth[..., None], 3, axis=2), quality=60)
    finding = found(tmp_path)["mixed_modes"]
    assert finding.level == "info"
    assert len(finding.images[0]) == 12
    assert all("grey" in name for name in finding.images[0])


def test_deep_files_among_those_of_eight_bits(tmp_path: Path):
    for index in range(6):
        save(tmp_path / "a", f"{index}.png", RNG.integers(0, 65536, (24, 24), dtype=np.uint16))
        save(tmp_path / "b", f"{index}.png", grey())
    assert set(found(tmp_path)) == {"mixed_depths"}
    assert found(tmp_path)["mixed_depths"].level == "warning"


def test_overexposed_photos_are_named_and_scans_are_not(tmp_path: Path):
    scan = np.where(RNG.random((24, 24, 1)) < 0.02, colour(), 255).astype(np.uint8)
    for label in ("a", "b"):
        for index in range(5):
            save(tmp_path / "photos" / label, f"{index}.png", colour(low=20, high=235))
            save(tmp_path / "scans" / label, f"{index}.png", scan)
    save(tmp_path / "photos" / "a", "white.png", scan)
    assert found(tmp_path / "photos")["saturated"].images == (("a/white.png",),)
    assert "saturated" not in found(tmp_path / "scans")


@pytest.mark.parametrize("few", [0, 3])
def test_a_few_odd_files_are_no_finding(tmp_path: Path, few: int):
    for label in ("a", "b"):
        for index in range(12):
            save(tmp_path / label, f"{index}.png", grey() if index < few // 2 else colour())
    assert found(tmp_path) == {}
