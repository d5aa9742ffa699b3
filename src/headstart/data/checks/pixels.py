"""Findings about pixel values and shapes before training: images that are nearly black, blank or cropped.

Every fact comes from the one pass in which all images are decoded; nothing is read a second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from headstart.data.decoders.decoded import Decoded, Pixels
from headstart.data.sources.reading import ImageRecord
from headstart.findings import Finding
from headstart.input_spec import CutShares, InputSpec, ViewFacts

DARK_SHARE = 1 / 8
"""An image whose largest value is below this share of the range is nearly black."""
FEW_LEVELS = 8
"""Number of different values below which an image is a mask, a black-and-white scan or blank."""
LONG_RATIO = 20
"""Longer over shorter side above which an image is a strip."""
MUCH_ENLARGED = 3.0
"""Images that are enlarged so many times show the network less than it could see."""
MUCH_REDUCED = 8.0
"""Images that are reduced so many times lose small details."""
MUCH_CUT = 0.3
"""A crop that cuts more than this share off most images is named."""
WITHOUT_WINDOW = "DICOM raw"
"""Kind of a DICOM file that states no window."""
_VEILED_SHARE = 0.5
_SAMPLE_SIDE = 64
_WHITE = 255
_GREY_SPREAD = 12
"""Channels of a grey image that was compressed as a colour one differ by less."""
_COLOUR_SHARE = 0.01
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class PixelFacts:
    """Facts of the pixels of one image."""

    brightest: int
    """Largest value of any channel, 0..255, as training reads it."""
    levels: int
    """Different values, counted up to FEW_LEVELS."""
    kind: str
    """Pillow's name of the file kind."""
    largest: int | None
    """Largest value of a file with more than 8 bits a channel, in its own units; None for others."""
    white: int
    """The value that becomes 255, in the same units."""
    is_grey: bool
    """Whether all channels are equal."""
    veiled: float
    """Share of the pixels that are partly transparent, neither wholly nor not at all; 0..1."""
    noise: str | None
    """Fault of a file whose image is complete."""
    has_more_frames: bool = False
    """Whether the file holds further frames or pages, which are not read."""
    clipped: float = 0.0
    """Share of the pixels that are black or white in every channel; 0..1."""
    is_colour: bool = True
    """Whether the channels differ, by more than compression changes a grey image."""


def pixel_facts(decoded: Decoded) -> PixelFacts:
    """The facts of one decoded image."""
    pixels = decoded.pixels
    sample = pixels[_sampled(pixels)].astype(np.int16)
    spread = sample.max(axis=2) - sample.min(axis=2)
    is_clipped = (sample.min(axis=2) == _WHITE) | (sample.max(axis=2) == 0)
    return PixelFacts(
        int(pixels.max()),
        _levels(pixels),
        decoded.kind,
        decoded.largest,
        decoded.white,
        decoded.deep_grey,
        decoded.veiled,
        decoded.noise,
        decoded.has_more_frames,
        float(is_clipped.mean()),
        bool((spread > _GREY_SPREAD).mean() > _COLOUR_SHARE),
    )


