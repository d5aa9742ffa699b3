"""Checks of image files before training: counts, unreadable files and suspicious ones."""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Literal

from headstart.data.checks.duplicates import find_duplicates
from headstart.data.checks.facts_cache import CheckedImage, FactsCache, facts_folder
from headstart.data.checks.group_suggestions import find_suggested_groups
from headstart.data.checks.mixtures import find_in_mixtures
from headstart.data.checks.near_duplicates import NearDuplicates, find_near_duplicates
from headstart.data.checks.near_findings import find_near_findings
from headstart.data.checks.pixels import PixelFacts, find_in_pixels, find_in_shapes, pixel_facts
from headstart.data.checks.thumbnails import Thumbnail, thumbnail
from headstart.data.decoders.decoded import FaultKind
from headstart.data.decoders.origins import ImageOrigin, origin_of
from headstart.data.early_views import early_views
from headstart.data.loading import ImageFault, chosen_workers, read_image, unread_fault
from headstart.data.sources.reading import WHOLE, Dataset, ImageRecord
from headstart.data.sources.source_findings import find_in_source
from headstart.data.splits import named_group, shared_groups
from headstart.errors import DataError
from headstart.findings import Finding, by_level
from headstart.input_spec import Decoding, InputSpec
from headstart.knowledge.imbalance import STRONG_RATIO

