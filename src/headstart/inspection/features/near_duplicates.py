"""Copies that thumbnails cannot find: mirrored, turned, rescaled and cropped ones.

Images whose features are nearest are candidates, because features hardly change when an image is mirrored or cropped.
Only pixels decide: the two are aligned, and what is left of their difference must be small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from headstart.arrays import Floats, Positions
from headstart.data.checks.copy_findings import CopyKind, find_copy_findings
from headstart.data.checks.near_duplicates import components
from headstart.data.loading import ImageFault, read_image
from headstart.findings import Finding
from headstart.inspection.features.alignment import SMALL_SIDE, Alignment, FineStructure, align, small_grey, structure
from headstart.inspection.features.checked_features import CheckedFeatures

LEAST_ALTERED_MATCH = 0.75
"""Of copies that are turned, rescaled or cropped; different photos, aerial tiles and X-rays reach 0.66, forms 0.72."""
LEAST_MIRRORED_MATCH = 0.92
"""Of mirrored copies, which reach 0.98; mirrored forms reach 0.83."""
LEAST_PLAIN_MATCH = 0.9
"""Of copies that lie on the original as they are, most of which thumbnails find; forms with other words reach 0.87."""
NEAREST = 3
"""Neighbours of each image that may be copies of it."""
MOST_ALIGNED_PAIRS = 2000
MOST_WITHOUT_COPY = 120
"""After so many pairs in turn without a copy the search ends: pairs come in the order of how they stand out."""
TURNED_DEGREES = 2.5
_STRUCTURES_HELD = 64
_BLOCK_VALUES = 2**22
_ALTERED = CopyKind(
    "altered_copies",
    groups_of="altered copies (mirrored, turned or cropped)",
    are="altered copies of another",
    split_remedy="remove them from one",
    inside_remedy="give the images of a group one name in a column `group` of a table, so that no split separates them",
)


def find_altered_copies(images: CheckedFeatures) -> list[Finding]:
    """Findings: altered copies across splits, across classes, and inside; those that thumbnails found are left out.

    Args:
        images: With their features; files of candidates are read again.
    """
    known: dict[str, int] = {}
    for number, group in enumerate((*images.facts.near.groups, *images.facts.near.too_large)):
        known |= dict.fromkeys(group, number)
    numbers = [known.get(record.id, -1 - at) for at, record in enumerate(images.records)]
    pairs = _altered(images, np.array(numbers, np.int64))
    if not pairs:
        return []
    found = components(len(images.records), np.array([pair for pair, _ in pairs], np.int64))
    records = images.records
    groups = tuple(tuple(records[at].id for at in members) for members in found)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(kind_of(one) for _, one in pairs).most_common())
    known_records = {record.id: record for record in records}
    return find_copy_findings(groups, known_records, _ALTERED, note=f"all pairs: {kinds}")


def kind_of(alignment: Alignment) -> str:
    """What was done to a copy, in one word."""
    if alignment.placing.mirrored:
        return "mirrored"
    if alignment.is_plain:
        return "nearly equal"
    return "turned" if abs(alignment.placing.turn) >= TURNED_DEGREES else "cropped"


def candidate_pairs(features: Floats, known: Positions) -> Positions:
    """(P, 2) pairs of images whose features are among each other's nearest, those that stand out most first.

    Args:
        features: (N, F).
        known: (N,) pairs with equal numbers are left out.
    """
    rows = np.asarray(features, np.float32)
    unit = rows - rows.mean(axis=0)
    unit /= np.maximum(unit.std(axis=0), 1e-6)
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-6)
    most = min(NEAREST + 1, len(unit) - 1)
    if most < 1:
        return np.empty((0, 2), np.int64)
    nearest, cosines = np.empty((len(unit), most), np.int64), np.empty((len(unit), most), np.float32)
    step = max(1, _BLOCK_VALUES // len(unit))
    for start in range(0, len(unit), step):
        alike = unit[start : start + step] @ unit.T
        here = np.arange(len(alike))
        alike[here, start + here] = -np.inf
        # A few rounds of argmax take a tenth of a partial sort of the row.
        for rank in range(most):
            nearest[start + here, rank] = which = alike.argmax(axis=1)
            cosines[start + here, rank] = alike[here, which]
            alike[here, which] = -np.inf
    usual = cosines[:, -1]
    first, second = np.repeat(np.arange(len(unit)), most - 1 or 1), nearest[:, : most - 1 or 1].ravel()
    lift = cosines[:, : most - 1 or 1].ravel() - (usual[first] + usual[second]) / 2
    order = np.argsort(-lift, kind="stable")
    pairs = np.sort(np.stack([first, second], axis=1)[order], axis=1)
    unique = np.sort(np.unique(pairs, axis=0, return_index=True)[1])
    pairs = pairs[unique]
    return np.asarray(pairs[known[pairs[:, 0]] != known[pairs[:, 1]]], np.int64)


def _altered(images: CheckedFeatures, known: Positions) -> list[tuple[tuple[int, int], Alignment]]:
    """Pairs of copies, with what was done to them."""
    structures: dict[int, FineStructure | None] = {}

    def of(at: int) -> FineStructure | None:
        if at not in structures:
            read = read_image(images.records[at], at_least=SMALL_SIDE, decoding=images.decoding)
            # A structure is some 2 MB; the pairs of one image lie near each other, so a few are enough.
            if len(structures) >= _STRUCTURES_HELD:
                structures.pop(next(iter(structures)))
            structures[at] = None if isinstance(read, ImageFault) else structure(small_grey(read.pixels))
        return structures[at]

    return list(copies(candidate_pairs(images.features, known), of))


def copies(
    pairs: Positions, structure_of: Callable[[int], FineStructure | None]
) -> Iterator[tuple[tuple[int, int], Alignment]]:
    """Pairs that are copies by their pixels; pairs are looked at in order until many in turn are none.

    Args:
        pairs: (P, 2), the likeliest first.
        structure_of: Position -> what is compared of the image.
    """
    without = 0
    for first, second in pairs[:MOST_ALIGNED_PAIRS].tolist():
        one, other = structure_of(first), structure_of(second)
        without += 1
        if one is not None and other is not None:
            found = align(one, other)
            if found.match >= _least_match(found):
                without = 0
                yield (first, second), found
        if without >= MOST_WITHOUT_COPY:
            break


def _least_match(found: Alignment) -> float:
    if found.placing.mirrored:
        return LEAST_MIRRORED_MATCH
    return LEAST_PLAIN_MATCH if found.is_plain else LEAST_ALTERED_MATCH
