"""Which parts of an image give its class away although they should not: the rule, on arrays only.

Three kinds of parts differ in how they could honestly know the class:

- a **trace** of the file (sides, format, compression) knows nothing of what an image shows, so that telling half as
  well as the whole image is too much;
- a **place** (the edge, a corner) shows what the rest shows as well, so that it may not tell far better than the same
  area elsewhere in the image;
- a **content** (colour, coarse light and dark, bytes a pixel) may well belong to the class: sand is yellow. It is named
  where it tells the classes as well as the whole image does, because the network then needs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from headstart.arrays import Floats, Labels
from headstart.data.decoders.file_traces import FileTraces
from headstart.inspection.features.held_out import HeldOut, grouped_folds, held_out_predictions
from headstart.inspection.features.image_parts import (
    CORNER,
    bytes_rows,
    coarse_rows,
    colour_rows,
    format_rows,
    frame_rows,
    size_rows,
    square_rows,
)
from headstart.inspection.features.part_skill import Skill, mean_skill, skill_above, skill_of
from headstart.inspection.features.small_views import VIEW_SIDE, SmallViews

_FALSE_ALARMS = 1e-5
"""Nominal chance that any part of any class is named where none tells more than chance. Held-out predictions of one
part depend on each other, because the folds share most of their images: by simulation 0.01 came to 0.1."""
TRACE_SHARE, LEAST_TRACE = 0.5, 0.3
"""Of the skill of the whole image, and skill, from which a trace is named."""
PLACE_LEAD = 0.25
"""Skill by which a place must lead the same area elsewhere."""
CONTENT_SHARE, LEAST_CONTENT = 0.9, 0.15
"""Of the skill of the whole image, and skill, from which a content is named."""


class ImagePart(StrEnum):
    """Part of an image, by its name in sentences."""

    SIZE = "width and height"
    FORMAT = "file format, compression and tags"
    BYTES = "size of the file"
    EDGE = "edge"
    TOP_LEFT = "top left corner"
    TOP_RIGHT = "top right corner"
    BOTTOM_LEFT = "bottom left corner"
    BOTTOM_RIGHT = "bottom right corner"
    COLOUR = "brightness and colour"
    COARSE = "coarse light and dark"


TRACES = (ImagePart.SIZE, ImagePart.FORMAT)
CORNERS = (ImagePart.TOP_LEFT, ImagePart.TOP_RIGHT, ImagePart.BOTTOM_LEFT, ImagePart.BOTTOM_RIGHT)
_FAR = VIEW_SIDE - CORNER
CORNER_AT = dict(zip(CORNERS, ((0, 0), (0, _FAR), (_FAR, 0), (_FAR, _FAR)), strict=True))
"""Corner -> row and column of its square in a view."""
_INNER_AT = ((10, 10), (10, 30), (20, 20), (30, 10), (30, 30))
_INNER_FRAMES = (6, 12)


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A class that one part gives away."""

    part: ImagePart
    label: int | None
    """The class; None: all of them."""
    skill: Skill
    whole: float
    """Skill of the whole image."""
    elsewhere: float | None = None
    """Skill of the same area elsewhere in the image; of places that are named for their lead."""


@dataclass(frozen=True, slots=True)
class PartSkills:
    """Predictions of the classes by each part alone, and by the whole image."""

    by_part: Mapping[ImagePart, HeldOut]
    elsewhere: Mapping[ImagePart, tuple[HeldOut, ...]]
    """Place -> the same area elsewhere."""
    whole: HeldOut


def part_skills(
    features_NF: Floats,  # noqa: N803 - shapes
    small: SmallViews,
    labels_N: Labels,  # noqa: N803
    groups_N: Labels,  # noqa: N803
) -> PartSkills:
    """Predictions by each part alone, every image by a head fitted on other groups.

    Args:
        features_NF: Of the whole images.
        small: Their views and traces.
        labels_N: Class of each, 0..K-1, each of which occurs.
        groups_N: Group of each.
    """
    folds = grouped_folds(labels_N, groups_N)

    def predict(rows_NF: Floats) -> HeldOut:  # noqa: N803
        return held_out_predictions(rows_NF, labels_N, groups_N, folds)

    views, traces = small.views_NSSC, small.traces
    by_part = {part: predict(rows(traces)) for part, rows in _OF_TRACES.items()}
    by_part |= {part: predict(square_rows(views, *at)) for part, at in CORNER_AT.items()}
    by_part[ImagePart.EDGE] = predict(frame_rows(views))
    by_part[ImagePart.COLOUR], by_part[ImagePart.COARSE] = predict(colour_rows(views)), predict(coarse_rows(views))
    inner = tuple(predict(square_rows(views, *at)) for at in _INNER_AT)
    frames = tuple(predict(frame_rows(views, inset=inset)) for inset in _INNER_FRAMES)
    elsewhere = {part: (*inner, *(by_part[other] for other in CORNERS if other != part)) for part in CORNERS}
    return PartSkills(by_part, {**elsewhere, ImagePart.EDGE: frames}, predict(features_NF))


