"""Groups that images suggest where nobody named any: by patients of DICOM files, bursts of photos, folders, names."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.amounts import count_text
from headstart.data.decoders.origins import PATIENT, STUDY, ImageOrigin
from headstart.data.header_groups import bursts, named_alike
from headstart.data.sources.dataset import ImageRecord
from headstart.findings import Finding
from headstart.plan.group_rule import DICOM, EXIF, FOLDER, GroupRule

_PATTERNS = (
    r"([^/]*)[_.-][^/_.-]*\.[^/.]*$",  # person100_virus_184.jpeg -> person100_virus
    r"([^/_]+)_[^/]*$",  # person100_virus_184.jpeg -> person100
    r"([^/_-]+)-[^/_]*$",  # p100-2-3.jpeg -> p100
    r"([^/]*?)[ _.-]*\(?\d+\)?\.[^/.]*$",  # lesion12 (3).png -> lesion12; scene7b2.png -> scene7b
)
_FEWEST_GROUPS = 10
_GROUPS_PER_CLASS = 3
_COVERED = 0.8
"""Share of the images that must lie in groups of several."""
_LARGEST = 0.25
"""Share of the images that one group may hold: a larger one is rather a class, or a word that all names begin with."""
_LEVELS = range(1, 7)
_BURST_SECONDS = 5
_BURSTS_COVER = 0.05
"""Share of the images that must lie in bursts of several photos."""
_FIRST = 2_000


@dataclass(frozen=True, slots=True)
class SuggestedGroups:
    """Groups that a rule finds."""

    rule: str
    """As `--group` takes it."""
    groups: int
    images: int
    """In groups of several images."""
    example: str
    """A group."""
    members: int
    """Its images."""
    divided: int
    """Groups that lie in more than one given split."""


def suggest_groups(records: Sequence[ImageRecord]) -> SuggestedGroups | None:
    """The coarsest division into many small groups that names suggest; None if they suggest none.

    Coarse, because too large groups cost little and too small ones make figures too good.

    Args:
        records: Images of a source that names no groups itself.
    """
    rules: Sequence[str] = (*(f"{FOLDER}{level}" for level in _LEVELS), *_PATTERNS)
    if len(records) > _FIRST:  # names next to each other tell whether a rule finds anything
        rules = [rule for rule in rules if _suggested(records[:_FIRST], rule) is not None]
    found = [suggested for rule in rules if (suggested := _suggested(records, rule)) is not None]
    return min(found, key=lambda one: one.groups, default=None)


def suggest_header_groups(records: Sequence[ImageRecord], origins: Mapping[str, ImageOrigin]) -> SuggestedGroups | None:
    """Groups by patients, else studies, of DICOM files, else by bursts of photos; None if files say of none.

    Args:
        records: Images of a source that names no groups itself.
        origins: Image id -> what its file says.
    """
    patients = {image: origin.patient for image, origin in origins.items() if origin.patient}
    studies = {image: origin.study for image, origin in origins.items() if origin.study}
    for keyword, known in ((PATIENT, patients), (STUDY, studies)):
        if len(set(known.values())) > 1:  # one for all: it was removed when the files were made anonymous
            found = _counted(f"{DICOM}{keyword}", records, named_alike(known))
            if found is not None:
                return found
    taken = _counted(f"{EXIF}{_BURST_SECONDS}s", records, named_alike(bursts(origins, seconds=_BURST_SECONDS)))
    if taken is None or taken.images < max(2, _BURSTS_COVER * len(records)) or taken.members > _LARGEST * len(records):
        return None
    return taken


def find_suggested_groups(
    records: Sequence[ImageRecord], origins: Mapping[str, ImageOrigin] | None = None
) -> list[Finding]:
    """Finding about groups that headers of files, or names, suggest.

    Args:
        records: Images of a source that names no groups itself.
        origins: Image id -> what its file says.
    """
    found, source = suggest_header_groups(records, origins or {}), "headers of the files"
    if found is None:
        found, source = suggest_groups(records), "names"
    if found is None:
        return []
    divided = (
        f"; {count_text(found.divided, 'group')} lie in more than one split, so figures are too good if they belong "
        "together"
        if found.divided
        else ""
    )
    return [
        Finding(
            "warning",
            "groups_suggested",
            f"{source} suggest groups: {found.images:,} of {len(records):,} images are in {found.groups:,} groups of "
            f"several, such as {_example(found)} ({count_text(found.members, 'image')}){divided}",
            f"if each is one patient, scene or object, say so: --group '{found.rule}'",
        )
    ]


def _suggested(records: Sequence[ImageRecord], rule: str) -> SuggestedGroups | None:
    """What one rule finds; None if its groups are few, large, or of one image each."""
    parsed = GroupRule.of(rule)
    labels = {record.label for record in records}
    members: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        group = parsed.group_in(record.id)
        if group and group not in labels:
            members[group].append(record)
    several = {name: held for name, held in members.items() if len(held) > 1}
    covered = sum(map(len, several.values()))
    if len(several) < max(_FEWEST_GROUPS, _GROUPS_PER_CLASS * len(labels)) or covered < _COVERED * len(records):
        return None
    if max(map(len, several.values())) > max(2, _LARGEST * len(records)):
        return None
    return _described(rule, several)


def _counted(rule: str, records: Sequence[ImageRecord], groups: Mapping[str, str]) -> SuggestedGroups | None:
    """Groups that a rule about headers finds; None if none has several images."""
    members: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in records:
        if record.id in groups:
            members[groups[record.id]].append(record)
    several = {name: held for name, held in members.items() if len(held) > 1}
    return _described(rule, several) if several else None


def _described(rule: str, several: Mapping[str, Sequence[ImageRecord]]) -> SuggestedGroups:
    example = min(several, key=lambda name: (-len(several[name]), name))
    divided = sum(len(Counter(record.split for record in held)) > 1 for held in several.values())
    images = sum(map(len, several.values()))
    return SuggestedGroups(rule, len(several), images, example, len(several[example]), divided)


def _example(found: SuggestedGroups) -> str:
    """Words for a group: its name, or where names say nothing its first image."""
    return f"that of {found.example}" if found.rule.startswith((DICOM, EXIF)) else repr(found.example)
