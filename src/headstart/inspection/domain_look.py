"""Domain of a set of images, decided by looking at some of them: file kinds, bands, pixels, and names.

What a file says of its device comes first: DICOM is written by clinical devices, a GeoTIFF lies on a map, more than
four bands are those of a sensor. Otherwise pixels and names decide (`domain_guess`), or the domain stays unknown.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from headstart.data.band_count import with_band_count
from headstart.data.checks.facts_cache import decoding_version, facts_folder, stored_or_found
from headstart.data.decoders.headers import FileOrigin, Header, read_header
from headstart.data.loading import ReadImage, read_image
from headstart.data.sources.reading import ImageRecord, is_digits
from headstart.input_spec import Decoding
from headstart.inspection.domain_guess import DomainGuess, PixelStatistics, guess_domain, pixel_statistics
from headstart.knowledge.domain import Domain
from headstart.runs.progress import Progress, no_progress

SAMPLED_IMAGES = 64
"""Number of images that decide domain, resolution and channels."""
_LOOK_PIXELS = 96
LOOK_VERSION = 1
"""Raised whenever the same files may give other headers or statistics."""
MOST_COLOURS = 4
"""More channels than that are bands of a sensor."""
_MOST_FILES = 0.5
"""Share of the files that must be of a kind for the kind to decide."""
_ORIGINS: dict[FileOrigin, tuple[Domain, str]] = {
    "dicom": ("medical", "DICOM files are written by clinical devices"),
    "geotiff": ("satellite", "the files hold a place on a map (GeoTIFF)"),
}


@dataclass(frozen=True, slots=True)
class ImagesSeen:
    """Headers and pixel statistics of some images of a set."""

    headers: tuple[Header, ...]
    statistics: tuple[PixelStatistics, ...]
    """Of those that can be decoded."""

    @property
    def channels(self) -> int:
        """Most frequent number of channels; 3 where no header can be read."""
        return statistics.mode([header.channels for header in self.headers]) if self.headers else 3

    @property
    def resolution(self) -> int | None:
        """Median of the shorter sides in pixels; None where no header can be read."""
        return round(statistics.median(h.shorter for h in self.headers)) if self.headers else None


def look_at_images(
    records: Sequence[ImageRecord], *, decoding: Decoding, progress: Progress = no_progress
) -> ImagesSeen:
    """Headers and pixel statistics of images spread evenly over the records; unreadable ones are skipped.

    Of files that were looked at before, with the same code, the statistics are kept in `$HEADSTART_HOME/images`.

    Args:
        records: All images.
        decoding: How they are read.
        progress: Receives how many were looked at.
    """
    decoding = with_band_count(decoding, records, channels="auto")
    some = [replace(record, content=content) for record in _spread(records) if (content := _content(record))]
    digest = hashlib.blake2b(f"{LOOK_VERSION} {decoding_version(decoding)}".encode(), digest_size=16)
    looked = progress("looking at images", len(some))
    for record in some:
        looked(1)
        digest.update(hashlib.blake2b(record.read(), digest_size=16).digest())
    kept = facts_folder() / f"{digest.hexdigest()}.look"
    return _from_json(stored_or_found(kept, lambda: _to_json(_look_at(some, decoding))))


def _content(record: ImageRecord) -> bytes:
    """Bytes of the file; none where it cannot be read: the check says why."""
    try:
        return record.read()
    except OSError:
        return b""


def _look_at(records: Sequence[ImageRecord], decoding: Decoding) -> ImagesSeen:
    headers, looks = [], []
    for record in records:
        found = read_image(record, at_least=_LOOK_PIXELS, decoding=decoding)
        header = read_header(found.encoded)
        if header is None:
            continue
        headers.append(header)  # also of images that cannot be decoded: bands of a sensor, for one
        if isinstance(found, ReadImage):
            looks.append(pixel_statistics(found.pixels))
    return ImagesSeen(tuple(headers), tuple(looks))


def _to_json(seen: ImagesSeen) -> bytes:
    return json.dumps([[astuple(one) for one in seen.headers], [astuple(one) for one in seen.statistics]]).encode()


def _from_json(text: bytes) -> ImagesSeen:
    headers, looks = json.loads(text)
    return ImagesSeen(tuple(Header(*one) for one in headers), tuple(PixelStatistics(*one) for one in looks))


def domain_of(seen: ImagesSeen, *, names: Sequence[str], source: str) -> DomainGuess:
    """Domain of the images, or unknown, with the evidence.

    Args:
        seen: Some of them.
        names: Names of the classes.
        source: DATA as the user names it.
    """
    if is_digits(source):
        return DomainGuess("document", 1.0, "digits are writing")
    for origin, (domain, says) in _ORIGINS.items():
        count = sum(header.origin == origin for header in seen.headers)
        if count > _MOST_FILES * len(seen.headers):
            return DomainGuess(domain, count / len(seen.headers), says)
    if seen.channels > MOST_COLOURS:
        return DomainGuess("satellite", 1.0, f"{seen.channels} channels are bands of a sensor")
    if not seen.statistics:
        return DomainGuess("unknown", 0.0, "no image could be looked at")
    return guess_domain(seen.statistics, names=names, source=Path(source).stem)


def _spread(records: Sequence[ImageRecord]) -> Iterable[ImageRecord]:
    count = min(SAMPLED_IMAGES, len(records))
    return (records[index * len(records) // count] for index in range(count))