FEW_IMAGES_PER_CLASS = 10
"""Number of images below which the metrics of a class are uncertain."""
IMBALANCE_RATIO = STRONG_RATIO
"""Largest over smallest class above which the imbalance is named, and training balances the classes."""
_EXAMPLES = 5
_REMEDIES = {
    FaultKind.TOO_LARGE: "cut them into tiles or save them smaller",
    FaultKind.TOO_SMALL: "remove them",
    FaultKind.NOT_AN_IMAGE: "remove them, or copy them again",
    FaultKind.BANDS: "--bands (in a plan data.bands) chooses bands by number; all images must have the same bands",
    FaultKind.VALUES: "--bits (in a plan data.bits) says how many bits are used; save floats as 0..1",
    FaultKind.FRAMES: "save the frames as files of their own",
    FaultKind.NEEDS_PACKAGE: "install what is named, or save them in another format",
    FaultKind.NOT_READABLE: "let this user read them",
}
"""Kind of fault -> way out; for others, repair or remove."""
_READ_THREADS = 4
_READ_AT_ONCE = 8
"""Images that a thread takes at a time: looking up a known one takes less than handing it to a thread."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts from one pass over the files."""

    readable: tuple[ImageRecord, ...]
    unreadable: dict[str, str] = field(default_factory=dict)
    """Image id -> reason."""
    digests: dict[str, str] = field(default_factory=dict)
    """Image id -> hash of the encoded bytes."""
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Image id -> width, height in pixels."""
    pixels: dict[str, PixelFacts] = field(default_factory=dict)
    """Image id -> facts of its pixels."""
    near: NearDuplicates = field(default_factory=NearDuplicates)
    """Near-identical images; empty if not requested."""
    fault_kinds: dict[str, FaultKind] = field(default_factory=dict)
    """Image id -> kind of the reason in `unreadable`."""
    origins: dict[str, ImageOrigin] = field(default_factory=dict)
    """Image id -> patient, or camera and time, of files that say it."""


def read_all(
    records: Sequence[ImageRecord],
    *,
    decoding: Decoding = Decoding(),  # noqa: B008 - frozen
    near_duplicates: Literal["find", "ignore"] = "ignore",
    on_image: Callable[[], object] = lambda: None,
) -> FileFacts:
    """Facts of all files, each decoded once in full, because only that finds a truncated file.

    Bytes that an earlier command has decoded with this code are not decoded again (see `facts_cache`).

    Args:
        records: The images.
        decoding: What the values of a file become; a file that it does not fit cannot be read.
        near_duplicates: `find` compares thumbnails of all images: some 0.5 ms and 1 kB an image.
        on_image: Called after each, for progress.
    """
    cache = FactsCache(facts_folder(), decoding)

    def look(few: Sequence[ImageRecord]) -> list[tuple[bytes, CheckedImage | ImageFault]]:
        return [_facts_of(record, decoding, cache) for record in few]

    readable, unreadable, kinds, digests, sizes, pixels, origins = [], {}, {}, {}, {}, {}, {}
    thumbnails: dict[str, Thumbnail] = {}
    chunks = [records[start : start + _READ_AT_ONCE] for start in range(0, len(records), _READ_AT_ONCE)]
    try:
        with ThreadPoolExecutor(chosen_workers() or _READ_THREADS) as pool:
            for record, (digest, seen) in zip(records, chain.from_iterable(pool.map(look, chunks)), strict=True):
                on_image()
                if isinstance(seen, ImageFault):
                    unreadable[record.id], kinds[record.id] = seen.reason, seen.kind
                    continue
                readable.append(record)
                digests[record.id], sizes[record.id], pixels[record.id] = digest.hex(), seen.size, seen.pixels
                thumbnails[record.id] = seen.thumbnail
                if seen.origin != ImageOrigin():
                    origins[record.id] = seen.origin
                cache.add(digest, seen)
    finally:
        cache.save()
    near = find_near_duplicates(readable, thumbnails, cache) if near_duplicates == "find" else NearDuplicates()
    return FileFacts(tuple(readable), unreadable, digests, sizes, pixels, near, kinds, origins)


def _facts_of(record: ImageRecord, decoding: Decoding, cache: FactsCache) -> tuple[bytes, CheckedImage | ImageFault]:
    """(hash of its bytes, facts or the reason why it cannot be read); known bytes are not decoded again."""
    try:
        encoded = record.read()
    except OSError as error:
        return b"", unread_fault(error)
    digest = hashlib.blake2b(encoded, digest_size=16).digest()
    known = cache.find(digest)
    if known is not None:
        return digest, known
    found = read_image(replace(record, content=encoded), decoding=decoding)
    if isinstance(found, ImageFault):
        return digest, replace(found, encoded=b"")
    early_views().offer(digest, found.decoded, decoding)
    height, width, _ = found.pixels.shape
    facts = pixel_facts(found.decoded)
    return digest, CheckedImage((width, height), facts, thumbnail(found.pixels), origin_of(encoded))


def find_image_findings(
    dataset: Dataset, facts: FileFacts, spec: InputSpec | None = None, *, groups: Mapping[str, str] | None = None
) -> list[Finding]:
    """Findings about files and pixels, errors first.

    Args:
        dataset: Where the images are from.
        facts: Of the images that take part.
        spec: What the network sees of them; None: nothing is said of what its crop cuts off.
        groups: Image id -> group; where none is named, those that headers or names of images suggest are. None: nothing
            is said.
    """
    unnamed = groups is not None and all(named_group(group) is None for group in groups.values())
    findings = [
        *_untrainable(facts.readable),
        *_unreadable(facts),
        *find_duplicates(facts.readable, facts.digests),
        *find_near_findings(facts.readable, facts.digests, facts.near),
        *_class_sizes(facts.readable),
        *find_in_pixels(facts.readable, facts.pixels),
        *find_in_mixtures(facts.readable, facts.pixels),
        *find_in_shapes(facts.readable, facts.sizes, spec),
        *find_in_source(dataset),
        *(find_suggested_groups(facts.readable, facts.origins) if unnamed else []),
    ]
    return list(by_level(findings))


def shared_group_findings(records: Sequence[ImageRecord], groups: dict[str, str]) -> list[Finding]:
    """Finding about groups that lie in more than one given split."""
    names = shared_groups(records, groups)
    if not names:
        return []
    return [
        Finding(
            "error",
            "group_in_two_splits",
            f"{len(names)} groups lie in more than one split: {', '.join(names[:_EXAMPLES])}",
            "merge the split folders into one set of class folders and let --group split it",
        )
    ]


def refuse_unusable(facts: FileFacts, *, source: str, val: str | None = None, strict: bool) -> None:
    """Stop before training if the images cannot make a classifier.

    Args:
        facts: Of all images that take part.
        source: DATA, for the message.
        val: What was given apart to report, for the message.
        strict: An unreadable file stops instead of being left out.

    Raises:
        DataError: with the first reason.
    """
    if facts.unreadable and (strict or not facts.readable):
        name, reason = next(iter(facts.unreadable.items()))
        raise DataError(
            f"{len(facts.unreadable)} of {len(facts.unreadable) + len(facts.readable)} images in {source} cannot be "
            f"read (first: {name}: {reason})",
            remedy="repair or remove them" + (", or leave out --strict to go on without them" if strict else ""),
        )
    for finding in find_duplicates(facts.readable, facts.digests):
        if finding.level == "error":
            command = shlex.join(["headstart", "check", source, *(["--val", val] if val is not None else []), "--json"])
            raise DataError(
                finding.evidence,
                expected="one label per image",
                remedy=f"keep each image in one class; this command lists all of them: {command}",
            )


def refuse_small_classes(records: Sequence[ImageRecord]) -> None:
    """Stop if the training images hold fewer than two classes, or a class with a single image.

    Raises:
        DataError: with the counts.
    """
    counts = Counter(record.label for record in records)
    if len(counts) < 2:
        name = next(iter(counts), "none")
        below = sorted({part for record in records if (part := _folder_below(record)) is not None})
        holds = f", {', '.join(below[:_EXAMPLES])} inside it" if len(below) > 1 else ""
        raise DataError(
            f"only one class to learn ({name!r}, {counts.get(name, 0)} images{holds})",
            expected="at least two class folders with images",
            remedy=f"if the folders inside are the classes, pass {name} as DATA" if holds else "",
        )
    single = sorted(name for name, count in counts.items() if count < 2)
    if single:
        raise DataError(
            f"class {single[0]!r} has 1 image" + (f" (so do {len(single) - 1} others)" if len(single) > 1 else ""),
            expected="at least 2 images in every class, so that one can be held out for validation",
            remedy="add images or remove the folder",
        )


def _folder_below(record: ImageRecord) -> str | None:
    """The folder inside its class folder that an image lies in."""
    # The id is SPLIT/CLASS/... or CLASS/...: the label is one of its first two parts.
    parts = record.id.split("/")
    at = parts.index(record.label) + 1 if record.label in parts[:2] else len(parts)
    return parts[at] if at < len(parts) - 1 else None


def _untrainable(records: Sequence[ImageRecord]) -> list[Finding]:
    """Findings about images that training refuses."""
    findings = []
    # A test set may lack classes; only what trains must have two images of each.
    training = [r for r in records if r.split in ("train", WHOLE)]
    if not any(r.label for r in training):  # that there are no labels is a finding of its own
        return []
    try:
        refuse_small_classes(training)
    except DataError as error:
        findings.append(Finding("error", "untrainable", error.found, error.remedy or f"expected {error.expected}"))
    known = {record.label for record in training}
    unknown = sorted({record.label for record in records} - known)
    if unknown:
        evidence = f"classes that train does not have: {', '.join(unknown[:_EXAMPLES])}"
        findings.append(
            Finding("error", "unknown_class", evidence, "add training images of them, or rename the folders")
        )
    return findings


def _unreadable(facts: FileFacts) -> list[Finding]:
    """One finding for each kind of fault, because each has another way out."""
    by_kind: dict[FaultKind, list[str]] = defaultdict(list)
    for name in facts.unreadable:
        by_kind[facts.fault_kinds.get(name, FaultKind.DAMAGED)].append(name)
    findings = []
    for kind, names in sorted(by_kind.items(), key=lambda pair: -len(pair[1])):
        shown = "; ".join(f"{name}: {facts.unreadable[name]}" for name in names[:_EXAMPLES])
        more = f"; and {len(names) - _EXAMPLES} more" if len(names) > _EXAMPLES else ""
        evidence = f"{len(names)} image{'s' if len(names) > 1 else ''} cannot be read ({kind}): {shown}{more}"
        remedy = f"{_REMEDIES.get(kind, 'repair or remove them')}; training leaves them out (--strict stops instead)"
        findings.append(Finding("warning", "unreadable", evidence, remedy, (tuple(names),)))
    return findings


def _class_sizes(records: Sequence[ImageRecord]) -> list[Finding]:
    counts = Counter(record.label for record in records if record.label)
    if not counts:
        return []
    findings = []
    small = {name: count for name, count in counts.items() if count < FEW_IMAGES_PER_CLASS}
    if small:
        named = ", ".join(f"{name} {count}" for name, count in list(small.items())[:_EXAMPLES])
        findings.append(
            Finding(
                "warning",
                "few_images",
                f"{len(small)} classes have fewer than {FEW_IMAGES_PER_CLASS} images: {named}",
                "add images; figures of these classes will be uncertain",
            )
        )
    # Of those that train, where the user has divided them: a test set may have other shares.
    trained = Counter(record.label for record in records if record.label and record.split == "train") or counts
    most, least = max(trained.values()), min(trained.values())
    if most > IMBALANCE_RATIO * least:
        findings.append(
            Finding(
                "warning",
                "imbalance",
                f"the largest class has {most} training images, the smallest {least} ({most / least:.1f} times fewer)",
                "read balanced accuracy and recall per class, not accuracy alone; training adjusts logits by the "
                "shares of the classes, unless --imbalance names another way",
            )
        )
    return findings
