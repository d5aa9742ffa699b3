"""The domain of a set: what files say of their device, then pixels and names, and unknown rather than a guess."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from dicom_files import dicom_file
from headstart.data.decoders.headers import Header
from headstart.data.loading import read_image
from headstart.data.sources.reading import ImageRecord, open_source
from headstart.input_spec import Decoding
from headstart.inspection.domain_look import SAMPLED_IMAGES, ImagesSeen, domain_of, look_at_images

RNG = np.random.default_rng(0)


def written(folder: Path, encode: Callable[[Path, np.ndarray], None], suffix: str, count: int = 6) -> Path:
    """Noise of two classes whose names say nothing."""
    for label in ("one", "two"):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            encode(folder / label / f"{number}.{suffix}", RNG.integers(0, 200, (40, 48)).astype(np.uint8))
    return folder


def domain_in(folder: Path) -> tuple[str, str]:
    dataset = open_source(str(folder))
    seen = look_at_images(dataset.records, decoding=Decoding())
    found = domain_of(seen, names=["one", "two"], source=str(folder))
    return found.domain, found.evidence


def test_dicom_files_are_medical(tmp_path: Path):
    folder = written(tmp_path / "a", lambda path, grey: path.write_bytes(dicom_file(grey)) and None, "dcm")
    assert domain_in(folder) == ("medical", "DICOM files are written by clinical devices")


def test_files_with_a_place_on_a_map_are_from_above_also_with_bands_that_nobody_chose(tmp_path: Path):
    def geotiff(path: Path, grey: np.ndarray) -> None:
        bands = np.repeat(grey[:, :, None], 3 if path.parent.name == "one" else 5, axis=2)
        place = [(33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0.0,) * 6, True)]
        kind = "rgb" if bands.shape[2] == 3 else "minisblack"
        tifffile.imwrite(path, bands, photometric=kind, planarconfig="contig", extratags=place)

    domain, evidence = domain_in(written(tmp_path / "a", geotiff, "tif"))
    assert domain == "satellite"
    assert "GeoTIFF" in evidence


def test_a_tiff_without_a_place_says_nothing(tmp_path: Path):
    domain, _ = domain_in(written(tmp_path / "a", lambda path, grey: tifffile.imwrite(path, grey), "tif"))
    assert domain == "unknown"


def test_many_bands_are_from_above_and_a_few_odd_files_decide_nothing():
    colour, bands = Header(64, 64, 3), Header(64, 64, 13)
    assert domain_of(ImagesSeen((bands,) * 3, ()), names=[], source="x").domain == "satellite"
    few = ImagesSeen((Header(64, 64, 1, "dicom"), colour, colour), ())
    assert domain_of(few, names=[], source="x").evidence == "no image could be looked at"
    assert domain_of(ImagesSeen((), ()), names=[], source="digits").domain == "document"


def test_it_looks_at_so_many_images_spread_over_all(make_folder: Callable[..., Path]):
    records = open_source(str(make_folder("many", per_class=50))).records
    looked: list[int] = []
    seen = look_at_images(records, decoding=Decoding(), progress=lambda what, total: looked.append)
    assert (len(seen.headers), sum(looked)) == (SAMPLED_IMAGES, SAMPLED_IMAGES)
    assert (seen.channels, seen.resolution) == (3, 40)
    nothing = look_at_images((), decoding=Decoding())
    assert (nothing.channels, nothing.resolution) == (3, None)


def seen_in(real_data: Path, name: str) -> tuple[ImagesSeen, list[str]]:
    dataset = open_source(str(real_data / f"{name}.tar"), labels="optional")
    records = dataset.of("train") or dataset.records
    return look_at_images(records, decoding=Decoding()), sorted({record.label for record in records})


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("hymenoptera", "photo"),
        ("cifar10", "photo"),
        ("rsscn7", "satellite"),
        ("chest_xray", "medical"),
        ("documents", "document"),
        ("wildfire_s2", "satellite"),
        ("grades", "unknown"),  # grey solar cells whose classes are numbers
        ("multilabel", "unknown"),  # tiles from above that no name speaks of
    ],
)
def test_real_sets_get_their_domain_or_none(real_data: Path, name: str, domain: str):
    """No threshold was set on wildfire_s2, grades and multilabel."""
    seen, names = seen_in(real_data, name)
    assert domain_of(seen, names=names, source=f"{name}.tar").domain == domain


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", ["hymenoptera", "cifar10", "rsscn7", "chest_xray"])
def test_grey_images_whose_names_say_nothing_are_unknown(real_data: Path, name: str):
    """Grey scans of a public set were once called photos, and grey photos radiographs."""
    dataset = open_source(str(real_data / f"{name}.tar"))
    seen = look_at_images(dataset.records[:: max(1, len(dataset.records) // 40)], decoding=Decoding(bands=(1,)))
    assert all(one.grey == 1 for one in seen.statistics)
    assert domain_of(seen, names=["a", "b"], source="images").domain == "unknown"


def test_files_are_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HEADSTART_HOME", str(tmp_path / "home"))
    folder = written(tmp_path / "a", lambda path, grey: Image.fromarray(grey).save(path), "png")
    records = open_source(str(folder)).records
    read = []

    def counting(record: ImageRecord, **options: Any) -> Any:
        read.append(record.id)
        return read_image(record, **options)

    monkeypatch.setattr("headstart.inspection.domain_look.read_image", counting)
    first = look_at_images(records, decoding=Decoding())
    assert len(read) == len(records)
    assert (look_at_images(records, decoding=Decoding()), len(read)) == (first, len(records))
    assert look_at_images(records, decoding=Decoding(contrast="clahe")) is not first
    assert len(read) == 2 * len(records), "another decoding gives other pixels"
    for kept in (tmp_path / "home").rglob("*.look"):
        kept.write_bytes(kept.read_bytes()[:-3])
    assert look_at_images(records, decoding=Decoding()) == first, "a damaged file is passed over"
    Image.new("L", (48, 40), 9).save(folder / "one" / "0.png")
    assert look_at_images(records, decoding=Decoding()) != first, "other bytes are other images"
