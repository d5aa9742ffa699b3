from __future__ import annotations

import numpy as np
import pytest

from headstart.inspection.features.held_out import HeldOut
from headstart.inspection.features.shortcut_rule import (
    CORNERS,
    ImagePart,
    PartSkills,
    Place,
    clearest,
    known_classes,
    shortcuts_of,
)

RNG = np.random.default_rng(0)
LABELS = np.arange(600) % 3


def telling(share: float, *, only: int | None = None) -> HeldOut:
    """Predictions of which `share` knows the class; of one class only, where it is given."""
    knows = RNG.random(600) < share
    guesses = RNG.integers(0, 3, 600)
    if only is not None:
        named = np.where(only == LABELS, only, (only + 1 + RNG.integers(0, 2, 600)) % 3)
        return HeldOut(LABELS, np.arange(600), np.eye(3)[np.where(knows, named, guesses)])
    return HeldOut(LABELS, np.arange(600), np.eye(3)[np.where(knows, LABELS, guesses)])


def skills(whole: float = 0.9, elsewhere: float = 0.0, fine: HeldOut | None = None, **told: HeldOut) -> PartSkills:
    """`fine` is what the edge tells in fine detail."""
    parts = {part: told.get(part.name, telling(0)) for part in ImagePart}
    control = (telling(elsewhere), telling(0))
    places = {part: (Place(parts[part], control),) for part in (*CORNERS, ImagePart.EDGE)}
    if fine is not None:
        places[ImagePart.EDGE] += (Place(fine, (telling(0), telling(0))),)
    return PartSkills(parts, places, telling(whole))


def test_chance_is_no_shortcut():
    assert shortcuts_of(skills()) == []


@pytest.mark.parametrize("name", ["SIZE", "FORMAT"])
def test_a_trace_is_named_for_half_of_the_skill_with_its_class(name):
    (found,) = clearest(shortcuts_of(skills(**{name: telling(0.6, only=2)})))
    assert (found.part, found.label) == (ImagePart[name], 2)
    assert shortcuts_of(skills(**{name: telling(0.25)})) == []


def test_a_content_is_named_only_where_it_tells_as_much_as_the_whole():
    assert shortcuts_of(skills(COLOUR=telling(0.6))) == []
    (found,) = shortcuts_of(skills(COLOUR=telling(0.89)))
    assert (found.part, found.label) == (ImagePart.COLOUR, None)


def test_a_place_is_named_for_its_lead_over_the_same_area_elsewhere():
    (found,) = clearest(shortcuts_of(skills(TOP_LEFT=telling(0.6, only=1))))
    assert (found.part, found.label) == (ImagePart.TOP_LEFT, 1)
    assert found.elsewhere == pytest.approx(0, abs=0.15)
    assert shortcuts_of(skills(elsewhere=0.6, EDGE=telling(0.6))) == []


def test_a_faint_mark_is_named_by_its_fine_detail_where_every_part_tells_the_class():
    assert shortcuts_of(skills(elsewhere=0.7, EDGE=telling(0.8))) == []
    marked = telling(0.6, only=1)
    (found,) = clearest(shortcuts_of(skills(elsewhere=0.7, EDGE=telling(0.8), fine=marked)))
    assert (found.part, found.label, found.predictions) == (ImagePart.EDGE, 1, marked)


def test_a_mark_comes_before_contents_that_tell_more():
    found = clearest(shortcuts_of(skills(COLOUR=telling(0.89), TOP_LEFT=telling(0.6, only=1))))
    assert [one.part for one in found] == [ImagePart.TOP_LEFT, ImagePart.COLOUR]


def test_classes_of_few_groups_are_not_asked_for():
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 3, 3, 4])
    assert known_classes(labels, groups, least_groups=3).tolist() == [0, 1, 2]
