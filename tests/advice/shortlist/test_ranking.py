"""Rounds of halving on made-up features, and the ranking that follows from them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from headstart.advice.shortlist.ranking import (
    IMAGENET,
    PROBE,
    HalvingRound,
    Shortlist,
    ShortlistCandidate,
    final_ranking,
    run_halving,
    scores_of,
)
from headstart.errors import MissingExtraError, ModelError
from headstart.measures.intervals import share_interval
from headstart.networks.cards.catalog import ModelChoice
from headstart.networks.cards.finding import find_model

COUNT, WIDTH = 200, 10
SPREAD = {"best": 0.5, "good": 1.8, "fair": 4.0, "poor": 12.0, "none": 40.0}
LABELS = np.arange(COUNT) % 2


def candidate(name: str, top1: float | None = 70.0, gmacs: float | None = 1.0) -> ShortlistCandidate:
    return ShortlistCandidate(name, top1, 1_000_000, gmacs, None)


def features_of(one: ShortlistCandidate, images: int) -> np.ndarray:
    rng = np.random.default_rng(sorted(SPREAD).index(one.name))
    centres = np.where(LABELS[:, None] == 1, 1.0, -1.0) / np.sqrt(WIDTH)
    return (centres + rng.normal(0, SPREAD[one.name] / np.sqrt(WIDTH), (COUNT, WIDTH))).astype(np.float32)[:images]


def folds_of(images: int) -> np.ndarray:
    return np.arange(images) // 2 % 5


CANDIDATES = [candidate(name, 70.0 + place) for place, name in enumerate(SPREAD)]
ALONE = np.arange(COUNT)
"""Every image is its own group."""
OPTIONS = {"num_classes": 2}


@pytest.fixture(scope="module")
def found() -> tuple[HalvingRound, ...]:
    rounds, skipped = run_halving(CANDIDATES, features_of, LABELS, ALONE, folds_of, keep=2, **OPTIONS)
    assert skipped == {}
    return rounds


@pytest.fixture(scope="module")
def ranked(found: tuple[HalvingRound, ...]) -> Shortlist:
    return Shortlist(
        "photos", ("a", "b"), final_ranking(CANDIDATES, found), 2, found, {"gone": "no network"}, ("mind",)
    )


def test_the_worse_leave_early_and_the_better_are_asked_about_everything(found: tuple[HalvingRound, ...]):
    first, last = found[0], found[-1]
    assert (first.images, last.images) == (64, COUNT)
    assert {one.model for one in first.scores} == set(SPREAD)
    assert "none" in first.dropped
    assert {one.model for one in last.scores} == {"best", "good"}
    assert last.dropped == ()
    assert all(len(one.losses_N) == each.images for each in found for one in each.scores)


def test_the_order_is_that_of_the_quality_of_the_features(ranked: Shortlist):
    order = [place.candidate.name for place in ranked.ranking]
    assert order[:3] == ["best", "good", "fair"]
    assert set(order) == set(SPREAD)  # the last two are guessing
    assert ranked.models == ("best", "good")
    assert ranked.ranking[0].images == COUNT > ranked.ranking[-1].images
    assert ranked.first_two is not None
    assert not ranked.first_two.is_tie
    assert ranked.tied == ("best",)
    assert ranked.cheapest_tied == "best"


def test_agreement_is_said_for_all_networks_too_where_some_left(ranked: Shortlist):
    said = ranked.agreement
    assert said[0].startswith("orders of two networks")
    assert any(line.startswith("all 5 networks: on 64 images, with the order of ridge probe") for line in said)
    assert any(f"{IMAGENET} disagrees (-" in line for line in said)


def test_json_is_plain_and_whole(ranked: Shortlist):
    plain = json.loads(json.dumps(ranked.to_dict(), allow_nan=False))
    assert plain["shortlist"] == ["best", "good"]
    assert [row["model"] for row in plain["ranking"]] == [place.candidate.name for place in ranked.ranking]
    assert plain["first_two"]["verdict"] == "best is better"
    assert plain["skipped"] == {"gone": "no network"}
    assert set(plain["rounds"][0]["scores"]) == set(SPREAD)
    assert len(plain["rounds"][0]["agreement"]) == 10
    assert plain["warnings"] == ["mind"]


def test_networks_alike_tie_and_the_cheapest_is_named():
    twins = [candidate("best", gmacs=2.0), candidate("good", gmacs=None), candidate("fair", gmacs=0.5)]
    same = {one.name: features_of(CANDIDATES[0], COUNT) for one in twins}
    rounds, _ = run_halving(
        twins, lambda one, images: same[one.name][:images], LABELS, ALONE, folds_of, keep=1, **OPTIONS
    )
    assert {one.model for one in rounds[-1].scores} == {"best", "good", "fair"}  # nobody leaves for nothing
    ranked = Shortlist("photos", ("a", "b"), final_ranking(twins, rounds), 1, rounds)
    assert ranked.first_two is not None
    assert ranked.first_two.is_tie
    assert set(ranked.tied) == {"best", "good", "fair"}
    assert ranked.cheapest_tied == "fair"


def test_as_many_networks_as_are_kept_are_measured_once_on_all_images():
    rounds, _ = run_halving(CANDIDATES[:2], features_of, LABELS, ALONE, folds_of, keep=3, **OPTIONS)
    assert [each.images for each in rounds] == [COUNT]


def test_who_cannot_be_had_is_named_and_the_others_go_on():
    def some(one: ShortlistCandidate, images: int) -> np.ndarray:
        if one.name == "good":
            raise ModelError("its weights cannot be downloaded", remedy="put them there")
        if one.name == "poor":
            raise MissingExtraError("timm is not installed")
        return features_of(one, images)

    rounds, skipped = run_halving(CANDIDATES, some, LABELS, ALONE, folds_of, keep=1, **OPTIONS)
    assert skipped == {"good": "its weights cannot be downloaded; put them there", "poor": "timm is not installed"}
    assert final_ranking(CANDIDATES, rounds)[0].candidate.name == "best"

    def nobody(one: ShortlistCandidate, images: int) -> np.ndarray:
        raise ModelError(f"{one.name} is gone")

    with pytest.raises(ModelError, match=r"none of 5 networks can be run \(best: best is gone; good"):
        run_halving(CANDIDATES, nobody, LABELS, ALONE, folds_of, keep=1, **OPTIONS)


def test_a_round_that_would_hold_one_group_is_left_out():
    """The first 150 images show one patient: no fold could be evaluated on them."""
    together = np.where(np.arange(COUNT) < 150, 0, np.arange(COUNT))
    requested: list[int] = []

    def folds(images: int) -> np.ndarray:
        requested.append(images)
        return np.where(np.arange(images) < 150, 0, 1)

    rounds, skipped = run_halving(CANDIDATES, features_of, LABELS, together, folds, keep=1, **OPTIONS)
    assert requested == [each.images for each in rounds] == [COUNT]
    assert not skipped
    assert {len(one.groups_N) for one in rounds[-1].scores} == {COUNT}


def test_rounds_hand_the_groups_of_their_images_on():
    """In pairs that are alike, intervals are those of half as many images."""
    together = ALONE // 2
    rounds, _ = run_halving(CANDIDATES[:1], features_of, LABELS, together, folds_of, keep=1, **OPTIONS)
    (one,) = rounds[-1].scores
    assert one.groups_N.tolist() == together.tolist()
    assert one.accuracy_interval == share_interval(one.correct_N, together)


def test_one_network_is_a_result_without_a_second():
    rounds, _ = run_halving(CANDIDATES[:1], features_of, LABELS, ALONE, folds_of, keep=3, **OPTIONS)
    ranked = Shortlist("photos", ("a", "b"), final_ranking(CANDIDATES[:1], rounds), 3, rounds)
    assert ranked.first_two is None
    assert ranked.agreement == []
    assert ranked.to_dict()["first_two"] is None


def test_rounds_are_told_who_is_left():
    told: list[tuple[int, int]] = []
    run_halving(
        CANDIDATES,
        features_of,
        LABELS,
        ALONE,
        folds_of,
        keep=1,
        on_round=lambda dropped, images: told.append((len(dropped), images)),
        **OPTIONS,
    )
    assert told[0] == (5, 64)
    assert told[-1][1] == COUNT
    assert [count for count, _ in told] == sorted((count for count, _ in told), reverse=True)


def test_a_card_becomes_a_candidate_and_a_file_keeps_its_architectures_accuracy(tmp_path):
    lite = ShortlistCandidate.of(find_model("tf_efficientnet_lite0"))
    assert (lite.imagenet_top1, lite.weights) == (74.846, "published")
    own = ShortlistCandidate.of(ModelChoice(find_model("resnet18").card, tmp_path / "mine.safetensors"))
    assert own.weights == "own file"
    assert own.name.startswith("resnet18:file:")
    assert lite.cost < own.cost < ShortlistCandidate("unknown", None, 1, None, None).cost


def test_scores_rise_with_quality_in_every_ranking(found: tuple[HalvingRound, ...]):
    scores = scores_of(CANDIDATES, found[0].scores)
    assert list(scores) == [PROBE, "LogME", "H-score", "kNN", IMAGENET]
    for judge in list(scores)[:4]:
        assert scores[judge]["best"] > scores[judge]["none"]