_OF_TRACES: dict[ImagePart, Callable[[tuple[FileTraces, ...]], Floats]] = {
    ImagePart.SIZE: size_rows,
    ImagePart.FORMAT: format_rows,
    ImagePart.BYTES: bytes_rows,
}


def shortcuts_of(skills: PartSkills) -> list[Shortcut]:
    """Classes that a part gives away, the clearest first.

    Args:
        skills: Of all parts.
    """
    labels = range(skills.whole.probabilities_NK.shape[1])
    # Every part is asked for every class, and each question has its share of the false alarms.
    level = _FALSE_ALARMS / (len(skills.by_part) * len(labels))
    found = []
    for part, predictions in skills.by_part.items():
        of_class = [skill_of(predictions, label) for label in labels]
        beyond = [label for label in labels if of_class[label].chance < level]
        if part in TRACES:
            found += _traces(part, skills, of_class, beyond)
            continue
        if part in skills.elsewhere:
            found += _places(part, skills, of_class, beyond, level)
        found += _contents(part, skills, of_class, beyond)
    return sorted(found, key=lambda shortcut: (-round(shortcut.skill.value, 1), _rank(shortcut)))


def _rank(shortcut: Shortcut) -> int:
    """Place among parts that tell equally well: the one that leaves the least doubt comes first."""
    if shortcut.part in TRACES:
        return 1
    if shortcut.elsewhere is not None:
        return 0
    # A mark in the edge makes the image brighter, and a brighter image has a brighter edge.
    return 2 if shortcut.part in (ImagePart.COLOUR, ImagePart.COARSE) else 3


def _traces(part: ImagePart, skills: PartSkills, of_class: list[Skill], beyond: list[int]) -> list[Shortcut]:
    found = []
    for label in beyond:
        whole = skill_of(skills.whole, label).value
        if of_class[label].value >= max(LEAST_TRACE, TRACE_SHARE * whole):
            found.append(Shortcut(part, label, of_class[label], whole))
    return found


def _places(
    part: ImagePart, skills: PartSkills, of_class: list[Skill], beyond: list[int], level: float
) -> list[Shortcut]:
    found = []
    for label in beyond:
        # The best of the others, because a place may look at what an image shows there, such as the sky.
        leads = [skill_above(skills.by_part[part], other, label) for other in skills.elsewhere[part]]
        lead = min(leads, key=lambda each: each.value)
        if lead.value >= PLACE_LEAD and lead.chance < level:
            value, whole = of_class[label].value, skill_of(skills.whole, label).value
            found.append(Shortcut(part, label, of_class[label], whole, value - lead.value))
    return found


def _contents(part: ImagePart, skills: PartSkills, of_class: list[Skill], beyond: list[int]) -> list[Shortcut]:
    """Of all classes together: a single one may well have its colour."""
    value, whole = mean_skill(skills.by_part[part]), mean_skill(skills.whole)
    if not beyond or value < max(LEAST_CONTENT, CONTENT_SHARE * whole):
        return []
    return [Shortcut(part, None, Skill(value, min(of_class[label].chance for label in beyond)), whole)]


def clearest(shortcut: list[Shortcut]) -> list[Shortcut]:
    """One of each part, the clearest first.

    Args:
        shortcut: Clearest first.
    """
    first: dict[ImagePart, Shortcut] = {}
    for each in shortcut:
        first.setdefault(each.part, each)
    return list(first.values())


def known_classes(labels_N: Labels, groups_N: Labels, *, least_groups: int) -> Labels:  # noqa: N803
    """Positions of the images whose class has enough groups to be held out in turn.

    Args:
        labels_N: Class of each.
        groups_N: Group of each.
        least_groups: Of a class.
    """
    pairs = np.unique(np.stack([labels_N, groups_N]), axis=1)
    return np.flatnonzero(np.bincount(pairs[0], minlength=int(labels_N.max()) + 1)[labels_N] >= least_groups)
