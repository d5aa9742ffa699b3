"""Findings about the data, as values that all interfaces show in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Level = Literal["info", "warning", "error"]

Checks: TypeAlias = Literal["all", "files"]
"""all: files, pixels and features of the default network. files: without features, which takes no torch."""

ImageGroups: TypeAlias = tuple[tuple[str, ...], ...]
"""Image ids, one tuple for each group of images that belong together."""

GROUPS_SHOWN = 5
"""So many groups are named in a sentence; JSON has all of them."""
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about the data: what was found, the evidence, and a remedy."""

    level: Level
    """error: training on it is refused. warning: figures may mislead. info: good to know."""
    what: str
    """The kind, as one word for filters."""
    evidence: str
    """A sentence with the numbers and the first names."""
    remedy: str
    images: ImageGroups = ()
    """All images that the finding is about, in the groups it is about; empty where it is about none in particular."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "images": [list(group) for group in self.images]}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Finding:
        """The inverse of `to_dict`."""
        return cls(**{**raw, "images": tuple(map(tuple, raw["images"]))})


def by_level(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings, errors first, then warnings; those of one level keep their order."""
    order = {"error": 0, "warning": 1, "info": 2}
    return tuple(sorted(findings, key=lambda finding: order[finding.level]))


def groups_text(groups: Sequence[Sequence[str]], *, most: int = GROUPS_SHOWN) -> str:
    """`a/1.png = b/1.png; a/2.png = a/3.png = b/4.png (and 2 more); and 7 more groups`."""
    shown = [_group_text(group) for group in groups[:most]]
    if (more := len(groups) - most) > 0:
        shown.append(f"and {more:,} more group{'s' if more > 1 else ''}")
    return "; ".join(shown)


def _group_text(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return " = ".join(names[:_NAMES_SHOWN]) + (f" (and {more:,} more)" if more > 0 else "")
