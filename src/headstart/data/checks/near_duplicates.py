"""Near-identical images: one picture recompressed, rescaled, brightened or slightly cropped, and bursts of one scene.

What counts as near-identical depends on the set. Photos of different things hardly match at all; X-rays of different
patients match well. So the limit lies between 1 and what the best of random pairs of a class reach, and the more alike
all images are, the higher it lies.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from headstart.arrays import Floats
from headstart.data.checks.facts_cache import FactsCache
from headstart.data.checks.thumbnails import (
    COARSE_SIDE,
    COARSE_WINDOWS,
    Pairs,
    Thumbnail,
    Thumbnails,
    around,
    descriptors,
    match,
    shrunk,
)
from headstart.data.sources.reading import ImageRecord
from headstart.findings import ImageGroups

LEAST_MATCH = 0.8
"""Below this no two images are near-identical; of 1,797 photos and aerial tiles no different two reach 0.75."""
_SHARE_OF_GAP = 0.3
"""The limit leaves this share of the gap between the best random pairs and 1."""
_COARSE_SHARE_OF_GAP = 0.6
_MOSTLY_ALIKE = 0.2
_RISE = 0.35
"""Above a median of 0.2 the limit rises by 0.35 a unit: where all images are alike, only almost equal ones are left."""
_ALMOST_EQUAL = 0.985
"""What a recompressed or rescaled copy reaches in any set."""
_BACKGROUND_MOST = 0.85
"""Random pairs above this may be near-identical themselves and say nothing of the others."""
_BACKGROUND_PAIRS = 2000
_OWN_BACKGROUND = 30
"""A class with fewer images shares its random pairs with the other classes."""
_MOST_BACKGROUNDS = 20
NEIGHBOURS = 16
"""Pairs looked at more closely: each image with so many others."""
_ENOUGH_NEIGHBOURS = 12
_LEAST_CANDIDATE = 0.4
MOST_TOGETHER = 20_000
"""Among more images only those of one class are compared with each other."""
_BLOCK_VALUES = 2**22
_LARGEST_SHARE = 0.5
"""A group with more of a class than this is not joined: it would leave nothing to divide."""
_CHAIN_FROM = 6
_DENSE_SHARE = 0.5
"""In a group of six or more images at least half of the pairs that were compared match: copies of one picture nearly
all do (planted ones: 0.5 to 1), while solar cells of many modules hang together in chains of 0.2 to 0.45."""


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """Groups of near-identical images."""

    groups: ImageGroups = ()
    """Image ids in order; connected by near-identical pairs."""
    too_large: ImageGroups = ()
    """Groups with more than half of a class, which is one scene, or whose images are all alike; they are not joined."""

    def names(self) -> dict[str, str]:
        """Image id -> name of its group, for images that are in one of `groups`."""
        return {name: group[0] for group in self.groups for name in group}


def find_near_duplicates(
    records: Sequence[ImageRecord], thumbnails: Mapping[str, Thumbnail], cache: FactsCache | None = None
) -> NearDuplicates:
    """Groups of near-identical images, the same for the same images in any order.

    Turned and mirrored copies are not found, nor images that only hang together in chains. Memory is 1 kB an image and
    blocks of fixed size.

    Args:
        records: Images.
        thumbnails: Image id -> its thumbnail.
        cache: Where pairs of the same images are kept; None compares them in any case.
    """
    # By name, because groups are named after their first image and must not depend on the order of a listing.
    records = sorted((r for r in records if r.id in thumbnails), key=lambda record: record.id)
    if len(records) < 2:
        return NearDuplicates()
    images = np.stack([thumbnails[record.id] for record in records])
    labels = np.unique([record.label for record in records], return_inverse=True)[1]
    compare = near_identical_pairs if cache is None else partial(cache.pairs, compare=near_identical_pairs)
    pairs = compare(images, labels)
    counts = Counter(record.label for record in records)
    groups: list[tuple[str, ...]] = []
    too_large: list[tuple[str, ...]] = []
    found = components(len(records), pairs)
    for members, matching in zip(found, _pairs_inside(found, pairs), strict=True):
        held = Counter(records[index].label for index in members)
        is_large = any(count > _LARGEST_SHARE * counts[label] for label, count in held.items())
        # Each image was compared with at most NEIGHBOURS others, so a large group cannot have all its pairs.
        compared = len(members) * min(NEIGHBOURS, len(members) - 1) / 2
        is_chain = len(members) >= _CHAIN_FROM and matching < _DENSE_SHARE * compared
        if is_large or not is_chain:
            (too_large if is_large else groups).append(tuple(records[index].id for index in members))
    return NearDuplicates(tuple(groups), tuple(too_large))


def near_identical_pairs(images_NSS: Thumbnails, labels_N: npt.NDArray[np.int64]) -> Pairs:  # noqa: N803 - shapes
    """(P, 2) positions of near-identical images, the lower first.

    Args:
        images_NSS: Thumbnails.
        labels_N: Class of each.
    """
    pairs = np.concatenate(list(_candidates(images_NSS, labels_N)))
    if not len(pairs):
        return pairs
    coarse = shrunk(images_NSS, COARSE_SIDE)
    best_N, median_N = _background(coarse, labels_N)  # noqa: N806
    # Of two classes the one whose images are more alike sets the limit: there a match means less.
    median = np.maximum(median_N[pairs[:, 0]], median_N[pairs[:, 1]])
    # Either may be a window of the other.
    turned = pairs[:, ::-1]
    (there, window), (back, window_back) = (match(coarse, some, COARSE_WINDOWS) for some in (pairs, turned))
    seen = np.where((back > there)[:, None], turned, pairs)
    window = np.where(back > there, window_back, window)
    reached = np.maximum(there, back)
    # Of two images the one that others match better decides: its class, or the images most like it.
    best_N = np.maximum(best_N, _locally_usual(len(images_NSS), pairs, reached))  # noqa: N806
    gap = 1 - np.maximum(best_N[pairs[:, 0]], best_N[pairs[:, 1]])
    # At 16 x 16 all windows are cheap; only what may pass is compared again at 32 x 32.
    promising = reached > 1 - _COARSE_SHARE_OF_GAP * gap
    limit = np.maximum(LEAST_MATCH + _RISE * np.maximum(median - _MOSTLY_ALIKE, 0), 1 - _SHARE_OF_GAP * gap)
    limit = np.minimum(limit, _ALMOST_EQUAL)
    is_same = np.zeros(len(pairs), bool)
    for index, tried in enumerate(COARSE_WINDOWS):
        here = np.flatnonzero(promising & (window == index))
        is_same[here] = match(images_NSS, seen[here], around(tried))[0] > limit[here]
    return pairs[is_same]


def _locally_usual(count: int, pairs_P2: Pairs, reached_P: Floats) -> Floats:  # noqa: N803
    """What the images most like it commonly reach, for each image (N,): the lower quartile; 0 with few such images."""
    images = np.concatenate([pairs_P2[:, 0], pairs_P2[:, 1]])
    values = np.concatenate([reached_P, reached_P])
    # Sorted by image, then by value: the quartile of each image lies at a fixed place in its stretch.
    values = values[np.lexsort((values, images))]
    sizes = np.bincount(images, minlength=count)
    starts = np.cumsum(sizes) - sizes
    quartile = values[np.minimum(starts + (sizes - 1) // 4, len(values) - 1)]
    return np.asarray(np.where(sizes >= _ENOUGH_NEIGHBOURS, quartile, 0), np.float32)


def components(count: int, pairs_P2: Pairs) -> list[list[int]]:  # noqa: N803
    """Positions 0..count-1 that pairs connect, directly or through others; each in order, single ones left out."""
    parent = list(range(count))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for first, second in pairs_P2.tolist():
        a, b = root(first), root(second)
        # The lower number stays the root, so components come in the order of their first image.
        parent[max(a, b)] = min(a, b)
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(count):
        members[root(index)].append(index)
    return [held for held in members.values() if len(held) > 1]


def _pairs_inside(groups: Sequence[Sequence[int]], pairs_P2: Pairs) -> list[int]:  # noqa: N803
    """How many of the pairs lie in each group."""
    group_of = {index: number for number, members in enumerate(groups) for index in members}
    counts = Counter(group_of[first] for first in pairs_P2[:, 0].tolist())
    return [counts[number] for number in range(len(groups))]


def _candidates(images_NSS: Thumbnails, labels_N: npt.NDArray[np.int64]) -> Iterator[Pairs]:  # noqa: N803
    """Each image with the images whose descriptors are nearest to its own."""
    rows = descriptors(images_NSS)
    if len(rows) <= MOST_TOGETHER:
        parts = [np.arange(len(rows))]
    else:
        parts = [np.flatnonzero(labels_N == label) for label in np.unique(labels_N)]
    for part in parts:
        own, most = rows[part], min(NEIGHBOURS, len(part) - 1)
        if most < 1:
            continue
        step, found = max(1, _BLOCK_VALUES // len(own)), []
        for start in range(0, len(own), step):
            alike = own[start : start + step] @ own.T
            mine = np.arange(len(alike))
            # An image is its own nearest neighbour; it is not to take the place of another one.
            alike[mine, start + mine] = -1
            # The nearest in any order are enough, and cost less than sorting.
            nearest = np.argpartition(-alike, most - 1, axis=1)[:, :most]
            likely = np.take_along_axis(alike, nearest, axis=1) > _LEAST_CANDIDATE
            first = part[start + np.repeat(mine, most)][likely.ravel()]
            second = part[nearest.ravel()][likely.ravel()]
            found.append(np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1))
        yield np.unique(np.concatenate(found), axis=0)


def _background(coarse_NSS: Floats, labels_N: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:  # noqa: N803
    """What random pairs of its class reach, for each image (N,): the 99th percentile, and the median."""
    # A fixed seed: the same images must give the same groups, in every run and role.
    rng = np.random.default_rng(0)
    sizes = np.bincount(labels_N)
    large = [label for label in range(len(sizes)) if sizes[label] >= _OWN_BACKGROUND]
    # With so many classes the pairs a class would get are too few for a 99th percentile.
    if len(large) > _MOST_BACKGROUNDS:
        large = []
    small = np.flatnonzero(~np.isin(labels_N, large))
    parts = [np.flatnonzero(labels_N == label) for label in large] + ([small] if len(small) > 1 else [])
    best, median = np.zeros(len(labels_N), np.float32), np.zeros(len(labels_N), np.float32)
    for part in parts:
        pairs = _random_pairs(part, labels_N, _BACKGROUND_PAIRS // len(parts), rng)
        reached = match(coarse_NSS, pairs, COARSE_WINDOWS)[0] if len(pairs) else np.zeros(1, np.float32)
        # Random pairs of a class that consists of copies would raise the limit until no copy is found.
        known = reached[reached <= _BACKGROUND_MOST]
        best[part] = np.quantile(known, 0.99) if len(known) else _BACKGROUND_MOST
        median[part] = np.median(reached)
    return best, median


def _random_pairs(
    part: npt.NDArray[np.int64],
    labels_N: npt.NDArray[np.int64],  # noqa: N803
    count: int,
    rng: np.random.Generator,
) -> Pairs:
    """About `count` pairs of different images of one class."""
    first = rng.choice(part, count)
    by_label = {label: part[labels_N[part] == label] for label in np.unique(labels_N[part])}
    second = np.array([rng.choice(by_label[labels_N[index]]) for index in first])
    return np.asarray(np.stack([first, second], axis=1)[first != second], np.int64)
