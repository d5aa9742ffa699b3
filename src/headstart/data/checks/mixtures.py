"""Findings about images that differ in kind from the rest: grey ones among colour, deep among 8 bits, overexposed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median

from headstart.amounts import count_text
from headstart.data.checks.pixels import FEW_LEVELS, PixelFacts
from headstart.data.sources.reading import ImageRecord
from headstart.findings import Finding

CLIPPED_SHARE = 0.9
"""Share of black and white pixels above which an image is overexposed or underexposed."""
_USUAL_CLIPPED_SHARE = 0.5
"""Where the median image has more, black or white is what these images are made of: scans, masks, drawings."""
_MOSTLY = 0.9
_FEW_IMAGES = 5
_EXAMPLES = 5


def find_in_mixtures(records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts]) -> list[Finding]:
    """Findings about mixed modes, mixed bit depths and overexposed images.

    Args:
        records: Images that can be read.
        facts: Image id -> facts; images without facts are passed over.
    """
    known = [record for record in records if record.id in facts]

    def is_grey(record: ImageRecord) -> bool:
        return not facts[record.id].is_colour

    def is_deep(record: ImageRecord) -> bool:
        return facts[record.id].largest is not None

    grey = _mixed(known, is_grey, "mixed_modes", "grey", "in colour")
    deep = _mixed(known, is_deep, "mixed_depths", "of more than 8 bits a channel", "of 8 bits")
    return [*grey, *deep, *_overexposed(known, facts)]


def _mixed(
    records: Sequence[ImageRecord],
    belongs: Callable[[ImageRecord], bool],
    what: str,
    this: str,
    other: str,
) -> Iterable[Finding]:
    """Images of two kinds; a warning where the kind tells classes apart."""
    few = [record for record in records if belongs(record)]
    if not 0 < len(few) < len(records):
        return
    totals, counts = Counter(r.label for r in records), Counter(r.label for r in few)
    shares = {label: counts[label] / total for label, total in totals.items() if total >= _FEW_IMAGES}
    mostly = sorted(label for label, share in shares.items() if share >= _MOSTLY)
    seldom = sorted(label for label, share in shares.items() if share <= 1 - _MOSTLY)
    evidence = f"{len(few):,} of {count_text(len(records), 'image')} are {this}, the others are {other}"
    if mostly and seldom:
        evidence += f"; nearly all of {_listed(mostly)} are {this}, and hardly any of {_listed(seldom)}"
        remedy = (
            "this alone tells these classes apart: save all images alike, or nothing else is needed to tell them apart"
        )
        yield Finding("warning", what, evidence, remedy, (tuple(record.id for record in few),))
    elif len(few) >= _FEW_IMAGES and len(records) - len(few) >= _FEW_IMAGES:
        rarer = few if 2 * len(few) <= len(records) else [record for record in records if not belongs(record)]
        remedy = "nothing to do if images to predict come in both kinds, too"
        yield Finding("info", what, evidence, remedy, (tuple(record.id for record in rarer),))


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _EXAMPLES} more" if len(labels) > _EXAMPLES else ""
    return f"class {', '.join(labels[:_EXAMPLES])}{more}"


def _overexposed(records: Sequence[ImageRecord], facts: Mapping[str, PixelFacts]) -> Iterable[Finding]:
    """Images that are nearly all black and white although most of the others are not."""
    if not records or median(facts[record.id].clipped for record in records) > _USUAL_CLIPPED_SHARE:
        return
    # Images with few levels, blank ones among them, have findings of their own.
    found = [r for r in records if facts[r.id].clipped > CLIPPED_SHARE and facts[r.id].levels >= FEW_LEVELS]
    if found:
        shown = ", ".join(record.id for record in found[:_EXAMPLES])
        more = f" and {len(found) - _EXAMPLES} more" if len(found) > _EXAMPLES else ""
        evidence = (
            f"{count_text(len(found), 'image')}: more than {CLIPPED_SHARE:.0%} of the pixels are fully black or white "
            f"({shown}{more})"
        )
        remedy = "look at them: overexposed photos and values cut off by a conversion look so"
        yield Finding("warning", "saturated", evidence, remedy, (tuple(record.id for record in found),))
