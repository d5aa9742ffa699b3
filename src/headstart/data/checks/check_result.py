"""Result of `headstart check`: counts, sizes, the view of the network, and findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from headstart.amounts import count_text
from headstart.data.checks.cleaned_index import CleanedIndex
from headstart.data.checks.image_checks import FileFacts, find_image_findings
from headstart.data.checks.pixels import view_facts
from headstart.data.sources.reading import Dataset
from headstart.findings import Finding
from headstart.input_spec import InputSpec, ViewFacts


@dataclass(frozen=True, slots=True)
class PixelSides:
    """Smallest, median and largest side of the images, in pixels; empty without images."""

    width: tuple[int, ...]
    height: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"width": list(self.width), "height": list(self.height)}


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Groups of images that must stay together."""

    groups: int
    unmatched: int
    """Images without a group."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"groups": self.groups, "unmatched": self.unmatched}


@dataclass(frozen=True, slots=True)
class DomainNote:
    """Domain that the images show, and which of them usually belong together there."""

    name: str
    group_hint: str


@dataclass(frozen=True, slots=True)
class FeatureNote:
    """How many images were compared by their features."""

    images: int
    note: str | None = None
    """Why there are none."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"images": self.images, **({} if self.note is None else {"note": self.note})}


@dataclass(frozen=True, repr=False)
class CheckResult:
    """What is in DATA, and what is suspicious there."""

    source: str
    """DATA."""
    images: int
    """Images that can be read."""
    classes: dict[str, int]
    """Class -> images."""
    splits: dict[str, dict[str, int]]
    """Split -> class -> images."""
    unreadable: dict[str, str]
    """Image id -> reason."""
    pixels: PixelSides
    view: ViewFacts
    findings: tuple[Finding, ...]
    """What is suspicious, each with its level, its evidence and what to do about it; errors first."""
    groups: GroupCount | None = None
    """None where neither DATA nor an option names groups."""
    domain: DomainNote | None = None
    """None where none was recognised, or groups are named already."""
    features: FeatureNote | None = None
    """None where files and pixels alone were checked."""
    group_table: str | None = None
    """The table of groups that was written."""
    cleaned: CleanedIndex | None = None
    """The cleaned index that was written."""
    page: str | None = None
    """The HTML page of findings that was written."""
    preview: str | None = None
    """The contact sheet that was written."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: what `headstart check --json` prints; without keys of what was not requested."""
        extra = {
            "groups": None if self.groups is None else self.groups.to_dict(),
            "domain": None if self.domain is None else asdict(self.domain),
            "features": None if self.features is None else self.features.to_dict(),
            "group_table": self.group_table,
            "cleaned": None if self.cleaned is None else self.cleaned.to_dict(),
            "page": self.page,
            "preview": self.preview,
        }
        return {
            "source": self.source,
            "images": self.images,
            "classes": self.classes,
            "splits": self.splits,
            "unreadable": self.unreadable,
            "pixels": self.pixels.to_dict(),
            "view": self.view.to_dict(),
            "findings": [finding.to_dict() for finding in self.findings],
            **{name: value for name, value in extra.items() if value is not None},
        }

    def __repr__(self) -> str:
        counted = f"{count_text(self.images, 'image')}, {count_text(len(self.classes), 'class')}"
        return f"CheckResult({counted}, {count_text(len(self.findings), 'finding')})"


def check_result(
    dataset: Dataset, facts: FileFacts, spec: InputSpec, *, groups: Mapping[str, str] | None = None
) -> CheckResult:
    """Counts, sizes and findings of images that were all read.

    Args:
        dataset: Where the images are from.
        facts: Of the images.
        spec: Input of the network.
        groups: Image id -> group, for what names suggest.
    """
    counts = Counter(record.label for record in facts.readable)
    return CheckResult(
        source=dataset.source,
        images=len(facts.readable),
        classes={name: counts[name] for name in dataset.classes()},
        splits={
            split: dict(sorted(Counter(r.label for r in facts.readable if r.split == split and r.label).items()))
            for split in dataset.splits()
        },
        unreadable=facts.unreadable,
        pixels=PixelSides(
            width=_ends_and_median([width for width, _ in facts.sizes.values()]),
            height=_ends_and_median([height for _, height in facts.sizes.values()]),
        ),
        view=view_facts(facts.sizes, spec),
        findings=tuple(find_image_findings(dataset, facts, spec, groups=groups)),
    )


def _ends_and_median(sides: list[int]) -> tuple[int, ...]:
    ordered = sorted(sides)
    return (ordered[0], ordered[len(ordered) // 2], ordered[-1]) if ordered else ()
