"""data.json of a run: its images by role, and hashes by which files and roles are compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

from headstart.findings import Finding
from headstart.input_spec import ViewFacts
from headstart.runs.upgrade import upgraded_data
from headstart.runs.values import plain_mapping, typed

ImageRole: TypeAlias = Literal["train", "validation", "test"]
HashedPart: TypeAlias = Literal["all", "train", "validation", "test"]


@dataclass(frozen=True)
class RoleCounts:
    """Number of images of one role."""

    images: int = 0
    classes: Mapping[str, int] = field(default_factory=dict)
    """Class -> images."""


@dataclass(frozen=True, kw_only=True)
class RunData:
    """The images of a run; fields with a default are missing in runs of earlier versions."""

    source: str
    """DATA, as the plan names it."""
    content: str
    """Hash of names, classes, bytes and roles in one."""
    content_of: Mapping[HashedPart, str] = field(default_factory=dict)
    """Part -> hash of names, classes and bytes of its files, whatever their order and role."""
    classes: tuple[str, ...]
    """In the order of the probabilities."""
    roles: Mapping[ImageRole, RoleCounts]
    images: Mapping[ImageRole, tuple[str, ...]] = field(default_factory=dict)
    """ImageRole -> ids of its images."""
    validation_source: str
    """Where the validation images are from, in words."""
    test_source: str
    """Where the test images are from, in words."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Image that was left out -> why."""
    view: ViewFacts | None = None
    findings: tuple[Finding, ...] = ()
    groups: int | None = None
    """Number of groups of images that belong together; an image that stands alone is a group."""
    group_of: Mapping[str, str] = field(default_factory=dict)
    """Image -> its group, of images that share a group with another: intervals of later comparisons count groups."""

    def counts(self, role: ImageRole) -> RoleCounts:
        """Images of a role; zero where the run has none of it."""
        return self.roles.get(role) or RoleCounts()

    def ids(self, role: ImageRole) -> tuple[str, ...]:
        """Ids of the images of a role; empty where a run of an earlier version has no list."""
        return self.images.get(role) or ()

    @property
    def all_images(self) -> int:
        """Images of all roles."""
        return sum(counts.images for counts in self.roles.values())

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Self:
        """The data of the contents of data.json, whatever version wrote it.

        Raises:
            ValueError: a value is missing or of another type.
        """
        return typed(cls, upgraded_data(raw))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return plain_mapping(self)
