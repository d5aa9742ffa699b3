"""Number of bands of the images of a set, from the headers of the first ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from headstart.data.decoders.tiff import band_count_of, is_tiff
from headstart.data.sources.reading import ImageRecord

_LOOKED_AT = 5
"""Images, spread over the set; the number that most of them have is that of the set."""
_TIFF_SUFFIXES = (".tif", ".tiff")


def band_count(records: Sequence[ImageRecord]) -> int | None:
    """Number of bands, without transparency, of most of some images; None where these are no TIFF files.

    Files of other formats have one or three. Nothing is read where no name says TIFF, unless names say nothing at all.

    Args:
        records: Of the set.
    """
    suffixes = {record.id: PurePath(record.id).suffix.lower() for record in records}
    some = [record for record in records if suffixes[record.id] in (*_TIFF_SUFFIXES, "")]
    step = max(1, len(some) // _LOOKED_AT)
    found: Counter[int] = Counter()
    for record in some[::step][:_LOOKED_AT]:
        try:
            encoded = record.read()
        except OSError:  # the check names it
            continue
        if is_tiff(encoded) and (count := band_count_of(encoded)) is not None:
            found[count] += 1
    return found.most_common(1)[0][0] if found else None
