"""Which parts of an image give its class away although they should not: the rule, on arrays only.

Three kinds of parts differ in how they could honestly know the class:

- a **trace** of the file (sides, format, compression) knows nothing of what an image shows, so that telling half as
  well as the whole image is too much;
- a **place** (the edge, a corner) shows what the rest shows as well, so that it may not tell far better than the same
  area elsewhere in the image. It is compared twice: as it is, and in fine detail (`image_parts.Detail`), where hardly
  anything is left of what an image shows, so that a faint mark stands out between classes that any part tells;
- a **content** (colour, coarse light and dark, bytes a pixel) may well belong to the class: sand is yellow. It is named
  where it tells the classes as well as the whole image does, because the network then needs nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from headstart.arrays import Floats, Labels
from headstart.data.decoders.file_traces import FileTraces
from headstart.inspection.features.held_out import HeldOut, grouped_folds, held_out_predictions
from headstart.inspection.features.image_parts import (
    CORNER,
    Detail,
    bytes_rows,
    coarse_rows,
    colour_rows,
    format_rows,
    frame_rows,
    size_rows,
    square_rows,
)
from headstart.inspection.features.part_skill import Skill, mean_skill, skill_above, skill_of
from headstart.inspection.features.small_views import VIEW_SIDE, SmallViews, Views

_FALSE_ALARMS = 1e-3
"""Nominal chance that any part of any class is named where none tells more than chance. Held-out predictions of one
part depend on each other, because the folds share most of their images: by simulation 0.05 came to 0.1 and more."""
_FALSE_LEADS = 5e-2
"""The same of the lead of a place. It must lead every other area, so that this is stricter than it says."""
TRACE_SHARE, LEAST_TRACE = 0.5, 0.3
"""Of the skill of the whole image, and skill, from which a trace is named."""
PLACE_LEAD = 0.2
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
    predictions: HeldOut
    """That show it."""
    elsewhere: float | None = None
    """Skill of the same area elsewhere in the image; of places that are named for their lead."""


@dataclass(frozen=True, slots=True)
class Place:
    """Predictions by a place, and by the same area elsewhere in the image."""

    predictions: HeldOut
    elsewhere: tuple[HeldOut, ...]


@dataclass(frozen=True, slots=True)
class PartSkills:
    """Predictions of the classes by each part alone, and by the whole image."""

    by_part: Mapping[ImagePart, HeldOut]
    places: Mapping[ImagePart, tuple[Place, ...]]
    """Place -> its predictions, as it is and in fine detail."""
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
    by_part[ImagePart.COLOUR], by_part[ImagePart.COARSE] = predict(colour_rows(views)), predict(coarse_rows(views))
    plain, fine = (_places_of(views, detail, predict) for detail in ("plain", "fine"))
    by_part |= {part: place.predictions for part, place in plain.items()}
    return PartSkills(by_part, {part: (plain[part], fine[part]) for part in plain}, predict(features_NF))


def _places_of(views: Views, detail: Detail, predict: Callable[[Floats], HeldOut]) -> dict[ImagePart, Place]:
    """Every place, with the same area elsewhere."""
    squares = {at: predict(square_rows(views, *at, detail=detail)) for at in (*CORNER_AT.values(), *_INNER_AT)}
    found = {}
    for part, corner in CORNER_AT.items():
        # A mark that is larger than the corner reaches into the inner square next to it.
        nearest = min(_INNER_AT, key=lambda at: math.dist(at, corner))
        others = tuple(predictions for at, predictions in squares.items() if at not in (corner, nearest))
        found[part] = Place(squares[corner], others)
    edge, *inner = (predict(frame_rows(views, inset=inset, detail=detail)) for inset in (0, *_INNER_FRAMES))
    return {**found, ImagePart.EDGE: Place(edge, tuple(inner))}


_OF_TRACES: dict[ImagePart, Callable[[tuple[FileTraces, ...]], Floats]] = {
    ImagePart.SIZE: size_rows,
    ImagePart.FORMAT: format_rows,
    ImagePart.BYTES: bytes_rows,
}


def shortcuts_of(skills: PartSkills) -> list[Shortcut]:
    """Classes that a part gives away, the clearest first: traces and marks, then contents.

    Args:
        skills: Of all parts.
    """
    labels = range(skills.whole.probabilities_NK.shape[1])
    # Every part is compared for every class, and each comparison has its share of the false alarms.
    comparisons = len(skills.by_part) * len(labels)
    level = _FALSE_ALARMS / comparisons
    found = []
    for part, predictions in skills.by_part.items():
        of_class = [skill_of(predictions, label) for label in labels]
        beyond = [label for label in labels if of_class[label].chance < level]
        if part in TRACES:
            found += _traces(part, skills, of_class, beyond)
            continue
        for place in skills.places.get(part, ()):
            found += _marks(part, place, skills.whole, comparisons)
        found += _contents(part, skills, of_class, beyond)
    return sorted(found, key=_order)


def _order(shortcut: Shortcut) -> tuple[bool, float, int]:
    """Place among all: what leaves the least doubt comes first."""
    if shortcut.part in TRACES:
        return (False, -round(shortcut.skill.value, 1), 1)
    if shortcut.elsewhere is not None:
        return (False, -round(shortcut.skill.value, 1), 0)
    # A content may be what the class means. A mark in the edge makes the image brighter, and a brighter image has a
    # brighter edge.
    return (True, -round(shortcut.skill.value, 1), 0 if shortcut.part in (ImagePart.COLOUR, ImagePart.COARSE) else 1)


def _traces(part: ImagePart, skills: PartSkills, of_class: list[Skill], beyond: list[int]) -> list[Shortcut]:
    found = []
    for label in beyond:
        whole = skill_of(skills.whole, label).value
        if of_class[label].value >= max(LEAST_TRACE, TRACE_SHARE * whole):
            found.append(Shortcut(part, label, of_class[label], whole, skills.by_part[part]))
    return found


def _marks(part: ImagePart, place: Place, whole: HeldOut, comparisons: int) -> list[Shortcut]:
    """Classes that a place tells far better than the same area elsewhere does."""
    found = []
    for label in range(whole.probabilities_NK.shape[1]):
        skill = skill_of(place.predictions, label)
        if skill.chance >= _FALSE_ALARMS / comparisons:
            continue
        # The best of the others, because a place may look at what an image shows there, such as the sky.
        leads = [skill_above(place.predictions, other, label) for other in place.elsewhere]
        lead = min(leads, key=lambda each: each.value)
        if lead.value >= PLACE_LEAD and lead.chance < _FALSE_LEADS / comparisons:
            whole_skill = skill_of(whole, label).value
            found.append(Shortcut(part, label, skill, whole_skill, place.predictions, skill.value - lead.value))
    return found


def _contents(part: ImagePart, skills: PartSkills, of_class: list[Skill], beyond: list[int]) -> list[Shortcut]:
    """Of all classes together: a single one may well have its colour."""
    predictions = skills.by_part[part]
    value, whole = mean_skill(predictions), mean_skill(skills.whole)
    if not beyond or value < max(LEAST_CONTENT, CONTENT_SHARE * whole):
        return []
    return [Shortcut(part, None, Skill(value, min(of_class[label].chance for label in beyond)), whole, predictions)]


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