def _sampled(pixels: Pixels) -> tuple[slice, slice]:
    """Rows and columns of a sample."""
    high, wide = (slice(None, None, max(1, side // _SAMPLE_SIDE)) for side in pixels.shape[:2])
    return high, wide


def _levels(pixels: Pixels) -> int:
    """Different values, at most FEW_LEVELS: a sample is enough for nearly every image."""
    # The sample may miss a rare value, so only few values make the whole image worth counting.
    found = len(np.unique(pixels[_sampled(pixels)]))
    return min(FEW_LEVELS, found if found >= FEW_LEVELS else int(np.count_nonzero(np.bincount(pixels.ravel()))))


def find_in_pixels(records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts]) -> list[Finding]:
    """Findings about pixel values and damage.

    Args:
        records: Images that can be read.
        facts: Image id -> facts; images without facts are passed over.
    """
    known = [record for record in records if record.id in facts]
    dark = [*_dark_deep(known, facts, is_grey=True), *_dark_deep(known, facts, is_grey=False)]
    named = {name for finding in dark for group in finding.images for name in group}
    others = [*_veiled(known, facts), *_noisy(known, facts), *_without_window(known, facts), *_frames(known, facts)]
    return [*dark, *_black_or_blank(known, facts, named), *others]


def _dark_deep(records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts], *, is_grey: bool) -> list[Finding]:
    """Files of more than 8 bits that use a small part of their range, all of them or those of some classes."""
    # By class, because a device or a program that stored one class otherwise leaks the label.
    deep: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        if facts[record.id].largest is not None and facts[record.id].is_grey == is_grey:
            deep[record.label].append(record)
    tops = {label: max(_largest(facts, record) for record in of) for label, of in deep.items()}
    whites = {label: max(facts[record.id].white for record in of) for label, of in deep.items()}
    dark = sorted(label for label, top in tops.items() if top < DARK_SHARE * whites[label])
    if not dark:
        return []
    files = [record for label in dark for record in deep[label]]
    top, white = max(tops[label] for label in dark), max(whites[label] for label in dark)
    kind = "grey" if is_grey else "colour"
    evidence = (
        f"{len(files)} {kind} images with more than 8 bits use a small part of their range: the largest value is "
        f"{top:,} of {white:,}, so they are nearly black"
    )
    classes = {record.label for record in records}
    if set(dark) < classes:
        evidence += f"; they are only in {_classes(dark)}, so that brightness alone tells the classes apart"
    if bright := sorted(set(tops) - set(dark)):
        remedy = f"bring them to the range of {_classes(bright)} (up to {max(tops[label] for label in bright):,}) first"
    elif any(facts[record.id].kind == WITHOUT_WINDOW for record in files):
        remedy = "--window percentiles or --window CENTER,WIDTH (in a plan data.window) reads them by a window"
    else:
        # The fewest bits that hold the largest value: the range of the device, such as 12 bits of a CT.
        bits = top.bit_length()
        remedy = f"--bits {bits} (in a plan data.bits: {bits}) makes {2**bits - 1:,} white in all of them"
    return [Finding("warning", "small_range", evidence, remedy, (tuple(record.id for record in files),))]


def _largest(facts: Mapping[str, PixelFacts], record: ImageRecord) -> int:
    found = facts[record.id].largest
    assert found is not None
    return found


def _classes(labels: Sequence[str]) -> str:
    named = ", ".join(labels[:_EXAMPLES]) + (f" and {len(labels) - _EXAMPLES} more" * (len(labels) > _EXAMPLES))
    return ("class " if len(labels) == 1 else "the classes ") + named


def _black_or_blank(
    records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts], named: set[str]
) -> Iterable[Finding]:
    rest = [record for record in records if record.id not in named]
    black = [r for r in rest if facts[r.id].brightest < DARK_SHARE * 255]
    blank = [r for r in rest if facts[r.id].levels == 1 and r not in black]
    few = [r for r in rest if 1 < facts[r.id].levels < FEW_LEVELS and r not in black]
    if black:
        evidence = f"{_count(black)} nearly black, with no value above {round(DARK_SHARE * 255)} of 255"
        remedy = "look at them; masks with the values 0 and 1 and values of another range look so"
        yield _about("warning", "nearly_black", evidence, remedy, black, records)
    if blank:
        evidence = f"{_count(blank)} blank: all pixels have one value"
        yield _about("warning", "blank", evidence, "remove them, unless that is what they show", blank, records)
    if few:
        evidence = f"{len(few)} image{'s have' if len(few) > 1 else ' has'} fewer than {FEW_LEVELS} grey levels"
        remedy = "nothing to do if they are black-and-white scans; masks and posterised files look so, too"
        yield _about("info", "few_levels", evidence, remedy, few, records)


def _count(records: Sequence[ImageRecord]) -> str:
    return f"{len(records)} images are" if len(records) > 1 else "1 image is"


def _about(
    level: Any,  # noqa: ANN401 - one of the levels of a finding
    what: str,
    evidence: str,
    remedy: str,
    about: Sequence[ImageRecord],
    records: Sequence[ImageRecord],
) -> Finding:
    """A finding about some images: the first of them, and the class where they are all of one."""
    labels = {record.label for record in about}
    whole = len(labels) == 1 and len({record.label for record in records}) > 1
    whole = whole and all(record in about for record in records if record.label in labels)
    shown = ", ".join(record.id for record in about[:_EXAMPLES])
    more = f" and {len(about) - _EXAMPLES} more" if len(about) > _EXAMPLES else ""
    which = f"; they are all images of class {next(iter(labels))}" if whole else ""
    return Finding(level, what, f"{evidence} ({shown}{more}){which}", remedy, (tuple(r.id for r in about),))


def _veiled(records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts]) -> Iterable[Finding]:
    """File kinds of which every file is partly transparent nearly everywhere."""
    by_kind: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        by_kind[facts[record.id].kind].append(record)
    for kind, files in sorted(by_kind.items()):
        if all(facts[record.id].veiled > _VEILED_SHARE for record in files):
            yield Finding(
                "warning",
                "transparent_everywhere",
                f"every {kind} file ({len(files)}) is partly transparent in most of its pixels; transparency is laid "
                "over white, which changes all colours",
                "if the fourth band is near infrared or another measurement, keep the first three bands "
                "(gdal_translate -b 1 -b 2 -b 3)",
                (tuple(record.id for record in files),),
            )


