"""Number of bands of the images of a set, from the headers of the first ones; and whether they have to be adapted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePath

from headstart.data.decoders.tiff import band_count_of, is_tiff
from headstart.data.sources.reading import ImageRecord
from headstart.errors import PlanError
from headstart.input_spec import MOST_ADAPTED_BANDS, Decoding
from headstart.plan.sections import ChannelChoice

_LOOKED_AT = 9
"""Images, spread over the set; the number that most of them have is that of the set."""
_TIFF_SUFFIXES = (".tif", ".tiff")
_GREY, _COLOUR = 1, 3


def band_count(records: Sequence[ImageRecord]) -> int | None:
    """Number of bands, without transparency, of most of some images; None where no header says it.

    Files of other formats have one or three. Only those are read whose name says TIFF, or says nothing at all.

    Args:
        records: Of the set.
    """
    found: Counter[int] = Counter()
    for number in range(min(_LOOKED_AT, len(records))):
        # Spread over all images: a stray tile among photos must not make bands of them.
        record = records[number * len(records) // min(_LOOKED_AT, len(records))]
        if PurePath(record.id).suffix.lower() not in (*_TIFF_SUFFIXES, ""):
            found[_COLOUR] += 1
            continue
        try:
            encoded = record.read()
        except OSError:  # the check names it
            continue
        if is_tiff(encoded) and (count := band_count_of(encoded)) is not None:
            found[count] += 1
    return found.most_common(1)[0][0] if found else None


def with_band_count(decoding: Decoding, records: Sequence[ImageRecord], *, channels: ChannelChoice) -> Decoding:
    """The decoding with the number of bands, where they have to be brought to the channels of the weights.

    Args:
        decoding: As requested.
        records: The images, of which a few are looked at where neither number nor bands were given.
        channels: As the plan has it.

    Raises:
        PlanError: plain images of another number of bands than one or three.
    """
    if channels == "plain":
        plain = replace(decoding, band_count=None)
        if faults := plain.faults():
            raise PlanError(faults, source="the data options")
        return plain
    if decoding.band_count is not None:
        return decoding
    count = len(decoding.bands) if decoding.bands is not None else band_count(records) or _COLOUR
    # Grey goes through the weights as it is: each way would give the same, and its statistics are those of photos.
    if count == _GREY or (count == _COLOUR and channels == "auto"):
        return decoding
    return replace(decoding, band_count=count) if count <= MOST_ADAPTED_BANDS else decoding
