"""What is said beside a shortlist, and when."""

from __future__ import annotations

import numpy as np

from headstart.advice.shortlist.cautions import ALWAYS, Circumstances, cautions
from headstart.advice.shortlist.halving import NetworkScores
from headstart.advice.shortlist.ranking import RankedNetwork, ShortlistCandidate

NAMED = Circumstances("named")


def place(name: str, top1: float | None, *, weights: str = "published", half: float = 0.02) -> RankedNetwork:
    scores = NetworkScores(name, np.full(100, 0.5), np.arange(100) < 90, (0.9 - half, 0.9 + half), 1.0, 0.0, 0.0, 0.9)
    return RankedNetwork(ShortlistCandidate(name, top1, 1, 1.0, None, weights), scores, 100)


def test_a_plain_list_is_told_what_holds_always():
    assert cautions([place("a", 75.0), place("b", 70.0)], keep=1, circumstances=NAMED) == ALWAYS


def test_the_first_by_imagenet_is_to_be_tried_too():
    said = cautions([place("a", 70.0), place("b", None), place("c", 75.0)], keep=2, circumstances=NAMED)
    assert said[0].startswith("c has the highest ImageNet accuracy of all candidates (75.0 %)")
    assert "Renggli et al. 2022" in said[0]
    assert len(said) == len(ALWAYS) + 1


def test_classes_that_nobody_could_learn_are_named():
    said = cautions([place("a", 75.0)], keep=1, circumstances=Circumstances("named", unlearned=("bees",)))
    assert said[0].startswith("class 'bees' lies in a single group, so no fold trains on what it is validated on")
    assert "loosen --group" in said[0]
    many = Circumstances("named", unlearned=tuple("abcdefg"))
    assert (
        "classes 'a', 'b', 'c', 'd', 'e', ... lie in a single group each"
        in cautions([place("a", 75.0)], keep=1, circumstances=many)[0]
    )


def test_few_images_no_groups_own_files_and_notes_are_named():
    ranking = [place("a", 75.0, weights="own file", half=0.08)]
    circumstances = Circumstances("unknown", ("3 images were left out",))
    notes, images, own, groups, *always = cautions(ranking, keep=3, circumstances=circumstances)
    assert notes == "3 images were left out"
    assert images.startswith("on 100 images the first one's accuracy of 0.90 is known to 0.82..0.98 only")
    assert own.startswith("the ImageNet accuracy of a is that of the published weights")
    assert "--group" in groups
    assert "intervals are too narrow" in groups
    assert tuple(always) == ALWAYS