def _noisy(records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts]) -> Iterable[Finding]:
    noisy = [record for record in records if facts[record.id].noise]
    if noisy:
        shown = "; ".join(f"{record.id}: {facts[record.id].noise}" for record in noisy[:_EXAMPLES])
        more = f"; and {len(noisy) - _EXAMPLES} more" if len(noisy) > _EXAMPLES else ""
        yield Finding(
            "warning",
            "noise",
            f"{_count(noisy)} complete, with noise: {shown}{more}",
            "they are read and used; saving them again removes the noise",
            (tuple(record.id for record in noisy),),
        )


def _without_window(records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts]) -> Iterable[Finding]:
    """DICOM files that state no window next to others that do: the two are not comparable."""
    dicom = [record for record in records if facts[record.id].kind.startswith("DICOM")]
    without = [record for record in dicom if facts[record.id].kind == WITHOUT_WINDOW]
    if 0 < len(without) < len(dicom):
        evidence = f"{len(without)} of {len(dicom)} DICOM files state no window; their full range is read"
        remedy = "--window full, --window percentiles or --window CENTER,WIDTH (in a plan data.window) reads all alike"
        yield _about("warning", "mixed_windows", evidence, remedy, without, dicom)


def _frames(records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts]) -> Iterable[Finding]:
    several = [record for record in records if facts[record.id].has_more_frames]
    if several:
        evidence = f"{len(several)} file{'s hold' if len(several) > 1 else ' holds'} several frames or pages"
        yield _about("info", "first_frame", evidence, "the first is read, the others are not", several, records)


def find_in_shapes(
    records: Sequence[ImageRecord], sizes: Mapping[str, tuple[int, int]], spec: InputSpec | None
) -> list[Finding]:
    """Findings about strips, and about what the crop cuts off.

    Args:
        records: Images that can be read.
        sizes: Image id -> width, height.
        spec: What the network sees; None: not known, so nothing is said of the crop.
    """
    known = [record for record in records if record.id in sizes]
    found = []
    long = [r for r in known if max(sizes[r.id]) > LONG_RATIO * min(sizes[r.id])]
    if long:
        width, height = sizes[long[0].id]
        evidence = (
            f"{_count(long)} more than {LONG_RATIO} times as long as wide (the first: {width:,} x {height:,} pixels)"
        )
        remedy = "cut them into tiles first; a crop shows a small part, squash and letterbox few details"
        found.append(_about("warning", "strips", evidence, remedy, long, known))
    if spec is not None and known:
        shares = [spec.share_cut(*sizes[record.id]) for record in known]
        much = sum(share > MUCH_CUT for share in shares)
        # Of most images, because a few odd shapes are usual in every set and need no decision.
        if 2 * much > len(shares):
            evidence = (
                f"the network does not see {median(shares):.0%} of the median image: the crop cuts more than "
                f"{MUCH_CUT:.0%} off {much:,} of {len(shares):,} images"
            )
            remedy = "--resize squash or --resize letterbox (in a plan input.resize) keeps the whole image"
            found.append(Finding("warning", "cut_off", evidence, remedy))
    if spec is not None and known:
        found += _scale(known, sizes, spec)
    return found


def _scale(records: Sequence[ImageRecord], sizes: Mapping[str, tuple[int, int]], spec: InputSpec) -> Iterable[Finding]:
    """Images that are enlarged or reduced much before the network sees them."""
    # Beside the crop, the shorter side decides the scale in every way of resizing that fills the square.
    side = median(min(sizes[record.id]) for record in records)
    if side * MUCH_ENLARGED <= spec.resize:
        evidence = (
            f"the median image is {side:g} pixels on its shorter side and is enlarged {spec.resize / side:.1f} times "
            f"for an input of {spec.size} pixels"
        )
        remedy = (
            "larger originals would show more, if there are any; training chooses a smaller --input-size where this is "
            "faster and not less accurate"
        )
        yield Finding("info", "enlarged", evidence, remedy)
    elif side >= MUCH_REDUCED * spec.resize:
        evidence = (
            f"the median image is {side:g} pixels on its shorter side and is reduced {side / spec.resize:.1f} times "
            f"for an input of {spec.size} pixels"
        )
        remedy = "where the class shows in small details, cut the images into tiles or give a larger --input-size"
        yield Finding("info", "reduced", evidence, remedy)


def view_facts(sizes: Mapping[str, tuple[int, int]], spec: InputSpec) -> ViewFacts:
    """Evaluation view of images, with the share of their area that it cuts off.

    Args:
        sizes: Image id -> (width, height) in pixels.
        spec: Input of the network.
    """
    shares = [spec.share_cut(*size) for size in sizes.values()]
    cut = CutShares(round(median(shares), 4), round(max(shares), 4)) if shares else None
    chosen = spec.decoding
    return ViewFacts(spec.size, spec.resize_name, chosen.bits, cut, chosen.bands, chosen.window, chosen.contrast)
