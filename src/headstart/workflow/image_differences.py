"""Differences between the images of two runs: files, roles, or only what can no longer be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from headstart.errors import RunError
from headstart.runs.folder import Run
from headstart.runs.run_data import HashedPart, RunData
from headstart.runs.settings import settings_of

Files = Literal["same", "other", "unknown"]
"""unknown: the same names, of a run whose version recorded no hash of the files alone."""

_DIVIDING = {
    "seed": "seed",
    "data.test_seed": "test_seed",
    "data.group": "group",
    "data.fold": "fold",
    "data.limit_train": "limit_train",
    "data.limit_test": "limit_test",
    "data.test_fraction": "test_fraction",
    "data.validation_fraction": "validation_fraction",
    "data.validation": "validation",
    "data.val": "val",
    "strategy": "strategy",
}
"""Settings that decide which image has which role."""


@dataclass(frozen=True, slots=True)
class ImageDifference:
    """Difference between the images of two runs."""

    files: Files
    """Of all images that took part."""
    test_files: Files
    """Of the test images alone."""
    sentence: str
    """Empty where files and roles are the same."""


def image_difference(names: tuple[str, str], runs: tuple[Run, Run]) -> ImageDifference:
    """Difference between the images of two runs, as a sentence.

    Args:
        names: By which the sentence calls them.
        runs: Both with their data.json.

    Raises:
        RunError: data.json is damaged.
    """
    data = runs[0].data(), runs[1].data()
    if data[0].content == data[1].content:  # names, classes, bytes and roles in one
        return ImageDifference("same", "same", "")
    roles = _roles(data[0]), _roles(data[1])
    files = _files(data, "all", (set(roles[0]), set(roles[1])))
    mine, theirs = ({image for image, role in one.items() if role == "test"} for one in roles)
    test_files = _files(data, "test", (mine, theirs))
    said = [_about_files(names, (set(roles[0]), set(roles[1])), files), _about_roles(roles, runs)]
    return ImageDifference(files, test_files, "; ".join(filter(None, said)))


def _roles(data: RunData) -> dict[str, str]:
    """Image -> its role; empty where a run has no list."""
    return {image: role for role, images in data.images.items() for image in images}


def _files(data: Sequence[RunData], part: HashedPart, images: tuple[set[str], set[str]]) -> Files:
    hashes = [one.content_of.get(part) for one in data]
    if None not in hashes:
        return "same" if hashes[0] == hashes[1] else "other"
    return "unknown" if images[0] == images[1] else "other"


def _about_files(names: tuple[str, str], images: tuple[set[str], set[str]], files: Files) -> str:
    if not images[0] or not images[1]:
        return "which images took part is not known: a run of an older version kept no list"
    both = len(images[0] & images[1])
    if files == "same":
        return f"the same {both:,} files"
    only = [
        f"{len(extra):,} only in {name} (first: {min(extra)})"
        for name, extra in zip(names, (images[0] - images[1], images[1] - images[0]), strict=True)
        if extra
    ]
    if only:
        return f"not the same files: {', '.join(only)}, {both:,} names in both"
    if files == "unknown":
        return (
            f"the same {both:,} names; whether the files changed is not known, a run of an older version kept no hash"
        )
    return f"the same {both:,} names, but files or classes changed between the runs"


def _about_roles(roles: tuple[dict[str, str], dict[str, str]], runs: tuple[Run, Run]) -> str:
    shared = roles[0].keys() & roles[1].keys()
    moved = [image for image in shared if roles[0][image] != roles[1][image]]
    if not moved:
        return ""
    kinds = sorted({f"{roles[0][image]} and {roles[1][image]}" for image in moved})
    return (
        f"{len(moved):,} of them {'has' if len(moved) == 1 else 'have'} another role ({', '.join(kinds)})"
        + _why_other_roles(runs)
    )


def _why_other_roles(runs: tuple[Run, Run]) -> str:
    """Which of the settings that divide images differ."""
    try:
        a, b = (settings_of(run) for run in runs)
    except RunError:
        return ""
    found = [
        f"{word} {a.get(path, 'not set')} and {b.get(path, 'not set')}"
        for path, word in _DIVIDING.items()
        if a.get(path) != b.get(path)
    ]
    return f": {', '.join(found)}" if found else ""
